//! The table's directory as an object store, on top of the disk's door: an object is there with all its bytes, synced
//! with its name, or not at all. (The library's own local store does not sync.)

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, UploadPart,
};
use tokio::task;

use crate::directory::Directory;
use crate::disk::{Disk, Stat, is_temporary, read_all, write_atomically};

const STORE: &str = "Spanlight's disk";

/// Objects below a directory.
#[derive(Debug, Clone)]
pub(crate) struct DiskStore {
    disk: Arc<dyn Disk>,
    root: Arc<FilePath>,
    /// Work on a blocking thread goes on when nobody waits for it any more, and must not outlive the lock.
    directory: Option<Arc<Directory>>,
}

impl DiskStore {
    /// The objects of the cold tier.
    pub(crate) fn new(disk: Arc<dyn Disk>, directory: &Arc<Directory>) -> Self {
        Self {
            disk,
            root: Arc::from(directory.cold()),
            directory: Some(Arc::clone(directory)),
        }
    }

    /// The objects below a directory that nobody need own.
    pub(crate) fn at(disk: Arc<dyn Disk>, root: &FilePath) -> Self {
        Self {
            disk,
            root: Arc::from(root),
            directory: None,
        }
    }

    fn file(&self, location: &Path) -> PathBuf {
        self.root.join(location.as_ref())
    }

    /// Runs work on a blocking thread.
    async fn run<T: Send + 'static>(
        &self,
        location: &Path,
        work: impl FnOnce(&dyn Disk, &FilePath) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let disk = Arc::clone(&self.disk);
        let file = self.file(location);
        let directory = self.directory.clone();
        let done = task::spawn_blocking(move || {
            let done = work(disk.as_ref(), &file);
            drop(directory);
            done
        });
        done.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| store_error(location, source))
    }

    async fn list_all(self, prefix: Option<Path>) -> Result<Vec<ObjectMeta>> {
        let prefix = prefix.unwrap_or_default();
        let start = prefix.clone();
        let mut found = self
            .run(&prefix, move |disk, directory| {
                let mut found = Vec::new();
                list_into(disk, directory, &start, &mut found)?;
                Ok(found)
            })
            .await?;
        // The table's log is replayed in this order.
        found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }
}

impl fmt::Display for DiskStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.root.display())
    }
}

fn list_into(
    disk: &dyn Disk,
    directory: &FilePath,
    prefix: &Path,
    found: &mut Vec<ObjectMeta>,
) -> io::Result<()> {
    let entries = match disk.list(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let location = prefix.clone().join(entry.name.as_str());
        if entry.stat.is_dir {
            list_into(disk, &directory.join(&entry.name), &location, found)?;
        } else if !is_temporary(&entry.name) {
            found.push(meta(location, &entry.stat));
        }
    }
    Ok(())
}

fn meta(location: Path, stat: &Stat) -> ObjectMeta {
    ObjectMeta {
        location,
        last_modified: stat.modified.into(),
        size: stat.length,
        e_tag: None,
        version: None,
    }
}

fn store_error(location: &Path, source: io::Error) -> Error {
    let path = location.to_string();
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            path,
            source: Box::new(source),
        },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists {
            path,
            source: Box::new(source),
        },
        _ => Error::Generic {
            store: STORE,
            source: Box::new(source),
        },
    }
}

fn not_supported(what: &'static str) -> Error {
    Error::NotSupported {
        source: what.into(),
    }
}

#[async_trait]
impl ObjectStore for DiskStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return Err(not_supported("conditional replacement")),
        };
        self.run(location, move |disk, file| {
            if let Some(directory) = file.parent() {
                disk.create_dir_all(directory)?;
            }
            let parts: Vec<&[u8]> = payload.iter().map(AsRef::as_ref).collect();
            write_atomically(disk, file, &parts, replace)
        })
        .await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload {
            store: self.clone(),
            location: location.clone(),
            parts: Vec::new(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let wanted = options.range.clone();
        let head = options.head;
        let at = location.clone();
        let (meta, range, bytes) = self
            .run(location, move |disk, file| {
                let meta = meta(at, &disk.stat(file)?);
                let whole = 0..meta.size;
                let range = match wanted {
                    Some(wanted) => wanted.as_range(meta.size).map_err(io::Error::other)?,
                    None => whole,
                };
                let bytes = if head {
                    Vec::new()
                } else {
                    let mut parts = disk.read_ranges(file, std::slice::from_ref(&range))?;
                    parts.pop().unwrap_or_default()
                };
                Ok((meta, range, bytes))
            })
            .await?;
        options.check_preconditions(&meta)?;
        let bytes = Ok(Bytes::from(bytes));
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { bytes }).boxed()),
            meta,
            range,
            attributes: object_store::Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let ranges = ranges.to_vec();
        let parts = self
            .run(location, move |disk, file| disk.read_ranges(file, &ranges))
            .await?;
        Ok(parts.into_iter().map(Bytes::from).collect())
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store.run(&location, |disk, file| disk.remove(file)).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let all = self.clone().list_all(prefix.cloned());
        stream::once(all)
            .flat_map(|all| match all {
                Ok(all) => stream::iter(all.into_iter().map(Ok)).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = prefix.cloned().unwrap_or_default();
        let mut objects = Vec::new();
        let mut common_prefixes = Vec::new();
        for object in self.clone().list_all(prefix.cloned()).await? {
            let rest = object.location.prefix_match(&root);
            let mut rest = rest.into_iter().flatten();
            match (rest.next(), rest.next()) {
                (Some(folder), Some(_)) => {
                    let folder = root.clone().join(folder);
                    if common_prefixes.last() != Some(&folder) {
                        common_prefixes.push(folder);
                    }
                }
                _ => objects.push(object.clone()),
            }
        }
        Ok(ListResult {
            common_prefixes,
            objects,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let source = self.file(from);
        let replace = options.mode == CopyMode::Overwrite;
        self.run(to, move |disk, file| {
            let bytes = read_all(disk, &source)?;
            write_atomically(disk, file, &[&bytes], replace)
        })
        .await
    }
}

/// Parts that are kept in memory until they are complete: what is written this way (checkpoints) is small.
#[derive(Debug)]
struct Upload {
    store: DiskStore,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.parts.push(part);
        let done: BoxFuture<'static, Result<()>> = futures::future::ready(Ok(())).boxed();
        done
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = std::mem::take(&mut self.parts);
        let payload = parts.iter().flat_map(|part| part.iter().cloned()).collect();
        let options = PutOptions::default();
        self.store.put_opts(&self.location, payload, options).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

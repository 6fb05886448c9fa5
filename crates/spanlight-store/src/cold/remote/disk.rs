//! The data files of a table on an object store, behind the same door as files on the disk: whoever writes, links,
//! reads or removes a file below the table's folder does it in the store. Everything else goes to the local disk.
//!
//! Calls block, as those of every [`Disk`] do; they must come from threads that may. A file is there with all its
//! bytes or not at all, and is durable as soon as it is there, so syncing a folder does nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload as _, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutPayload,
};
use tokio::runtime::Handle;
use tokio::task;

use super::gate::{Gate, describe, is_outage};
use crate::cold::cache::BlockCache;
use crate::disk::{Disk, DiskFile, Entry, Lock, Stat};

/// Bytes of a part of an upload; a smaller file is one request.
const PART_BYTES: u64 = 8 << 20;
/// Parts that travel at one time.
const PARTS_AT_ONCE: usize = 2;
/// Bytes at the end of a file that are read back after an upload, and cached: what every reader asks for first.
const TAIL_BYTES: u64 = 128 << 10;
/// Ranges that are asked for at one time.
const GETS_AT_ONCE: usize = 8;

/// A disk whose table is elsewhere.
pub(crate) struct RemoteDisk {
    local: Arc<dyn Disk>,
    /// What stands for the table in paths; nothing is there on the local disk.
    table: PathBuf,
    /// Where files are written until they are complete.
    spool: PathBuf,
    remote: Remote,
}

/// What a call needs after it returned: files that are being written outlive it.
#[derive(Clone)]
struct Remote {
    local: Arc<dyn Disk>,
    gate: Arc<Gate>,
    /// `None` for those who read everything once.
    cache: Option<Arc<BlockCache>>,
    runtime: Handle,
}

impl fmt::Debug for RemoteDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteDisk")
            .field("table", &self.table)
            .field("store", &self.remote.gate.name())
            .finish_non_exhaustive()
    }
}

impl RemoteDisk {
    /// Must be called on a runtime, which does the work behind the blocking calls.
    pub(crate) fn new(
        local: Arc<dyn Disk>,
        gate: Arc<Gate>,
        cache: Arc<BlockCache>,
        table: PathBuf,
        spool: PathBuf,
    ) -> Self {
        let remote = Remote {
            local: Arc::clone(&local),
            gate,
            cache: Some(cache),
            runtime: Handle::current(),
        };
        Self {
            local,
            table,
            spool,
            remote,
        }
    }

    /// A disk for looking at a table, which keeps nothing of it.
    pub(crate) fn reading(local: Arc<dyn Disk>, gate: Arc<Gate>, table: PathBuf) -> Self {
        Self {
            local: Arc::clone(&local),
            spool: table.clone(),
            table,
            remote: Remote {
                local,
                gate,
                cache: None,
                runtime: Handle::current(),
            },
        }
    }

    /// The object that a path stands for; `None` for paths on the local disk.
    fn object(&self, path: &FilePath) -> Option<Path> {
        let rest = path.strip_prefix(&self.table).ok()?;
        let parts = rest
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        let text = parts.collect::<Vec<_>>().join("/");
        // As it is, if it can be: the names of files by other programs may be encoded already.
        Some(Path::parse(&text).unwrap_or_else(|_| Path::from(text)))
    }

    fn spool_file(&self) -> io::Result<PathBuf> {
        self.local.create_dir_all(&self.spool)?;
        Ok(self.spool.join(format!(".{}.tmp", uuid::Uuid::new_v4())))
    }
}

impl Disk for RemoteDisk {
    fn create_dir_all(&self, path: &FilePath) -> io::Result<()> {
        match self.object(path) {
            Some(_) => Ok(()),
            None => self.local.create_dir_all(path),
        }
    }

    fn create_new(&self, path: &FilePath) -> io::Result<Box<dyn DiskFile>> {
        let Some(object) = self.object(path) else {
            return self.local.create_new(path);
        };
        // Nothing is written that cannot be sent.
        self.remote.check_open()?;
        let spool = self.spool_file()?;
        Ok(Box::new(RemoteFile {
            file: Some(self.local.create_new(&spool)?),
            spool,
            object,
            remote: self.remote.clone(),
        }))
    }

    fn read_ranges(&self, path: &FilePath, ranges: &[Range<u64>]) -> io::Result<Vec<Vec<u8>>> {
        match self.object(path) {
            Some(object) => self.remote.read_ranges(&object, ranges),
            None => self.local.read_ranges(path, ranges),
        }
    }

    fn stat(&self, path: &FilePath) -> io::Result<Stat> {
        match self.object(path) {
            Some(object) => {
                let meta = self.remote.wait(self.remote.gate.head(&object))?;
                Ok(stat(&meta))
            }
            None => self.local.stat(path),
        }
    }

    fn list(&self, path: &FilePath) -> io::Result<Vec<Entry>> {
        let Some(folder) = self.object(path) else {
            return self.local.list(path);
        };
        let found = self
            .remote
            .wait(self.remote.gate.list_with_delimiter(Some(&folder)))?;
        let entries = found.objects.iter().filter_map(|meta| {
            Some(Entry {
                name: meta.location.filename()?.to_owned(),
                stat: stat(meta),
            })
        });
        Ok(entries.collect())
    }

    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        if self.object(from).is_none() && self.object(to).is_none() {
            return self.local.rename(from, to);
        }
        match self.link(from, to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.remove(from)
    }

    /// For an object the second name is a copy.
    fn link(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        match (self.object(from), self.object(to)) {
            (None, None) => self.local.link(from, to),
            (None, Some(to)) => self.remote.link(from, &to),
            (Some(from), Some(to)) => {
                let gate = &self.remote.gate;
                self.remote.wait(gate.copy_if_not_exists(&from, &to))
            }
            (Some(_), None) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn remove(&self, path: &FilePath) -> io::Result<()> {
        let Some(object) = self.object(path) else {
            return self.local.remove(path);
        };
        if let Some(cache) = &self.remote.cache {
            cache.forget(object.as_ref());
        }
        self.remote.wait(self.remote.gate.delete(&object))
    }

    fn truncate(&self, path: &FilePath, length: u64) -> io::Result<()> {
        match self.object(path) {
            Some(_) => Err(io::ErrorKind::Unsupported.into()),
            None => self.local.truncate(path, length),
        }
    }

    fn sync_dir(&self, path: &FilePath) -> io::Result<()> {
        match self.object(path) {
            Some(_) => Ok(()),
            None => self.local.sync_dir(path),
        }
    }

    fn lock(&self, path: &FilePath, content: &str) -> io::Result<Lock> {
        self.local.lock(path, content)
    }
}

fn stat(meta: &ObjectMeta) -> Stat {
    Stat {
        length: meta.size,
        modified: meta.last_modified.into(),
        is_dir: false,
    }
}

impl Remote {
    fn wait<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        // Those who look at a directory call from where they are.
        task::block_in_place(|| self.runtime.block_on(work)).map_err(|error| io_error(&error))
    }

    fn check_open(&self) -> io::Result<()> {
        match self.gate.outage() {
            Some(reason) if !self.gate.is_open() => Err(io::Error::other(reason)),
            _ => Ok(()),
        }
    }

    /// Copies a local file into the store, unless it is there already, whole.
    fn link(&self, from: &FilePath, to: &Path) -> io::Result<()> {
        self.check_open()?;
        match self.wait(self.gate.head(to)) {
            Ok(meta) if meta.size == self.local.stat(from)?.length => {
                self.verify(from, to, meta.size)?;
                Err(io::ErrorKind::AlreadyExists.into())
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.upload(from, to),
        }
    }

    /// Copies a local file into the store, and looks whether it arrived.
    fn upload(&self, from: &FilePath, to: &Path) -> io::Result<()> {
        let length = self.local.stat(from)?.length;
        if length <= PART_BYTES {
            let bytes = self.read_local(from, 0..length)?;
            self.wait(self.gate.put(to, bytes.into()))?;
        } else {
            self.upload_parts(from, to, length)?;
        }
        self.verify(from, to, length)
    }

    fn upload_parts(&self, from: &FilePath, to: &Path, length: u64) -> io::Result<()> {
        let mut upload = self.wait(self.gate.put_multipart(to))?;
        let starts: Vec<u64> = (0..length).step_by(PART_BYTES as usize).collect();
        let mut send = || -> io::Result<()> {
            for starts in starts.chunks(PARTS_AT_ONCE) {
                let mut parts = Vec::new();
                for &start in starts {
                    let end = length.min(start + PART_BYTES);
                    let part = PutPayload::from(self.read_local(from, start..end)?);
                    parts.push(upload.put_part(part));
                }
                self.wait(futures::future::try_join_all(parts))?;
            }
            self.wait(upload.complete())?;
            Ok(())
        };
        let sent = send();
        if sent.is_err() {
            // What stays is removed by the store's own rule for unfinished uploads, if it has one.
            self.runtime.block_on(upload.abort()).ok();
        }
        sent
    }

    /// Reads the end of the file back: it must be what was sent, at that length.
    fn verify(&self, from: &FilePath, to: &Path, length: u64) -> io::Result<()> {
        let start =
            length.saturating_sub(TAIL_BYTES) / BlockCache::BLOCK_BYTES * BlockCache::BLOCK_BYTES;
        let sent = self.read_local(from, start..length)?;
        let options = GetOptions {
            range: (length > 0).then_some(GetRange::Bounded(start..length)),
            ..GetOptions::default()
        };
        let (found, bytes) = self.wait(async {
            let found = self.gate.get_opts(to, options).await?;
            let size = found.meta.size;
            Ok((size, found.bytes().await?))
        })?;
        if found != length || bytes != sent {
            let reason = format!(
                "{} has {to} with other bytes than were sent",
                self.gate.name()
            );
            return Err(io::Error::other(reason));
        }
        if let Some(cache) = &self.cache {
            cache.insert_run(to.as_ref(), start, &bytes, length);
        }
        Ok(())
    }

    fn read_local(&self, path: &FilePath, range: Range<u64>) -> io::Result<Bytes> {
        let mut parts = self.local.read_ranges(path, std::slice::from_ref(&range))?;
        Ok(parts.pop().unwrap_or_default().into())
    }

    fn read_ranges(&self, object: &Path, ranges: &[Range<u64>]) -> io::Result<Vec<Vec<u8>>> {
        let Some(cache) = &self.cache else {
            let parts = self.wait(self.gate.get_ranges(object, ranges))?;
            return Ok(parts.into_iter().map(Into::into).collect());
        };
        let mut blocks = cache.blocks(object.as_ref(), ranges);
        let runs = blocks.missing();
        let gets = runs.into_iter().map(|run| async move {
            let options = GetOptions {
                range: Some(GetRange::Bounded(run.clone())),
                ..GetOptions::default()
            };
            let found = self.gate.get_opts(object, options).await?;
            let size = found.meta.size;
            Ok::<_, Error>((run.start, found.bytes().await?, size))
        });
        let gets = stream::iter(gets).buffer_unordered(GETS_AT_ONCE);
        let fetched: Vec<(u64, Bytes, u64)> = self.wait(gets.try_collect())?;
        for (start, bytes, size) in fetched {
            cache.insert_run(object.as_ref(), start, &bytes, size);
            blocks.fill(start, &bytes);
        }
        ranges.iter().map(|range| blocks.read(range)).collect()
    }
}

fn io_error(error: &Error) -> io::Error {
    let kind = match error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        error if is_outage(error) => io::ErrorKind::HostUnreachable,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, describe(error))
}

/// A file that is written locally, and sent when it is synced.
struct RemoteFile {
    file: Option<Box<dyn DiskFile>>,
    spool: PathBuf,
    object: Path,
    remote: Remote,
}

impl DiskFile for RemoteFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = || io::Error::other("the file was sent already");
        self.file.as_mut().ok_or_else(sent)?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The store's answer is what makes it durable; the local copy is only on its way.
        if self.file.is_some() {
            self.remote.upload(&self.spool, &self.object)?;
            self.file = None;
        }
        Ok(())
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        self.file = None;
        self.remote.local.remove(&self.spool).ok();
    }
}

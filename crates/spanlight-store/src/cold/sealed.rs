//! The table's place with commits that are checked: what the table's library writes as a commit gets its checksum, and
//! what it reads as one is compared with it. Everything else passes through.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

use super::commits::{self, Condition};

/// The log of the table in this place.
pub(crate) fn log_store(objects: Arc<dyn ObjectStore>) -> LogStoreRef {
    let objects: Arc<dyn ObjectStore> = Arc::new(Sealed(objects));
    let config = StorageConfig::default();
    default_logstore(Arc::clone(&objects), objects, &LOCATION, &config)
}

/// Inside the place the table is the root. The real one may have characters that URLs mangle.
static LOCATION: LazyLock<Url> = LazyLock::new(location);

#[expect(clippy::expect_used, reason = "the text is a URL")]
fn location() -> Url {
    Url::parse("spanlight:///").expect("a URL")
}

/// A place for a table.
#[derive(Debug)]
struct Sealed(Arc<dyn ObjectStore>);

fn is_commit(location: &Path) -> bool {
    location.filename().is_some_and(commits::is_commit)
}

impl fmt::Display for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for Sealed {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let payload = match is_commit(location) {
            true => PutPayload::from(commits::seal(&Bytes::from(payload))),
            false => payload,
        };
        self.0.put_opts(location, payload, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_whole = options.range.is_none() && !options.head;
        let found = self.0.get_opts(location, options).await?;
        if !is_whole || !is_commit(location) {
            return Ok(found);
        }
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let attributes = found.attributes.clone();
        let bytes = checked(location, found.bytes().await?)?;
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
            meta,
            range,
            attributes,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

fn checked(location: &Path, bytes: Bytes) -> Result<Bytes> {
    match commits::examine(&bytes) {
        Condition::Sound => Ok(bytes),
        Condition::Mended(whole) => {
            tracing::warn!(commit = %location, "a byte of a commit of the table has changed; it is read as it was written, by its checksum");
            Ok(whole.into())
        }
        Condition::Damaged(reason) => Err(Error::Generic {
            store: "the table's log",
            source: format!("{location} is damaged: {reason}; {}", commits::ADVICE).into(),
        }),
    }
}

//! An object store in memory that can be switched off, and that can lose its answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use spanlight_store::ColdLocation;

#[derive(Debug, Default)]
pub(crate) struct Objects {
    inner: InMemory,
    is_down: AtomicBool,
    /// The next commit is taken, and its answer is lost.
    loses_answer: AtomicBool,
    gets: AtomicU64,
}

impl Objects {
    pub(crate) fn location(self: &Arc<Self>) -> ColdLocation {
        let store: Arc<dyn ObjectStore> = Arc::clone(self) as _;
        ColdLocation::of_store("memory://spans", store, Path::from("some/prefix"))
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    pub(crate) fn lose_next_answer(&self) {
        self.loses_answer.store(true, Ordering::SeqCst);
    }

    pub(crate) fn gets(&self) -> u64 {
        self.gets.load(Ordering::SeqCst)
    }

    /// The names of the data files.
    pub(crate) async fn data_files(&self) -> Vec<String> {
        let found: Vec<_> = self.inner.list(None).collect().await;
        let names = found.into_iter().map(|meta| meta.unwrap().location);
        let names = names.filter(|name| name.extension() == Some("parquet"));
        let names = names.filter(|name| !name.as_ref().contains("_delta_log"));
        names.map(|name| name.to_string()).collect()
    }

    fn check(&self) -> Result<()> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(away());
        }
        Ok(())
    }
}

fn away() -> Error {
    Error::Generic {
        store: "test",
        source: "the cable is out".into(),
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("objects of a test")
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.check()?;
        let put = self.inner.put_opts(location, payload, options).await;
        let is_commit = location.extension() == Some("json") && location.as_ref().contains("_log");
        if put.is_ok() && is_commit && self.loses_answer.swap(false, Ordering::SeqCst) {
            return Err(away());
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.check() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check()?;
        self.inner.copy_opts(from, to, options).await
    }
}

//! The door to an object store. Every request has a time limit; and when one failed because the store does not answer,
//! the next ones fail at once, but for one try now and then: a query must not wait for what is known to be away. That
//! the store went away, and that it is back, is logged once each.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use rand::Rng as _;

use super::ObjectLocation;

/// How long one operation may take, all its tries included.
const OPERATION_TIME: Duration = Duration::from_secs(60);
/// A store that did not answer is tried again after this, then after twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An object store, and whether it answers.
#[derive(Debug)]
pub(crate) struct Gate {
    location: ObjectLocation,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    name: String,
    outage: Mutex<Option<Outage>>,
}

#[derive(Debug, Clone)]
struct Outage {
    since: Instant,
    reason: String,
    pause: Duration,
    next_try: Instant,
}

impl Gate {
    pub(crate) fn new(location: ObjectLocation) -> Self {
        let state = Arc::new(State {
            name: location.name.clone(),
            outage: Mutex::new(None),
        });
        Self { location, state }
    }

    /// The table's URL.
    pub(crate) fn name(&self) -> &str {
        &self.state.name
    }

    /// Why the store cannot be reached; `None` when it answered last time.
    pub(crate) fn outage(&self) -> Option<String> {
        let outage = self.state.lock().clone()?;
        let seconds = outage.since.elapsed().as_secs();
        Some(format!(
            "{} does not answer since {seconds} s: {}",
            self.state.name, outage.reason
        ))
    }

    /// Takes note that nobody waited for an answer any longer.
    pub(crate) fn note_silence(&self) {
        let error = self.state.error("no answer yet".to_owned());
        self.state.note(Some(&error));
    }

    /// Whether a request would be let through now.
    pub(crate) fn is_open(&self) -> bool {
        let outage = self.state.lock();
        outage
            .as_ref()
            .is_none_or(|outage| outage.next_try <= Instant::now())
    }

    async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.state.enter()?;
        let done = tokio::time::timeout(OPERATION_TIME, work).await;
        let done = done.unwrap_or_else(|_| {
            let seconds = OPERATION_TIME.as_secs();
            Err(self.state.error(format!("no answer within {seconds} s")))
        });
        self.state.note(done.as_ref().err());
        done
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request through, or says why not.
    fn enter(&self) -> Result<()> {
        let mut outage = self.lock();
        let Some(outage) = outage.as_mut() else {
            return Ok(());
        };
        let now = Instant::now();
        if outage.next_try > now {
            let reason = format!("{} does not answer: {}", self.name, outage.reason);
            return Err(self.error(reason));
        }
        // The others wait for what becomes of this one.
        outage.next_try = now + outage.pause;
        Ok(())
    }

    /// Takes note of how a request ended.
    fn note(&self, error: Option<&Error>) {
        let mut outage = self.lock();
        let Some(error) = error.filter(|error| is_outage(error)) else {
            if let Some(before) = outage.take() {
                let seconds = before.since.elapsed().as_secs();
                tracing::info!(store = %self.name, seconds, "the object store answers again");
            }
            return;
        };
        let now = Instant::now();
        let reason = describe(error);
        let (since, pause) = match outage.as_ref() {
            Some(before) => (before.since, (before.pause * 2).min(LONGEST_PAUSE)),
            None => {
                tracing::error!(store = %self.name, reason, "the object store does not answer; spans stay on this machine until it does");
                (now, FIRST_PAUSE)
            }
        };
        let jitter = rand::rng().random_range(0.8..1.2);
        *outage = Some(Outage {
            since,
            reason,
            pause,
            next_try: now + pause.mul_f64(jitter),
        });
    }

    fn error(&self, reason: String) -> Error {
        Error::Generic {
            store: "object store",
            source: reason.into(),
        }
    }
}

/// Whether the store could not do its work, as opposed to an answer that we did not want.
pub(crate) fn is_outage(error: &Error) -> bool {
    matches!(
        error,
        Error::Generic { .. }
            | Error::JoinError { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
    )
}

/// The whole chain of reasons, each said once: the first alone names only the request.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

impl fmt::Display for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.state.name)
    }
}

#[async_trait]
impl ObjectStore for Gate {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let store = &self.location.store;
        self.run(store.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let store = &self.location.store;
        let upload = self
            .run(store.put_multipart_opts(location, options))
            .await?;
        Ok(Box::new(Upload {
            upload,
            state: Arc::clone(&self.state),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let store = &self.location.store;
        // The body belongs to the request: a store that stops in its middle has not answered.
        self.run(async {
            let found = store.get_opts(location, options).await?;
            let (meta, range, attributes) = (
                found.meta.clone(),
                found.range.clone(),
                found.attributes.clone(),
            );
            let bytes = Ok(found.bytes().await?);
            Ok(GetResult {
                payload: GetResultPayload::Stream(stream::once(async { bytes }).boxed()),
                meta,
                range,
                attributes,
            })
        })
        .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        if let Err(error) = self.state.enter() {
            return stream::iter([Err(error)]).boxed();
        }
        let state = Arc::clone(&self.state);
        self.location
            .store
            .delete_stream(locations)
            .inspect(move |deleted| state.note(deleted.as_ref().err()))
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_from(self.location.store.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_from(self.location.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let store = &self.location.store;
        self.run(store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let store = &self.location.store;
        self.run(store.copy_opts(from, to, options)).await
    }
}

impl Gate {
    fn list_from(
        &self,
        found: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        if let Err(error) = self.state.enter() {
            return stream::iter([Err(error)]).boxed();
        }
        let state = Arc::clone(&self.state);
        let end = Arc::clone(&self.state);
        let failed = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&failed);
        let found = found.inspect(move |found| {
            fails.fetch_or(found.is_err(), Ordering::Relaxed);
            state.note(found.as_ref().err());
        });
        // An empty list is an answer too.
        let end = stream::once(async move {
            if !failed.load(Ordering::Relaxed) {
                end.note(None);
            }
        });
        found.chain(end.filter_map(|()| async { None })).boxed()
    }
}

#[derive(Debug)]
struct Upload {
    upload: Box<dyn MultipartUpload>,
    state: Arc<State>,
}

impl Upload {
    async fn run<T>(state: &State, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::time::timeout(OPERATION_TIME, work).await;
        let done = done.unwrap_or_else(|_| {
            let seconds = OPERATION_TIME.as_secs();
            Err(state.error(format!("no answer within {seconds} s")))
        });
        state.note(done.as_ref().err());
        done
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        let part = self.upload.put_part(part);
        let state = Arc::clone(&self.state);
        Box::pin(async move { Self::run(&state, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        Self::run(&self.state, self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

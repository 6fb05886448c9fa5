//! Threads for statements, which compute for long between one wait and the next: whoever receives spans must not wait
//! for them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::error::QueryError;
use crate::parallel::workers;

/// For parsers and planners, which follow the nesting of a statement. Only what is used of it takes memory.
const STACK_BYTES: usize = 32 << 20;

/// The threads; begun with the first statement. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SqlRuntime(Arc<Threads>);

#[derive(Debug, Default)]
struct Threads(Mutex<Option<Runtime>>);

impl Drop for Threads {
    fn drop(&mut self) {
        let runtime = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            // Waiting for statements is not allowed where this may be, and nobody waits for them.
            runtime.shutdown_background();
        }
    }
}

impl SqlRuntime {
    /// Does work there; dropping the future ends it at its next wait.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, QueryError> {
        let failed = |error: &dyn std::error::Error| QueryError::Internal(error.to_string());
        let handle = self.handle().map_err(|error| failed(&error))?;
        let mut running = JoinSet::new();
        running.spawn_on(work, &handle);
        match running.join_next().await {
            Some(Ok(done)) => Ok(done),
            Some(Err(error)) => Err(failed(&error)),
            None => Err(QueryError::Internal("nothing ran".to_owned())),
        }
    }

    fn handle(&self) -> io::Result<Handle> {
        let mut runtime = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        let made = Builder::new_multi_thread()
            .worker_threads(workers())
            .thread_name("sql")
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()?;
        let handle = made.handle().clone();
        *runtime = Some(made);
        Ok(handle)
    }
}

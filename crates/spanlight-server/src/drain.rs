//! The end of a server: nothing new, what is being answered is answered, the store is closed.

use std::time::Duration;

use crate::addresses::Addresses;
use crate::serve::{Running, Server};

impl Server {
    pub(crate) async fn drain(self) {
        Addresses::remove(&self.data_dir);
        self.running.end(self.drain_time).await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

impl Running {
    /// Closes the ports, waits this long for what is being answered, and cuts off the rest.
    pub(crate) async fn end(&self, drain_time: Duration) {
        self.tasks.close();
        self.shutdown.drain.cancel();
        let drained = tokio::time::timeout(drain_time, self.tasks.wait()).await;
        if drained.is_err() {
            if !drain_time.is_zero() {
                tracing::warn!(
                    "requests were still being answered at the end of limits.drain_time; they are cut off"
                );
            }
            self.shutdown.abort.cancel();
            self.tasks.wait().await;
        }
    }
}

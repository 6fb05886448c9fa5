//! The end of a server: nothing new, what is being answered is answered, the store is closed.

use crate::addresses::Addresses;
use crate::serve::Server;

impl Server {
    pub(crate) async fn drain(self) {
        Addresses::remove(&self.data_dir);
        self.shutdown.drain.cancel();
        let drained = tokio::time::timeout(self.drain_time, self.tasks.wait()).await;
        if drained.is_err() {
            tracing::warn!(
                "requests were still being answered at the end of limits.drain_time; they are cut off"
            );
            self.shutdown.abort.cancel();
            self.tasks.wait().await;
        }
        self.store.close().await;
        tracing::info!("stopped");
    }
}

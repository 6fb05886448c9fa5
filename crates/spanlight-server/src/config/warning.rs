//! Settings that are allowed and that whoever runs the server should know to be on.

use super::{Fsync, Settings};

impl Settings {
    /// What to know of these settings, a sentence each; empty for the defaults.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        match self.storage.fsync {
            Fsync::Always => Vec::new(),
            Fsync::Never => vec![
                "storage.fsync is never: spans are acknowledged before they are on the disk, and a power cut may lose them",
            ],
        }
    }
}

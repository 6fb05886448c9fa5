//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use spanlight_store::Clock;

/// Shows 1970 at first.
#[derive(Debug, Default)]
pub(crate) struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now_unix_nano(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl HandClock {
    pub(crate) fn set_seconds(&self, seconds: i64) {
        self.0.store(seconds * 1_000_000_000, Ordering::SeqCst);
    }

    /// Forwards, or back.
    pub(crate) fn move_nano(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

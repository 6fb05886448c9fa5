//! Telling in the log that more is sent than there is room for, without letting senders fill the log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the log is silent after it has told.
const SILENCE: Duration = Duration::from_secs(60);

/// Requests that were refused for want of room.
#[derive(Debug, Default)]
pub(super) struct Overload {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    told_at: Option<Instant>,
    /// Requests that the log does not have yet.
    untold: u64,
}

impl Overload {
    /// Counts a request. The log has the first one at once, and then at most a line a minute.
    pub(super) fn refused(&self, reason: &str) {
        if let Some(requests) = self.count(Instant::now()) {
            tracing::warn!(
                requests,
                %reason,
                "overloaded: requests were refused, to be sent again later; so many since this was last said"
            );
        }
    }

    /// How many to tell of; `None` while the log is silent.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold += 1;
        let is_silent = state
            .told_at
            .is_some_and(|told_at| now.duration_since(told_at) < SILENCE);
        if is_silent {
            return None;
        }
        state.told_at = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_each_request_once_and_a_line_a_minute() {
        let overload = Overload::default();
        let start = Instant::now();
        let told: Vec<_> = [0, 1, 59, 60, 61, 200]
            .into_iter()
            .map(|second| overload.count(start + Duration::from_secs(second)))
            .collect();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}

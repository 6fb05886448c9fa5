//! The bound on memory: what is hot, and what waits to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

/// From this share of the limit on, who takes bytes is slowed down.
const BRAKE_SHARE: f64 = 0.7;
/// How long one is held where everything is taken.
const BRAKE_TIME_MAX: Duration = Duration::from_millis(120);
/// How long one waits for bytes to be given back.
const WAIT_TIME_MAX: Duration = Duration::from_secs(1);

/// Bytes that may be taken, and are.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    given_back: Notify,
}

/// Bytes that are taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    bytes: usize,
    budget: Arc<Budget>,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
            given_back: Notify::new(),
        }
    }

    /// Takes bytes, after a moment where most are taken: spans then come as fast as they go on to the disk, rather than
    /// at full speed until all are refused. `None` when the limit is reached and stays so.
    pub(crate) async fn reserve_soon(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let brake = self.brake();
        if brake > Duration::ZERO {
            sleep(brake).await;
        }
        let deadline = Instant::now() + WAIT_TIME_MAX;
        loop {
            let mut given_back = std::pin::pin!(self.given_back.notified());
            // From here on no notice is missed.
            given_back.as_mut().enable();
            if let Some(reservation) = self.reserve(bytes) {
                return Some(reservation);
            }
            timeout_at(deadline, given_back).await.ok()?;
        }
    }

    /// Nothing until the brake's share; then more and more steeply.
    fn brake(&self) -> Duration {
        let share = self.used.load(Ordering::Relaxed) as f64 / self.limit as f64;
        let over = ((share - BRAKE_SHARE) / (1.0 - BRAKE_SHARE)).clamp(0.0, 1.0);
        BRAKE_TIME_MAX.mul_f64(over * over)
    }

    /// Takes bytes; `None` when the limit is reached.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes).filter(|&next| next <= self.limit)
            })
            .ok()?;
        Some(Reservation {
            bytes,
            budget: Arc::clone(self),
        })
    }

    /// Takes bytes whatever the limit: recovered spans are there already.
    pub(crate) fn reserve_anyway(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Reservation {
            bytes,
            budget: Arc::clone(self),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_who_asks_waits_for_what_is_given_back() {
        let budget = Arc::new(Budget::new(100));
        let first = budget.reserve(100).unwrap();
        let (second, ()) = tokio::join!(budget.reserve_soon(60), async {
            sleep(Duration::from_millis(200)).await;
            drop(first);
        });
        assert!(second.is_some());
        // Nothing is given back now.
        assert!(budget.reserve_soon(60).await.is_none());
    }

    #[test]
    fn the_brake_is_off_while_there_is_room() {
        let budget = Arc::new(Budget::new(100));
        let most = budget.reserve(70);
        assert_eq!(budget.brake(), Duration::ZERO);
        let rest = budget.reserve(30);
        assert_eq!(budget.brake(), BRAKE_TIME_MAX);
        assert!(most.is_some() && rest.is_some());
    }
}

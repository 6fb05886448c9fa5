//! The bound on memory: what is hot, and what waits to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be taken, and are.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
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
        }
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
    }
}

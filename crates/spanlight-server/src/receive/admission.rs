//! How many bytes of requests the process holds at one time, and the promise that it is never more than allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::refusal::Refusal;

/// The bytes that all requests in flight may take together.
#[derive(Debug)]
pub(crate) struct Admission {
    used: AtomicUsize,
    limit: usize,
}

impl Admission {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
        }
    }

    /// Bytes in flight.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The share of one request, empty at first.
    pub(crate) fn reservation(self: &Arc<Self>) -> Arc<Reservation> {
        Arc::new(Reservation {
            admission: Arc::clone(self),
            held: AtomicUsize::new(0),
        })
    }
}

/// Bytes that belong to one request; given back when it is dropped, which is after the answer.
#[derive(Debug)]
pub(crate) struct Reservation {
    admission: Arc<Admission>,
    held: AtomicUsize,
}

impl Reservation {
    /// Takes more bytes, before they are read or unpacked.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), Refusal> {
        let Admission { used, limit } = &*self.admission;
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|sum| sum <= limit)
        })
        .map_err(|_| Refusal::overloaded_in_flight(*limit))?;
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let held = *self.held.get_mut();
        self.admission.used.fetch_sub(held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_never_exceeded() {
        let admission = Arc::new(Admission::new(10));
        let first = admission.reservation();
        let second = admission.reservation();
        first.grow(4).unwrap();
        second.grow(6).unwrap();
        assert!(first.grow(1).is_err());
        assert_eq!(admission.used(), 10);
        drop(second);
        assert_eq!(admission.used(), 4);
        first.grow(6).unwrap();
        drop(first);
        assert_eq!(admission.used(), 0);
    }
}

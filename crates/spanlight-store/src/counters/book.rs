//! The counters of an open store: counted at each seal, saved from time to time, shown with what is in memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spanlight_model::{SpanBatch, SpanColumns};

use super::checkpoint::LoadError;
use super::{Counters, Place, ServiceCounters};
use crate::disk::Disk;
use crate::hot::{HotBatch, HotTier};

/// Between two checkpoints while there is traffic: what a crash has counted again, at most.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// The counters, and where they are kept.
#[derive(Debug)]
pub(crate) struct CounterBook {
    counters: Mutex<Counters>,
    saved: Mutex<Saved>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// The last checkpoint.
#[derive(Debug, Default)]
struct Saved {
    at: Option<Instant>,
    through: u64,
}

impl CounterBook {
    /// The counters of this file. Where there is none, or one that cannot be read, they begin with what comes after
    /// this sequence number: counters are no spans, and no reason not to start.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf, sealed_through: u64) -> Self {
        let new = || Counters {
            through: sealed_through,
            ..Counters::default()
        };
        let counters = match Counters::load(disk.as_ref(), &path) {
            Ok(Some(counters)) => counters,
            Ok(None) => new(),
            Err(error) => {
                warn_unreadable(&error, &path);
                new()
            }
        };
        let book = Self {
            counters: Mutex::new(counters),
            saved: Mutex::default(),
            disk,
            path,
        };
        // From here on a checkpoint is there: what is sealed after it can be counted again.
        book.save();
        book
    }

    /// The last sequence number that is counted.
    pub(crate) fn through(&self) -> u64 {
        self.lock().through
    }

    /// Counts the spans of a segment that ends with this sequence number. One that is counted already is not counted
    /// again. Spans that have waited since before this time for their other side wait no longer.
    pub(crate) fn count_segment(
        &self,
        batches: &[SpanBatch],
        through: u64,
        received_before_unix_nano: i64,
    ) {
        let columns: Vec<SpanColumns<'_>> = batches.iter().map(SpanBatch::columns).collect();
        let places = by_trace(&columns);
        let mut counters = self.lock();
        if counters.through < through {
            counters.count(&columns, &places);
            counters.expire(received_before_unix_nano);
            counters.through = through;
        }
    }

    /// Writes the counters down, unless that was done a moment ago.
    pub(crate) fn save_if_due(&self) {
        let at = self.lock_saved().at;
        if at.is_none_or(|at| at.elapsed() >= SAVE_INTERVAL) {
            self.save();
        }
    }

    /// Writes the counters down, unless they are with this sequence number: its segment leaves the recent level, and
    /// could not be counted again.
    pub(crate) fn save_through(&self, sequence: u64) {
        if self.lock_saved().through < sequence {
            self.save();
        }
    }

    /// Writes the counters down.
    pub(crate) fn save(&self) {
        // Held while writing: a later checkpoint must not be replaced by an earlier one.
        let mut saved = self.lock_saved();
        let counters = self.lock().clone();
        match counters.save(self.disk.as_ref(), &self.path) {
            Ok(()) => saved.through = counters.through,
            Err(error) => {
                tracing::warn!(%error, file = %self.path.display(), "the counters of services cannot be saved; a restart counts the last spans again");
            }
        }
        saved.at = Some(Instant::now());
    }

    /// The counters with the spans of this tier, which was looked at before.
    pub(crate) fn with(&self, hot: &HotTier) -> ServiceCounters {
        // A segment is counted before its batches leave the tier: what is counted already is left out.
        let mut counters = self.lock().clone();
        let batches: Vec<&Arc<HotBatch>> = hot
            .iter()
            .filter(|batch| batch.first_sequence() > counters.through)
            .collect();
        let columns: Vec<SpanColumns<'_>> =
            batches.iter().map(|batch| batch.spans.columns()).collect();
        counters.count(&columns, &by_trace(&columns));
        counters.view()
    }

    fn lock_saved(&self) -> MutexGuard<'_, Saved> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All spans of these batches, each once, by trace.
fn by_trace(batches: &[SpanColumns<'_>]) -> Vec<Place> {
    let rows = |(batch, columns): (usize, &SpanColumns<'_>)| {
        (0..columns.flags.len()).map(move |row| Place { batch, row })
    };
    let mut places: Vec<Place> = batches.iter().enumerate().flat_map(rows).collect();
    let key = |place: &Place| {
        let columns = &batches[place.batch];
        let (trace, span) = (columns.trace_id(place.row), columns.span_id(place.row));
        (trace, span, columns.kinds.value(place.row))
    };
    places.sort_by_key(key);
    places.dedup_by_key(|place| key(place));
    places
}

fn warn_unreadable(error: &LoadError, path: &std::path::Path) {
    let reason: &dyn std::error::Error = error;
    tracing::warn!(reason, file = %path.display(), "the counters of services cannot be read; they start anew");
}

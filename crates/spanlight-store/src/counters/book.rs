//! The counters of an open store: counted at each seal, saved from time to time, shown with what is in memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanlight_model::{SpanBatch, SpanColumns};

use super::{Counters, Place, ServiceCounters};
use crate::disk::Disk;

/// The counters, and where they are kept.
#[derive(Debug)]
pub(crate) struct CounterBook {
    counters: Mutex<Counters>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl CounterBook {
    /// The counters of this file. One that cannot be read is begun anew: counters are no spans, and no reason not to
    /// start.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        let counters = Counters::load(disk.as_ref(), &path).unwrap_or_else(|error| {
            let reason: &dyn std::error::Error = &error;
            tracing::warn!(reason, file = %path.display(), "the counters of services cannot be read; they start anew");
            Counters::default()
        });
        Self {
            counters: Mutex::new(counters),
            disk,
            path,
        }
    }

    /// The last sequence number that is counted.
    pub(crate) fn through(&self) -> u64 {
        self.lock().through
    }

    /// Counts the spans of a segment that ends with this sequence number: each once, those of a trace one after the
    /// other. A segment that is counted already is not counted again.
    pub(crate) fn count_segment(&self, batches: &[SpanColumns<'_>], places: &[Place], through: u64) {
        let mut counters = self.lock();
        if counters.through < through {
            counters.count(batches, places);
            counters.through = through;
        }
    }

    /// Gives up on spans that have waited since before this time for their other side.
    pub(crate) fn expire(&self, received_before_unix_nano: i64) {
        self.lock().expire(received_before_unix_nano);
    }

    /// Writes the counters down.
    pub(crate) fn save(&self) {
        let counters = self.lock().clone();
        if let Err(error) = counters.save(self.disk.as_ref(), &self.path) {
            tracing::warn!(%error, file = %self.path.display(), "the counters of services cannot be saved; a restart counts more of the recent spans again");
        }
    }

    /// The counters with these spans, which no segment has yet.
    pub(crate) fn with(&self, hot: &[SpanBatch]) -> ServiceCounters {
        let mut counters = self.lock().clone();
        let columns: Vec<SpanColumns<'_>> = hot.iter().map(SpanBatch::columns).collect();
        counters.count(&columns, &by_trace(&columns));
        counters.view()
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

//! What may go by rule: traces that a sampling policy drops, the oldest spans where there is no room, traces that somebody
//! has deleted.

use std::collections::BTreeSet;

use rand::Rng as _;
use rand::rngs::SmallRng;
use spanlight_model::TraceId;
use spanlight_store::{Decision, SamplingPolicy, TraceSpans};

use super::super::spans::{self, Record};
use super::World;

/// A policy that drops one trace of four.
#[derive(Debug)]
pub(super) struct Sometimes;

pub(super) fn drops(trace: TraceId) -> bool {
    trace.0[15].is_multiple_of(4)
}

impl SamplingPolicy for Sometimes {
    fn decide(&self, trace: &TraceSpans<'_>) -> Decision {
        match drops(trace.trace_id) {
            true => Decision::Drop,
            false => Decision::Keep,
        }
    }
}

impl World {
    /// Where more was on the disk than may be, the store may have deleted anything that it had.
    pub(super) fn make_room(&mut self) {
        let used = self.disk.take_peak();
        if self
            .options
            .disk_bytes
            .is_some_and(|limit| used as u64 > limit)
        {
            self.model.release(&|_| true);
        }
    }

    /// Whether the store keeps to its room when it has nothing else to do.
    pub(super) async fn check_room(&mut self) {
        let Some(limit) = self.options.disk_bytes else {
            return;
        };
        self.maintain().await;
        let statistics = self.store.as_ref().unwrap().statistics();
        let used = statistics.cold.bytes + statistics.recent.bytes + statistics.log.bytes;
        assert!(
            used <= limit || statistics.cold.files == 0,
            "{used} bytes where {limit} may be: {statistics:?}"
        );
    }

    /// Somebody wants traces gone.
    pub(super) async fn delete(&mut self, random: &mut SmallRng) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let count = random.random_range(1..4);
        let traces = (0..count).map(|_| random.random_range(0..=self.traces));
        let traces: BTreeSet<u64> = traces.collect();
        let ids = traces.iter().map(|trace| spans::trace_id(*trace));
        let deleted = store.delete(ids.collect()).await;
        drop(store);
        let is_theirs = |record: &Record| traces.contains(&record.key.trace);
        match deleted {
            Ok(deletion) if deletion.files_unreadable == 0 => self.model.delete(&is_theirs),
            Ok(deletion) => {
                let is_explained = self.may_fail() || !self.damaged_files.is_empty();
                assert!(is_explained, "files were not searched: {deletion:?}");
                self.model.release(&is_theirs);
            }
            Err(error) => {
                self.note(&format!("     {error}"));
                assert!(self.may_fail(), "a deletion failed: {error}");
                self.model.release(&is_theirs);
            }
        }
        self.check("everything, after a deletion").await;
    }
}

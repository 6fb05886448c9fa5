//! What a store has is asked, and judged by the model.

use futures::StreamExt as _;
use rand::Rng as _;
use rand::rngs::SmallRng;
use spanlight_store::{ScanColumns, ScanRequest};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::model::{Asked, Seen};
use super::super::spans::{self, Record};
use super::{HOUR, World};

impl World {
    /// Everything, as it is now.
    pub(super) async fn check(&mut self, what: &str) {
        self.checks += 1;
        // Reading every column takes most of the time.
        let columns = if self.checks.is_multiple_of(4) {
            ScanColumns::ALL
        } else {
            ScanColumns::BASE
        };
        let request = ScanRequest {
            columns,
            ..ScanRequest::default()
        };
        if self.store.is_some() {
            let seen = self.look(&request).await;
            self.judge(what, &|_| true, true, &seen);
        }
    }

    pub(super) fn judge(
        &mut self,
        what: &str,
        covers: &dyn Fn(&Record) -> bool,
        is_everything: bool,
        seen: &Seen,
    ) {
        self.make_room();
        let is_explained = |error: &String| {
            let mut damaged = self.damaged_files.iter();
            damaged.any(|name| error.contains(name.as_str()))
        };
        let is_whole = seen.errors.iter().all(is_explained);
        assert!(is_whole || self.may_fail(), "{what}: {:?}", seen.errors);
        if is_everything {
            self.settle(seen, is_whole);
        }
        let asked = Asked {
            what,
            covers,
            is_everything,
            is_whole,
        };
        let judged = self.model.judge(&asked, seen);
        judged.unwrap_or_else(|reason| panic!("{what}: {reason}"));
    }

    pub(super) async fn query(&mut self, random: &mut SmallRng) {
        if self.store.is_none() {
            return;
        }
        let trace = random.random_range(0..self.traces + 2);
        let ids = BTreeSet::from([spans::trace_id(trace)]);
        let request = ScanRequest {
            trace_ids: Some(Arc::new(ids)),
            ..ScanRequest::default()
        };
        let seen = self.look(&request).await;
        let covers = |record: &Record| record.key.trace == trace;
        self.judge("a trace", &covers, false, &seen);

        let from = self.now() - random.random_range(0..40) * HOUR;
        let to = from + random.random_range(0..20) * HOUR;
        let request = ScanRequest {
            time_range: Some(from..to),
            columns: ScanColumns::BASE,
            ..ScanRequest::default()
        };
        let seen = self.look(&request).await;
        let covers = |record: &Record| record.start <= to && record.end >= from;
        self.judge("a range of time", &covers, false, &seen);
    }

    /// What the store answers.
    pub(super) async fn look(&self, request: &ScanRequest) -> Seen {
        let mut seen = Seen::default();
        let is_whole = request.columns.events;
        let Some(store) = &self.store else {
            return seen;
        };
        for partition in store.snapshot().scan(request).await.partitions {
            let mut stream = partition.stream();
            while let Some(batch) = stream.next().await {
                match batch {
                    Ok(batch) => {
                        for row in 0..batch.num_spans() {
                            let span = batch.span(row);
                            let number = spans::number_of(&span).unwrap_or(u64::MAX);
                            let text = is_whole.then(|| spans::describe(&span));
                            seen.rows.push((number, text));
                        }
                    }
                    Err(error) => seen.errors.push(error.to_string()),
                }
            }
        }
        seen
    }

    pub(super) fn check_litter(&self) {
        let litter = self.disk.files(".tmp");
        assert!(litter.is_empty(), "never removed: {litter:?}");
    }

    /// After a start, the first answer that lacks nothing but damaged files says what became of requests that were never answered.
    pub(super) fn settle(&mut self, seen: &Seen, is_whole: bool) {
        if self.is_settled || !is_whole {
            return;
        }
        self.is_settled = true;
        let statistics = self.store.as_ref().unwrap().statistics();
        let admits = statistics.damage.records > 0
            || statistics.damage.cut_bytes > 0
            // It was said at a start that came to nothing.
            || std::mem::take(&mut self.did_start_fail)
            || !self.disk.files("/data/damaged/").is_empty();
        let lost = self.disk.has_lost_bytes();
        let settled = self.model.settle(seen, admits, lost);
        settled.unwrap_or_else(|reason| panic!("after a start: {reason}"));
    }
}

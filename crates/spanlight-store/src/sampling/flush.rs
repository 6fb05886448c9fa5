//! Moving a file of the recent level to the table where a policy may drop traces of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use arrow_array::UInt32Array;
use futures::StreamExt as _;
use spanlight_model::{SpanBatch, TraceId};
use tokio::task;

use super::{Decided, Decision, REMEMBERED, SamplingPolicy, TraceSpans, save};
use crate::cold::table::Change;
use crate::error::{FlushError, ReadError};
use crate::maintenance::Maintenance;
use crate::recent::RecentFile;
use crate::scan::ScanRequest;
use crate::snapshot::{Snapshot, View};

/// The spans of a file that shall stay, and what is to be remembered.
struct Sampled {
    decided: Decided,
    kept: Vec<SpanBatch>,
    spans_dropped: u64,
}

impl Maintenance {
    /// Moves what the policy keeps of one file. False when there is no memory for it yet.
    pub(crate) async fn adopt_sampled(&mut self, recent: &RecentFile) -> Result<bool, FlushError> {
        let Some(memory) = self.reserve_for(recent.file.spans) else {
            return Ok(false);
        };
        let Some(sampled) = self.sample(recent).await? else {
            // What cannot be read cannot be decided, and must not keep the others from moving on.
            self.try_adopt(std::slice::from_ref(recent)).await?;
            return Ok(true);
        };
        let traces = sampled.decided.dropped.len() as u64;
        let spans = sampled.spans_dropped;
        if spans == 0 {
            self.remember(sampled.decided).await?;
            self.try_adopt(std::slice::from_ref(recent)).await?;
        } else {
            self.adopt_kept(recent, sampled).await?;
        }
        drop(memory);
        self.report.count(|counters| {
            counters.sampling.traces += traces;
            counters.sampling.spans += spans;
        });
        Ok(true)
    }

    async fn adopt_kept(
        &mut self,
        recent: &RecentFile,
        sampled: Sampled,
    ) -> Result<(), FlushError> {
        self.settle().await?;
        let is_empty = sampled.kept.iter().all(SpanBatch::is_empty);
        let file = if is_empty {
            None
        } else {
            Some(self.write_cold(sampled.kept).await?.file)
        };
        self.remember(sampled.decided).await?;
        let change = Change {
            add: file.as_slice(),
            through: Some(recent.range.last),
            now_unix_milli: self.now_unix_milli(),
            ..Change::default()
        };
        if let Err(error) = self.table.commit(&change).await {
            self.settle().await?;
            // The commit says how far the log is in the table, whether it added a file or not.
            if self.published.load().committed < recent.range.last {
                return Err(FlushError::Commit(error.to_string()));
            }
        }
        self.publish(recent.range.last)?;
        self.left.push(Arc::clone(&recent.file));
        self.checkpoint().await;
        Ok(())
    }

    /// Decides the traces of a file that are not decided yet, each with all its spans. Nothing for a damaged file.
    async fn sample(&self, recent: &RecentFile) -> Result<Option<Sampled>, FlushError> {
        let files = [Arc::clone(&recent.file)];
        let batches = match self.read_files(&files).await {
            Ok(batches) => batches,
            Err(ReadError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(FlushError::Write(error.to_string())),
        };
        let mut decided = Decided {
            through: recent.range.last,
            at_unix_nano: self.options.clock.now_unix_nano(),
            kept: BTreeSet::new(),
            dropped: BTreeSet::new(),
        };
        let mut open = BTreeSet::new();
        let mut dropped = BTreeSet::new();
        for id in batches.iter().flat_map(trace_ids) {
            match self.decisions.of(id) {
                None => {
                    open.insert(id);
                }
                Some(Decision::Drop) => {
                    dropped.insert(id);
                }
                Some(Decision::Keep) => {}
            }
        }
        let further = self.further_spans(recent, open.clone()).await?;
        let policy = Arc::clone(&self.options.sampling);
        let deciding = task::spawn_blocking(move || {
            let traces = by_trace(batches.iter().chain(&further), &open);
            for (trace_id, spans) in traces {
                match decide(policy.as_ref(), trace_id, &spans) {
                    Decision::Keep => decided.kept.insert(trace_id),
                    Decision::Drop => decided.dropped.insert(trace_id),
                };
            }
            dropped.extend(decided.dropped.iter().copied());
            let before: usize = batches.iter().map(SpanBatch::num_spans).sum();
            let kept: Vec<SpanBatch> = batches
                .iter()
                .map(|batch| select(batch, |id| !dropped.contains(&id)))
                .collect();
            let after: usize = kept.iter().map(SpanBatch::num_spans).sum();
            Sampled {
                decided,
                kept,
                spans_dropped: (before - after) as u64,
            }
        });
        let sampled = deciding.await;
        let sampled = sampled.map_err(|error| FlushError::Write(error.to_string()));
        sampled.map(Some)
    }

    /// What came of these traces after the file was made.
    async fn further_spans(
        &self,
        recent: &RecentFile,
        traces: BTreeSet<TraceId>,
    ) -> Result<Vec<SpanBatch>, FlushError> {
        let view = self.published.load();
        let later = View {
            hot: view.hot.clone(),
            recent: view.recent.without_through(recent.range.last),
            ..View::default()
        };
        let snapshot = Snapshot::new(Arc::new(later), self.reader.clone());
        let request = ScanRequest {
            trace_ids: Some(Arc::new(traces)),
            ..ScanRequest::default()
        };
        let mut further = Vec::new();
        for partition in snapshot.scan(&request).await.partitions {
            let mut stream = partition.stream();
            while let Some(batch) = stream.next().await {
                match batch {
                    Ok(batch) => further.push(batch),
                    // The decision stands on what can be read.
                    Err(ReadError::Damaged { .. }) => {}
                    Err(error) => return Err(FlushError::Write(error.to_string())),
                }
            }
        }
        Ok(further)
    }

    async fn remember(&mut self, decided: Decided) -> Result<(), FlushError> {
        let disk = Arc::clone(&self.options.disk);
        let directory = Arc::clone(&self.directory);
        let decided = Arc::new(decided);
        let saving = Arc::clone(&decided);
        let saved =
            task::spawn_blocking(move || save(disk.as_ref(), &directory.decisions(), &saving));
        let saved = saved
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        saved.map_err(|error| FlushError::Write(error.to_string()))?;
        self.decisions.add(decided);
        let disk = Arc::clone(&self.options.disk);
        let now = self.options.clock.now_unix_nano();
        let folder = self.directory.decisions();
        let forgotten = self.decisions.forget(disk.as_ref(), &folder, now);
        forgotten.map_err(|error| FlushError::Write(error.to_string()))
    }
}

fn decide(policy: &dyn SamplingPolicy, trace_id: TraceId, spans: &[SpanBatch]) -> Decision {
    // Spans that are so late that no decision about their trace would be remembered are kept.
    let is_late = spans.iter().all(|batch| {
        let columns = batch.columns();
        let starts = columns.start_times.values().iter();
        let mut pairs = starts.zip(columns.received_at.values().iter());
        pairs.all(|(&start, &received)| received.saturating_sub(start) > REMEMBERED)
    });
    if is_late {
        return Decision::Keep;
    }
    policy.decide(&TraceSpans { trace_id, spans })
}

fn trace_ids(batch: &SpanBatch) -> impl Iterator<Item = TraceId> {
    let columns = batch.columns();
    (0..batch.num_spans()).map(move |row| columns.trace_id(row))
}

fn by_trace<'a>(
    batches: impl Iterator<Item = &'a SpanBatch>,
    traces: &BTreeSet<TraceId>,
) -> BTreeMap<TraceId, Vec<SpanBatch>> {
    let mut found: BTreeMap<TraceId, Vec<SpanBatch>> = BTreeMap::new();
    for batch in batches {
        let mut rows: BTreeMap<TraceId, Vec<u32>> = BTreeMap::new();
        for (row, id) in (0..).zip(trace_ids(batch)) {
            if traces.contains(&id) {
                rows.entry(id).or_default().push(row);
            }
        }
        for (id, rows) in rows {
            found.entry(id).or_default().extend(take(batch, rows));
        }
    }
    found
}

fn select(batch: &SpanBatch, wanted: impl Fn(TraceId) -> bool) -> SpanBatch {
    let rows = (0..).zip(trace_ids(batch));
    let rows: Vec<u32> = rows
        .filter(|(_, id)| wanted(*id))
        .map(|(row, _)| row)
        .collect();
    take(batch, rows).unwrap_or_else(|| batch.clone())
}

/// The rows of a batch; `None` never: they are its own.
fn take(batch: &SpanBatch, rows: Vec<u32>) -> Option<SpanBatch> {
    batch.take(&UInt32Array::from(rows)).ok()
}

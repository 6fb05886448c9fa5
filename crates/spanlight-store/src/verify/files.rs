//! A data file: its length, its footer, every value in it, the order of its spans, and what its commit says of it.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use serde_json::Value;
use spanlight_model::{SpanBatch, SpanKind, TraceId};

use crate::cold::FileTimes;
use crate::cold::fetch::Fetch;
use crate::cold::identify::{IdentifyError, identify};
use crate::cold::read::FileReader;
use crate::error::ReadError;
use crate::inspect::{COLD, Place, Progress, RECENT, TableFile};
use crate::scan::{ScanColumns, ScanRequest};

use super::keys::{Key, Keys, key};
use super::{Problem, RESTORE};

/// A file to check.
#[derive(Debug)]
pub(super) struct Check {
    name: String,
    path: PathBuf,
    bytes: u64,
    spans: u64,
    folder: &'static str,
    pub(super) is_cold: bool,
    /// What its commit says.
    committed: Option<TableFile>,
}

impl Check {
    pub(super) fn recent(place: &Place, name: &str, bytes: u64) -> Self {
        Self::recent_in(place, RECENT, name, bytes)
    }

    /// A file of which no commit is known.
    pub(super) fn recent_in(place: &Place, folder: &'static str, name: &str, bytes: u64) -> Self {
        Self {
            name: name.to_owned(),
            path: place.path(folder).join(name),
            bytes,
            // A guess, which only decides how often ids are read.
            spans: bytes / 32,
            folder,
            is_cold: folder == COLD,
            committed: None,
        }
    }

    pub(super) fn cold(place: &Place, file: &TableFile) -> Self {
        Self {
            name: file.name.clone(),
            path: place.path(COLD).join(&file.name),
            bytes: file.bytes,
            spans: file.spans,
            folder: COLD,
            is_cold: true,
            committed: Some(file.clone()),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn spans(&self) -> u64 {
        self.spans
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        let file = format!("{}/{}", self.folder, self.name);
        let message: String = message.into();
        // Errors of reading name the file themselves.
        let rest = message.strip_prefix(&file).map(|rest| format!("it{rest}"));
        Problem {
            message: rest.unwrap_or(message),
            file,
            advice: RESTORE,
        }
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) spans: u64,
    pub(super) problems: Vec<Problem>,
}

/// The spans of a file, as queries read them.
pub(super) fn spans_of(
    place: &Place,
    check: &Check,
    columns: ScanColumns,
) -> Result<BoxStream<'static, Result<SpanBatch, ReadError>>, IdentifyError> {
    // Its own times, where the commit's may be what is wrong.
    let file = Arc::new(identify(place.disk.as_ref(), &check.path)?);
    let request = ScanRequest {
        columns,
        ..ScanRequest::default()
    };
    Ok(FileReader::local(&place.disk).stream(file, request))
}

/// Checks a file; `columns` are those of the table, where it could be read.
pub(super) async fn check(
    place: &Place,
    file: &Check,
    columns: Option<&BTreeSet<String>>,
    keys: &mut Keys,
    progress: &Arc<Progress>,
) -> Outcome {
    let mut outcome = Outcome::default();
    match place.disk.stat(&file.path) {
        Ok(stat) if stat.length != file.bytes() => {
            let message = format!(
                "it has {} bytes, and should have {}",
                stat.length,
                file.bytes()
            );
            outcome.problems.push(file.problem(message));
        }
        Ok(_) => {}
        Err(error) => {
            let message = match error.kind() {
                io::ErrorKind::NotFound => "it is missing".to_owned(),
                _ => error.to_string(),
            };
            outcome.problems.push(file.problem(message));
            progress.advance(file.bytes());
            return outcome;
        }
    }
    // A file of the recent level gives the table its columns when it goes there.
    if let Some(columns) = columns.filter(|_| file.is_cold)
        && let Ok(unknown) = unknown_columns(place, file, columns)
        && !unknown.is_empty()
    {
        let message = format!(
            "it has columns that the table does not have: {}",
            unknown.join(", ")
        );
        outcome.problems.push(file.problem(message));
    }
    match spans_of(place, file, ScanColumns::ALL) {
        Ok(spans) => {
            let traces = read_through(file, spans, keys, progress, &mut outcome).await;
            let wrong = traces.and_then(|traces| against_index(place, file, &traces));
            let wrong = wrong.map(|message| file.problem(message));
            outcome.problems.extend(wrong);
        }
        Err(error) => {
            progress.advance(file.bytes());
            outcome.problems.push(file.problem(error.to_string()));
        }
    }
    outcome
}

fn unknown_columns(
    place: &Place,
    file: &Check,
    columns: &BTreeSet<String>,
) -> Result<Vec<String>, ParquetError> {
    let source = FileReader::local(&place.disk).source;
    let found = identify(place.disk.as_ref(), &file.path);
    let found = found.map_err(|error| ParquetError::General(error.to_string()))?;
    let reader = Fetch::new(source, Arc::new(found), Arc::default());
    let reader = SerializedFileReader::new(reader)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let names = schema.root_schema().get_fields().iter();
    let names = names.map(|field| field.name().to_owned());
    Ok(names.filter(|name| !columns.contains(name)).collect())
}

/// What is wrong with the index of a file's traces.
fn against_index(place: &Place, file: &Check, traces: &[TraceId]) -> Option<String> {
    let found = identify(place.disk.as_ref(), &file.path).ok()?;
    let lacking = FileReader::local(&place.disk).traces_lacking(&Arc::new(found), traces);
    match lacking {
        Ok(0) => None,
        Ok(lacking) => Some(format!("its index lacks {lacking} of its traces")),
        Err(error) => Some(error.to_string()),
    }
}

/// Reads every span; gives the traces of a file in which nothing is wrong.
async fn read_through(
    file: &Check,
    mut spans: BoxStream<'static, Result<SpanBatch, ReadError>>,
    keys: &mut Keys,
    progress: &Arc<Progress>,
    outcome: &mut Outcome,
) -> Option<Vec<TraceId>> {
    let mut order = Order::default();
    let mut times = FileTimes::NONE;
    let mut told = 0;
    while let Some(batch) = spans.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                outcome.problems.push(file.problem(error.to_string()));
                break;
            }
        };
        outcome.spans += batch.num_spans() as u64;
        keys.add(&batch);
        order.add(&batch);
        include(&mut times, &batch);
        let share = outcome.spans.min(file.spans()) * file.bytes() / file.spans().max(1);
        progress.advance(share - told);
        told = share;
    }
    progress.advance(file.bytes() - told);
    if !outcome.problems.is_empty() {
        return None;
    }
    if let Some(message) = order.problem() {
        outcome.problems.push(file.problem(message));
    }
    if let Some(committed) = &file.committed {
        let wrong = against_commit(committed, outcome.spans, &times);
        outcome
            .problems
            .extend(wrong.map(|message| file.problem(message)));
    }
    Some(order.traces)
}

fn include(times: &mut FileTimes, batch: &SpanBatch) {
    let columns = batch.columns();
    for row in 0..batch.num_spans() {
        times.include(
            columns.start_times.value(row),
            columns.end_times.value(row),
            columns.received_at.value(row),
        );
    }
}

/// What the commit says and is not so.
fn against_commit(committed: &TableFile, spans: u64, times: &FileTimes) -> Option<String> {
    if committed.spans != spans {
        return Some(format!(
            "it has {spans} spans, and its commit says {}",
            committed.spans
        ));
    }
    let bound = |side: &str| -> Option<i64> {
        let statistics: &Value = &committed.statistics;
        statistics[side]["received_at_unix_nano"].as_i64()
    };
    let (min, max) = bound("minValues").zip(bound("maxValues"))?;
    let is_inside = spans == 0 || (times.received_min >= min && times.received_max <= max);
    (!is_inside)
        .then(|| "it has spans that were received outside the times of its commit".to_owned())
}

/// Follows the order of a file: each trace in one piece, each span once, a trace's spans by their starts.
#[derive(Debug, Default)]
struct Order {
    finished: HashSet<u64>,
    trace: Option<[u8; 16]>,
    traces: Vec<TraceId>,
    start: i64,
    keys: HashSet<Key>,
    scattered: u64,
    unordered: u64,
    repeated: u64,
}

impl Order {
    fn add(&mut self, batch: &SpanBatch) {
        let columns = batch.columns();
        for row in 0..batch.num_spans() {
            let trace = columns.trace_id(row).0;
            let start = columns.start_times.value(row);
            if self.trace == Some(trace) {
                self.unordered += u64::from(start < self.start);
            } else {
                if let Some(before) = self.trace.replace(trace) {
                    self.finished.insert(digest(before));
                }
                self.scattered += u64::from(self.finished.contains(&digest(trace)));
                self.keys.clear();
                self.traces.push(TraceId(trace));
            }
            self.start = start;
            let is_server = columns.kinds.value(row) == SpanKind::Server as i8;
            let key = key(trace, columns.span_id(row).0, is_server);
            self.repeated += u64::from(!self.keys.insert(key));
        }
    }

    fn problem(&self) -> Option<String> {
        let found = [
            (self.scattered, "traces are not in one piece"),
            (self.unordered, "spans are not in the order of their starts"),
            (self.repeated, "spans are in it twice"),
        ];
        let (count, what) = found.into_iter().find(|(count, _)| *count > 0)?;
        Some(format!("{count} {what}"))
    }
}

/// Half of an id tells traces of a file apart; the bits are spread, for ids that count up.
fn digest(trace: [u8; 16]) -> u64 {
    let value = u128::from_be_bytes(trace);
    (value as u64) ^ ((value >> 64) as u64).rotate_left(29)
}

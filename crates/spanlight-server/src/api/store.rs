//! `/api/v1/store/…`: what those who run the server have it do to what it keeps. They take JSON only, which pages of
//! other origins cannot send.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spanlight_model::TraceId;
use spanlight_query::SearchRequest;
use spanlight_store::DeletionStep;
use tokio::sync::mpsc;

use super::{Failure, TimeError, parse_end, parse_start, typed};
use crate::app::App;
use crate::clock::unix_nano_now;

/// Nothing to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compact {}

/// Lines that wait for a slow client.
const LINES: usize = 16;

/// Joins small files; answers with a line of JSON for each step, with what was done so far, and one for the end.
pub(super) async fn compact(
    State(app): State<App>,
    body: Result<Json<Compact>, JsonRejection>,
) -> Result<Response, Failure> {
    read(body)?;
    let (lines, written) = mpsc::channel(LINES);
    tokio::spawn(async move {
        let (mut files, mut spans, mut steps) = (0, 0, 0);
        let done = app
            .store
            .compact(|step| {
                files += step.files;
                spans += step.spans;
                steps += 1;
                let left = step.files_left;
                // A client that is slow, or went away, misses a step and not the sum.
                let _ = lines.try_send(
                    json!({"files": files, "spans": spans, "steps": steps, "files_left": left}),
                );
            })
            .await;
        let last = match done {
            Ok(()) => json!({"files": files, "spans": spans, "steps": steps, "done": true}),
            Err(error) => json!({"error": {"code": "store", "message": error.to_string()}}),
        };
        let _ = lines.send(last).await;
    });
    Ok(lines_of_json(written))
}

/// What to delete.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    query: String,
    #[serde(default)]
    start: Option<String>,
    #[serde(default)]
    end: Option<String>,
    /// Only says what would be deleted.
    #[serde(default)]
    dry_run: bool,
    /// Answers with a line of JSON for each file that was looked into, and one for the end.
    #[serde(default)]
    progress: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Default, Serialize)]
pub(super) struct Deleted {
    dry_run: bool,
    /// Nothing of it is still to be deleted.
    done: bool,
    traces: u64,
    spans: u64,
    files_rewritten: u64,
    files_removed: u64,
    files_unreadable: u64,
    /// Why there may be more.
    partial: Vec<String>,
}

/// Traces that one page of a search has.
const PAGE: usize = 500;
/// Traces that one request deletes.
const TRACES_MAX: usize = 1_000_000;

/// Deletes the traces that a query finds, for good.
pub(super) async fn delete(
    State(app): State<App>,
    body: Result<Json<Delete>, JsonRejection>,
) -> Result<Response, Failure> {
    let request = read(body)?;
    let (traces, deleted) = find(&app, &request).await?;
    if request.dry_run {
        return Ok(Json(deleted).into_response());
    }
    if !request.progress {
        if traces.is_empty() {
            return Ok(Json(deleted).into_response());
        }
        let deleted = delete_traces(&app, traces, deleted, |_| {}).await;
        return Ok(Json(deleted?).into_response());
    }
    let (lines, written) = mpsc::channel(LINES);
    tokio::spawn(async move {
        let tell = |step: DeletionStep| {
            let (files, left) = (step.files, step.files_left);
            let line = json!({"spans": step.deletion.spans, "files": files, "files_left": left});
            // As above.
            let _ = lines.try_send(line);
        };
        let last = match delete_traces(&app, traces, deleted, tell).await {
            Ok(deleted) => json!(deleted),
            Err(failure) => json!({"error": failure.body}),
        };
        let _ = lines.send(last).await;
    });
    Ok(lines_of_json(written))
}

async fn delete_traces(
    app: &App,
    traces: BTreeSet<TraceId>,
    mut deleted: Deleted,
    tell: impl FnMut(DeletionStep),
) -> Result<Deleted, Failure> {
    let deletion = app.store.delete_and_tell(traces, tell).await;
    let deletion = deletion.map_err(|error| {
        tracing::error!(%error, "spans could not be deleted");
        Failure::store(&error)
    })?;
    tracing::info!(
        traces = deleted.traces,
        spans = deletion.spans,
        "deleted traces for good"
    );
    deleted.spans = deletion.spans;
    deleted.files_rewritten = deletion.files_rewritten;
    deleted.files_removed = deletion.files_removed;
    deleted.files_unreadable = deletion.files_unreadable;
    deleted.done = true;
    Ok(deleted)
}

fn lines_of_json(mut lines: mpsc::Receiver<Value>) -> Response {
    let lines = futures::stream::poll_fn(move |context| lines.poll_recv(context));
    let lines = lines.map(|line| Ok::<_, std::io::Error>(Bytes::from(format!("{line}\n"))));
    typed("application/x-ndjson", Body::from_stream(lines))
}

/// The traces that the query finds, page by page.
async fn find(app: &App, request: &Delete) -> Result<(BTreeSet<TraceId>, Deleted), Failure> {
    let now = unix_nano_now();
    let wrong = |name| move |error: TimeError| Failure::bad_parameter(name, &error.to_string());
    // Everything, unless told otherwise.
    let start = match request.start.as_deref() {
        None => 0,
        start => parse_start(start, now).map_err(wrong("start"))?,
    };
    let end = match request.end.as_deref() {
        None => i64::MAX,
        end => parse_end(end, now).map_err(wrong("end"))?,
    };
    let mut traces = BTreeSet::new();
    let mut deleted = Deleted {
        dry_run: request.dry_run,
        ..Deleted::default()
    };
    let mut cursor = None;
    loop {
        let page = app
            .search(SearchRequest {
                query: request.query.clone(),
                time_range: start..end,
                limit: PAGE.min(app.engine.limits().traces_max),
                spans_per_trace: 1,
                cursor: cursor.take(),
            })
            .await?;
        for trace in &page.traces {
            if traces.insert(trace.trace_id) {
                deleted.traces += 1;
                deleted.spans += trace.span_count as u64;
            }
        }
        deleted
            .partial
            .extend(page.partial.iter().map(ToString::to_string));
        if traces.len() >= TRACES_MAX {
            let more = format!("only the first {TRACES_MAX} traces; ask again for the rest");
            deleted.partial.push(more);
            break;
        }
        cursor = page.next_cursor;
        if cursor.is_none() || !deleted.partial.is_empty() {
            break;
        }
    }
    Ok((traces, deleted))
}

fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Failure> {
    match body {
        Ok(Json(request)) => Ok(request),
        Err(rejection) => Err(Failure::bad_parameter("body", &rejection.body_text())),
    }
}

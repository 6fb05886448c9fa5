//! What those who run the server ask: `/metrics`, `/healthz`, `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde::Serialize;
use spanlight_store::UnreadableFile;

use crate::app::App;

/// Unreadable files that readiness names.
const FILES_NAMED: usize = 10;
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn metrics(State(app): State<App>) -> Response {
    match app.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether spans are taken, and what to know.
#[derive(Debug, Serialize)]
pub(crate) struct Readiness {
    ready: bool,
    /// Why spans are refused.
    reasons: Vec<String>,
    /// What to know though spans are taken.
    warnings: Vec<String>,
}

impl Readiness {
    pub(crate) fn of(app: &App) -> Self {
        let health = app.store.health();
        let of_settings = app.warnings.iter().map(|&warning| warning.to_owned());
        Self {
            ready: health.is_writable(),
            reasons: health
                .unwritable
                .into_iter()
                .map(|reason| format!("the log cannot be written: {reason}"))
                .collect(),
            warnings: health
                .flush_failure
                .into_iter()
                .map(|reason| format!("spans do not move on to the table: {reason}"))
                .chain(health.cold_outage.map(|reason| {
                    format!(
                        "the cold table cannot be reached, spans stay on this machine: {reason}"
                    )
                }))
                .chain(
                    health
                        .damage
                        .map(|damage| format!("spans were lost: {damage}")),
                )
                .chain(unreadable(&health.unreadable))
                .chain(of_settings)
                .collect(),
        }
    }
}

/// The files that answers lack, the first few by name.
fn unreadable(files: &[UnreadableFile]) -> Vec<String> {
    let named = files.iter().take(FILES_NAMED).map(|found| {
        let UnreadableFile {
            file,
            spans,
            reason,
        } = found;
        format!(
            "{file} cannot be read, and answers lack its {spans} spans: {reason}; restore it from a backup, or live with the gap"
        )
    });
    let more = files.len().saturating_sub(FILES_NAMED);
    let more = (more > 0)
        .then(|| format!("{more} more files cannot be read; /api/v1/status names them all"));
    named.chain(more).collect()
}

pub(crate) async fn ready(State(app): State<App>) -> Response {
    let readiness = Readiness::of(&app);
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

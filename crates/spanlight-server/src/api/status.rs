//! `/api/v1/status`: the server and its store, for programs and for `spanlight store`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spanlight_store::{Statistics, UnreadableFile};

use crate::addresses::Addresses;
use crate::app::App;
use crate::operations::Readiness;

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    version: &'static str,
    #[serde(flatten)]
    readiness: Readiness,
    addresses: Addresses,
    store: Store,
}

#[derive(Debug, Serialize)]
struct Store {
    hot: Hot,
    log: Log,
    recent: Recent,
    cold: Cold,
    seal: Seal,
    flush: Flush,
    expired: Expired,
    damage: Damage,
    /// Data files that cannot be read now.
    unreadable: Vec<Unreadable>,
}

#[derive(Debug, Serialize)]
struct Hot {
    spans: u64,
    batches: u64,
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug, Serialize)]
struct Log {
    segments: u64,
    bytes: u64,
    queued_bytes: u64,
    appended_spans: u64,
    syncs: u64,
    last_sync_ms: f64,
    failures: u64,
}

#[derive(Debug, Serialize)]
struct Recent {
    files: u64,
    bytes: u64,
    bytes_max: u64,
    spans: u64,
}

#[derive(Debug, Serialize)]
struct Cold {
    files: u64,
    bytes: u64,
    spans: u64,
    table_version: u64,
}

#[derive(Debug, Serialize)]
struct Seal {
    files: u64,
    failures: u64,
    spans: u64,
    bytes: u64,
    repeated_spans: u64,
    last_ms: f64,
}

#[derive(Debug, Serialize)]
struct Flush {
    commits: u64,
    failures: u64,
    spans: u64,
    last_ms: f64,
}

#[derive(Debug, Serialize)]
struct Expired {
    files: u64,
    spans_by_age: u64,
    spans_by_disk: u64,
    spans_by_service: u64,
}

#[derive(Debug, Serialize)]
struct Damage {
    records: u64,
    bytes: u64,
    files: u64,
    cut_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Unreadable {
    file: String,
    spans: u64,
    reason: String,
}

pub(super) async fn get(State(app): State<App>) -> Json<Status> {
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        readiness: Readiness::of(&app),
        addresses: app.addresses.as_ref().clone(),
        store: Store::of(&app.store.statistics(), app.store.health().unreadable),
    })
}

impl Unreadable {
    fn of(found: UnreadableFile) -> Self {
        let UnreadableFile {
            file,
            spans,
            reason,
        } = found;
        Self {
            file,
            spans,
            reason,
        }
    }
}

impl Store {
    fn of(statistics: &Statistics, unreadable: Vec<UnreadableFile>) -> Self {
        let Statistics {
            hot,
            log,
            recent,
            cold,
            seal,
            flush,
            expired,
            damage,
            ..
        } = statistics;
        Self {
            hot: Hot {
                spans: hot.spans,
                batches: hot.batches,
                bytes: hot.bytes,
                bytes_max: hot.bytes_max,
            },
            log: Log {
                segments: log.segments,
                bytes: log.bytes,
                queued_bytes: log.queued_bytes,
                appended_spans: log.appended_spans,
                syncs: log.syncs,
                last_sync_ms: log.last_sync.as_secs_f64() * 1e3,
                failures: log.failures,
            },
            recent: Recent {
                files: recent.files,
                bytes: recent.bytes,
                bytes_max: recent.bytes_max,
                spans: recent.spans,
            },
            cold: Cold {
                files: cold.files,
                bytes: cold.bytes,
                spans: cold.spans,
                table_version: cold.table_version,
            },
            seal: Seal {
                files: seal.files,
                failures: seal.failures,
                spans: seal.spans,
                bytes: seal.bytes,
                repeated_spans: seal.repeated_spans,
                last_ms: seal.last_duration.as_secs_f64() * 1e3,
            },
            flush: Flush {
                commits: flush.commits,
                failures: flush.failures,
                spans: flush.spans,
                last_ms: flush.last_duration.as_secs_f64() * 1e3,
            },
            expired: Expired {
                files: expired.files,
                spans_by_age: expired.spans_by_age,
                spans_by_disk: expired.spans_by_disk,
                spans_by_service: expired.spans_by_service,
            },
            damage: Damage {
                records: damage.records,
                bytes: damage.bytes,
                files: damage.files,
                cut_bytes: damage.cut_bytes,
            },
            unreadable: unreadable.into_iter().map(Unreadable::of).collect(),
        }
    }
}

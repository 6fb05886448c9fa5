//! `/api/v1/services` and `/api/v1/service-graph`: what was counted of every span since the data directory was made.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use spanlight_store::{CallKind, DurationHistogram, Operation, OperationCounts, ServiceCounters};

use super::failure::Failure;
use super::off_the_loop;
use crate::app::App;

/// Rates, errors and durations by operation.
pub(crate) async fn services(State(app): State<App>) -> Result<Json<Services>, Failure> {
    counters(app)
        .await
        .map(|counters| Json(Services::of(counters)))
}

/// Calls between services.
pub(crate) async fn graph(State(app): State<App>) -> Result<Json<Graph>, Failure> {
    counters(app)
        .await
        .map(|counters| Json(Graph::of(counters)))
}

async fn counters(app: App) -> Result<ServiceCounters, Failure> {
    off_the_loop(move || app.store.service_counters()).await
}

#[derive(Debug, Serialize)]
pub(crate) struct Services {
    services: Vec<ServiceJson>,
}

#[derive(Debug, Serialize)]
struct ServiceJson {
    name: String,
    operations: Vec<OperationJson>,
}

#[derive(Debug, Serialize)]
struct OperationJson {
    name: String,
    kind: &'static str,
    span_count: u64,
    call_count: f64,
    error_count: f64,
    durations: DurationsJson,
}

/// Durations in nanoseconds; quantiles are upper bounds, an eighth too high at most.
#[derive(Debug, Serialize)]
struct DurationsJson {
    sum_nano: f64,
    p50_nano: Option<u64>,
    p90_nano: Option<u64>,
    p99_nano: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Graph {
    calls: Vec<CallJson>,
    /// Spans whose other side did not come in time: the calls that may be missing.
    unmatched_span_count: u64,
}

#[derive(Debug, Serialize)]
struct CallJson {
    client: String,
    server: String,
    kind: &'static str,
    call_count: f64,
    error_count: f64,
    durations: DurationsJson,
}

impl Services {
    fn of(counters: ServiceCounters) -> Self {
        let mut services: Vec<ServiceJson> = Vec::new();
        // Sorted by service already.
        for (operation, counts) in counters.operations {
            match services.last_mut() {
                Some(service) if service.name == operation.service_name => {
                    service
                        .operations
                        .push(OperationJson::of(operation, &counts));
                }
                _ => services.push(ServiceJson {
                    name: operation.service_name.clone(),
                    operations: vec![OperationJson::of(operation, &counts)],
                }),
            }
        }
        Self { services }
    }
}

impl OperationJson {
    fn of(operation: Operation, counts: &OperationCounts) -> Self {
        Self {
            kind: operation.kind().as_str(),
            name: operation.name,
            span_count: counts.spans,
            call_count: counts.calls,
            error_count: counts.errors,
            durations: DurationsJson::of(&counts.durations),
        }
    }
}

impl DurationsJson {
    fn of(durations: &DurationHistogram) -> Self {
        Self {
            sum_nano: durations.sum_nano(),
            p50_nano: durations.quantile_nano(0.5),
            p90_nano: durations.quantile_nano(0.9),
            p99_nano: durations.quantile_nano(0.99),
        }
    }
}

impl Graph {
    fn of(counters: ServiceCounters) -> Self {
        let calls = counters.calls.into_iter().map(|(call, counts)| CallJson {
            client: call.client,
            server: call.server,
            kind: match call.kind {
                CallKind::Request => "request",
                CallKind::Messaging => "messaging",
                CallKind::Database => "database",
                CallKind::Peer => "peer",
            },
            call_count: counts.calls,
            error_count: counts.errors,
            durations: DurationsJson::of(&counts.durations),
        });
        Self {
            calls: calls.collect(),
            unmatched_span_count: counters.unmatched,
        }
    }
}

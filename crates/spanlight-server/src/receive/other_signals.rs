//! Logs and metrics, which clients with one endpoint for everything also send. They are answered, and not kept.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use spanlight_wire::otlp::Signal;

/// Clients that are remembered; further ones are not logged.
const CLIENTS_MAX: usize = 1_024;

/// Who has been told, in the log, that only traces are kept.
#[derive(Debug, Default)]
pub(crate) struct OtherSignals {
    told: Mutex<HashSet<IpAddr>>,
}

impl OtherSignals {
    /// What to tell the client. The first time, the log says it too.
    pub(crate) fn message(&self, signal: Signal, client: Option<IpAddr>) -> &'static str {
        let message = match signal {
            Signal::Logs => {
                "Spanlight keeps traces; these log records were not kept: set OTEL_LOGS_EXPORTER=none"
            }
            Signal::Metrics => {
                "Spanlight keeps traces; these metrics were not kept: set OTEL_METRICS_EXPORTER=none"
            }
            Signal::Traces => return "",
        };
        if let Some(client) = client.filter(|client| self.is_new(*client)) {
            tracing::info!(client.address = %client, "{message}");
        }
        message
    }

    fn is_new(&self, client: IpAddr) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < CLIENTS_MAX && told.insert(client)
    }
}

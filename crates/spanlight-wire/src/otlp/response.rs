//! Answers to export requests: partial success, and the status that says why a request failed.

use serde_json::json;

use crate::protobuf::Writer;

/// What a request carries. Only traces are kept; clients with one endpoint send the others too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `/v1/traces`, `TraceService`.
    Traces,
    /// `/v1/logs`, `LogsService`.
    Logs,
    /// `/v1/metrics`, `MetricsService`.
    Metrics,
}

impl Signal {
    fn rejected_key(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}

/// The response to an export request that was accepted, whole or in part. With nothing rejected and no message
/// it is the empty message; with a message alone it is a warning. The bytes are the same for every [`Signal`].
#[must_use]
pub fn export_response_protobuf(rejected: u64, message: &str) -> Vec<u8> {
    let mut response = Writer::default();
    if rejected > 0 || !message.is_empty() {
        response.message(1, |partial_success| {
            partial_success.varint(1, rejected);
            partial_success.text(2, message);
        });
    }
    response.finish()
}

/// [`export_response_protobuf`] in JSON, where the name of the count depends on the signal.
#[must_use]
pub fn export_response_json(signal: Signal, rejected: u64, message: &str) -> String {
    if rejected == 0 && message.is_empty() {
        return "{}".to_owned();
    }
    let mut partial_success = json!({});
    if rejected > 0 {
        // 64-bit integers are strings in protobuf's JSON.
        partial_success[signal.rejected_key()] = json!(rejected.to_string());
    }
    if !message.is_empty() {
        partial_success["errorMessage"] = json!(message);
    }
    json!({ "partialSuccess": partial_success }).to_string()
}

/// A `google.rpc.Status`, the body of an HTTP answer that is an error. `code` is one of gRPC's.
#[must_use]
pub fn status_protobuf(code: i32, message: &str) -> Vec<u8> {
    let mut status = Writer::default();
    // Negative numbers take ten bytes in protobuf: they are extended to 64 bits first.
    status.varint(1, i64::from(code) as u64);
    status.text(2, message);
    status.finish()
}

/// [`status_protobuf`] in JSON.
#[must_use]
pub fn status_json(code: i32, message: &str) -> String {
    json!({ "code": code, "message": message }).to_string()
}

//! The answers of the HTTP API, as far as the terminal shows them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `/api/v1/search`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SearchAnswer {
    /// Newest first.
    pub traces: Vec<TraceSummary>,
    /// Set when there are more.
    #[serde(default)]
    pub next_cursor: Option<String>,
    /// What is missing; empty when the answer is complete.
    #[serde(default)]
    pub partial: Vec<Partial>,
    /// What the query read, where that was asked for.
    #[serde(default)]
    pub explain: Option<Explanation>,
}

/// `/api/v1/metrics`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct MetricsAnswer {
    /// By their labels.
    pub series: Vec<Series>,
    /// What is missing; empty when the answer is complete.
    #[serde(default)]
    pub partial: Vec<Partial>,
    /// What the query read, where that was asked for.
    #[serde(default)]
    pub explain: Option<Explanation>,
}

/// `/api/v1/sql`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SqlAnswer {
    /// In their order.
    pub columns: Vec<SqlColumn>,
    /// Of each as many values as there are columns.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// What is missing; empty when the answer is complete.
    #[serde(default)]
    pub partial: Vec<Partial>,
}

/// A column of an answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// What SQL calls its type.
    pub r#type: String,
}

/// A time series.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Series {
    /// Null where the spans have no value.
    pub labels: BTreeMap<String, serde_json::Value>,
    /// Starts of intervals in unix seconds, and values.
    pub samples: Vec<(f64, f64)>,
}

/// What a query read.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Explanation {
    /// For people: a tree of lines.
    pub text: String,
}

/// Why an answer is not complete.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Partial {
    /// For people.
    pub message: String,
}

/// A trace in a list.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TraceSummary {
    /// In hexadecimal.
    pub trace_id: String,
    /// The service of the root.
    #[serde(default)]
    pub root_service_name: Option<String>,
    /// The name of the root.
    #[serde(default)]
    pub root_name: Option<String>,
    /// The start of the earliest span.
    #[serde(deserialize_with = "number::read")]
    pub start_time_unix_nano: i64,
    /// From the earliest start to the latest end.
    #[serde(deserialize_with = "number::read")]
    pub duration_nano: i64,
    /// All its spans.
    pub span_count: usize,
    /// Those that failed.
    #[serde(default)]
    pub error_count: usize,
    /// Whether one was a cold start.
    #[serde(default)]
    pub has_cold_start: bool,
}

/// `/api/v1/traces/{id}`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TraceAnswer {
    /// In hexadecimal.
    pub trace_id: String,
    /// The start of the earliest span.
    #[serde(deserialize_with = "number::read")]
    pub start_time_unix_nano: i64,
    /// From the earliest start to the latest end.
    #[serde(deserialize_with = "number::read")]
    pub duration_nano: i64,
    /// All spans of the trace, of which `spans` may be the first ones.
    pub span_count: usize,
    /// Those of all that failed.
    #[serde(default)]
    pub error_count: usize,
    /// In the order of the tree.
    pub spans: Vec<TraceSpan>,
    /// What is missing; empty when the answer is complete.
    #[serde(default)]
    pub partial: Vec<Partial>,
}

/// A span of a trace.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TraceSpan {
    /// Its name.
    pub name: String,
    /// `service.name` of its resource.
    #[serde(default)]
    pub service_name: Option<String>,
    /// Its start.
    #[serde(deserialize_with = "number::read")]
    pub start_time_unix_nano: i64,
    /// Its length, zero where it ends before it starts.
    #[serde(deserialize_with = "number::read")]
    pub duration_nano: i64,
    /// Whether its status is error.
    #[serde(default)]
    pub error: bool,
    /// What its status says.
    #[serde(default)]
    pub status_message: String,
    /// Whether it says `faas.coldstart = true`.
    #[serde(default)]
    pub cold_start: bool,
    /// Zero for roots.
    #[serde(default)]
    pub depth: usize,
    /// Whether its parent is not there.
    #[serde(default)]
    pub orphan: bool,
    /// Whether its parent did not wait for it.
    #[serde(default)]
    pub asynchronous: bool,
}

/// 64-bit numbers, which JSON APIs send as text or as numbers.
mod number {
    use serde::{Deserialize, Deserializer, de::Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(i64),
        Text(String),
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        match Number::deserialize(from)? {
            Number::Number(number) => Ok(number),
            Number::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

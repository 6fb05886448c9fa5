//! What answers of the API say, for comparing.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The ids of the spans of a trace as OTLP JSON.
pub(super) fn span_ids(trace: &Value) -> BTreeSet<String> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    list(trace, "resourceSpans")
        .iter()
        .flat_map(|resource| list(resource, "scopeSpans"))
        .flat_map(|scope| list(&scope, "spans"))
        .filter_map(|span| span["spanId"].as_str().map(str::to_owned))
        .collect()
}

/// The ids of the traces that a search found, in its order. An incomplete answer is an error.
pub(super) fn trace_ids(found: &Value) -> Result<Vec<String>> {
    whole(found)?;
    let traces = found["traces"].as_array().context("no traces")?;
    let id = |trace: &Value| trace["trace_id"].as_str().map(str::to_owned);
    traces
        .iter()
        .map(|trace| id(trace).context("a trace without an id"))
        .collect()
}

/// Fails for an answer that says that it is not complete.
pub(super) fn whole(answer: &Value) -> Result<()> {
    match answer["partial"].as_array() {
        Some(partial) if !partial.is_empty() => {
            anyhow::bail!("the answer is partial: {}", answer["partial"])
        }
        _ => Ok(()),
    }
}

/// As an address has it.
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

//! From columns to OTLP messages: `ResourceSpans` over `ScopeSpans` over spans, as protobuf and as JSON.

mod group;
mod json;
mod protobuf;

pub(crate) use json::{Style, TracesJson, json_text};
pub(crate) use protobuf::{write_any, write_traces};

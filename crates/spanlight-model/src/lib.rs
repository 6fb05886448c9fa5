//! The vocabulary of Spanlight: ids, times, attribute values and [`SpanBatch`], the one in-memory form of spans.
//!
//! Owns the schema of a span (`SCHEMA.md` beside this crate's manifest gives it with the reasons) and the builder
//! that every decoder appends to. Knows no protocol, no disk layout and no query: bytes become rows in
//! `spanlight-wire`, rows become files in `spanlight-store`, answers come from `spanlight-query`.

mod attributes;
mod batch;
mod builder;
pub mod convention;
mod id;
mod intern;
mod kind;
pub mod sampling;
pub mod schema;
mod value;

pub use attributes::{AttributeType, Attributes, Entry, Value};
pub use batch::{
    EventColumns, EventRef, LinkColumns, LinkRef, ResourceColumns, ResourceRef, SchemaError,
    ScopeColumns, ScopeRef, SpanBatch, SpanColumns, SpanRef,
};
pub use builder::{
    AttributeSink, EventRow, LinkRow, ResourceIndex, ResourceRow, RowError, ScopeIndex, ScopeRow,
    SpanBatchBuilder, SpanRow,
};
pub use id::{IdError, SpanId, TraceId};
pub use kind::{SpanKind, StatusCode};
pub use value::{AnyValue, ValueError};

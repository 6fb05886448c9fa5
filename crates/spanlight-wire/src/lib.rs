//! Bytes to [`SpanBatch`](spanlight_model::SpanBatch) and back, for every protocol.
//!
//! Owns the formats: it is the only crate that sees protobuf. Pure: no sockets, no clocks, no compression, no
//! HTTP; `spanlight-server` brings the bytes and counts what a [`DecodeReport`] says was not kept. Input is
//! hostile until proven otherwise: every decoder is bounded by its input and by [`DecodeLimits`], and answers
//! with an error that names the place, never with a panic.

mod error;
mod limits;
pub mod otlp;
mod protobuf;
mod report;
pub mod tempo;

pub use error::DecodeError;
pub use limits::DecodeLimits;
pub use report::{DecodeReport, Decoded, RejectReason, RejectionCounts};

//! Bytes of real clients, generated requests and hostile input against the public interface.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]

mod bad_input;
mod capture;
mod dump;
mod generate;
mod otlp_json;
mod otlp_protobuf;
mod responses;
mod round_trip;
mod tempo;

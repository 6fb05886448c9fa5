//! The server as its clients see it: real sockets, a real store in a temporary directory.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says where it stopped"
)]
#![expect(clippy::too_many_lines, reason = "answers are shown whole")]

mod api;
mod bad_input;
mod cancellation;
mod fixture;
mod grpc;
mod lifecycle;
mod overload;
mod pages;
mod receive;
mod tempo;

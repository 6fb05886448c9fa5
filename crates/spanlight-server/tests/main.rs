//! The server as its clients see it: real sockets, a real store in a temporary directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;
mod receive;

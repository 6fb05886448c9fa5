//! The edge of Spanlight: configuration, listeners, receivers, the query APIs and the pages; the composition root.
//!
//! Owns everything that talks to the outside: sockets, HTTP, gRPC, the shapes of answers. Knows no bytes of spans
//! (`spanlight-wire`), no files (`spanlight-store`), no plans (`spanlight-query`) and no markup (`spanlight-web`).

pub mod config;

pub use config::{ConfigError, Settings, Sources};

//! The edge of Spanlight: configuration, listeners, receivers, the query APIs and the pages; the composition root.
//!
//! Owns everything that talks to the outside: sockets, HTTP, gRPC, the shapes of answers. Knows no bytes of spans
//! (`spanlight-wire`), no files (`spanlight-store`), no plans (`spanlight-query`) and no markup (`spanlight-web`).

mod addresses;
mod api;
mod app;
mod build;
mod clock;
pub mod config;
mod connection;
mod drain;
mod error;
mod listen;
mod metrics;
mod operations;
mod pages;
mod panic;
mod receive;
mod serve;
mod stage;
mod tempo;

pub use addresses::Addresses;
pub use config::{ConfigError, Override, Settings, Sources};
pub use error::StartError;
pub use serve::{Server, start};

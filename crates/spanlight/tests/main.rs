//! The built command: its help, its exit codes, and a server that is started, asked and stopped.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod demo;
mod help;
mod import;
mod language;
mod process;
mod query;
mod serve;
mod sql;
mod store;
mod usage;

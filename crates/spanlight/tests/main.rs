//! The built command: its help, its exit codes, and a server that is started, asked and stopped.

mod demo;
mod help;
mod process;
mod query;
mod serve;
mod usage;

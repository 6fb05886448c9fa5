//! One command for every check: `cargo xtask` lists them, `cargo xtask ci` runs them all.
//!
//! This file owns the command line only; each check lives in a module of its own.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks to the terminal"
)]

mod bench;
mod browser;
mod ci;
mod clients;
mod crash;
mod deny;
mod fuzz;
mod http;
mod layers;
mod load;
mod objects;
mod process;
mod random;
mod repository;
mod server;
mod setup;
mod simulate;
mod table;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};

/// The checks of this repository.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Every check, as continuous integration runs it; stops at the first that fails
    Ci(ci::Options),
    /// The quick checks, for before each commit: format, tidy, layers, clippy
    Check,
    /// Rules that a compiler cannot see: sizes of files, headings, names, left-overs
    Tidy,
    /// Which crate may use which, as ARCHITECTURE.md lists it
    Layers,
    /// Licences, sources and banned crates among the dependencies (cargo-deny)
    Deny(deny::Options),
    /// Install what the tests need and cargo does not bring: Python and Node packages, a browser
    Setup,
    /// OpenTelemetry SDKs, unmodified, against a real server; each span is read back and compared
    Clients(clients::Options),
    /// The table, read by DuckDB and deltalake while a real server writes to it; each span is compared
    Table(table::Options),
    /// The cold table on a server that speaks S3, which goes away and comes back
    Objects(objects::Options),
    /// The pages in a real browser, against a real server
    Browser(browser::Options),
    /// Kill a real server under load, again and again; each acknowledged span must be there once
    Crash(crash::Options),
    /// Histories of a store drawn from seeds, with every fault that a disk, a clock and the power have
    Simulate(simulate::Options),
    /// Texts and messages that nobody would send, against the lexer, the parser, the validator and the decoders
    Fuzz(fuzz::Options),
    /// Measure: `bench store`, `bench query`, `bench ingest`, `bench start`
    Bench(BenchArguments),
}

#[derive(Debug, Args)]
struct BenchArguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Durable OTLP/HTTP ingest: spans a second, per server CPU second, latency of an ack, memory
    Ingest(bench::ingest::Options),
    /// From the start of the process to `/readyz` on an empty directory
    Start(bench::start::Options),
    /// The store's figures on millions of spans: ingest, memory, disk, each kind of question, restart, growth
    Store(bench::options::Options),
    /// The language's figures on the same spans: relations, comparisons, counts within traces, series, completion
    Query(bench::options::Options),
}

fn main() -> ExitCode {
    let Some(task) = Arguments::parse().task else {
        // A list, not an error: this is how one finds out what there is.
        return match Arguments::command().print_long_help() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    };
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Ci(options) => ci::run(&options),
        Task::Check => ci::check(),
        Task::Tidy => tidy::run(),
        Task::Layers => layers::run(),
        Task::Deny(options) => deny::run(&options),
        Task::Setup => setup::run(),
        Task::Clients(options) => clients::run(&options).map(drop),
        Task::Table(options) => table::run(&options).map(drop),
        Task::Objects(options) => objects::run(&options).map(drop),
        Task::Browser(options) => browser::run(&options).map(drop),
        Task::Crash(options) => crash::run(&options).map(drop),
        Task::Simulate(options) => simulate::run(&options).map(drop),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Bench(BenchArguments {
            bench: Bench::Ingest(options),
        }) => bench::ingest::run(&options),
        Task::Bench(BenchArguments {
            bench: Bench::Start(options),
        }) => bench::start::run(&options),
        Task::Bench(BenchArguments {
            bench: Bench::Store(options),
        }) => bench::store::run(&options),
        Task::Bench(BenchArguments {
            bench: Bench::Query(options),
        }) => bench::query::run(&options),
    }
}

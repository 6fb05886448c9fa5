//! The `spanlight` command: reads the command line, runs a command, and says how it went by its exit code.

mod client;
mod command;
mod failure;
mod progress;
mod screen;
mod settings;
mod target;

use std::process::ExitCode;

use clap::Parser as _;
use spanlight::arguments::Arguments;

use crate::failure::Failure;

/// Spans are made by one thread, held for seconds, and let go by another. The system's allocator keeps such memory in
/// an arena for each thread; this one gives it to whoever asks next, and back to the system.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::of("cannot start the runtime", &source))?;
    runtime.block_on(command::run(arguments))
}

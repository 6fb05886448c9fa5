//! Histories of a store drawn from seeds, more and longer than the tests have: the simulation itself is a test of
//! `spanlight-store`; this runs it, says how far it is, and shows the history that fails.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{bench::progress::Progress, repository};

const TEST: &str = "simulation::every_history_keeps_what_was_acknowledged";

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// How many histories
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed; the others follow it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many steps a history has
    #[arg(long, default_value_t = 100)]
    steps: u64,
    /// Use the release build
    #[arg(long)]
    release: bool,
}

impl Options {
    /// What continuous integration runs.
    pub(crate) fn short() -> Self {
        Self {
            seeds: 800,
            seed: 1,
            steps: 10,
            release: false,
        }
    }
}

/// Runs the histories; returns how many there were.
pub(crate) fn run(options: &Options) -> Result<u64> {
    let started = Instant::now();
    let mut command = repository::cargo();
    command
        .args(["test", "--quiet", "--locked", "--test", "main"])
        // With the binary's features, so that nothing is compiled twice.
        .args(["--package", "spanlight-store", "--package", "spanlight"]);
    if options.release {
        command.arg("--release");
    }
    command
        .args(["--", "--exact", TEST, "--nocapture"])
        .env("SPANLIGHT_SIMULATE_SEEDS", options.seeds.to_string())
        .env("SPANLIGHT_SIMULATE_SEED", options.seed.to_string())
        .env("SPANLIGHT_SIMULATE_STEPS", options.steps.to_string())
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut progress = Progress::new("simulating", options.seeds);
    let mut done = 0;
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read from cargo test")?;
        if let Some(number) = line.strip_prefix("simulated ") {
            done = number.parse().unwrap_or(done).max(done);
            progress.at(done);
        }
    }
    progress.end();
    if !child.wait()?.success() {
        bail!("a history failed; its seed and the steps that it takes are above");
    }
    println!(
        "{done} histories of {} steps, seeds {} to {}: nothing lost, nothing twice, nothing invented; {:.0} s",
        options.steps,
        options.seed,
        options.seed + options.seeds.max(1) - 1,
        started.elapsed().as_secs_f64()
    );
    Ok(done)
}

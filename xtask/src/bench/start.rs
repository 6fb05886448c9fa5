//! How long a server takes from its start on an empty directory to the first `200` of `/readyz`.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{milliseconds, percentile};
use crate::{
    repository,
    server::{Launch, Scratch},
};

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// How often to start
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Measure the debug build
    #[arg(long)]
    debug: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = repository::spanlight(!options.debug)?;
    let mut times = Vec::with_capacity(options.runs);
    for _ in 0..options.runs {
        let scratch = Scratch::new("bench-start")?;
        let server = Launch::new(&binary, &scratch.path().join("data")).start()?;
        times.push(server.ready_after);
        server.stop()?;
    }
    times.sort();
    let (p50, max) = (percentile(&times, 50), percentile(&times, 100));
    println!("start to ready, empty directory, {} runs", times.len());
    println!("  p50  {:>8} ms", milliseconds(p50));
    println!("  max  {:>8} ms", milliseconds(max));
    println!(
        "{}",
        json!({"bench": "start", "runs": times.len(), "p50_ms": milliseconds(p50), "max_ms": milliseconds(max)})
    );
    Ok(())
}

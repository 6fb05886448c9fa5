//! What the benches of a large load are told on the command line.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;

use super::truth::Load;
use crate::{load::SPANS_PER_TRACE, server::Launch};

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Spans to load; 10M, 500k and plain numbers are understood
    #[arg(long, default_value = "10M", value_parser = count)]
    pub(super) spans: u64,
    /// Only what has this in its name: a class of questions, or, of the store, paced, ingest, disk, mixed, restart or
    /// growth; may be repeated
    #[arg(long)]
    pub(super) only: Vec<String>,
    /// Keep the data in this directory, and use what an earlier run has left there instead of loading again
    #[arg(long)]
    pub(super) keep: Option<PathBuf>,
    /// Warm runs of each class of queries
    #[arg(long, default_value_t = 20)]
    pub(super) runs: u64,
    /// Cold runs of each class: the server is new and nothing is in the page cache
    #[arg(long, default_value_t = 5)]
    pub(super) cold_runs: u64,
    /// Connections that load, each with one request at a time
    #[arg(long, default_value_t = 4)]
    pub(super) connections: u64,
    /// Seconds over which the traces start, ending now
    #[arg(long, default_value_t = 3_000)]
    pub(super) over: u64,
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// A setting of the server, `name=value`
    #[arg(long)]
    pub(super) set: Vec<String>,
    /// Print each figure as a line of JSON too
    #[arg(long)]
    pub(super) json: bool,
    /// Measure the debug build
    #[arg(long)]
    pub(super) debug: bool,
}

/// Spans go on to the table while the load runs, so that the figures have all of its cost; files that were merged are
/// removed soon, so that the disk's figure comes soon.
const SETTINGS: [&str; 2] = ["storage.hot_window=30s", "storage.vacuum_grace=5s"];

impl Options {
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.contains(only.as_str()))
    }

    pub(super) fn launch(&self, binary: &Path, data_dir: &Path) -> Launch {
        let mut launch = Launch::new(binary, data_dir);
        for setting in SETTINGS {
            launch = launch.set(setting);
        }
        for setting in &self.set {
            launch = launch.set(setting);
        }
        launch
    }

    /// A load of so many spans whose traces end about now.
    pub(super) fn load(&self, spans: u64) -> Load {
        let traces = (spans / SPANS_PER_TRACE as u64).max(1_000);
        let over = Duration::from_secs(self.over).as_nanos() as u64;
        Load::new(self.seed, traces, now_unix_nano() - over, over / traces)
    }
}

/// Reads `10M`, `500k` or a plain number.
fn count(text: &str) -> Result<u64, String> {
    let (digits, scale) = match text.chars().last() {
        Some('M') => (&text[..text.len() - 1], 1_000_000),
        Some('k') => (&text[..text.len() - 1], 1_000),
        _ => (text, 1),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no number of spans; write 10M, 500k or 20000"))?;
    Ok(number * scale)
}

fn now_unix_nano() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        assert_eq!(count("10M"), Ok(10_000_000));
        assert_eq!(count("20k"), Ok(20_000));
        assert_eq!(count("7"), Ok(7));
        assert!(count("many").is_err());
    }
}

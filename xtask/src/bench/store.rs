//! The store's figures: a load of millions of spans, then each kind of question, each answer checked against what was
//! sent. Budgets are shown beside the figures; a figure beyond its budget fails nothing.

mod answer;
mod cache;
mod classes;
mod fill;
mod growth;
mod mixed;
mod paced;
mod probe;
mod report;
mod restart;
mod settle;
mod truth;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    load::SPANS_PER_TRACE,
    repository,
    server::{Launch, Scratch},
};
use report::Report;
use truth::Load;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Spans to load; 10M, 500k and plain numbers are understood
    #[arg(long, default_value = "10M", value_parser = count)]
    spans: u64,
    /// Only what has this in its name: paced, ingest, disk, mixed, restart, growth, or a class of queries; may be repeated
    #[arg(long)]
    only: Vec<String>,
    /// Keep the data in this directory, and use what an earlier run has left there instead of loading again
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Warm runs of each class of queries
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// Cold runs of each class: the server is new and nothing is in the page cache
    #[arg(long, default_value_t = 5)]
    cold_runs: u64,
    /// Connections that load, each with one request at a time
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// Seconds over which the traces start, ending now
    #[arg(long, default_value_t = 3_000)]
    over: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A setting of the server, `name=value`
    #[arg(long)]
    set: Vec<String>,
    /// Print each figure as a line of JSON too
    #[arg(long)]
    json: bool,
    /// Measure the debug build
    #[arg(long)]
    debug: bool,
}

/// Spans go on to the table while the load runs, so that the figures have all of its cost; files that were merged are
/// removed soon, so that the disk's figure comes soon.
const SETTINGS: [&str; 2] = ["storage.hot_window=30s", "storage.vacuum_grace=5s"];

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = repository::spanlight(!options.debug)?;
    let mut report = Report::new(options.json);
    if options.wants("paced") {
        paced::run(options, &binary, &mut report)?;
    }
    if options.wants("growth") {
        growth::run(options, &binary, &mut report)?;
    }
    if options.wants("restart") {
        restart::run(options, &binary, &mut report)?;
    }
    let names = classes::ALL.iter().map(|class| class.name);
    if names
        .chain(["ingest", "disk", "mixed"])
        .any(|name| options.wants(name))
    {
        main_load(options, &binary, &mut report)?;
    }
    report.table();
    Ok(())
}

/// Everything that is measured on one large load.
fn main_load(options: &Options, binary: &Path, report: &mut Report) -> Result<()> {
    let scratch = match &options.keep {
        Some(_) => None,
        None => Some(Scratch::new("bench-store")?),
    };
    let directory = options
        .keep
        .as_deref()
        .or(scratch.as_ref().map(Scratch::path))
        .context("no directory")?;
    let launch = options.launch(binary, &directory.join("data"));
    let load = match Load::saved(directory)? {
        Some(load) => {
            println!(
                "using the {} traces in {}",
                load.traces,
                directory.display()
            );
            load
        }
        None => filled(options, &launch, directory, report)?,
    };
    if options.wants("disk") {
        report.disk(&load, cache::bytes_below(&launch.data_dir)?);
    }
    let wanted: Vec<_> = classes::ALL
        .iter()
        .filter(|class| options.wants(class.name))
        .collect();
    if !wanted.is_empty() {
        probe::run(options, &launch, &load, &wanted, report)?;
    }
    if options.wants("mixed") {
        mixed::run(options, &launch, &load, report)?;
        if options.keep.is_some() {
            // There is more in it now than the checks expect.
            Load::forget(directory)?;
        }
    }
    Ok(())
}

fn filled(
    options: &Options,
    launch: &Launch,
    directory: &Path,
    report: &mut Report,
) -> Result<Load> {
    if launch.data_dir.exists() {
        bail!(
            "{} holds data that no load left whole; remove it",
            directory.display()
        );
    }
    let load = options.load(options.spans);
    let server = launch.start()?;
    let filled = fill::fill(&load, &server, options.connections, true)?;
    let settled = settle::wait(&server, load.spans())?;
    report.ingest(&load, &filled, &settled);
    settle::compact(&server, load.spans())?;
    server.stop()?;
    load.save(directory)?;
    Ok(load)
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.contains(only.as_str()))
    }

    fn launch(&self, binary: &Path, data_dir: &Path) -> Launch {
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
    fn load(&self, spans: u64) -> Load {
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

/// The load as it is written beside its data.
impl Load {
    const FILE: &str = "load.json";

    fn saved(directory: &Path) -> Result<Option<Self>> {
        let Ok(text) = fs::read(directory.join(Self::FILE)) else {
            return Ok(None);
        };
        let saved: Value = serde_json::from_slice(&text)?;
        let field = |name: &str| {
            saved[name]
                .as_u64()
                .with_context(|| format!("load.json has no {name}"))
        };
        Ok(Some(Self::new(
            field("seed")?,
            field("traces")?,
            field("start_unix_nano")?,
            field("step_nano")?,
        )))
    }

    fn save(&self, directory: &Path) -> Result<()> {
        let text = json!({
            "seed": self.seed, "traces": self.traces,
            "start_unix_nano": self.start_unix_nano, "step_nano": self.step_nano,
        });
        fs::write(directory.join(Self::FILE), text.to_string())?;
        Ok(())
    }

    fn forget(directory: &Path) -> Result<()> {
        fs::remove_file(directory.join(Self::FILE))?;
        Ok(())
    }
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

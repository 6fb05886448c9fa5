//! How the time of a look-up grows with the number of spans: smaller loads, each ten times the one before, in directories
//! of their own; the whole load is measured with the classes.

use std::path::Path;

use anyhow::Result;

use super::classes;
use crate::{
    bench::{fill, options::Options, probe, report::Report, settle},
    server::Scratch,
};

/// The first load, unless a tenth of the whole is less.
const SPANS_MIN: u64 = 1_000_000;

pub(super) fn run(options: &Options, binary: &Path, report: &mut Report) -> Result<()> {
    let mut spans = SPANS_MIN.min(options.spans / 10);
    while spans < options.spans {
        run_one(options, binary, spans, report)?;
        spans = spans.max(1) * 10;
    }
    Ok(())
}

fn run_one(options: &Options, binary: &Path, spans: u64, report: &mut Report) -> Result<()> {
    let scratch = Scratch::new("bench-growth")?;
    let launch = options.launch(binary, &scratch.path().join("data"));
    let load = options.load(spans);
    let server = launch.start()?;
    fill::fill(&load, &server, options.connections, false)?;
    settle::wait(&server, load.spans())?;
    settle::compact(&server, load.spans())?;
    let state = format!("warm, {} spans", load.spans());
    for class in classes::of_growth() {
        let asked = probe::warm(&server, &load, class, options.runs)?;
        report.query(class, &state, class.warm_ms, &asked);
    }
    server.stop()
}

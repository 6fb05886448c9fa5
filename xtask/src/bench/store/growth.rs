//! How the time of a look-up grows with the number of spans: a tenth of the load in a directory of its own; the whole
//! load is measured with the classes.

use std::path::Path;

use anyhow::Result;

use super::{Options, classes, fill, probe, report::Report, settle};
use crate::server::Scratch;

/// Of the whole load.
const SHARE: u64 = 10;

pub(super) fn run(options: &Options, binary: &Path, report: &mut Report) -> Result<()> {
    let scratch = Scratch::new("bench-growth")?;
    let launch = options.launch(binary, &scratch.path().join("data"));
    let load = options.load(options.spans / SHARE);
    let server = launch.start()?;
    fill::fill(&load, &server, options.connections, false)?;
    settle::wait(&server, load.spans())?;
    settle::compact(&server, load.spans())?;
    let state = format!("warm, {} spans", load.spans());
    for class in classes::of_growth() {
        let asked = probe::warm(&server, &load, class, options.runs)?;
        report.query(class.name, &state, class.warm_ms, &asked);
    }
    server.stop()
}

//! Acks at a rate that leaves the server room.

use std::path::Path;

use anyhow::Result;

use crate::{
    bench::{ingest, options::Options, report::Report},
    server::Scratch,
};

/// Spans a second.
const RATE: u64 = 50_000;
/// Long enough for several flushes.
const SECONDS: u64 = 40;

pub(super) fn run(options: &Options, binary: &Path, report: &mut Report) -> Result<()> {
    let scratch = Scratch::new("bench-paced")?;
    let server = options
        .launch(binary, &scratch.path().join("data"))
        .start()?;
    let (seen, _, _) = ingest::send(&ingest::Options::at_rate(RATE, SECONDS), &server)?;
    report.paced(RATE, &seen);
    server.stop()
}

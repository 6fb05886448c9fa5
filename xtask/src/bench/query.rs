//! The language's figures: each kind of question over the store's large load, each answer checked against what was sent.

mod classes;
mod compare;

use anyhow::{Result, bail};

use super::{large::Large, options::Options, report::Report};

/// Of fewer, `compare` may tell all users apart, and what it then shows of them is not known here.
const SPANS_MIN: u64 = 1_000_000;

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.spans < SPANS_MIN {
        bail!("the answers are known for {SPANS_MIN} spans or more");
    }
    let mut report = Report::new("query", options.json);
    let classes = classes::all();
    let wanted: Vec<_> = classes
        .into_iter()
        .filter(|class| options.wants(class.name))
        .collect();
    Large::prepare(options, &mut report)?.ask(options, &wanted, &mut report)?;
    report.table();
    Ok(())
}

//! The store's figures: a load of millions of spans, then each kind of question, each answer checked against what was
//! sent. Budgets are shown beside the figures; a figure beyond its budget fails nothing.

pub(super) mod classes;
mod growth;
mod mixed;
mod paced;
mod restart;

use anyhow::Result;

use super::{large::Large, options::Options, report::Report};
use crate::repository;

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = repository::spanlight(!options.debug)?;
    let mut report = Report::new("store", options.json);
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
        main_load(options, &mut report)?;
    }
    report.table();
    Ok(())
}

/// Everything that is measured on one large load.
fn main_load(options: &Options, report: &mut Report) -> Result<()> {
    let large = Large::prepare(options, report)?;
    if options.wants("disk") {
        report.disk(&large.load, large.bytes_on_disk()?);
    }
    let classes = classes::ALL.iter();
    let wanted: Vec<_> = classes.filter(|class| options.wants(class.name)).collect();
    large.ask(options, &wanted, report)?;
    if options.wants("mixed") {
        mixed::run(options, &large.launch, &large.load, report)?;
        if options.keep.is_some() {
            large.forget()?;
        }
    }
    Ok(())
}

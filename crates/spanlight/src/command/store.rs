//! `spanlight store`: what it does to a data directory, and how far it is.

mod backup;
mod compact;
mod delete;
mod lines;
mod stats;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ColorChoice;
use spanlight::arguments::{ConfigurationArguments, StoreArguments, StoreCommand};
use spanlight::render::{bytes, left, part};
use spanlight_store::{ColdLocation, Progress};

use crate::failure::Failure;
use crate::{progress, settings};

pub(super) async fn run(arguments: &StoreArguments, colour: ColorChoice) -> Result<(), Failure> {
    match &arguments.command {
        StoreCommand::Verify(verify) => verify::run(verify).await,
        StoreCommand::Stats(stats) => stats::run(stats).await,
        StoreCommand::Compact(compact) => compact::run(compact, colour).await,
        StoreCommand::Delete(delete) => delete::run(delete, colour).await,
        StoreCommand::Backup(backup) => backup::run(backup).await,
        StoreCommand::Restore(restore) => backup::restore(restore).await,
    }
}

const REFRESH: Duration = Duration::from_millis(100);

fn data_dir(arguments: &ConfigurationArguments) -> Result<PathBuf, Failure> {
    let settings = settings::load(arguments, Vec::new())?;
    Ok(settings.storage.data_dir)
}

/// The data directory, and where its table is.
fn places(arguments: &ConfigurationArguments) -> Result<(PathBuf, ColdLocation), Failure> {
    let storage = settings::load(arguments, Vec::new())?.storage;
    let cold = storage.cold_location();
    Ok((
        storage.data_dir,
        cold.map_err(|error| Failure::error(&error))?,
    ))
}

/// Runs work, and shows how far it is.
async fn watched<T>(what: &str, of: &Arc<Progress>, work: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let mut line = progress::Progress::new();
    let mut refresh = tokio::time::interval(REFRESH);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = refresh.tick() => {
                let (done, total) = of.bytes();
                let fraction = done as f64 / total.max(1) as f64;
                let mut parts = vec![
                    what.to_owned(),
                    part(fraction),
                    format!("{} of {}", bytes(done), bytes(total)),
                ];
                parts.extend(left(fraction, begin.elapsed().as_secs_f64()));
                line.show(&parts.join("  "));
            }
        }
    }
}

fn count(number: u64, noun: &str) -> String {
    spanlight::render::counted(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

fn grouped(number: u64) -> String {
    spanlight::render::grouped(usize::try_from(number).unwrap_or(usize::MAX))
}

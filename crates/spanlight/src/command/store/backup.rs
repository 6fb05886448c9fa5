//! `spanlight store backup` and `spanlight store restore`.

use std::sync::Arc;

use spanlight::arguments::{BackupArguments, RestoreArguments};
use spanlight::render::bytes;
use spanlight_store::disk::{Disk, LocalDisk};
use spanlight_store::{BackupError, BackupOptions, Progress};
use tokio::task::JoinError;

use super::{count, data_dir, places, watched};
use crate::failure::Failure;
use crate::screen;

pub(super) async fn run(arguments: &BackupArguments) -> Result<(), Failure> {
    let (data_dir, cold) = places(&arguments.configuration)?;
    let options = BackupOptions {
        data_dir,
        cold,
        target: arguments.target.clone(),
        copy: arguments.copy,
        disk: Arc::new(LocalDisk),
    };
    let progress = Arc::<Progress>::default();
    let work = {
        let progress = Arc::clone(&progress);
        tokio::spawn(async move { spanlight_store::backup(&options, &progress).await })
    };
    let report = finished(watched("backing up", &progress, work).await)?;
    screen::say(&format!(
        "the backup in {} has {}, {}; new are {}, {}\n",
        arguments.target.display(),
        count(report.files, "file"),
        bytes(report.bytes),
        count(report.new_files, "file"),
        bytes(report.new_bytes),
    ))
}

pub(super) async fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    let directory = data_dir(&arguments.configuration)?;
    let progress = Arc::<Progress>::default();
    let work = {
        let (backup, directory) = (arguments.backup.clone(), directory.clone());
        let progress = Arc::clone(&progress);
        let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
        tokio::task::spawn_blocking(move || {
            spanlight_store::restore(&backup, &directory, &disk, &progress)
        })
    };
    let report = finished(watched("restoring", &progress, work).await)?;
    screen::say(&format!(
        "restored {}, {}, to {}; start it with: spanlight serve --data-dir {}\n",
        count(report.files, "file"),
        bytes(report.bytes),
        directory.display(),
        directory.display(),
    ))
}

fn finished<T>(outcome: Result<Result<T, BackupError>, JoinError>) -> Result<T, Failure> {
    outcome
        .map_err(|source| Failure::of("it broke off", &source))?
        .map_err(|error| Failure::error(&error))
}

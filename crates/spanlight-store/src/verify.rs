//! Checks everything that is on the disk: every record of the log, every value of every data file, what the table says
//! of its files, and whether a span is in more than one place. Changes nothing, and may run beside a server.

mod files;
mod keys;
mod log;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cold::commits::{self, Condition};
use crate::cold::remote::ColdLocation;
use crate::disk::{Disk, is_temporary, read_all};
use crate::inspect::{COLD, InspectError, LOG, Place, Progress, RECENT, TABLE_LOG, TableState};
use files::{Check, check};
use keys::Keys;

/// What to check, and how.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where its table is.
    pub cold: ColdLocation,
    /// Where the directory is.
    pub disk: Arc<dyn Disk>,
    /// Memory for finding spans that are there more than once; with less the files' ids are read more often.
    pub key_bytes: usize,
}

impl VerifyOptions {
    /// The defaults, in this directory.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            cold: ColdLocation::DataDir,
            disk: Arc::new(crate::disk::LocalDisk),
            key_bytes: 128 << 20,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Whether a server was running on the directory.
    pub is_running: bool,
    /// The log.
    pub log: LevelReport,
    /// The recent level.
    pub recent: LevelReport,
    /// The table.
    pub cold: LevelReport,
    /// The version of the table.
    pub table_version: u64,
    /// Spans of which there is another copy in another file: they were sent again, and are shown once.
    pub repeated_spans: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is not wrong, but worth knowing.
    pub remarks: Vec<Problem>,
}

/// A level of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LevelReport {
    /// Files that were checked.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their spans.
    pub spans: u64,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the data directory.
    pub file: String,
    /// What is the matter with it.
    pub message: String,
    /// What to do.
    pub advice: &'static str,
}

const RESTORE: &str = "its spans cannot be read; restore the file from a backup (spanlight store backup), or live \
                       with the gap: everything else is answered, and answers that lack it say so";
const TABLE_ADVICE: &str =
    "restore the table's log from a backup; the data files themselves are checked below";
const MENDED: &str = "nothing: it is read as it was written, and the next start of a server on a local table puts it right";

/// Checks a data directory.
///
/// # Errors
/// [`InspectError`] when there is nothing to check. What is wrong inside is in the report.
pub async fn verify(
    options: &VerifyOptions,
    progress: &Arc<Progress>,
) -> Result<VerifyReport, InspectError> {
    let place = Place::find(&options.data_dir, &options.disk, &options.cold)?;
    // Held to the end, so that no server starts meanwhile and moves things.
    let lock = place.lock()?;
    let mut report = VerifyReport {
        is_running: lock.is_none(),
        ..VerifyReport::default()
    };
    log::check(&place, progress, &mut report)?;
    let recent = place.list(RECENT)?;
    check_commits(&place, &mut report)?;
    let table = match place.table().await {
        Ok(table) => Some(table),
        Err(error) => {
            report.problems.push(Problem {
                file: TABLE_LOG.to_owned(),
                message: error.to_string(),
                advice: TABLE_ADVICE,
            });
            None
        }
    };
    report.table_version = table.as_ref().map_or(0, |table| table.version);
    let checks = plan(&place, &recent, table.as_ref(), &mut report)?;
    for file in &checks {
        progress.expect(file.bytes());
    }
    let mut keys = Keys::new(options.key_bytes, checks.iter().map(Check::spans).sum());
    let columns = table.as_ref().map(|table| &table.columns);
    for file in &checks {
        let outcome = check(&place, file, columns, &mut keys, progress).await;
        let level = match file.is_cold {
            true => &mut report.cold,
            false => &mut report.recent,
        };
        level.files += 1;
        level.bytes += file.bytes();
        level.spans += outcome.spans;
        if !outcome.problems.is_empty() && has_moved(&place, file).await? {
            continue;
        }
        report.problems.extend(outcome.problems);
    }
    report.repeated_spans = keys.repeated(&place, &checks, progress).await;
    drop(lock);
    Ok(report)
}

/// The table's commits, those too that no reader needs any more.
fn check_commits(place: &Place, report: &mut VerifyReport) -> Result<(), InspectError> {
    for (name, _) in place.list(TABLE_LOG)? {
        if !commits::is_commit(&name) {
            continue;
        }
        let file = format!("{TABLE_LOG}/{name}");
        let (message, advice) = match read_all(place.disk.as_ref(), &place.path(&file)) {
            Ok(commit) => match commits::examine(&commit) {
                Condition::Sound => continue,
                Condition::Mended(_) => ("one byte of it has changed".to_owned(), MENDED),
                Condition::Damaged(reason) => (reason.to_owned(), commits::ADVICE),
            },
            // A running server has tidied it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => (error.to_string(), commits::ADVICE),
        };
        report.problems.push(Problem {
            file,
            message,
            advice,
        });
    }
    Ok(())
}

/// The data files to check. What lies about beside them is remarked.
fn plan(
    place: &Place,
    recent: &[(String, u64)],
    table: Option<&TableState>,
    report: &mut VerifyReport,
) -> Result<Vec<Check>, InspectError> {
    let mut checks = Vec::new();
    let mut left_overs = Vec::new();
    for (name, bytes) in recent {
        // A file that went to the table keeps its first name until nobody reads it there.
        if table.is_some_and(|table| table.files.contains_key(name)) {
            continue;
        }
        match is_data(name) {
            true => checks.push(Check::recent(place, name, *bytes)),
            false => left_overs.push(format!("{RECENT}/{name}")),
        }
    }
    for (name, bytes) in place.list(COLD)? {
        match table {
            Some(table) if table.files.contains_key(&name) || table.gone.contains(&name) => {}
            None if is_data(&name) => checks.push(Check::recent_in(place, COLD, &name, bytes)),
            _ => left_overs.push(format!("{COLD}/{name}")),
        }
    }
    let files = table.into_iter().flat_map(|table| table.files.values());
    checks.extend(files.map(|file| Check::cold(place, file)));
    for folder in [LOG, TABLE_LOG] {
        let names = place.list(folder)?.into_iter().map(|(name, _)| name);
        let unfinished = names.filter(|name| is_temporary(name));
        left_overs.extend(unfinished.map(|name| format!("{folder}/{name}")));
    }
    // Beside a running server they are what it is making.
    if !report.is_running {
        report
            .remarks
            .extend(left_overs.into_iter().map(|file| Problem {
                file,
                message: "no commit names this file: a crash left it".to_owned(),
                advice: "nothing; the next start removes it",
            }));
    }
    let aside = place.list("damaged")?;
    report
        .remarks
        .extend(aside.into_iter().map(|(name, bytes)| Problem {
            file: format!("damaged/{name}"),
            message: format!("{bytes} bytes that could not be read were set aside here"),
            advice: "keep it if you want to look into it, else remove it",
        }));
    Ok(checks)
}

fn is_data(name: &str) -> bool {
    name.starts_with("spans-") && name.ends_with(".parquet")
}

/// Whether a file is not where it was any more because a running server moved its spans on.
async fn has_moved(place: &Place, file: &Check) -> Result<bool, InspectError> {
    if file.is_cold {
        let table = place.table().await;
        return Ok(table.is_ok_and(|table| !table.files.contains_key(file.name())));
    }
    let there = place.list(RECENT)?;
    Ok(!there.iter().any(|(name, _)| name == file.name()))
}

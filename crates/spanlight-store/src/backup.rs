//! A copy of a data directory that can be made while a server runs on it, and the way back.
//!
//! The copy is what a crash would have left at that moment: log, recent level and table are copied in the order in
//! which data moves through them, so that every span which was acknowledged before is in at least one, and opening the
//! copy sorts out what is in two. A list of all files with their checksums is written last: without it there is no
//! backup.

mod files;
mod restore;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cold::remote::ColdLocation;
use crate::disk::{Disk, is_temporary, read_all, write_atomically};
use crate::inspect::{COLD, FORMAT_FILE, InspectError, LOG, Place, Progress, RECENT, TABLE_LOG};
use files::{Copier, Entry};

pub use restore::restore;

/// The list of what is in a backup.
const LIST: &str = "backup.json";
/// What a table's reader may skip to; it changes, and readers do without it.
const HINT: &str = "_last_checkpoint";
/// Files may leave the table while they are copied; then it begins again.
const ATTEMPTS: usize = 3;

/// What to copy where.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where the backup is, or shall be.
    pub target: PathBuf,
    /// Copy data files though they could be given a second name: a second name costs nothing and protects from
    /// deletion, a copy also from a damaged disk.
    pub copy: bool,
    /// Where its table is: a backup has it, wherever it is.
    pub cold: ColdLocation,
    /// Where the data directory and the backup are.
    pub disk: Arc<dyn Disk>,
}

/// What a backup, or a restore, did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackupReport {
    /// The version of the table in it.
    pub table_version: u64,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were not there from an earlier backup.
    pub new_files: u64,
    /// Their bytes.
    pub new_bytes: u64,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data directory cannot be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The target holds something else.
    #[error("{} {reason}", path.display())]
    Target {
        /// The target.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Files left the table faster than they were copied.
    #[error("the table changed while it was copied, {ATTEMPTS} times; try again")]
    Moving,
    /// A file of the backup is not what it was.
    #[error("the backup is damaged: {file}: {reason}")]
    Damaged {
        /// The file, relative to the backup.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Makes a backup, or brings one up to date.
///
/// # Errors
/// [`BackupError`]; a backup that was in the target is whole then as before.
pub async fn backup(
    options: &BackupOptions,
    progress: &Arc<Progress>,
) -> Result<BackupReport, BackupError> {
    let place = Place::find(&options.data_dir, &options.disk, &options.cold)?;
    let target = absolute(&options.target)?;
    let before = prepare(&place, &target)?;
    for _ in 0..ATTEMPTS {
        let mut copier = Copier {
            from: place.clone(),
            to: target.clone(),
            copy: options.copy,
            before: before.clone(),
            entries: BTreeMap::new(),
            report: BackupReport::default(),
            progress: Arc::clone(progress),
        };
        if let Some(version) = copy_all(&place, &mut copier).await? {
            copier.report.table_version = version;
            return finish(copier);
        }
    }
    Err(BackupError::Moving)
}

/// Copies everything; gives the table's version, or nothing where a file of it had left meanwhile.
async fn copy_all(place: &Place, copier: &mut Copier) -> Result<Option<u64>, BackupError> {
    copier.file(FORMAT_FILE, true)?;
    for (name, bytes) in place.list(LOG)? {
        // The last one is being written: its bytes so far.
        copier.bytes_of(&format!("{LOG}/{name}"), bytes)?;
    }
    for (name, _) in place.list(RECENT)? {
        if !is_temporary(&name) {
            copier.file(&format!("{RECENT}/{name}"), false)?;
        }
    }
    let commits = place.list(TABLE_LOG)?;
    for (name, _) in commits
        .iter()
        .filter(|(name, _)| name != HINT && !is_temporary(name))
    {
        copier.file(&format!("{TABLE_LOG}/{name}"), true)?;
    }
    let copied = Place::of(
        copier.to.clone(),
        Arc::clone(&place.disk),
        &ColdLocation::DataDir,
    );
    let Ok(table) = copied.table().await else {
        // A commit that others build on was tidied away between two looks; or the table is damaged.
        place.table().await?;
        return Ok(None);
    };
    for file in table.files.values() {
        if !copier.file(&format!("{COLD}/{}", file.name), false)? {
            return Ok(None);
        }
    }
    Ok(Some(table.version))
}

/// Makes the target's folders; gives the files of the backup that is there.
fn prepare(place: &Place, target: &Path) -> Result<BTreeMap<String, Entry>, BackupError> {
    let in_the_way = |reason: &str| BackupError::Target {
        path: target.to_owned(),
        reason: reason.to_owned(),
    };
    if target.starts_with(&place.root) || place.root.starts_with(target) {
        return Err(in_the_way(
            "is inside the data directory, or the other way round",
        ));
    }
    let before = match read_list(place.disk.as_ref(), target) {
        Ok(list) => list.entries,
        Err(BackupError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            if !is_empty(place.disk.as_ref(), target)? {
                return Err(in_the_way(
                    "is not empty and has no backup.json; name an empty directory or an earlier backup",
                ));
            }
            BTreeMap::new()
        }
        Err(error) => return Err(error),
    };
    for folder in [LOG, RECENT, COLD, TABLE_LOG] {
        let path = target.join(folder);
        let made = place.disk.create_dir_all(&path);
        made.map_err(|source| BackupError::Disk { path, source })?;
    }
    if before.is_empty() {
        // Says what this directory is, should the copying break off.
        write_list(place.disk.as_ref(), target, &List::default())?;
    }
    Ok(before)
}

/// Writes the list, and removes what is not on it.
fn finish(copier: Copier) -> Result<BackupReport, BackupError> {
    let Copier {
        from,
        to,
        entries,
        mut report,
        ..
    } = copier;
    let disk = from.disk.as_ref();
    for folder in [LOG, RECENT, COLD, TABLE_LOG, ""] {
        let path = to.join(folder);
        disk.sync_dir(&path)
            .map_err(|source| BackupError::Disk { path, source })?;
    }
    report.files = entries.len() as u64;
    report.bytes = entries.values().map(|entry| entry.bytes).sum();
    let list = List {
        is_complete: true,
        table_version: report.table_version,
        entries,
    };
    write_list(disk, &to, &list)?;
    for folder in [LOG, RECENT, COLD, TABLE_LOG] {
        let path = to.join(folder);
        let there = disk.list(&path).map_err(|source| BackupError::Disk {
            path: path.clone(),
            source,
        })?;
        for entry in there.into_iter().filter(|entry| !entry.stat.is_dir) {
            if !list
                .entries
                .contains_key(&format!("{folder}/{}", entry.name))
            {
                // What stays does no harm: it is not on the list.
                disk.remove(&path.join(&entry.name)).ok();
            }
        }
    }
    Ok(report)
}

/// What is in a backup.
#[derive(Debug, Default)]
struct List {
    is_complete: bool,
    table_version: u64,
    entries: BTreeMap<String, Entry>,
}

fn write_list(disk: &dyn Disk, target: &Path, list: &List) -> Result<(), BackupError> {
    let files = list.entries.iter().map(|(name, entry)| {
        let Entry { bytes, checksum } = *entry;
        json!({"name": name, "bytes": bytes, "crc32c": format!("{checksum:08x}")})
    });
    let text = json!({
        "format": 1,
        "written_by": env!("CARGO_PKG_VERSION"),
        "complete": list.is_complete,
        "table_version": list.table_version,
        "files": files.collect::<Vec<_>>(),
    });
    let path = target.join(LIST);
    let text = format!("{text:#}\n");
    write_atomically(disk, &path, &[text.as_bytes()], true)
        .map_err(|source| BackupError::Disk { path, source })
}

fn read_list(disk: &dyn Disk, target: &Path) -> Result<List, BackupError> {
    let path = target.join(LIST);
    let text = read_all(disk, &path).map_err(|source| BackupError::Disk { path, source })?;
    let damaged = || BackupError::Damaged {
        file: LIST.to_owned(),
        reason: "it is no list of files".to_owned(),
    };
    let list: Value = serde_json::from_slice(&text).map_err(|_| damaged())?;
    let entry = |file: &Value| {
        let entry = Entry {
            bytes: file["bytes"].as_u64()?,
            checksum: u32::from_str_radix(file["crc32c"].as_str()?, 16).ok()?,
        };
        Some((file["name"].as_str()?.to_owned(), entry))
    };
    let files = list["files"].as_array().ok_or_else(damaged)?.iter();
    let entries: Option<BTreeMap<String, Entry>> = files.map(entry).collect();
    Ok(List {
        is_complete: list["complete"].as_bool().unwrap_or(false),
        table_version: list["table_version"].as_u64().unwrap_or(0),
        entries: entries.ok_or_else(damaged)?,
    })
}

fn is_empty(disk: &dyn Disk, path: &Path) -> Result<bool, BackupError> {
    match disk.list(path) {
        Ok(entries) => Ok(entries.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(BackupError::Disk {
            path: path.to_owned(),
            source,
        }),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, BackupError> {
    std::path::absolute(path).map_err(|source| BackupError::Disk {
        path: path.to_owned(),
        source,
    })
}

//! From a backup to a data directory.

use std::path::Path;
use std::sync::Arc;

use super::files::copy;
use super::{BackupError, BackupReport, absolute, is_empty, read_list};
use crate::disk::Disk;
use crate::inspect::{COLD, FORMAT_FILE, LOG, Progress, RECENT, TABLE_LOG};

/// Makes a data directory from a backup. Every file is compared with its checksum.
///
/// # Errors
/// [`BackupError`]: the directory is not empty, or the backup is damaged or not complete. What was begun then has no
/// `spanlight.json`, so that nothing takes it for a data directory.
pub fn restore(
    backup: &Path,
    data_dir: &Path,
    disk: &Arc<dyn Disk>,
    progress: &Progress,
) -> Result<BackupReport, BackupError> {
    let disk = disk.as_ref();
    let (backup, data_dir) = (absolute(backup)?, absolute(data_dir)?);
    let list = read_list(disk, &backup)?;
    if !list.is_complete {
        return Err(BackupError::Target {
            path: backup,
            reason: "is a backup that was not finished; make it again".to_owned(),
        });
    }
    if !is_empty(disk, &data_dir)? {
        return Err(BackupError::Target {
            path: data_dir,
            reason: "is not empty; name a directory that does not exist yet".to_owned(),
        });
    }
    for folder in [LOG, RECENT, COLD, TABLE_LOG] {
        let path = data_dir.join(folder);
        disk.create_dir_all(&path)
            .map_err(|source| BackupError::Disk { path, source })?;
    }
    progress.expect(list.entries.values().map(|entry| entry.bytes).sum());
    let mut report = BackupReport {
        table_version: list.table_version,
        ..BackupReport::default()
    };
    // What makes it a data directory comes last.
    let (last, files): (Vec<_>, Vec<_>) = list
        .entries
        .iter()
        .partition(|(name, _)| name.as_str() == FORMAT_FILE);
    for (name, entry) in files.into_iter().chain(last) {
        let damaged = |reason: String| BackupError::Damaged {
            file: name.clone(),
            reason,
        };
        let (from, to) = (backup.join(name), data_dir.join(name));
        let stat = disk
            .stat(&from)
            .map_err(|error| damaged(error.to_string()))?;
        if stat.length != entry.bytes {
            let (is, was) = (stat.length, entry.bytes);
            return Err(damaged(format!("it has {is} bytes, and should have {was}")));
        }
        let checksum = copy(disk, &from, &to, entry.bytes, progress);
        let checksum = checksum.map_err(|source| BackupError::Disk { path: to, source })?;
        if checksum != entry.checksum {
            return Err(damaged("its checksum is wrong".to_owned()));
        }
        report.files += 1;
        report.bytes += entry.bytes;
    }
    for folder in [LOG, RECENT, COLD, TABLE_LOG, ""] {
        let path = data_dir.join(folder);
        disk.sync_dir(&path)
            .map_err(|source| BackupError::Disk { path, source })?;
    }
    Ok(report)
}

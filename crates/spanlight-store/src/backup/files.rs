//! Copying files, and knowing which need no copying.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BackupError, BackupReport};
use crate::disk::Disk;
use crate::inspect::{Place, Progress};

/// Bytes that are copied at once.
const STEP_BYTES: u64 = 4 << 20;

/// A file of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) bytes: u64,
    /// CRC-32C of all its bytes.
    pub(super) checksum: u32,
}

/// Copies files from a directory to another; names are relative to both.
#[derive(Debug)]
pub(super) struct Copier {
    pub(super) from: Place,
    pub(super) to: PathBuf,
    pub(super) copy: bool,
    /// What was there before.
    pub(super) before: BTreeMap<String, Entry>,
    /// What is there now.
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) report: BackupReport,
    pub(super) progress: Arc<Progress>,
}

impl Copier {
    /// Takes a file that does not change any more; `false` when it is gone. Those that are changed in place one day
    /// (`own`) are always copied.
    pub(super) fn file(&mut self, name: &str, own: bool) -> Result<bool, BackupError> {
        let from = self.from.path(name);
        let length = match self.from.disk.stat(&from) {
            Ok(stat) => stat.length,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(BackupError::Disk { path: from, source }),
        };
        if own || self.copy {
            return self.bytes_of(name, length);
        }
        self.progress.expect(length);
        if self.is_there(name, length) {
            return Ok(true);
        }
        let to = self.to.join(name);
        self.forget(&to)?;
        match self.from.disk.link(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            // Another file system.
            Err(_) => return self.copied(name, length),
        }
        let checksum = checksum(self.from.disk.as_ref(), &to, length, &self.progress)
            .map_err(|source| BackupError::Disk { path: to, source })?;
        self.add(name, length, checksum);
        Ok(true)
    }

    /// Copies the first bytes of a file; `false` when it is gone.
    pub(super) fn bytes_of(&mut self, name: &str, length: u64) -> Result<bool, BackupError> {
        self.progress.expect(length);
        if self.is_there(name, length) {
            return Ok(true);
        }
        self.forget(&self.to.join(name))?;
        self.copied(name, length)
    }

    fn copied(&mut self, name: &str, length: u64) -> Result<bool, BackupError> {
        let (from, to) = (self.from.path(name), self.to.join(name));
        match copy(self.from.disk.as_ref(), &from, &to, length, &self.progress) {
            Ok(checksum) => {
                self.add(name, length, checksum);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget(&to)?;
                Ok(false)
            }
            Err(source) => Err(BackupError::Disk { path: to, source }),
        }
    }

    /// Whether the file is there from before: names are not used twice, and files only grow.
    fn is_there(&mut self, name: &str, length: u64) -> bool {
        let known = self.before.get(name).filter(|entry| entry.bytes == length);
        let stat = self.from.disk.stat(&self.to.join(name));
        let Some(&entry) = known.filter(|_| stat.is_ok_and(|stat| stat.length == length)) else {
            return false;
        };
        self.entries.insert(name.to_owned(), entry);
        self.progress.advance(length);
        true
    }

    fn add(&mut self, name: &str, bytes: u64, checksum: u32) {
        self.report.new_files += 1;
        self.report.new_bytes += bytes;
        let entry = Entry { bytes, checksum };
        self.entries.insert(name.to_owned(), entry);
    }

    /// Removes what an earlier try left.
    fn forget(&self, path: &Path) -> Result<(), BackupError> {
        match self.from.disk.remove(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(BackupError::Disk {
                path: path.to_owned(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// Copies the first bytes of a file, synced; gives their checksum.
pub(super) fn copy(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    length: u64,
    progress: &Progress,
) -> io::Result<u32> {
    let mut file = None;
    let checksum = each_step(disk, from, length, progress, |bytes| {
        if file.is_none() {
            file = Some(disk.create_new(to)?);
        }
        file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    })?;
    match file {
        Some(mut file) => file.sync()?,
        // A file without bytes.
        None => disk.create_new(to)?.sync()?,
    }
    Ok(checksum)
}

pub(super) fn checksum(
    disk: &dyn Disk,
    path: &Path,
    length: u64,
    progress: &Progress,
) -> io::Result<u32> {
    each_step(disk, path, length, progress, |_| Ok(()))
}

fn each_step(
    disk: &dyn Disk,
    path: &Path,
    length: u64,
    progress: &Progress,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u32> {
    let mut checksum = 0;
    let mut at = 0;
    while at < length {
        let step = at..length.min(at + STEP_BYTES);
        at = step.end;
        for bytes in disk.read_ranges(path, std::slice::from_ref(&step))? {
            checksum = crc32c::crc32c_append(checksum, &bytes);
            take(&bytes)?;
        }
        progress.advance(step.end - step.start);
    }
    Ok(checksum)
}

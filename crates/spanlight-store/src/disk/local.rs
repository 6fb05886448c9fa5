//! The machine's own file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, pread};

use super::{Disk, DiskFile, Entry, Lock, Stat};

/// From so many bytes on a range is read as a stream, for which the system reads ahead.
const STREAM_BYTES: u64 = 4 << 20;

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile {
            file: File::create_new(path)?,
        }))
    }

    fn read_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> io::Result<Vec<Vec<u8>>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        // Before memory is taken: a range may come from a damaged file.
        if ranges.iter().any(|range| range.end > length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        advise(&file, ranges);
        ranges
            .iter()
            .map(|range| read_range(&file, range))
            .collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        stat_of(&fs::metadata(path)?)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                stat: stat_of(&metadata)?,
            });
        }
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path, content: &str) -> io::Result<Lock> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all(content.as_bytes())?;
                Ok(Lock::Held(Box::new(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                file.take(64).read_to_string(&mut by)?;
                Ok(Lock::Taken(by))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Tells the system what is read, which is less than it would guess from where the ranges lie, and lets it fetch all of
/// it at once. Advice that is not taken does no harm.
fn advise(file: &File, ranges: &[Range<u64>]) {
    let lengths = ranges
        .iter()
        .map(|range| range.end.saturating_sub(range.start));
    let lengths: Vec<u64> = lengths.collect();
    if lengths.iter().all(|length| *length < STREAM_BYTES) {
        fadvise(file, 0, None, Advice::Random).ok();
    }
    if lengths.len() > 1 {
        for (range, length) in ranges.iter().zip(lengths) {
            // No length would be all that follows.
            if let Some(length) = NonZeroU64::new(length) {
                fadvise(file, range.start, Some(length), Advice::WillNeed).ok();
            }
        }
    }
}

fn read_range(file: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let length = range.end.saturating_sub(range.start);
    let length = usize::try_from(length).map_err(io::Error::other)?;
    // Memory that nobody has zeroed, filled by one call where that can be.
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = range.start + bytes.len() as u64;
        match pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The memory may be more than was asked for.
    bytes.truncate(length);
    Ok(bytes)
}

fn stat_of(metadata: &fs::Metadata) -> io::Result<Stat> {
    Ok(Stat {
        length: metadata.len(),
        modified: metadata.modified()?,
        is_dir: metadata.is_dir(),
    })
}

struct LocalFile {
    file: File,
}

impl DiskFile for LocalFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

//! The machine's own file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::Path;

use super::{Disk, DiskFile, Entry, Lock, Stat};

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
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        ranges
            .iter()
            .map(|range| read_range(&mut file, range, length))
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

fn read_range(file: &mut File, range: &Range<u64>, file_length: u64) -> io::Result<Vec<u8>> {
    let length = range.end.saturating_sub(range.start);
    // Before the memory is taken: the range may come from a damaged file.
    if file_length < range.end {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let capacity = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(capacity);
    file.seek(SeekFrom::Start(range.start))?;
    // Into memory that nobody has zeroed.
    file.take(length).read_to_end(&mut bytes)?;
    match bytes.len() == capacity {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
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

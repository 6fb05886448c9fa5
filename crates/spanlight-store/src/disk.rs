//! The only door to the file system, for the log and the cold tier alike, so that tests can pull the plug behind it.
//!
//! Every call blocks; callers are on blocking threads. Paths are absolute. Nothing is durable before it is synced:
//! a file's bytes by [`DiskFile::sync`], its name by [`Disk::sync_dir`].

mod local;

use std::any::Any;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

pub use local::LocalDisk;

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a directory and its parents; fine when it is there.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that must not exist, for writing.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Bytes of a file, range by range. A range beyond the end is an error of kind `UnexpectedEof`.
    fn read_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> io::Result<Vec<Vec<u8>>>;
    /// What is known of a file or directory.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// The names in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Gives a file another name, replacing the file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, which must be free (`AlreadyExists` otherwise). Atomic.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Cuts a file to this length, and syncs it.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the lock that this file stands for, until the guard is dropped, and writes `content` into the file.
    fn lock(&self, path: &Path, content: &str) -> io::Result<Lock>;
}

/// A file that is being written, from its beginning to its end.
pub trait DiskFile: Send {
    /// Appends bytes.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything written so far durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// What is known of a file or directory.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// Bytes.
    pub length: u64,
    /// Time of the last change.
    pub modified: SystemTime,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A name in a directory.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name, without its directory.
    pub name: String,
    /// What it stands for.
    pub stat: Stat,
}

/// Whether a lock was to be had.
pub enum Lock {
    /// It is ours until this is dropped.
    Held(Box<dyn Any + Send + Sync>),
    /// Another holds it, who wrote this.
    Taken(String),
}

impl fmt::Debug for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(_) => formatter.write_str("Held"),
            Self::Taken(by) => formatter.debug_tuple("Taken").field(by).finish(),
        }
    }
}

/// The whole file.
pub(crate) fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let length = disk.stat(path)?.length;
    let whole = 0..length;
    let mut parts = disk.read_ranges(path, std::slice::from_ref(&whole))?;
    Ok(parts.pop().unwrap_or_default())
}

/// Writes a file under its final name only once its bytes are durable, then makes the name durable.
/// `replace` says whether a file of that name may be there; if not, it stays and the error is `AlreadyExists`.
pub(crate) fn write_atomically(
    disk: &dyn Disk,
    path: &Path,
    parts: &[&[u8]],
    replace: bool,
) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}{TEMPORARY}", uuid::Uuid::new_v4()));
    let written = write_and_place(disk, path, &temporary, parts, replace);
    if written.is_err() || !replace {
        // A left-over is only litter: recovery removes it.
        disk.remove(&temporary).ok();
    }
    written?;
    disk.sync_dir(directory)
}

fn write_and_place(
    disk: &dyn Disk,
    path: &Path,
    temporary: &Path,
    parts: &[&[u8]],
    replace: bool,
) -> io::Result<()> {
    let mut file = disk.create_new(temporary)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync()?;
    drop(file);
    if replace {
        disk.rename(temporary, path)
    } else {
        disk.link(temporary, path)
    }
}

/// The name under which a file is written that will have this name when it is finished.
pub(crate) fn temporary_name(name: &str) -> String {
    format!(".{name}{TEMPORARY}")
}

/// The ending of files that are not finished.
const TEMPORARY: &str = ".tmp";

/// Whether a name is that of a file which was never finished.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

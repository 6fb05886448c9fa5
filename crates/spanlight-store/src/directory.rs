//! The data directory as a whole: its lock, its format, and where things are in it.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::disk::{Disk, Lock, read_all, write_atomically};
use crate::error::OpenError;

/// The format of the directory that this version writes, and the newest that it reads.
const FORMAT: u32 = 2;

/// A data directory that is ours until this is dropped.
pub(crate) struct Directory {
    pub(crate) root: PathBuf,
    /// Names this directory in the commits to the table, so that the log knows which of them are its own.
    pub(crate) app_id: String,
    _lock: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Directory")
            .field("root", &self.root)
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

impl Directory {
    /// Makes the directory when it is missing, takes its lock, and checks its format.
    pub(crate) fn open(disk: &dyn Disk, root: &Path) -> Result<Self, OpenError> {
        let writable = |path: PathBuf| {
            move |source: io::Error| OpenError::NotWritable {
                path: path.clone(),
                source,
            }
        };
        disk.create_dir_all(root)
            .map_err(writable(root.to_owned()))?;
        let lock_path = root.join("lock");
        let lock = disk
            .lock(&lock_path, &std::process::id().to_string())
            .map_err(writable(lock_path))?;
        let lock = match lock {
            Lock::Held(lock) => lock,
            Lock::Taken(by) => {
                return Err(OpenError::Locked {
                    path: root.to_owned(),
                    pid: by.trim().parse().ok(),
                });
            }
        };
        let app_id = match read_format(disk, root)? {
            Some(app_id) => app_id,
            None => {
                let app_id = format!("spanlight-{}", uuid::Uuid::new_v4());
                write_format(disk, root, &app_id).map_err(writable(format_path(root)))?;
                app_id
            }
        };
        let directory = Self {
            root: root.to_owned(),
            app_id,
            _lock: lock,
        };
        directory.prepare(disk).map_err(writable(root.to_owned()))?;
        Ok(directory)
    }

    /// Makes the folders, and makes every name that recovery will rely on durable: a name that is only in the page
    /// cache may be gone after the next power cut, and what it replaced with it.
    fn prepare(&self, disk: &dyn Disk) -> io::Result<()> {
        for folder in [self.log(), self.recent(), self.cold(), self.table_log()] {
            disk.create_dir_all(&folder)?;
        }
        self.sync_table(disk)?;
        disk.sync_dir(&self.log())?;
        disk.sync_dir(&self.recent())?;
        disk.sync_dir(&self.root)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Data files between memory and the table.
    pub(crate) fn recent(&self) -> PathBuf {
        self.root.join("recent")
    }

    pub(crate) fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    pub(crate) fn cold(&self) -> PathBuf {
        self.root.join("cold")
    }

    /// Makes the names of the table's files and commits durable.
    pub(crate) fn sync_table(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.sync_dir(&self.cold())?;
        disk.sync_dir(&self.table_log())
    }

    pub(crate) fn table_log(&self) -> PathBuf {
        self.cold().join("_delta_log")
    }
}

fn format_path(root: &Path) -> PathBuf {
    root.join("spanlight.json")
}

/// The application id of a directory that has a format, brought up to the present one; `None` when it is new.
fn read_format(disk: &dyn Disk, root: &Path) -> Result<Option<String>, OpenError> {
    let path = format_path(root);
    let bytes = match read_all(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return new_directory(disk, root).map(|()| None);
        }
        Err(source) => return Err(OpenError::Disk { path, source }),
    };
    let damaged = |reason: &str| OpenError::Damaged {
        path: path.clone(),
        reason: format!("{reason}; restore it from a backup, or choose another directory"),
    };
    let format: Value = serde_json::from_slice(&bytes).map_err(|_| damaged("it is not JSON"))?;
    let found = format["format"]
        .as_u64()
        .and_then(|found| u32::try_from(found).ok())
        .ok_or_else(|| damaged("it names no format"))?;
    if found > FORMAT {
        return Err(OpenError::NewerVersion {
            path: root.to_owned(),
            found,
            supported: FORMAT,
            written_by: format["written_by"].as_str().unwrap_or("?").to_owned(),
        });
    }
    let app_id = format["app_id"].as_str().filter(|id| !id.is_empty());
    let app_id = app_id.ok_or_else(|| damaged("it names no application id"))?;
    if found < FORMAT {
        // What an older version left is read as it is; from now on that version must not open the directory.
        tracing::info!(from = found, to = FORMAT, "upgraded the data directory");
        let written = write_format(disk, root, app_id);
        written.map_err(|source| OpenError::NotWritable { path, source })?;
    }
    Ok(Some(app_id.to_owned()))
}

/// A directory without a format must be without data too: the format comes first, and is synced first.
fn new_directory(disk: &dyn Disk, root: &Path) -> Result<(), OpenError> {
    for folder in ["log", "recent", "cold/_delta_log"] {
        let path = root.join(folder);
        let entries = match disk.list(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(OpenError::Disk { path, source }),
        };
        if entries.iter().any(|entry| !entry.stat.is_dir) {
            return Err(OpenError::Damaged {
                path: format_path(root),
                reason: format!(
                    "it is missing, though there is data in {}; restore it from a backup, or choose another directory",
                    path.display()
                ),
            });
        }
    }
    Ok(())
}

fn write_format(disk: &dyn Disk, root: &Path, app_id: &str) -> io::Result<()> {
    let format = json!({
        "format": FORMAT,
        "app_id": app_id,
        "written_by": env!("CARGO_PKG_VERSION"),
    });
    let text = format!("{format:#}\n");
    write_atomically(disk, &format_path(root), &[text.as_bytes()], true)
}

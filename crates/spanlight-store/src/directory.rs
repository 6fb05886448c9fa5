//! The data directory as a whole: its lock, its format, and where things are in it.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cold::remote::ColdLocation;
use crate::disk::{Disk, Lock, read_all, write_atomically};
use crate::error::OpenError;

/// The format of the directory that this version writes, and the newest that it reads.
const FORMAT: u32 = 2;
/// The lock of a table outside the data directory. Delta's tools pass over names that begin with an underscore.
const TABLE_LOCK: &str = "_spanlight.lock";

/// Says where the table is, if not below the data directory.
const TABLE_PLACE: &str = "table.json";

/// A data directory that is ours until this is dropped.
pub(crate) struct Directory {
    pub(crate) root: PathBuf,
    /// Names this directory in the commits to the table, so that the log knows which of them are its own.
    pub(crate) app_id: String,
    /// Where the table is; for a remote one, what stands for it in paths.
    cold: PathBuf,
    is_cold_remote: bool,
    _locks: Vec<Box<dyn Any + Send + Sync>>,
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
    pub(crate) fn open(
        disk: &dyn Disk,
        root: &Path,
        location: &ColdLocation,
    ) -> Result<Self, OpenError> {
        let mut locks = vec![lock(disk, root, "lock")?];
        let app_id = match read_format(disk, root)? {
            Some(app_id) => app_id,
            None => {
                let app_id = format!("spanlight-{}", uuid::Uuid::new_v4());
                write_format(disk, root, &app_id).map_err(not_writable(&format_path(root)))?;
                app_id
            }
        };
        refuse_forgotten_table(disk, root, location)?;
        let own = root.join("cold");
        let cold = match location {
            ColdLocation::DataDir | ColdLocation::Objects(_) => own.clone(),
            ColdLocation::Directory(path) => {
                locks.push(lock(disk, path, TABLE_LOCK)?);
                path.clone()
            }
        };
        let is_cold_remote = matches!(location, ColdLocation::Objects(_));
        if is_cold_remote || cold != own {
            refuse_left_table(disk, &own)?;
        }
        let directory = Self {
            root: root.to_owned(),
            app_id,
            cold,
            is_cold_remote,
            _locks: locks,
        };
        directory.prepare(disk).map_err(not_writable(root))?;
        Ok(directory)
    }

    /// Notes where the table is, so that it is missed when the setting is.
    pub(crate) fn note_table(&self, disk: &dyn Disk, location: &ColdLocation) -> io::Result<()> {
        let Some(url) = location.url() else {
            return Ok(());
        };
        let path = self.root.join(TABLE_PLACE);
        let before = noted_table(disk, &self.root);
        if before.as_ref() == Some(&url) {
            return Ok(());
        }
        if let Some(before) = before {
            tracing::warn!(
                before,
                now = url,
                "the table is at another place than before"
            );
        }
        let text = format!("{:#}\n", json!({ "url": url }));
        write_atomically(disk, &path, &[text.as_bytes()], true)
    }

    /// Makes the folders, and makes every name that recovery will rely on durable: a name that is only in the page
    /// cache may be gone after the next power cut, and what it replaced with it.
    fn prepare(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.create_dir_all(&self.log())?;
        disk.create_dir_all(&self.recent())?;
        if self.is_cold_remote {
            disk.create_dir_all(&self.upload())?;
        } else {
            disk.create_dir_all(&self.cold())?;
            disk.create_dir_all(&self.table_log())?;
            self.sync_table(disk)?;
        }
        disk.sync_dir(&self.log())?;
        disk.sync_dir(&self.recent())?;
        disk.sync_dir(&self.root)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Data files between memory and the table.
    /// What was counted of all spans.
    pub(crate) fn counters(&self) -> PathBuf {
        self.root.join("counters.json")
    }

    pub(crate) fn recent(&self) -> PathBuf {
        self.root.join("recent")
    }

    /// What the sampling policy decided.
    pub(crate) fn decisions(&self) -> PathBuf {
        self.root.join("decisions")
    }

    pub(crate) fn damaged(&self) -> PathBuf {
        self.root.join("damaged")
    }

    /// Whether the table is on an object store.
    pub(crate) fn is_cold_remote(&self) -> bool {
        self.is_cold_remote
    }

    /// The cache of remote files.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Files on their way to a remote table.
    pub(crate) fn upload(&self) -> PathBuf {
        self.root.join("upload")
    }

    pub(crate) fn cold(&self) -> PathBuf {
        self.cold.clone()
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

fn not_writable(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::NotWritable {
        path: path.clone(),
        source,
    }
}

/// Makes a directory when it is missing, and takes its lock.
fn lock(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
) -> Result<Box<dyn Any + Send + Sync>, OpenError> {
    create_durably(disk, directory).map_err(not_writable(directory))?;
    let path = directory.join(name);
    let lock = disk
        .lock(&path, &std::process::id().to_string())
        .map_err(not_writable(&path))?;
    match lock {
        Lock::Held(lock) => Ok(lock),
        Lock::Taken(by) => Err(OpenError::Locked {
            path: directory.to_owned(),
            pid: by.trim().parse().ok(),
        }),
    }
}

/// Where the table was last, if not below the data directory.
pub(crate) fn noted_table(disk: &dyn Disk, root: &Path) -> Option<String> {
    let bytes = read_all(disk, &root.join(TABLE_PLACE)).ok()?;
    let place: Value = serde_json::from_slice(&bytes).ok()?;
    place["url"].as_str().map(str::to_owned)
}

/// A table elsewhere would be invisible when nothing says where.
fn refuse_forgotten_table(
    disk: &dyn Disk,
    root: &Path,
    location: &ColdLocation,
) -> Result<(), OpenError> {
    match noted_table(disk, root) {
        Some(url) if location.url().is_none() => Err(OpenError::ForgottenTable {
            path: root.join(TABLE_PLACE),
            url,
        }),
        _ => Ok(()),
    }
}

/// A table below the data directory would be invisible while another place is set.
fn refuse_left_table(disk: &dyn Disk, own: &Path) -> Result<(), OpenError> {
    match disk.list(&own.join("_delta_log")) {
        Ok(entries) if !entries.is_empty() => Err(OpenError::LeftTable {
            path: own.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Makes the directory, and makes durable its name and those of the parents that were missing.
fn create_durably(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| disk.stat(path).is_err();
    let missing = root.ancestors().take_while(is_missing).count();
    disk.create_dir_all(root)?;
    for parent in root.ancestors().skip(1).take(missing.max(1)) {
        match disk.sync_dir(parent) {
            // Only its owner can do more.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
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

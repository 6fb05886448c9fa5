//! Looking at a data directory without opening it: nothing is recovered, nothing is written, and a server may be
//! running on it meanwhile. What `verify`, `usage` and `backup` have in common: which files there are.
//!
//! Data moves from the log to the recent level to the table and no way else, and leaves a place only when it is in the
//! next. Who looks at the places in this order sees every span at least once, whatever moves meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deltalake_core::logstore::LogStoreRef;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use serde_json::Value;

use crate::cold::object_store::DiskStore;
use crate::cold::remote::ColdLocation;
use crate::cold::remote::disk::RemoteDisk;
use crate::cold::remote::gate::Gate;
use crate::cold::sealed::log_store;
use crate::directory::noted_table;
use crate::disk::{Disk, Lock, read_all};

/// Why a directory cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is no data directory.
    #[error("{} is no data directory of Spanlight: {reason}", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The table is elsewhere, and it was not said where.
    #[error(
        "the table of {} is at {url}, and storage.cold_url is not set; set it as the server has it",
        path.display()
    )]
    Elsewhere {
        /// The directory.
        path: PathBuf,
        /// Where the table is.
        url: String,
    },
    /// The table's log cannot be read.
    #[error("the table in {} cannot be read: {reason}", path.display())]
    Table {
        /// The table's directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// How far a long look is; read by others while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Bytes that were looked at, and bytes that there are.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A data directory that is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    /// Behind it are the files of a remote table, too.
    pub(crate) disk: Arc<dyn Disk>,
    /// The table's directory, or what stands for it in paths.
    cold: PathBuf,
    table: LogStoreRef,
}

/// A data file by its commit.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) spans: u64,
    /// The statistics of the commit, as JSON.
    pub(crate) statistics: Value,
}

/// The table at one version.
#[derive(Debug)]
pub(crate) struct TableState {
    pub(crate) version: u64,
    pub(crate) files: BTreeMap<String, TableFile>,
    /// Files that left it, which stay on the disk for a while.
    pub(crate) gone: BTreeSet<String>,
    /// The names of its columns.
    pub(crate) columns: BTreeSet<String>,
}

impl Place {
    /// Must be called on a runtime of several threads, where the table is remote.
    pub(crate) fn find(
        root: &Path,
        disk: &Arc<dyn Disk>,
        location: &ColdLocation,
    ) -> Result<Self, InspectError> {
        let root = std::path::absolute(root).map_err(|source| InspectError::Disk {
            path: root.to_owned(),
            source,
        })?;
        let none = |reason: &str| InspectError::NoDirectory {
            path: root.clone(),
            reason: reason.to_owned(),
        };
        let path = root.join(FORMAT_FILE);
        let format = match read_all(disk.as_ref(), &path) {
            Ok(format) => format,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(none("it has no spanlight.json"));
            }
            Err(source) => return Err(InspectError::Disk { path, source }),
        };
        let format: Value =
            serde_json::from_slice(&format).map_err(|_| none("its spanlight.json is damaged"))?;
        if format["format"].as_u64().is_none() {
            return Err(none("its spanlight.json names no format"));
        }
        let url = noted_table(disk.as_ref(), &root);
        if let Some(url) = url.filter(|_| location.url().is_none()) {
            return Err(InspectError::Elsewhere { path: root, url });
        }
        Ok(Self::of(root, Arc::clone(disk), location))
    }

    /// A directory that is known to be one.
    pub(crate) fn of(root: PathBuf, disk: Arc<dyn Disk>, location: &ColdLocation) -> Self {
        let own = root.join(COLD);
        let (cold, objects, disk): (_, Arc<dyn ObjectStore>, _) = match location {
            ColdLocation::DataDir => {
                let objects = DiskStore::at(Arc::clone(&disk), &own);
                (own, Arc::new(objects), disk)
            }
            ColdLocation::Directory(path) => {
                let objects = DiskStore::at(Arc::clone(&disk), path);
                (path.clone(), Arc::new(objects), disk)
            }
            ColdLocation::Objects(location) => {
                let gate = Arc::new(Gate::new(location.clone()));
                let disk = RemoteDisk::reading(disk, Arc::clone(&gate), own.clone());
                (own, gate, Arc::new(disk))
            }
        };
        Self {
            root,
            disk,
            cold,
            table: log_store(objects),
        }
    }

    /// A file or folder by its name, such as `cold/_delta_log`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match name.strip_prefix(COLD) {
            Some("") => self.cold.clone(),
            Some(rest) if rest.starts_with('/') => self.cold.join(&rest[1..]),
            _ => self.root.join(name),
        }
    }

    /// The lock, held as long as this lives; `None` when a server has it.
    pub(crate) fn lock(
        &self,
    ) -> Result<Option<Box<dyn std::any::Any + Send + Sync>>, InspectError> {
        let path = self.root.join("lock");
        let lock = self.disk.lock(&path, &std::process::id().to_string());
        match lock {
            Ok(Lock::Held(held)) => Ok(Some(held)),
            Ok(Lock::Taken(_)) => Ok(None),
            Err(source) => Err(InspectError::Disk { path, source }),
        }
    }

    /// The names and lengths of the files in a folder, sorted; none when there is no such folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, InspectError> {
        let path = self.path(folder);
        let entries = match self.disk.list(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(InspectError::Disk { path, source }),
        };
        let files = entries
            .into_iter()
            .filter(|entry| !entry.stat.is_dir && !entry.name.starts_with(OURS));
        let mut files: Vec<_> = files.map(|entry| (entry.name, entry.stat.length)).collect();
        files.sort_unstable();
        Ok(files)
    }

    /// The table as it is now.
    pub(crate) async fn table(&self) -> Result<TableState, InspectError> {
        let read = read_table(Arc::clone(&self.table)).await;
        read.map_err(|error| InspectError::Table {
            path: self.cold.clone(),
            reason: error.to_string(),
        })
    }
}

pub(crate) const FORMAT_FILE: &str = "spanlight.json";
pub(crate) const LOG: &str = "log";
pub(crate) const RECENT: &str = "recent";
pub(crate) const COLD: &str = "cold";
pub(crate) const TABLE_LOG: &str = "cold/_delta_log";

/// Files of ours beside the table's.
const OURS: &str = "_spanlight";

async fn read_table(log_store: LogStoreRef) -> Result<TableState, DeltaTableError> {
    let mut table = DeltaTable::new(log_store);
    table.load().await?;
    let state = table.snapshot()?;
    let log_store = table.log_store();
    let mut files = BTreeMap::new();
    for view in state.snapshot().try_log_data()?.iter() {
        let name = view.path().into_owned();
        let statistics = view.stats().unwrap_or_default();
        let file = TableFile {
            name: name.clone(),
            bytes: u64::try_from(view.size()).unwrap_or(0),
            spans: view.num_records().unwrap_or(0) as u64,
            statistics: serde_json::from_str(&statistics).unwrap_or_default(),
        };
        files.insert(name, file);
    }
    let gone = state.all_tombstones(log_store.as_ref());
    let gone = gone.map_ok(|view| view.path().into_owned());
    Ok(TableState {
        version: state.version(),
        files,
        gone: gone.try_collect().await?,
        columns: state
            .schema()
            .fields()
            .map(|field| field.name().clone())
            .collect(),
    })
}

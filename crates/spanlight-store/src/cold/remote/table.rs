//! How a store gets to its remote table: everything between the options and [`Table`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _};
use tokio::task;

use super::ColdLocation;
use super::disk::RemoteDisk;
use super::gate::Gate;
use super::lease::{CLAIM, LeaseError};
use crate::cold::cache::BlockCache;
use crate::cold::table::{Place, Table, TableError};
use crate::directory::Directory;
use crate::error::OpenError;
use crate::options::StoreOptions;
use crate::statistics::CacheStatistics;

/// How long a start waits for a store that does not answer.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// The parts that a remote table needs on this side.
#[derive(Debug, Clone)]
pub(crate) struct RemoteTable {
    gate: Arc<Gate>,
    cache: Arc<BlockCache>,
}

impl RemoteTable {
    /// Puts the table's files behind the disk's door; `None` for a local table.
    pub(crate) async fn attach(
        options: &mut StoreOptions,
        directory: &Directory,
    ) -> Result<Option<Self>, OpenError> {
        let ColdLocation::Objects(location) = &options.cold else {
            return Ok(None);
        };
        let gate = Arc::new(Gate::new(location.clone()));
        let disk = Arc::clone(&options.disk);
        let (folder, bytes_max) = (directory.cache(), options.cache_bytes);
        let cache = task::spawn_blocking(move || BlockCache::open(disk, folder, bytes_max)).await;
        let cache = cache.unwrap_or_else(|error| Err(io::Error::other(error)));
        let cache = Arc::new(cache.map_err(|source| OpenError::NotWritable {
            path: directory.cache(),
            source,
        })?);
        options.disk = Arc::new(RemoteDisk::new(
            Arc::clone(&options.disk),
            Arc::clone(&gate),
            Arc::clone(&cache),
            directory.cold(),
            directory.upload(),
        ));
        Ok(Some(Self { gate, cache }))
    }

    /// Why the store cannot be reached; `None` when it answers.
    pub(crate) fn outage(&self) -> Option<String> {
        self.gate.outage()
    }

    pub(crate) fn cache_statistics(&self) -> CacheStatistics {
        self.cache.statistics()
    }

    /// The table; unread when its store cannot be reached now.
    pub(crate) async fn open(
        &self,
        options: &StoreOptions,
        directory: &Directory,
    ) -> Result<Table, OpenError> {
        let place = Place::remote(Arc::clone(&self.gate), directory, options.lease_term);
        let claim = Path::from(CLAIM);
        match tokio::time::timeout(START_PATIENCE, self.gate.head(&claim)).await {
            Ok(Ok(_) | Err(Error::NotFound { .. })) => {}
            Ok(Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }))) => {
                return Err(self.refused(&error));
            }
            // The gate has logged why.
            Ok(Err(_)) => return Ok(Table::unread(place)),
            Err(_) => {
                self.gate.note_silence();
                return Ok(Table::unread(place));
            }
        }
        // Another's claim that nobody renews runs out within its term, and one that is alive is renewed before.
        let patience = options.lease_term + options.lease_term / 4;
        match Table::open(place.clone(), patience).await {
            Ok(table) => Ok(table),
            Err(TableError::Lease(LeaseError::Taken(why))) => Err(OpenError::Remote(why)),
            Err(_) if self.gate.outage().is_some() => Ok(Table::unread(place)),
            Err(error) => Err(OpenError::Remote(format!("{}: {error}", self.gate.name()))),
        }
    }

    fn refused(&self, error: &Error) -> OpenError {
        let reason = super::gate::describe(error);
        OpenError::Remote(format!(
            "{} refuses the credentials: {reason}",
            self.gate.name()
        ))
    }
}

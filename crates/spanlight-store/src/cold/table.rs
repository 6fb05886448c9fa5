//! The Delta table: which files are in it, and the commits that change that.
//!
//! Each commit of a flush carries a `txn` action with the last sequence number of the log that it covers, so that
//! recovery knows what the table already has. A commit whose outcome is unknown is looked up, never repeated blindly.
//!
//! A commit lands only on the version that its committer has read, so that two servers can never commit past each
//! other. On an object store each committer has a term besides: it begins with a commit of its own, whose number every
//! later commit repeats; who finds a higher number in the table has lost it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::Schema;
use deltalake_core::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use deltalake_core::kernel::transaction::{CommitBuilder, TransactionError};
use deltalake_core::kernel::{Action, Add, MetadataExt as _, Remove, StructType, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError, TableProperty, checkpoints};
use futures::TryStreamExt as _;
use object_store::ObjectStore;

use super::catalogue::Catalogue;
use super::object_store::DiskStore;
use super::remote::gate::Gate;
use super::remote::lease::{Claimant, Lease, LeaseError};
use super::schema::{evolved, table_schema};
use super::sealed::log_store;
use super::statistics::{parse_stats, stats};
use super::{ColdFile, ColdTier, FileTimes};
use crate::directory::Directory;
use crate::disk::Disk;

/// Commits between two checkpoints: what is replayed at a start, at most.
const CHECKPOINT_INTERVAL: u64 = 20;
/// How long old commits are kept for those who read an older version of the table.
const LOG_RETENTION: &str = "interval 1 days";

/// Names the committer's term in the commits of a table on an object store.
const TERM_APP_ID: &str = "spanlight-committer";
/// Versions by others that a commit gives way to, one after the other.
const CONFLICTS_MAX: usize = 5;

/// The table, as its only committer sees it.
pub(crate) struct Table {
    place: Place,
    /// `None` until it could be read.
    table: Option<DeltaTable>,
    term: Option<Term>,
    /// The last commit's outcome is unknown: look before anything else.
    doubtful: bool,
}

/// Where the table is, and who we are in its commits.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    log: LogStoreRef,
    /// What file names are relative to, behind the disk's door.
    directory: PathBuf,
    app_id: String,
    remote: Option<Remote>,
}

#[derive(Debug, Clone)]
struct Remote {
    gate: Arc<Gate>,
    claimant: Claimant,
    lease_term: Duration,
}

/// The time in which a table on an object store is ours.
#[derive(Debug)]
struct Term {
    lease: Lease,
    /// Grows by one with each committer.
    number: i64,
}

/// Why the table was not read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error(transparent)]
    Delta(#[from] DeltaTableError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error("another server has taken over the table")]
    Superseded,
}

impl Place {
    /// A table in a local directory.
    pub(crate) fn local(disk: Arc<dyn Disk>, directory: &Arc<Directory>) -> Self {
        Self {
            log: log_store(Arc::new(DiskStore::new(disk, directory))),
            directory: directory.cold(),
            app_id: directory.app_id.clone(),
            remote: None,
        }
    }

    /// A table on an object store. A claim of another on it is dead when it was not renewed for `lease_term`.
    pub(crate) fn remote(gate: Arc<Gate>, directory: &Directory, lease_term: Duration) -> Self {
        let claimant = Claimant {
            app_id: directory.app_id.clone(),
            directory: directory.root.display().to_string(),
        };
        Self {
            log: log_store(Arc::clone(&gate) as Arc<dyn ObjectStore>),
            directory: directory.cold(),
            app_id: directory.app_id.clone(),
            remote: Some(Remote {
                gate,
                claimant,
                lease_term,
            }),
        }
    }
}

/// What a commit does.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    pub(crate) add: &'a [Arc<ColdFile>],
    pub(crate) remove: &'a [Arc<ColdFile>],
    /// The spans of the table stay the same; only the files are others.
    pub(crate) is_rewrite: bool,
    /// The last sequence number of the log that is in the table now.
    pub(crate) through: Option<u64>,
    /// Milliseconds, for the commit's own records.
    pub(crate) now_unix_milli: i64,
}

impl Table {
    /// Opens the table, or creates it. `patience` is how long to wait for another's claim to run out.
    pub(crate) async fn open(place: Place, patience: Duration) -> Result<Self, TableError> {
        let mut table = Self::unread(place);
        table.read(patience).await?;
        Ok(table)
    }

    /// A table that cannot be reached now: [`Table::reload`] tries again.
    pub(crate) fn unread(place: Place) -> Self {
        Self {
            place,
            table: None,
            term: None,
            doubtful: true,
        }
    }

    async fn read(&mut self, patience: Duration) -> Result<(), TableError> {
        let lease = match &self.place.remote {
            Some(remote) => {
                let (gate, term) = (&remote.gate, remote.lease_term);
                Some(Lease::take(gate, &remote.claimant, term, patience).await?)
            }
            None => None,
        };
        let mut table = open_or_create(&self.place.log).await?;
        if let Some(lease) = lease {
            let number = begin_term(&mut table).await?;
            self.term = Some(Term { lease, number });
        }
        self.table = Some(table);
        self.doubtful = false;
        // A table of the first version gets the columns of this one.
        self.add_columns(&Catalogue::default()).await
    }

    fn table(&self) -> Result<&DeltaTable, DeltaTableError> {
        self.table.as_ref().ok_or(DeltaTableError::NotInitialized)
    }

    /// The attribute columns of the table.
    pub(crate) fn catalogue(&self) -> Catalogue {
        let schema = self.schema();
        schema.map_or_else(
            |_| Catalogue::default(),
            |schema| Catalogue::of_schema(&schema),
        )
    }

    fn schema(&self) -> Result<Schema, DeltaTableError> {
        let schema = self.table()?.snapshot()?.schema();
        Ok(schema.as_ref().try_into_arrow()?)
    }

    /// Gives the table these attribute columns, by a commit of its own, unless it has them. A file that has them may
    /// be added afterwards. An error leaves the table in doubt.
    pub(crate) async fn add_columns(&mut self, columns: &Catalogue) -> Result<(), TableError> {
        let Some((schema, new)) = evolved(&self.schema()?, columns) else {
            return Ok(());
        };
        self.check_ours().await?;
        let schema: StructType = (&schema).try_into_kernel().map_err(DeltaTableError::from)?;
        let metadata = self.table()?.snapshot()?.metadata().clone();
        let metadata = metadata
            .with_schema(&schema)
            .map_err(DeltaTableError::from)?;
        let names: HashSet<&str> = new.iter().map(String::as_str).collect();
        let fields = schema
            .fields()
            .filter(|field| names.contains(field.name().as_str()));
        let operation = DeltaOperation::AddColumn {
            fields: fields.cloned().collect(),
        };
        self.commit_actions(vec![Action::Metadata(metadata)], operation)
            .await
    }

    /// Gives the table up for the next one, at the end.
    pub(crate) async fn close(self) {
        if let Some(term) = self.term {
            term.lease.release().await;
        }
    }

    /// The last sequence number of the log that is in the table.
    pub(crate) async fn committed(&self) -> Result<u64, DeltaTableError> {
        let version = txn_version(self.table()?, &self.place.app_id).await?;
        Ok(version.and_then(|v| u64::try_from(v).ok()).unwrap_or(0))
    }

    /// The files of the table.
    pub(crate) fn files(&self) -> Result<ColdTier, DeltaTableError> {
        let state = self.table()?.snapshot()?;
        let mut files = Vec::new();
        for view in state.snapshot().try_log_data()?.iter() {
            let name = view.path().into_owned();
            let stats = view.stats().unwrap_or_default();
            let (spans, times) = parse_stats(&stats).unwrap_or((
                view.num_records().unwrap_or(0) as u64,
                FileTimes {
                    received_max: view.modification_time().saturating_mul(1_000_000),
                    ..FileTimes::ANY
                },
            ));
            files.push(Arc::new(ColdFile {
                path: self.place.directory.join(&name),
                bytes: u64::try_from(view.size()).unwrap_or(0),
                name,
                spans,
                times,
                columns: Arc::default(),
            }));
        }
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(ColdTier {
            files: Arc::new(files),
            version: state.version(),
            missing: None,
        })
    }

    /// Files that left the table, and when, in unix milliseconds.
    pub(crate) async fn tombstones(&self) -> Result<BTreeMap<String, i64>, DeltaTableError> {
        let table = self.table()?;
        let log_store = table.log_store();
        let tombstones = table.snapshot()?.all_tombstones(log_store.as_ref());
        tombstones
            .map_ok(|view| {
                let removed = view.deletion_timestamp().unwrap_or(0);
                (view.path().into_owned(), removed)
            })
            .try_collect()
            .await
    }

    /// Whether the last commit's outcome is unknown; [`Table::reload`] ends that.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Whether the table was ever read; until then nothing is known of its files.
    pub(crate) fn is_read(&self) -> bool {
        self.table.is_some()
    }

    /// What was read of the table may not be durable.
    pub(crate) fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// Why it is not worth trying now: the store was away a moment ago.
    pub(crate) fn check_open(&self) -> Result<(), String> {
        let gate = self.place.remote.as_ref().map(|remote| &remote.gate);
        match gate.filter(|gate| !gate.is_open()) {
            Some(gate) => Err(gate.outage().unwrap_or_default()),
            None => Ok(()),
        }
    }

    /// Whether the table is ours to change, and its files ours to remove.
    pub(crate) async fn check_ours(&self) -> Result<(), TableError> {
        match &self.term {
            Some(term) => Ok(term.lease.check().await?),
            None if self.place.remote.is_some() => Err(DeltaTableError::NotInitialized.into()),
            None => Ok(()),
        }
    }

    /// Commits. After an error the outcome is unknown: reload, and look.
    pub(crate) async fn commit(&mut self, change: &Change<'_>) -> Result<(), TableError> {
        self.check_ours().await?;
        let mut actions: Vec<Action> = Vec::new();
        let adds = change.add.iter();
        actions.extend(adds.map(|file| Action::Add(add(file, change))));
        let removes = change.remove.iter();
        actions.extend(removes.map(|file| Action::Remove(remove(file, change))));
        if let Some(through) = change.through {
            let version = i64::try_from(through).unwrap_or(i64::MAX);
            let time = Some(change.now_unix_milli);
            let txn = Transaction::new_with_last_update(&self.place.app_id, version, time);
            actions.push(Action::Txn(txn));
        }
        let operation = if change.is_rewrite {
            DeltaOperation::Optimize {
                predicate: None,
                target_size: 0,
            }
        } else if change.remove.is_empty() {
            append_operation()
        } else {
            DeltaOperation::Delete { predicate: None }
        };
        self.commit_actions(actions, operation).await
    }

    /// Commits the version after the one that was read. When another program was first, this fails; after a reload the
    /// next try stands on what it made.
    async fn commit_actions(
        &mut self,
        mut actions: Vec<Action>,
        operation: DeltaOperation,
    ) -> Result<(), TableError> {
        if let Some(term) = &self.term {
            actions.push(Action::Txn(Transaction::new(TERM_APP_ID, term.number)));
        }
        self.doubtful = true;
        let table = self.table.as_mut().ok_or(DeltaTableError::NotInitialized)?;
        commit_on_top(table, actions, operation).await?;
        self.doubtful = false;
        Ok(())
    }

    /// Reads the table's log again.
    pub(crate) async fn reload(&mut self) -> Result<(), TableError> {
        let Some(table) = &mut self.table else {
            return self.read(Duration::ZERO).await;
        };
        table.load().await?;
        if let Some(term) = &self.term {
            let found = txn_version(table, TERM_APP_ID).await?;
            let is_lost = matches!(term.lease.check().await, Err(LeaseError::Taken(_)));
            if is_lost || found.is_some_and(|found| found > term.number) {
                // Begin again as everybody does: with a claim, and a term of our own.
                self.term = None;
                self.table = None;
                return Err(TableError::Superseded);
            }
        }
        self.doubtful = false;
        Ok(())
    }

    /// Writes a checkpoint when one is due, and removes commits that nobody needs.
    pub(crate) async fn checkpoint_if_due(&self) -> Result<(), DeltaTableError> {
        let table = self.table()?;
        let version = table.snapshot()?.version();
        if version == 0 || !version.is_multiple_of(CHECKPOINT_INTERVAL) {
            return Ok(());
        }
        checkpoints::create_checkpoint(table, None).await?;
        checkpoints::cleanup_metadata(table, None).await?;
        Ok(())
    }
}

async fn open_or_create(log: &LogStoreRef) -> Result<DeltaTable, DeltaTableError> {
    let schema = table_schema(&Catalogue::default());
    let schema: StructType = schema.as_ref().try_into_kernel()?;
    let interval = CHECKPOINT_INTERVAL.to_string();
    CreateBuilder::new()
        .with_log_store(Arc::clone(log))
        .with_table_name("spans")
        .with_comment("spans of distributed traces, kept by Spanlight")
        .with_columns(schema.fields().cloned())
        .with_configuration_property(TableProperty::CheckpointInterval, Some(interval))
        .with_configuration_property(TableProperty::LogRetentionDuration, Some(LOG_RETENTION))
        .with_save_mode(SaveMode::Ignore)
        .await
}

fn append_operation() -> DeltaOperation {
    DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: None,
        predicate: None,
    }
}

async fn txn_version(table: &DeltaTable, app_id: &str) -> Result<Option<i64>, DeltaTableError> {
    let log_store = table.log_store();
    let state = table.snapshot()?;
    state.transaction_version(log_store.as_ref(), app_id).await
}

/// Marks the table as ours: what an earlier committer still tries falls on a version that is no longer the last.
async fn begin_term(table: &mut DeltaTable) -> Result<i64, DeltaTableError> {
    let mut conflicts = 0;
    loop {
        let number = txn_version(table, TERM_APP_ID).await?.unwrap_or(0) + 1;
        let actions = vec![Action::Txn(Transaction::new(TERM_APP_ID, number))];
        match commit_on_top(table, actions, append_operation()).await {
            Ok(()) => return Ok(number),
            Err(error) if !is_conflict(&error) || conflicts == CONFLICTS_MAX => return Err(error),
            Err(_) => {}
        }
        conflicts += 1;
        table.load().await?;
    }
}

/// Commits the version after the one that was read, or none.
async fn commit_on_top(
    table: &mut DeltaTable,
    actions: Vec<Action>,
    operation: DeltaOperation,
) -> Result<(), DeltaTableError> {
    let state = table.snapshot()?.clone();
    let committed = CommitBuilder::default()
        .with_max_retries(0)
        .with_actions(actions)
        .build(Some(&state), table.log_store(), operation)
        .await?;
    table.state = Some(committed.snapshot());
    Ok(())
}

/// Whether another has committed the version first.
fn is_conflict(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::Transaction {
            source: TransactionError::MaxCommitAttempts(_)
                | TransactionError::VersionAlreadyExists(_)
        }
    )
}

fn add(file: &ColdFile, change: &Change<'_>) -> Add {
    Add {
        path: file.name.clone(),
        partition_values: HashMap::new(),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time: change.now_unix_milli,
        data_change: !change.is_rewrite,
        stats: Some(stats(file)),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

fn remove(file: &ColdFile, change: &Change<'_>) -> Remove {
    Remove {
        path: file.name.clone(),
        data_change: !change.is_rewrite,
        deletion_timestamp: Some(change.now_unix_milli),
        extended_file_metadata: Some(true),
        partition_values: Some(HashMap::new()),
        size: Some(i64::try_from(file.bytes).unwrap_or(i64::MAX)),
        ..Remove::default()
    }
}

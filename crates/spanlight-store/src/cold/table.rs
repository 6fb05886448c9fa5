//! The Delta table: which files are in it, and the commits that change that.
//!
//! Each commit of a flush carries a `txn` action with the last sequence number of the log that it covers, so that
//! recovery knows what the table already has. A commit whose outcome is unknown is looked up, never repeated blindly.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::Schema;
use deltalake_core::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use deltalake_core::kernel::transaction::CommitBuilder;
use deltalake_core::kernel::{Action, Add, MetadataExt as _, Remove, StructType, Transaction};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError, TableProperty, checkpoints};
use futures::TryStreamExt as _;
use url::Url;

use super::catalogue::Catalogue;
use super::object_store::DiskStore;
use super::schema::{evolved, table_schema};
use super::statistics::{parse_stats, stats};
use super::{ColdFile, ColdTier, FileTimes};
use crate::directory::Directory;
use crate::disk::Disk;

/// Commits between two checkpoints: what is replayed at a start, at most.
const CHECKPOINT_INTERVAL: u64 = 20;
/// How long old commits are kept for those who read an older version of the table.
const LOG_RETENTION: &str = "interval 1 days";

/// The table, as its only committer sees it.
pub(crate) struct Table {
    table: DeltaTable,
    directory: PathBuf,
    app_id: String,
    /// The last commit's outcome is unknown: look before anything else.
    doubtful: bool,
}

/// What a commit does.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    pub(crate) add: &'a [Arc<ColdFile>],
    pub(crate) remove: &'a [Arc<ColdFile>],
    /// The last sequence number of the log that is in the table now.
    pub(crate) through: Option<u64>,
    /// Milliseconds, for the commit's own records.
    pub(crate) now_unix_milli: i64,
}

impl Table {
    /// Opens the table in this directory, or creates it.
    pub(crate) async fn open(
        disk: Arc<dyn Disk>,
        directory: &Arc<Directory>,
    ) -> Result<Self, DeltaTableError> {
        let store = Arc::new(DiskStore::new(disk, directory));
        // Inside this store the table is the root. The real place may have characters that URLs mangle.
        let location = Url::parse("spanlight:///")
            .map_err(|error| DeltaTableError::Generic(error.to_string()))?;
        let config = StorageConfig::default();
        let log_store: LogStoreRef =
            default_logstore(Arc::clone(&store) as Arc<_>, store, &location, &config);
        let schema = table_schema(&Catalogue::default());
        let schema: StructType = schema.as_ref().try_into_kernel()?;
        let interval = CHECKPOINT_INTERVAL.to_string();
        let table = CreateBuilder::new()
            .with_log_store(log_store)
            .with_table_name("spans")
            .with_comment("spans of distributed traces, kept by Spanlight")
            .with_columns(schema.fields().cloned())
            .with_configuration_property(TableProperty::CheckpointInterval, Some(interval))
            .with_configuration_property(TableProperty::LogRetentionDuration, Some(LOG_RETENTION))
            .with_save_mode(SaveMode::Ignore)
            .await?;
        let mut table = Self {
            table,
            directory: directory.cold(),
            app_id: directory.app_id.clone(),
            doubtful: false,
        };
        // A table of the first version gets the columns of this one.
        table.add_columns(&Catalogue::default()).await?;
        Ok(table)
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
        let schema = self.table.snapshot()?.schema();
        Ok(schema.as_ref().try_into_arrow()?)
    }

    /// Gives the table these attribute columns, by a commit of its own, unless it has them. A file that has them may
    /// be added afterwards. An error leaves the table in doubt.
    pub(crate) async fn add_columns(&mut self, columns: &Catalogue) -> Result<(), DeltaTableError> {
        let Some((schema, new)) = evolved(&self.schema()?, columns) else {
            return Ok(());
        };
        let schema: StructType = (&schema).try_into_kernel()?;
        let state = self.table.snapshot()?.clone();
        let metadata = state.metadata().clone().with_schema(&schema)?;
        let names: HashSet<&str> = new.iter().map(String::as_str).collect();
        let fields = schema
            .fields()
            .filter(|field| names.contains(field.name().as_str()));
        let operation = DeltaOperation::AddColumn {
            fields: fields.cloned().collect(),
        };
        self.doubtful = true;
        let committed = CommitBuilder::default()
            .with_actions(vec![Action::Metadata(metadata)])
            .build(Some(&state), self.table.log_store(), operation)
            .await?;
        self.table.state = Some(committed.snapshot());
        self.doubtful = false;
        Ok(())
    }

    /// The last sequence number of the log that is in the table.
    pub(crate) async fn committed(&self) -> Result<u64, DeltaTableError> {
        let log_store = self.table.log_store();
        let state = self.table.snapshot()?;
        let version = state
            .transaction_version(log_store.as_ref(), &self.app_id)
            .await?;
        Ok(version.and_then(|v| u64::try_from(v).ok()).unwrap_or(0))
    }

    /// The files of the table.
    pub(crate) fn files(&self) -> Result<ColdTier, DeltaTableError> {
        let state = self.table.snapshot()?;
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
                path: self.directory.join(&name),
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
        })
    }

    /// Files that left the table, and when, in unix milliseconds.
    pub(crate) async fn tombstones(&self) -> Result<BTreeMap<String, i64>, DeltaTableError> {
        let log_store = self.table.log_store();
        let tombstones = self.table.snapshot()?.all_tombstones(log_store.as_ref());
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

    /// What was read of the table may not be durable.
    pub(crate) fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// Commits. After an error the outcome is unknown: reload, and look.
    pub(crate) async fn commit(&mut self, change: &Change<'_>) -> Result<(), DeltaTableError> {
        let mut actions: Vec<Action> = Vec::new();
        let adds = change.add.iter();
        actions.extend(adds.map(|file| Action::Add(add(file, change))));
        let removes = change.remove.iter();
        actions.extend(removes.map(|file| Action::Remove(remove(file, change))));
        if let Some(through) = change.through {
            let version = i64::try_from(through).unwrap_or(i64::MAX);
            let time = Some(change.now_unix_milli);
            let txn = Transaction::new_with_last_update(&self.app_id, version, time);
            actions.push(Action::Txn(txn));
        }
        let operation = if change.remove.is_empty() {
            DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: None,
                predicate: None,
            }
        } else {
            DeltaOperation::Delete { predicate: None }
        };
        self.doubtful = true;
        let state = self.table.snapshot()?.clone();
        let committed = CommitBuilder::default()
            .with_actions(actions)
            .build(Some(&state), self.table.log_store(), operation)
            .await?;
        self.table.state = Some(committed.snapshot());
        self.doubtful = false;
        Ok(())
    }

    /// Reads the table's log again.
    pub(crate) async fn reload(&mut self) -> Result<(), DeltaTableError> {
        self.table.load().await?;
        self.doubtful = false;
        Ok(())
    }

    /// Writes a checkpoint when one is due, and removes commits that nobody needs.
    pub(crate) async fn checkpoint_if_due(&self) -> Result<(), DeltaTableError> {
        let version = self.table.snapshot()?.version();
        if version == 0 || !version.is_multiple_of(CHECKPOINT_INTERVAL) {
            return Ok(());
        }
        checkpoints::create_checkpoint(&self.table, None).await?;
        checkpoints::cleanup_metadata(&self.table, None).await?;
        Ok(())
    }
}

fn add(file: &ColdFile, change: &Change<'_>) -> Add {
    Add {
        path: file.name.clone(),
        partition_values: HashMap::new(),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time: change.now_unix_milli,
        data_change: true,
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
        data_change: true,
        deletion_timestamp: Some(change.now_unix_milli),
        extended_file_metadata: Some(true),
        partition_values: Some(HashMap::new()),
        size: Some(i64::try_from(file.bytes).unwrap_or(i64::MAX)),
        ..Remove::default()
    }
}

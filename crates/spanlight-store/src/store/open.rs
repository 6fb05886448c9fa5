//! Opening a store: what is found in the directory, what a crash left, and the order in which the parts start.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deltalake_core::DeltaTableError;
use tokio::sync::{Notify, mpsc};
use tokio::task;
use tokio_util::sync::CancellationToken;

use super::{Inner, Store};
use crate::budget::Budget;
use crate::cold::ColdTier;
use crate::cold::commits;
use crate::cold::read::FileReader;
use crate::cold::remote::table::RemoteTable;
use crate::cold::table::{Place, Table, TableError};
use crate::counters::CounterBook;
use crate::directory::Directory;
use crate::error::OpenError;
use crate::hot::{HotBatch, HotTier, Parts, Summary};
use crate::log::recovery::{Recovered, Recovery};
use crate::log::writer::{LogWriter, WriterOptions};
use crate::maintenance::{Maintenance, Report, remove_litter};
use crate::options::StoreOptions;
use crate::recent::{Finding, RecentTier};
use crate::retention::{Cleared, Tombstones, tombstones};
use crate::sampling::Decisions;
use crate::seal::Sealer;
use crate::snapshot::{Published, View};
use crate::statistics::DamageStatistics;

/// Requests that may wait for a background task.
pub(super) const REQUESTS: usize = 16;

/// What opening found in the table.
struct Opened {
    table: Table,
    committed: u64,
    files: ColdTier,
    tombstones: Tombstones,
}

/// What opening found on the disk beside the table.
struct Found {
    recent: RecentTier,
    decisions: Decisions,
    log: Recovered,
}

impl Store {
    /// Opens the directory, recovers what a crash left, and starts the background work. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the directory and what to do.
    pub async fn open(mut options: StoreOptions) -> Result<Self, OpenError> {
        let root = absolute(&options)?;
        let disk = Arc::clone(&options.disk);
        let cold = options.cold.clone();
        let directory = blocking(move || Directory::open(disk.as_ref(), &root, &cold)).await?;
        let directory = Arc::new(directory);
        let remote = RemoteTable::attach(&mut options, &directory).await?;
        let opened = open_table(&options, &directory, remote.as_ref()).await?;
        if opened.table.is_read() {
            note_table(&options, &directory).await?;
        }
        let found = {
            let options = options.clone();
            let directory = Arc::clone(&directory);
            let committed = opened.committed;
            let files = opened.files.clone();
            let tombstones = opened.tombstones.clone();
            blocking(move || {
                remove_litter(&options, &directory, &files, &tombstones);
                find(&options, &directory, committed)
            })
            .await?
        };
        start(options, directory, remote, opened, found)
    }
}

fn find(options: &StoreOptions, directory: &Directory, committed: u64) -> Result<Found, OpenError> {
    let mut damage = DamageStatistics::default();
    let finding = Finding {
        disk: options.disk.as_ref(),
        directory,
        committed,
    };
    let recent = finding.run(&mut damage)?;
    let recovery = Recovery {
        disk: options.disk.as_ref(),
        log_dir: &directory.log(),
        damaged_dir: &directory.damaged(),
        committed,
        recent: &recent,
    };
    let mut log = recovery.run()?;
    log.damage.files = damage.files;
    let folder = directory.decisions();
    let decisions = Decisions::load(options.disk.as_ref(), &folder, committed);
    let decisions = decisions.map_err(|source| OpenError::Disk {
        path: folder,
        source,
    })?;
    Ok(Found {
        recent,
        decisions,
        log,
    })
}

fn start(
    options: StoreOptions,
    directory: Arc<Directory>,
    remote: Option<RemoteTable>,
    opened: Opened,
    found: Found,
) -> Result<Store, OpenError> {
    let budget = Arc::new(Budget::new(options.hot_bytes));
    let published = Arc::new(Published::default());
    let damage = found.log.damage.clone();
    publish(&published, &budget, &opened, &found);
    let wanted = Arc::new(Notify::new());
    let log = start_log(&options, &directory, &published, &wanted, found.log)?;
    // What a crash left between the last step and the cut.
    log.cut(published.load().covered_through());
    let report = Arc::new(Report::default());
    let closing = CancellationToken::new();
    let sealed = Arc::new(Notify::new());
    let counters = Arc::new(CounterBook::open(
        Arc::clone(&options.disk),
        directory.counters(),
        published.load().covered_through(),
    ));
    let reader = FileReader::local(&options.disk);
    let sealer = Sealer {
        options: options.clone(),
        counters: Arc::clone(&counters),
        reader: reader.clone(),
        directory: Arc::clone(&directory),
        published: Arc::clone(&published),
        budget: Arc::clone(&budget),
        log: Arc::clone(&log),
        wanted,
        sealed: Arc::clone(&sealed),
        report: Arc::clone(&report),
        closing: closing.clone(),
    };
    let maintenance = Maintenance {
        options: options.clone(),
        directory,
        published: Arc::clone(&published),
        budget: Arc::clone(&budget),
        reader: reader.clone(),
        log: Arc::clone(&log),
        counters: Arc::clone(&counters),
        sealed,
        table: opened.table,
        tombstones: opened.tombstones,
        left: Vec::new(),
        looked: None,
        decisions: found.decisions,
        cleared: Cleared::new(),
        unfit: BTreeSet::new(),
        compacted_at: options.clock.now_unix_nano(),
        report: Arc::clone(&report),
        closing: closing.clone(),
    };
    let (seals, receiver) = mpsc::channel(REQUESTS);
    let sealer = task::spawn(sealer.run(receiver));
    let (requests, receiver) = mpsc::channel(REQUESTS);
    let maintenance = task::spawn(maintenance.run(receiver));
    Ok(Store {
        inner: Arc::new(Inner {
            options,
            published,
            budget,
            log,
            damage,
            report,
            counters,
            reader,
            remote,
            seals,
            requests,
            tasks: Mutex::new(vec![sealer, maintenance]),
            closing,
        }),
    })
}

fn publish(published: &Published, budget: &Arc<Budget>, opened: &Opened, found: &Found) {
    let batches = found.log.batches.iter().map(|(&sequence, spans)| {
        let summary = Summary::of(spans);
        Arc::new(HotBatch {
            parts: Parts::one(sequence, spans.num_spans()),
            _memory: budget.reserve_anyway(summary.bytes),
            spans: spans.clone(),
            summary,
        })
    });
    let hot = HotTier::default().with(batches);
    let mut catalogue = opened.table.catalogue();
    for recent in found.recent.files() {
        catalogue = catalogue.union(&recent.file.columns).unwrap_or(catalogue);
    }
    published.update(|_| View {
        hot,
        recent: found.recent.clone(),
        cold: opened.files.clone(),
        committed: opened.committed,
        catalogue: Arc::new(catalogue),
    });
}

fn start_log(
    options: &StoreOptions,
    directory: &Arc<Directory>,
    published: &Arc<Published>,
    wanted: &Arc<Notify>,
    recovered: Recovered,
) -> Result<Arc<LogWriter>, OpenError> {
    let log = LogWriter::start(WriterOptions {
        directory: Arc::clone(directory),
        disk: Arc::clone(&options.disk),
        published: Arc::clone(published),
        flush_wanted: Arc::clone(wanted),
        flush_bytes: options.seal_bytes(),
        fsync: options.fsync,
        segment_bytes: options.segment_bytes,
        queue_bytes: options.queue_bytes,
        probe_interval: options.probe_interval,
        sealed: recovered.segments,
        next_sequence: recovered.sequence_max + 1,
        next_segment: recovered.segment_number_max + 1,
    });
    let log = log.map_err(|source| OpenError::Disk {
        path: directory.log(),
        source,
    })?;
    Ok(Arc::new(log))
}

async fn note_table(options: &StoreOptions, directory: &Arc<Directory>) -> Result<(), OpenError> {
    let (disk, cold) = (Arc::clone(&options.disk), options.cold.clone());
    let directory = Arc::clone(directory);
    blocking(move || {
        let noted = directory.note_table(disk.as_ref(), &cold);
        noted.map_err(|source| OpenError::NotWritable {
            path: directory.root.clone(),
            source,
        })
    })
    .await
}

async fn open_table(
    options: &StoreOptions,
    directory: &Arc<Directory>,
    remote: Option<&RemoteTable>,
) -> Result<Opened, OpenError> {
    let table_error = |error: TableError| OpenError::Table {
        path: directory.cold(),
        reason: error.to_string(),
    };
    let table = match remote {
        Some(remote) => remote.open(options, directory).await?,
        None => {
            let disk = Arc::clone(&options.disk);
            let table_log = directory.table_log();
            blocking(move || commits::check(disk.as_ref(), &table_log)).await?;
            let place = Place::local(Arc::clone(&options.disk), directory);
            let table = Table::open(place, Duration::ZERO).await;
            table.map_err(table_error)?
        }
    };
    if !table.is_read() {
        // Spans are taken all the same; the table follows when its store answers.
        let reason = remote.and_then(RemoteTable::outage);
        return Ok(Opened {
            table,
            committed: 0,
            files: ColdTier {
                missing: Some(reason.unwrap_or_default().into()),
                ..ColdTier::default()
            },
            tombstones: Tombstones::new(),
        });
    }
    let open = async {
        Ok(Opened {
            committed: table.committed().await?,
            files: table.files()?,
            tombstones: tombstones(&table).await?,
            table,
        })
    };
    open.await
        .map_err(|error: DeltaTableError| table_error(error.into()))
}

fn absolute(options: &StoreOptions) -> Result<PathBuf, OpenError> {
    std::path::absolute(&options.data_dir).map_err(|source| OpenError::NotWritable {
        path: options.data_dir.clone(),
        source,
    })
}

/// Runs work that blocks, and hands on its panic.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

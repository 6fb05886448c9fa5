//! What can go wrong, in words for the person who runs the store.

use std::path::PathBuf;
use std::time::Duration;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory open.
    #[error(
        "the data directory {} belongs to a running Spanlight (process {}); stop it, or choose another directory",
        path.display(),
        pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
    )]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process that holds it, where it said so.
        pid: Option<u32>,
    },
    /// The directory cannot be made or written.
    #[error("cannot write to the data directory {}; check that it exists and who owns it", path.display())]
    NotWritable {
        /// The data directory, or the path inside it that failed.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A newer Spanlight wrote the directory.
    #[error(
        "the data directory {} has format {found}, written by Spanlight {written_by}; this version reads formats up to {supported}: run a newer Spanlight, or choose another directory",
        path.display()
    )]
    NewerVersion {
        /// The data directory.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format that this version reads.
        supported: u32,
        /// The version that wrote it.
        written_by: String,
    },
    /// A file that everything hangs on cannot be understood.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The disk failed while the store was being recovered.
    #[error("cannot read {} during recovery", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another place is set for the table, and there is one below the data directory.
    #[error(
        "there is a table in {}, and storage.cold_url names another place; copy that directory there while no Spanlight runs, and remove it, or leave storage.cold_url out",
        path.display()
    )]
    LeftTable {
        /// The table that would not be seen.
        path: PathBuf,
    },
    /// The table was elsewhere, and no place is set.
    #[error(
        "the table of this data directory is at {url}, and storage.cold_url is not set; set it, or remove {} to begin with an empty table",
        path.display()
    )]
    ForgottenTable {
        /// The file that says so.
        path: PathBuf,
        /// The table that would not be seen.
        url: String,
    },
    /// The remote table cannot be used.
    #[error("cannot open the table of the cold tier: {0}")]
    Remote(String),
    /// The table of the cold tier could not be loaded or created.
    #[error(
        "cannot open the table of the cold tier in {}: {reason}; see that its files can be read, or restore the data directory from a backup",
        path.display()
    )]
    Table {
        /// The table's directory.
        path: PathBuf,
        /// What the table's library said.
        reason: String,
    },
}

/// Why spans were not stored. None of them is then visible, and none is acknowledged; some may be found after a
/// restart when the disk kept what it reported as failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// Memory or the queue to the disk is full.
    #[error("the store is overloaded: {what}; retry in {} ms", retry_after.as_millis())]
    Overloaded {
        /// Which limit was reached.
        what: &'static str,
        /// When it may be worth another try.
        retry_after: Duration,
    },
    /// The batch alone is larger than the memory for spans.
    #[error(
        "a batch of {bytes} bytes is larger than the hot tier may be ({limit} bytes); send smaller batches or raise limits.hot_bytes"
    )]
    TooLarge {
        /// Bytes of the batch in memory.
        bytes: usize,
        /// Bytes that the hot tier may take.
        limit: usize,
    },
    /// The log cannot be written: the disk is full or broken.
    #[error("the log cannot be written: {reason}")]
    Unwritable {
        /// What the system said, and where.
        reason: String,
        /// When it may be worth another try.
        retry_after: Duration,
    },
    /// The store is being closed.
    #[error("the store is shutting down")]
    ShuttingDown,
    /// The batch has columns that cannot be encoded; the reason names them.
    #[error("the batch cannot be encoded: {0}")]
    Encode(String),
}

impl AppendError {
    /// When the same batch may be accepted; `None` when it never will by this process.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } | Self::Unwritable { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::ShuttingDown => Some(Duration::from_secs(1)),
            Self::TooLarge { .. } | Self::Encode(_) => None,
        }
    }
}

/// Why spans could not move from one level to the next. They stay where they are.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FlushError {
    /// A data file could not be written.
    #[error("cannot write a data file: {0}")]
    Write(String),
    /// The table did not take the commit.
    #[error("cannot commit to the table of the cold tier: {0}")]
    Commit(String),
    /// The recent level may not take more of the disk: the cold tier does not take its files.
    #[error(
        "the recent level has reached its limit of {limit} bytes, because its files do not move to the cold tier; see what keeps them, or raise storage.recent_max"
    )]
    RecentFull {
        /// Bytes that the recent level may take.
        limit: u64,
    },
    /// The log's writer does not answer; the store is closing, or its log is unwritable.
    #[error("the log did not close its segment: {0}")]
    Log(String),
}

/// Why a partition could not be read to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The file is gone or the disk failed.
    #[error("cannot read {file}: {reason}")]
    Disk {
        /// The file, relative to the data directory.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The file's content makes no sense.
    #[error("{file} is damaged: {reason}")]
    Damaged {
        /// The file, relative to the data directory.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

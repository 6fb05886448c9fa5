//! `store`: what those who run a server do to what it keeps.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConfigurationArguments, Output, TargetArguments};

const VERIFY_HELP: &str = "\
Reads every record of the log and every value of every data file, compares them with what the table says of them, and \
finds spans that are there more than once. Changes nothing; may run beside a server. The exit code is 1 when something \
is wrong, and each finding says what to do.

Examples:
  spanlight store verify
  spanlight store verify --data-dir /var/lib/spanlight --output json | jq .problems";

const STATS_HELP: &str = "\
Bytes by level, by column of the data files and by service, and what makes a column large. Changes nothing; may run \
beside a server.

Examples:
  spanlight store stats
  spanlight store stats --output json | jq '.columns[:5]'";

const BACKUP_HELP: &str = "\
May run beside a server. Everything acknowledged before is in it. Into an earlier backup only what is new is copied. \
Data files never change, so on the same file system they get a second name instead, which costs nothing; --copy makes \
copies, for a disk that may fail.

Examples:
  spanlight store backup /mnt/backup/spanlight
  spanlight store restore /mnt/backup/spanlight --data-dir /var/lib/spanlight";

const COMPACT_HELP: &str = "\
A running server joins small files by itself; this does at once what it would do later. Asks the server that runs; without \
one it opens the data directory itself.";

const DELETE_HELP: &str = "\
Finds traces as `spanlight query` does, over all times unless told otherwise, and deletes every span of them: in memory, in \
the log and in all files, which are written again without them. The old files leave the disk as soon as no running query \
reads them. It cannot be undone, and backups still have them. Spans of these traces that come later are new ones.

Examples:
  spanlight store delete --query '{ span.user.id = \"user-1042\" }' --dry-run
  spanlight store delete --query '{ span.user.id = \"user-1042\" }' --yes";

/// `store`.
#[derive(Debug, Args)]
pub struct StoreArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What can be done to a store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Check everything that is on the disk
    #[command(after_help = VERIFY_HELP)]
    Verify(DirectoryArguments),
    /// Show what takes how much
    #[command(after_help = STATS_HELP)]
    Stats(DirectoryArguments),
    /// Join small data files now
    #[command(after_help = COMPACT_HELP)]
    Compact(CompactArguments),
    /// Delete traces for good
    #[command(after_help = DELETE_HELP)]
    Delete(DeleteArguments),
    /// Make a backup, or bring one up to date
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArguments),
    /// Make a data directory from a backup
    #[command(after_help = BACKUP_HELP)]
    Restore(RestoreArguments),
}

/// A directory to look at.
#[derive(Debug, Args)]
pub struct DirectoryArguments {
    /// table for people, json for programs
    #[arg(
        long,
        value_name = "FORM",
        default_value = "table",
        hide_possible_values = true
    )]
    pub output: Output,
    /// Where the configuration, and so the data directory, comes from.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
}

/// `store compact`.
#[derive(Debug, Args)]
pub struct CompactArguments {
    /// Whom to ask.
    #[command(flatten)]
    pub target: TargetArguments,
}

/// `store delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// Which traces, in TraceQL
    #[arg(long, value_name = "TRACEQL")]
    pub query: String,
    /// From when on [default: the beginning]
    #[arg(long, value_name = "TIME")]
    pub start: Option<String>,
    /// Until when [default: the end]
    #[arg(long, value_name = "TIME")]
    pub end: Option<String>,
    /// Only say what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub target: TargetArguments,
}

/// `store backup`.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// Where to: an empty directory, or an earlier backup
    #[arg(value_name = "DIR")]
    pub target: PathBuf,
    /// Copy data files even where a second name would do
    #[arg(long)]
    pub copy: bool,
    /// Where the configuration, and so the data directory, comes from.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
}

/// `store restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup
    #[arg(value_name = "DIR")]
    pub backup: PathBuf,
    /// Where the configuration, and so the data directory, comes from.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
}

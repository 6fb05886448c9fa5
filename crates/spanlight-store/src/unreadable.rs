//! Data files that could not be read: noted by whoever meets one, looked at again by the maintenance until they can be
//! read or are gone, and told to those who run the server.
//!
//! What an outage of the object store hides is not among them: the files are there.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::task;

use crate::cold::ColdFile;
use crate::cold::read::FileReader;
use crate::disk::Disk;
use crate::maintenance::Maintenance;
use crate::scan::ScanRequest;
use crate::snapshot::View;

/// How often a file is read again, and how often the names are looked at.
const INTERVAL: Duration = Duration::from_secs(60);

/// A data file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableFile {
    /// Its place below the data directory.
    pub file: String,
    /// Its spans, which answers lack.
    pub spans: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// The files that could not be read, by name: a name stays when a file goes from level to level.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    files: Mutex<BTreeMap<String, Finding>>,
}

#[derive(Debug)]
struct Finding {
    reason: String,
    looked: Instant,
}

impl Unreadable {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Finding>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file could not be read.
    pub(crate) fn note(&self, name: &str, reason: &str) {
        if let Some(finding) = self.files().get_mut(name) {
            reason.clone_into(&mut finding.reason);
            return;
        }
        tracing::error!(
            file = name,
            reason,
            "a data file cannot be read; answers lack its spans, and say so"
        );
        let finding = Finding {
            reason: reason.to_owned(),
            looked: Instant::now(),
        };
        self.files().insert(name.to_owned(), finding);
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.files().contains_key(name)
    }

    /// Those that a view has.
    pub(crate) fn of(&self, view: &View) -> Vec<UnreadableFile> {
        let findings = self.files();
        if findings.is_empty() {
            return Vec::new();
        }
        let found = files_of(view).filter_map(|file| {
            let finding = findings.get(&file.name)?;
            Some(UnreadableFile {
                file: file.label(),
                spans: file.spans,
                reason: finding.reason.clone(),
            })
        });
        found.collect()
    }

    /// Lets go of what is no longer there, and picks what is to be looked at: everything, or the one whose turn it is.
    fn pick(&self, view: &View, everything: bool) -> Vec<Arc<ColdFile>> {
        let mut findings = self.files();
        if findings.is_empty() {
            return Vec::new();
        }
        let known = files_of(view).filter(|file| findings.contains_key(&file.name));
        let known: BTreeMap<String, Arc<ColdFile>> = known
            .map(|file| (file.name.clone(), Arc::clone(file)))
            .collect();
        findings.retain(|name, _| known.contains_key(name));
        let mut due: Vec<(&String, &mut Finding)> = findings
            .iter_mut()
            .filter(|(_, finding)| everything || finding.looked.elapsed() >= INTERVAL)
            .collect();
        due.sort_by_key(|(_, finding)| finding.looked);
        due.truncate(if everything { usize::MAX } else { 1 });
        let due = due.into_iter().filter_map(|(name, finding)| {
            finding.looked = Instant::now();
            known.get(name).map(Arc::clone)
        });
        due.collect()
    }

    fn forget(&self, name: &str) {
        if self.files().remove(name).is_some() {
            tracing::info!(file = name, "a data file can be read again");
        }
    }
}

fn files_of(view: &View) -> impl Iterator<Item = &Arc<ColdFile>> {
    let recent = view.recent.files().iter().map(|recent| &recent.file);
    recent.chain(view.cold.files.iter())
}

impl Maintenance {
    /// Looks whether every file is there, now and then, and whether those that could not be read can be read now.
    pub(crate) async fn look_at_files(&mut self, everything: bool) {
        // What a store that is away has is not gone.
        if self.table.check_open().is_err() {
            return;
        }
        let view = self.published.load();
        let is_due = self.looked.is_none_or(|at| at.elapsed() >= INTERVAL);
        if everything || is_due {
            self.looked = Some(Instant::now());
            self.look_for_names(Arc::clone(&view)).await;
        }
        let unreadable = Arc::clone(&self.reader.unreadable);
        for file in unreadable.pick(&view, everything) {
            // Nothing that is known of it from before is to be trusted.
            let reader = FileReader::local(&self.options.disk);
            let mut spans = reader.stream(Arc::clone(&file), ScanRequest::default());
            let mut is_whole = true;
            while let Some(batch) = spans.next().await {
                is_whole &= batch.is_ok();
            }
            if is_whole {
                unreadable.forget(&file.name);
            }
        }
    }

    /// Notes files that are missing, or have another length than they should.
    async fn look_for_names(&self, view: Arc<View>) {
        let disk = Arc::clone(&self.options.disk);
        let folders = [self.directory.recent(), self.directory.cold()];
        let unreadable = Arc::clone(&self.reader.unreadable);
        let looked = task::spawn_blocking(move || {
            for folder in folders {
                let files = files_of(&view).filter(|file| file.path.parent() == Some(&folder));
                let files: Vec<_> = files.collect();
                if files.is_empty() {
                    continue;
                }
                // A folder that cannot be listed is the next reader's to tell.
                let Ok(lengths) = lengths(disk.as_ref(), &folder) else {
                    continue;
                };
                for file in files {
                    match lengths.get(&file.name) {
                        Some(length) if *length == file.bytes => {}
                        Some(length) => {
                            let should = file.bytes;
                            let reason = format!("it has {length} bytes, and should have {should}");
                            unreadable.note(&file.name, &reason);
                        }
                        None => unreadable.note(&file.name, "it is missing"),
                    }
                }
            }
        });
        looked.await.ok();
    }
}

fn lengths(disk: &dyn Disk, folder: &Path) -> io::Result<BTreeMap<String, u64>> {
    let entries = disk.list(folder)?.into_iter();
    Ok(entries
        .map(|entry| (entry.name, entry.stat.length))
        .collect())
}

//! One consistent view of all levels: each appended batch exactly once, even while it moves.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::cold::catalogue::Catalogue;
use crate::cold::read::FileReader;
use crate::cold::{ColdFile, ColdTier};
use crate::hot::HotTier;
use crate::recent::RecentTier;
use crate::scan::{self, Partition, Scan, ScanReport, ScanRequest};

/// What queries see at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) hot: HotTier,
    pub(crate) recent: RecentTier,
    pub(crate) cold: ColdTier,
    /// The table has the log up to and including this sequence number.
    pub(crate) committed: u64,
    /// The attribute columns of all files: the next file goes on from them.
    pub(crate) catalogue: Arc<Catalogue>,
}

impl View {
    pub(crate) fn with_hot(&self, hot: HotTier) -> Self {
        Self {
            hot,
            ..self.clone()
        }
    }

    /// The columns of a file that was written, and those that were found in the table meanwhile.
    pub(crate) fn catalogue_with(&self, written: &Arc<Catalogue>) -> Arc<Catalogue> {
        let both = self.catalogue.union(written);
        both.map_or_else(|| Arc::clone(written), Arc::new)
    }

    /// Everything in the log up to and including this sequence number is in a file.
    pub(crate) fn covered_through(&self) -> u64 {
        match self.hot.first_sequence() {
            Some(first) => first - 1,
            None => self.committed.max(self.recent.last()),
        }
    }
}

/// The current view. Readers never wait; writers take turns.
#[derive(Debug)]
pub(crate) struct Published {
    view: ArcSwap<View>,
    writer: Mutex<()>,
    /// Who writes a data file holds it: one at a time, so that the memory for it is bounded, and the columns of one
    /// file are known to the next.
    turn: Semaphore,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            view: ArcSwap::default(),
            writer: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl Published {
    pub(crate) fn load(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Waits until nobody else writes a data file.
    pub(crate) async fn turn_to_write(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.turn.acquire().await.ok()
    }

    /// Replaces the view by what `change` makes of it. Hot and cold change in one step.
    pub(crate) fn update(&self, change: impl FnOnce(&View) -> View) {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let next = change(&self.view.load());
        self.view.store(Arc::new(next));
    }
}

/// A view of the store that does not change while it is held. Cheap to take.
///
/// A span that was sent twice may be there twice, in two batches: the later `received_at` is the one that counts.
#[derive(Debug, Clone)]
pub struct Snapshot {
    view: Arc<View>,
    reader: FileReader,
}

impl Snapshot {
    pub(crate) fn new(view: Arc<View>, reader: FileReader) -> Self {
        Self { view, reader }
    }

    /// The parts that may have what is asked for; the rest is left out without being read.
    pub async fn scan(&self, request: &ScanRequest) -> Scan {
        let (request, report) = (Arc::new(request.clone()), Arc::<ScanReport>::default());
        let of_files = scan::of_files(&self.reader, self.files(), &request, &report).await;
        self.scan_of(&request, report, of_files)
    }

    /// The same on this thread, for those who may block. `None` where that may take long: of some file nothing is known
    /// yet, and several threads would learn it sooner.
    #[must_use]
    pub fn scan_known(&self, request: &ScanRequest) -> Option<Scan> {
        let (request, report) = (Arc::new(request.clone()), Arc::<ScanReport>::default());
        let of_files = scan::of_known_files(&self.reader, self.files(), &request, &report)?;
        Some(self.scan_of(&request, report, of_files))
    }

    fn scan_of(
        &self,
        request: &ScanRequest,
        report: Arc<ScanReport>,
        of_files: Vec<Partition>,
    ) -> Scan {
        let hot = self.view.hot.chunks().iter();
        let hot = hot.filter_map(|chunk| Partition::of_hot(chunk, request, &report));
        let missing = self.view.cold.missing.iter();
        let missing = missing.map(Partition::of_missing_table);
        Scan {
            partitions: hot.chain(of_files).chain(missing).collect(),
            report,
        }
    }

    fn files(&self) -> impl Iterator<Item = &Arc<ColdFile>> {
        let recent = self.view.recent.files().iter().map(|recent| &recent.file);
        recent.chain(self.view.cold.files.iter())
    }

    /// The names of all data files, for those who remember what is in them.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        let recent = self.view.recent.files().iter().map(|recent| &recent.file);
        let files = recent.chain(self.view.cold.files.iter());
        files.map(|file| file.name.as_str())
    }

    /// An upper bound of the spans in the view.
    #[must_use]
    pub fn span_count_upper_bound(&self) -> usize {
        let cold: u64 = self.view.cold.files.iter().map(|file| file.spans).sum();
        let files = usize::try_from(cold + self.view.recent.spans());
        files.map_or(usize::MAX, |files| {
            files.saturating_add(self.view.hot.spans)
        })
    }
}

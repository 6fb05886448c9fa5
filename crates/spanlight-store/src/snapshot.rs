//! One consistent view of hot and cold: each appended batch exactly once, even while a flush moves it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::cold::ColdTier;
use crate::cold::read::FileReader;
use crate::hot::HotTier;
use crate::scan::{Partition, Scan, ScanReport, ScanRequest};

/// What queries see at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) hot: HotTier,
    pub(crate) cold: ColdTier,
}

impl View {
    pub(crate) fn with_hot(&self, hot: HotTier) -> Self {
        Self {
            hot,
            cold: self.cold.clone(),
        }
    }
}

/// The current view. Readers never wait; writers take turns.
#[derive(Debug, Default)]
pub(crate) struct Published {
    view: ArcSwap<View>,
    writer: Mutex<()>,
}

impl Published {
    pub(crate) fn load(&self) -> Arc<View> {
        self.view.load_full()
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
        let report = Arc::<ScanReport>::default();
        let request = Arc::new(request.clone());
        let hot = self.view.hot.chunks().iter();
        let hot = hot.filter_map(|chunk| Partition::of_hot(chunk, &request, &report));
        let cold = self.view.cold.files.iter();
        let cold =
            cold.filter_map(|file| Partition::of_cold(&self.reader, file, &request, &report));
        Scan {
            partitions: hot.chain(cold).collect(),
            report: Arc::clone(&report),
        }
    }

    /// An upper bound of the spans in the view.
    #[must_use]
    pub fn span_count_upper_bound(&self) -> usize {
        let cold: u64 = self.view.cold.files.iter().map(|file| file.spans).sum();
        usize::try_from(cold).map_or(usize::MAX, |cold| cold.saturating_add(self.view.hot.spans))
    }
}

//! One consistent view of hot and cold: each appended batch exactly once, even while a flush moves it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::cold::ColdTier;
use crate::cold::footer::FooterCache;
use crate::disk::Disk;
use crate::hot::HotTier;
use crate::scan::{Partition, ScanRequest};

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
    disk: Arc<dyn Disk>,
    footers: Arc<FooterCache>,
}

impl Snapshot {
    pub(crate) fn new(view: Arc<View>, disk: Arc<dyn Disk>, footers: Arc<FooterCache>) -> Self {
        Self {
            view,
            disk,
            footers,
        }
    }

    /// The parts that may have what is asked for; the rest is skipped without being read. In no particular order:
    /// [`Partition::max_start_time_unix_nano`] helps to read the newest first.
    #[must_use]
    pub fn partitions(&self, request: &ScanRequest) -> Vec<Partition> {
        let hot = self.view.hot.chunks().iter();
        let hot = hot.filter_map(|chunk| Partition::of_hot(chunk, request));
        let cold = self.view.cold.files.iter();
        let cold =
            cold.filter_map(|file| Partition::of_cold(&self.disk, &self.footers, file, request));
        hot.chain(cold).collect()
    }

    /// An upper bound of the spans in the view.
    #[must_use]
    pub fn span_count_upper_bound(&self) -> usize {
        let cold: u64 = self.view.cold.files.iter().map(|file| file.spans).sum();
        usize::try_from(cold).map_or(usize::MAX, |cold| cold.saturating_add(self.view.hot.spans))
    }
}

//! One consistent view of hot and cold: each appended batch exactly once, even while a flush moves it.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::hot::HotTier;
use crate::scan::{Partition, ScanRequest};

/// What queries see at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) hot: HotTier,
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
}

impl Snapshot {
    pub(crate) fn new(view: Arc<View>) -> Self {
        Self { view }
    }

    /// The parts that may have what is asked for; the rest is skipped without being read. In no particular order:
    /// [`Partition::max_start_time_unix_nano`] helps to read the newest first.
    #[must_use]
    pub fn partitions(&self, request: &ScanRequest) -> Vec<Partition> {
        self.view
            .hot
            .chunks()
            .iter()
            .filter_map(|chunk| Partition::of_hot(chunk, request))
            .collect()
    }

    /// An upper bound of the spans in the view.
    #[must_use]
    pub fn span_count_upper_bound(&self) -> usize {
        self.view.hot.spans
    }
}

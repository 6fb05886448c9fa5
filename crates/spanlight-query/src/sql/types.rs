//! Which types the values of attributes have: SQL wants to know before it reads them.
//!
//! A file never changes, so what was found of one is remembered; while spans come, only new files and memory are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::Array as _;
use arrow_schema::DataType;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use rustc_hash::{FxHashMap, FxHashSet};
use spanlight_model::{AttributeType, Attributes, SpanBatch};
use spanlight_store::{AttributeKeys, Partition, Run, ScanColumns, ScanRequest, Snapshot};
use tokio::time::Instant;

use crate::attributes::AttributeScope;
use crate::error::QueryError;
use crate::load::MemoryFull;
use crate::parallel::{self, Stopped, Worker};
use crate::scan::ScanReport;

/// Keys of files that are remembered, at most.
const REMEMBERED_MAX: usize = 1 << 18;

/// A set of types: a bit for each number of [`AttributeType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Types(u8);

/// The attributes of a scope.
pub(super) type Keys = FxHashMap<Box<str>, Types>;

/// What is known of files.
#[derive(Debug, Default)]
pub(crate) struct TypeCache(Mutex<BTreeMap<(Run, AttributeScope), Arc<Keys>>>);

/// Looks for the types in a snapshot.
pub(super) struct Search<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) cache: &'s TypeCache,
    pub(super) memory: &'s Arc<dyn MemoryPool>,
    pub(super) report: &'s Arc<ScanReport>,
    pub(super) deadline: Instant,
}

impl Types {
    fn of(kind: AttributeType) -> Self {
        // Without a value it has no type.
        match kind {
            AttributeType::Empty => Self(0),
            kind => Self(1 << kind as u8),
        }
    }

    pub(super) fn only(kinds: &[AttributeType]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | Self::of(*kind).0))
    }

    pub(super) fn has(self, kind: AttributeType) -> bool {
        self.0 & Self::of(kind).0 != 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What a column is that holds them: their own type where they have one, a double where all are numbers, else text.
    pub(super) fn data_type(self) -> DataType {
        use AttributeType as A;
        let is = |kinds: &[A]| self != Self::default() && self.0 & !Self::only(kinds).0 == 0;
        if is(&[A::Int]) {
            DataType::Int64
        } else if is(&[A::Int, A::Double]) {
            DataType::Float64
        } else if is(&[A::Bool]) {
            DataType::Boolean
        } else {
            DataType::Utf8
        }
    }
}

impl TypeCache {
    fn known(&self) -> MutexGuard<'_, BTreeMap<(Run, AttributeScope), Arc<Keys>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of these runs, joined; and those of which nothing is.
    fn get(&self, runs: &BTreeSet<Run>, scope: AttributeScope) -> (Keys, BTreeSet<Run>) {
        let (mut all, mut unknown) = (Keys::default(), BTreeSet::new());
        let known = self.known();
        for run in runs {
            match known.get(&(run.clone(), scope)) {
                Some(keys) => join(&mut all, keys),
                None => {
                    unknown.insert(run.clone());
                }
            }
        }
        (all, unknown)
    }

    /// Remembers what was found, as far as there is room, and of other files those that are still there.
    fn put<'f>(
        &self,
        found: impl Iterator<Item = ((Run, AttributeScope), Keys)>,
        files: impl Iterator<Item = &'f str>,
    ) {
        let files: FxHashSet<&str> = files.collect();
        let mut known = self.known();
        known.retain(|(run, _), _| files.contains(run.file.as_str()));
        let held: usize = known.values().map(|keys| keys.len()).sum();
        let mut room = REMEMBERED_MAX.saturating_sub(held);
        for (run, keys) in found {
            if keys.len() < room {
                room -= keys.len() + 1;
                known.insert(run, Arc::new(keys));
            }
        }
    }
}

fn join(all: &mut Keys, keys: &Keys) {
    for (key, types) in keys {
        match all.get_mut(key) {
            Some(known) => *known = known.and(*types),
            None => {
                all.insert(key.clone(), *types);
            }
        }
    }
}

impl Search<'_> {
    /// All attributes of a scope.
    pub(super) async fn keys(
        &self,
        scope: AttributeScope,
    ) -> Result<(Keys, Option<Stopped>), QueryError> {
        let counted = self.partitions(scope, AttributeKeys::Uncounted).await;
        let runs: BTreeSet<Run> = counted.iter().filter_map(Partition::run).collect();
        let (mut all, unknown) = self.cache.get(&runs, scope);
        let is_unknown = |it: &Partition| it.run().is_none_or(|run| unknown.contains(&run));
        let mut partitions: Vec<Partition> = counted.into_iter().filter(is_unknown).collect();
        if scope == AttributeScope::Span
            && partitions.iter().any(|it| it.attribute_counts().is_none())
        {
            // What was not counted is read whole.
            partitions.retain(|it| it.attribute_counts().is_some());
            let whole = self.partitions(scope, AttributeKeys::All).await;
            let whole = whole.into_iter().filter(is_unknown);
            partitions.extend(whole.filter(|it| it.attribute_counts().is_none()));
        }
        partitions.sort_by_key(Partition::span_count_upper_bound);
        let workers = parallel::workers().clamp(1, partitions.len().max(1));
        let workers = (0..workers).map(|_| TypeWorker {
            scope,
            runs: BTreeMap::new(),
            current: None,
            memory: MemoryConsumer::new("attributes").register(self.memory),
            bytes: 0,
        });
        let pass = parallel::pass(partitions, workers.collect(), self.report, self.deadline);
        let (workers, stopped) = pass.await?;
        let mut found: BTreeMap<Option<Run>, Keys> = BTreeMap::new();
        for (run, keys) in workers.into_iter().flat_map(|worker| worker.runs) {
            join(&mut all, &keys);
            join(found.entry(run).or_default(), &keys);
        }
        if stopped.is_none() && self.report.unreadable().is_empty() {
            let found = found.into_iter();
            let found = found.filter_map(|(run, keys)| Some(((run?, scope), keys)));
            self.cache.put(found, self.snapshot.file_names());
        }
        Ok((all, stopped))
    }

    async fn partitions(&self, scope: AttributeScope, own: AttributeKeys) -> Vec<Partition> {
        let columns = match scope {
            AttributeScope::Span => ScanColumns {
                attributes: own,
                ..ScanColumns::NONE
            },
            AttributeScope::Resource => ScanColumns {
                resource: AttributeKeys::All,
                ..ScanColumns::NONE
            },
            AttributeScope::Event => ScanColumns {
                events: true,
                ..ScanColumns::NONE
            },
            AttributeScope::Link => ScanColumns {
                links: true,
                ..ScanColumns::NONE
            },
            AttributeScope::Instrumentation => ScanColumns {
                scope: true,
                ..ScanColumns::NONE
            },
        };
        let request = ScanRequest {
            time_range: None,
            trace_ids: None,
            columns,
            filter: None,
        };
        self.snapshot.scan(&request).await.partitions
    }
}

/// Looks at batches.
struct TypeWorker {
    scope: AttributeScope,
    runs: BTreeMap<Option<Run>, Keys>,
    current: Option<Run>,
    memory: MemoryReservation,
    bytes: usize,
}

impl TypeWorker {
    fn add(&mut self, key: &str, types: Types) -> Result<(), MemoryFull> {
        let keys = self.runs.entry(self.current.clone()).or_default();
        match keys.get_mut(key) {
            Some(known) => *known = known.and(types),
            None => {
                keys.insert(key.into(), types);
                self.bytes += key.len() + 2 * size_of::<(Box<str>, Types)>();
                self.memory.try_resize(self.bytes).map_err(|_| MemoryFull)?;
            }
        }
        Ok(())
    }

    fn attributes(&mut self, attributes: &Attributes<'_>) -> Result<(), MemoryFull> {
        let mut met = vec![None; attributes.keys().len()];
        for (key, kind) in attributes.key_indices().iter().zip(attributes.types()) {
            let types: &mut Option<Types> = &mut met[*key as usize];
            let more = Types::of(AttributeType::from_number(*kind));
            *types = Some(types.unwrap_or_default().and(more));
        }
        for (key, types) in met.into_iter().enumerate() {
            if let Some(types) = types {
                self.add(attributes.keys().value(key), types)?;
            }
        }
        Ok(())
    }
}

impl Worker for TypeWorker {
    fn begin(&mut self, partition: &Partition) {
        self.current = partition.run();
        // A run that has none is remembered, too.
        self.runs.entry(self.current.clone()).or_default();
        if self.scope != AttributeScope::Span {
            return;
        }
        for count in partition.attribute_counts().into_iter().flatten() {
            if count.spans > 0 {
                // More than there is room for is noticed with the first batch.
                let _ = self.add(&count.key, Types::of(count.kind));
            }
        }
    }

    fn take(&mut self, batch: &SpanBatch) -> Result<(), MemoryFull> {
        let columns = batch.columns();
        match self.scope {
            AttributeScope::Span => self.attributes(&columns.attributes),
            AttributeScope::Resource => self.attributes(&columns.resource_values.attributes),
            AttributeScope::Event => self.attributes(&columns.events.attributes),
            AttributeScope::Link => self.attributes(&columns.links.attributes),
            AttributeScope::Instrumentation => self.attributes(&columns.scope_values.attributes),
        }
    }
}

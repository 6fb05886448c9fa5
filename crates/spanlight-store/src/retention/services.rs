//! Services whose spans are kept for less long than those of others: files are written again without them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::UInt32Array;
use futures::StreamExt as _;
use spanlight_model::SpanBatch;

use crate::cold::{ColdFile, ColdTier};
use crate::error::{FlushError, ReadError};
use crate::maintenance::{Maintenance, nanos};
use crate::scan::{Comparison, Field, Filter, Literal, Predicate, ScanColumns, ScanRequest, Test};
use crate::snapshot::{Snapshot, View};

/// Files that are looked into at once, so that spans that move on need not wait long.
const FILES_AT_ONCE: usize = 32;

type Services = BTreeSet<Arc<str>>;

/// Files that have no spans of these services any more, by name.
pub(crate) type Cleared = BTreeMap<String, Services>;

impl Maintenance {
    /// Deletes spans that are too old for their service, of one file at a look.
    pub(crate) async fn expire_services(&mut self) {
        if self.options.service_retention.is_empty() {
            return;
        }
        let files = Arc::clone(&self.published.load().cold.files);
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        self.cleared.retain(|name, _| names.contains(name.as_str()));
        let mut looked = 0;
        for file in files.iter() {
            let due = self.due_services(file);
            if due.is_empty() || self.reader.unreadable.contains(&file.name) {
                continue;
            }
            looked += 1;
            match self.clear(file, &due).await {
                Ok(Some(0)) if looked < FILES_AT_ONCE => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(%error, file = %file.label(), "spans beyond storage.service_retention could not be deleted");
                    return;
                }
            }
        }
    }

    fn due_services(&self, file: &ColdFile) -> Services {
        let now = self.options.clock.now_unix_nano();
        let cleared = self.cleared.get(&file.name);
        let services = self.options.service_retention.iter();
        services
            .filter(|(_, retention)| {
                file.times.received_max < now.saturating_sub(nanos(**retention))
            })
            .map(|(service, _)| Arc::from(service.as_str()))
            .filter(|service| !cleared.is_some_and(|cleared| cleared.contains(service)))
            .collect()
    }

    /// Writes the file again without these services. How many spans they had; `None` while there is no memory.
    async fn clear(
        &mut self,
        file: &Arc<ColdFile>,
        services: &Services,
    ) -> Result<Option<u64>, FlushError> {
        let found = match self.count_services(file, services).await {
            Ok(found) => found,
            Err(error) => return Err(FlushError::Write(error.to_string())),
        };
        if found > 0 {
            let Some(memory) = self.reserve_for(file.spans) else {
                return Ok(None);
            };
            self.write_without(file, services).await?;
            drop(memory);
            tracing::info!(
                spans = found,
                "spans beyond storage.service_retention were deleted"
            );
            self.report
                .count(|counters| counters.expired.spans_by_service += found);
        }
        let cleared = self.cleared.entry(file.name.clone()).or_default();
        cleared.extend(services.iter().map(Arc::clone));
        Ok(Some(found))
    }

    async fn count_services(
        &self,
        file: &Arc<ColdFile>,
        services: &Services,
    ) -> Result<u64, ReadError> {
        let tests = services.iter().map(|service| {
            Filter::Test(Test {
                field: Field::ServiceName,
                predicate: Predicate::Compare(
                    Comparison::Equal,
                    Literal::String(Arc::clone(service)),
                ),
            })
        });
        let request = ScanRequest {
            columns: ScanColumns {
                service_name: true,
                ..ScanColumns::NONE
            },
            filter: Some(Arc::new(Filter::Or(tests.collect()))),
            ..ScanRequest::default()
        };
        let view = View {
            cold: ColdTier {
                files: Arc::new(vec![Arc::clone(file)]),
                ..ColdTier::default()
            },
            ..View::default()
        };
        let snapshot = Snapshot::new(Arc::new(view), self.reader.clone());
        let mut found = 0;
        for partition in snapshot.scan(&request).await.partitions {
            let mut stream = partition.stream();
            while let Some(batch) = stream.next().await {
                found += rows(&batch?, |service| services.contains(service)).len() as u64;
            }
        }
        Ok(found)
    }

    async fn write_without(
        &mut self,
        file: &Arc<ColdFile>,
        services: &Services,
    ) -> Result<(), FlushError> {
        let files = [Arc::clone(file)];
        let write_error = |reason: String| FlushError::Write(reason);
        let batches = self.read_files(&files).await;
        let mut kept = Vec::new();
        for batch in batches.map_err(|error| write_error(error.to_string()))? {
            let rows = UInt32Array::from(rows(&batch, |service| !services.contains(service)));
            let batch = batch.take(&rows);
            kept.push(batch.map_err(|error| write_error(error.to_string()))?);
        }
        kept.retain(|batch| !batch.is_empty());
        let new = if kept.is_empty() {
            None
        } else {
            Some(self.write_cold(kept).await?.file)
        };
        if let Err(error) = self.replace(&files, new.as_slice(), true).await {
            if !self.table.is_doubtful() {
                let unused = new.iter().map(|file| file.path.clone());
                self.remove_files(unused.collect()).await;
            }
            return Err(error);
        }
        Ok(())
    }
}

/// The rows whose service's name passes; one without is the empty name.
fn rows(batch: &SpanBatch, passes: impl Fn(&str) -> bool) -> Vec<u32> {
    let rows = (0..).zip((0..batch.num_spans()).map(|row| batch.span(row)));
    rows.filter(|(_, span)| passes(span.resource().service_name().unwrap_or_default()))
        .map(|(row, _)| row)
        .collect()
}

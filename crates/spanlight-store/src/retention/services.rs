//! Services whose spans are kept for less long than those of others: files are written again without them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cold::ColdFile;
use crate::cold::append::Without;
use crate::error::FlushError;
use crate::maintenance::{Maintenance, nanos};
use crate::rewrite::RemoveError;

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
        let Some(memory) = self.reserve_for(file.spans) else {
            return Ok(None);
        };
        let without = Without::Services(Arc::new(services.clone()));
        let removed = self.remove_spans(file, without).await;
        drop(memory);
        let found = match removed {
            Ok(removed) => removed.spans,
            Err(RemoveError::Unreadable(error)) => {
                return Err(FlushError::Write(error.to_string()));
            }
            Err(RemoveError::Failed(error)) => return Err(error),
        };
        if found > 0 {
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
}

//! What those who read files ask of their indexes of traces.

use std::sync::Arc;

use parquet::errors::ParquetError;
use spanlight_model::TraceId;

use super::Said;
use crate::cold::ColdFile;
use crate::cold::fetch::Fetch;
use crate::cold::read::FileReader;
use crate::scan::{ScanReport, ScanRequest, SkipReason};

impl FileReader {
    /// Whether a file is known to have none of the traces that are asked for. Reads nothing.
    pub(crate) fn lacks_traces(
        &self,
        file: &ColdFile,
        request: &ScanRequest,
        report: &ScanReport,
    ) -> bool {
        let said = request.trace_ids.as_ref().and_then(|ids| {
            let index = self.footers.find_traces(&file.path)?;
            index.known(ids.iter())
        });
        let Some(said) = said.filter(|said| !said.is_any()) else {
            return false;
        };
        count_without(file, &said, report);
        true
    }

    /// How many of these traces, which a file has, its index does not have. Blocks.
    ///
    /// # Errors
    /// When the index cannot be read. A file without one lacks nothing.
    pub(crate) fn traces_lacking(
        &self,
        file: &Arc<ColdFile>,
        traces: &[TraceId],
    ) -> Result<u64, ParquetError> {
        let fetch = Fetch::new(Arc::clone(&self.source), Arc::clone(file), Arc::default());
        let Some(index) = self.footers.traces(&fetch) else {
            return Ok(0);
        };
        let mut lacking = 0;
        for trace in traces {
            let said = index.groups(&fetch, std::iter::once(trace))?;
            lacking += u64::from(!said.is_any());
        }
        Ok(lacking)
    }

    /// Where the traces may be that are asked for; `None` where no index says it.
    pub(crate) fn has_traces(&self, fetch: &Fetch, request: &ScanRequest) -> Option<Said> {
        let ids = request.trace_ids.as_ref()?;
        let index = self.footers.traces(fetch)?;
        let said = index.groups(fetch, ids.iter());
        if let Err(error) = &said
            && index.is_damaged()
        {
            // The rest of the file says all that it does, more slowly.
            let file = fetch.file().label();
            tracing::warn!(file, %error, "a data file is read without its index of traces");
        }
        said.ok()
    }
}

/// Counts a file as left out by its index of traces.
pub(crate) fn count_without(file: &ColdFile, said: &Said, report: &ScanReport) {
    let count = said.groups.len() as u64;
    report.row_groups.consider(count);
    report.row_groups.skip(SkipReason::Bloom, count);
    report.bytes.skip(SkipReason::Bloom, file.bytes);
    report.spans.skip(SkipReason::Bloom, file.spans);
}

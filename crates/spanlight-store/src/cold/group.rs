//! Reading columns of one row group: the pages that have the chosen rows, fetched together.

use std::ops::Range;

use arrow_array::RecordBatch;
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;

use super::fetch::Fetch;
use super::footer::{Footer, Paged};
use super::prune::{self, StartPage};
use super::rows::Rows;
use crate::hot::TimeBounds;
use crate::scan::{ScanReport, SkipReason};

/// A row group that is being read.
#[derive(Debug)]
pub(crate) struct GroupReader<'a> {
    pub(crate) footer: &'a Footer,
    pub(crate) fetch: Fetch,
    pub(crate) number: usize,
    paged: &'a Paged,
    report: &'a ScanReport,
}

impl<'a> GroupReader<'a> {
    pub(crate) fn new(
        footer: &'a Footer,
        fetch: Fetch,
        number: usize,
        report: &'a ScanReport,
    ) -> Result<Self, ParquetError> {
        Ok(Self {
            paged: footer.paged(&fetch)?,
            footer,
            fetch,
            number,
            report,
        })
    }

    pub(crate) fn spans(&self) -> usize {
        self.footer.groups[self.number].spans
    }

    pub(crate) fn column(&self, leaf: usize) -> &'a ColumnChunkMetaData {
        self.footer.metadata.row_group(self.number).column(leaf)
    }

    /// Bytes of a column on disk.
    pub(crate) fn column_bytes(&self, leaf: usize) -> u64 {
        u64::try_from(self.column(leaf).compressed_size()).unwrap_or(0)
    }

    /// The rows of pages of which this may hold, as far as their times tell.
    pub(crate) fn pages_where(&self, may_hold: impl Fn(TimeBounds) -> bool) -> Rows {
        let all = Rows::all(self.spans());
        let metadata = self.paged.rows.metadata();
        let pages = prune::pages_by_time(metadata, self.footer, self.number, may_hold);
        if pages.iter().all(|(_, may_hold)| *may_hold) {
            return all;
        }
        let mut mask = BooleanBufferBuilder::new(self.spans());
        let ends = pages.iter().skip(1).map(|(from, _)| *from);
        let ends = ends.chain([self.spans()]);
        for ((from, may_hold), to) in pages.iter().zip(ends) {
            mask.append_n(to.saturating_sub(*from), *may_hold);
        }
        if mask.len() == self.spans() {
            Rows::of_mask(mask.finish())
        } else {
            all
        }
    }

    /// The pages of starts; empty when nothing is known of them.
    pub(crate) fn start_pages(&self) -> Vec<StartPage> {
        prune::start_pages(self.paged.rows.metadata(), self.footer, self.number)
    }

    /// One column at the chosen rows, all at once, as it is tested.
    pub(crate) fn codes(
        &self,
        root: usize,
        rows: &Rows,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, ParquetError> {
        self.read(&self.paged.codes, &[root], rows, self.spans())
    }

    /// These columns at the chosen rows, as spans are made of them. Columns that have nothing there do not come.
    pub(crate) fn rows(
        &self,
        roots: &[usize],
        rows: &Rows,
        batch_spans: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let filled: Vec<usize> = roots
            .iter()
            .copied()
            .filter(|&root| {
                let mut leaves = self.leaves(root);
                leaves.any(|leaf| self.has_values(leaf, rows))
            })
            .collect();
        for root in roots.iter().filter(|root| !filled.contains(root)) {
            let pages: usize = self.leaves(*root).map(|leaf| self.pages(leaf).len()).sum();
            self.report.pages.consider(pages as u64);
            self.report.pages.skip(SkipReason::KeyAbsent, pages as u64);
        }
        self.read(&self.paged.rows, &filled, rows, batch_spans)
    }

    fn read(
        &self,
        metadata: &ArrowReaderMetadata,
        roots: &[usize],
        rows: &Rows,
        batch_spans: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let selection = rows.selection();
        let mut ranges = Vec::new();
        for &root in roots {
            for leaf in self.leaves(root) {
                let (start, length) = self.column(leaf).byte_range();
                let pages = self.pages(leaf);
                self.report.pages.consider(pages.len() as u64);
                match (&selection, pages) {
                    (Some(selection), [first, ..]) => {
                        // What is before the first page is the dictionary.
                        ranges.push(start..u64::try_from(first.offset)?);
                        let chosen = selection.scan_ranges(pages);
                        self.report.pages.read(chosen.len() as u64);
                        let skipped = pages.len() - chosen.len();
                        self.report.pages.skip(SkipReason::NoRows, skipped as u64);
                        ranges.extend(chosen);
                    }
                    _ => {
                        self.report.pages.read(pages.len() as u64);
                        ranges.push(start..start.saturating_add(length));
                    }
                }
            }
        }
        let fetch = self.fetch.with(&ranges)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(fetch, metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
        let mut builder = builder
            .with_projection(mask)
            .with_row_groups(vec![self.number])
            .with_batch_size(batch_spans.max(1));
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build()
    }

    fn leaves(&self, root: usize) -> Range<usize> {
        let root = self.footer.roots().get(root);
        root.map_or(0..0, |(_, leaves)| leaves.clone())
    }

    fn pages(&self, leaf: usize) -> &'a [PageLocation] {
        let index = self.paged.rows.metadata().offset_index();
        let index = index.and_then(|index| index.get(self.number)?.get(leaf));
        index.map_or(&[], |index| index.page_locations().as_slice())
    }

    /// Whether a column may have a value at the chosen rows.
    fn has_values(&self, leaf: usize, rows: &Rows) -> bool {
        if super::dictionary::is_empty(self.column(leaf)) {
            return false;
        }
        let index = self.paged.rows.metadata().column_index();
        let index = index.and_then(|index| index.get(self.number)?.get(leaf));
        let pages = self.pages(leaf);
        // Columns whose bounds would help nobody have no index.
        let index = index.filter(|index| !matches!(index, ColumnIndexMetaData::NONE));
        let Some(index) = index.filter(|index| index.num_pages() == pages.len() as u64) else {
            return true;
        };
        if rows.is_all() {
            return true;
        }
        pages.iter().enumerate().any(|(page, place)| {
            let next = pages.get(page + 1).map(|next| next.first_row_index);
            let from = usize::try_from(place.first_row_index).unwrap_or(0);
            let to = next.map_or(self.spans(), |next| {
                usize::try_from(next).unwrap_or(usize::MAX)
            });
            !index.is_null_page(page) && rows.any_within(from, to)
        })
    }
}

//! Reading columns of one row group: the pages that have the chosen rows, fetched together.

mod columns;
#[cfg(test)]
mod tests;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Int32Array, RecordBatch};
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use spanlight_model::TraceId;

use self::columns::Columns;
use super::fetch::Fetch;
use super::footer::{Footer, Layout, Paged};
use super::pages::flat::FlatColumn;
use super::pages::found::CodeSearch;
use super::pages::index::Places;
use super::pages::nested::OwnGroup;
use super::pages::sorted::SortedCodes;
use super::pages::{self, Distinct};
use super::prune::StartPage;
use super::rows::Rows;
use super::stored::Stored;
use super::{dictionary, prune, schema as table};
use crate::hot::TimeBounds;
use crate::scan::{ScanReport, SkipReason};

/// So many rows are few: some traces.
const FEW_ROWS: usize = 1 << 10;

/// Rows of columns, a batch at a time.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ParquetError>>>;

/// A row group that is being read.
#[derive(Debug)]
pub(crate) struct GroupReader<'a> {
    pub(crate) footer: &'a Footer,
    pub(crate) fetch: Fetch,
    pub(crate) number: usize,
    /// Codes of trace ids that may be those that are asked for; none where nobody knows.
    pub(crate) traces_at: Vec<i32>,
    paged: &'a Paged,
    report: &'a ScanReport,
    /// Dictionaries by leaf: tests need them, and then the rows that passed.
    distinct: RefCell<HashMap<usize, Arc<Distinct>>>,
    places: RefCell<HashMap<usize, Arc<Places>>>,
    /// Leaves, none of lists, of which only the presence of values is wanted; foreign files give them whole.
    pub(crate) presence: BTreeSet<usize>,
    /// Asked for by what starts in some time, what overlaps one, and the starts themselves.
    start_pages: OnceCell<Vec<StartPage>>,
}

impl<'a> GroupReader<'a> {
    pub(crate) fn new(
        footer: &'a Footer,
        fetch: Fetch,
        number: usize,
        report: &'a ScanReport,
    ) -> Result<Self, ParquetError> {
        footer.read_index(&fetch)?;
        Ok(Self {
            paged: footer.paged()?,
            footer,
            fetch,
            number,
            traces_at: Vec::new(),
            report,
            distinct: RefCell::default(),
            places: RefCell::default(),
            presence: BTreeSet::new(),
            start_pages: OnceCell::new(),
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

    /// The distinct values of a column that has a dictionary.
    pub(crate) fn distinct(&self, leaf: usize) -> Result<Option<Arc<Distinct>>, ParquetError> {
        if let Some(known) = self.distinct.borrow().get(&leaf) {
            return Ok(Some(Arc::clone(known)));
        }
        let column = self.column(leaf);
        let Some(page) = pages::read_dictionary(&self.fetch, column)? else {
            return Ok(None);
        };
        let distinct = Arc::new(Distinct::of(&page, column.column_type())?);
        let known = Arc::clone(&distinct);
        self.distinct.borrow_mut().insert(leaf, known);
        Ok(Some(distinct))
    }

    /// The dictionary of trace ids, where single ones are read of it: it is stored as it is, and not known yet.
    fn stored(&self, leaf: usize) -> Result<Option<Stored>, ParquetError> {
        let is_trace_id = self.footer.leaf(table::TRACE_ID).map(|it| it.0) == Some(leaf);
        if !is_trace_id || !self.is_own() || self.distinct.borrow().contains_key(&leaf) {
            return Ok(None);
        }
        let (footer, fetch) = (self.footer, &self.fetch);
        let place = footer.stored_dictionary(fetch, self.number, leaf)?;
        Ok(place.map(|place| Stored {
            fetch: fetch.clone(),
            place,
        }))
    }

    /// The distinct values of a column for so many rows, as far as no page of it need be fetched for them.
    fn known_distinct(
        &self,
        leaf: usize,
        rows: usize,
    ) -> Result<Option<Arc<Distinct>>, ParquetError> {
        if let Some(known) = self.distinct.borrow().get(&leaf) {
            return Ok(Some(Arc::clone(known)));
        }
        if rows > FEW_ROWS {
            return Ok(None);
        }
        let stored = self.stored(leaf)?;
        Ok(stored.map(|stored| Arc::new(Distinct::Stored(stored))))
    }

    /// The rows of pages of which this may hold, as far as their times tell.
    pub(crate) fn pages_where(
        &self,
        may_hold: impl Fn(TimeBounds) -> bool,
    ) -> Result<Rows, ParquetError> {
        let durations = self.footer.groups[self.number].durations;
        let pages = self.start_pages()?;
        let mut mask = BooleanBufferBuilder::new(self.spans());
        let ends = pages.iter().skip(1).map(|page| page.row);
        for (page, end) in pages.iter().zip(ends.chain([self.spans()])) {
            let times = page.micros.map(|it| prune::within(it.0, it.1, durations));
            mask.append_n(end.saturating_sub(page.row), times.is_none_or(&may_hold));
        }
        Ok(match mask.len() == self.spans() {
            true => Rows::of_mask(mask.finish()),
            false => Rows::all(self.spans()),
        })
    }

    /// The pages of starts; empty when nothing is known of them.
    pub(crate) fn start_pages(&self) -> Result<&[StartPage], ParquetError> {
        if let Some(known) = self.start_pages.get() {
            return Ok(known);
        }
        let pages = self.read_start_pages()?;
        Ok(self.start_pages.get_or_init(|| pages))
    }

    fn read_start_pages(&self) -> Result<Vec<StartPage>, ParquetError> {
        let start = self.footer.leaf(table::START_TIME);
        let index = start.and_then(|(leaf, _)| {
            let index = self.footer.column_index(self.number, leaf)?;
            Some((self.places(leaf), index))
        });
        let Some((places, index)) = index else {
            return Ok(Vec::new());
        };
        let (places, bounds) = (places?, pages::index::bounds(index)?);
        let pages = (0..places.len()).map(|page| StartPage {
            row: places.rows(page).start,
            micros: bounds.get(page).copied().flatten(),
        });
        Ok(pages.collect())
    }

    /// One column at the chosen rows, all at once, as it is tested.
    pub(crate) fn tested(&self, root: usize, rows: &Rows) -> Result<Batches, ParquetError> {
        let group = self.fetched(&[root], rows)?;
        self.batches(group, &self.paged.tested, &[root], rows, self.spans())
    }

    /// The codes of a column that has nothing else, at the chosen rows. `None` when the file is not one of ours.
    pub(crate) fn codes(
        &self,
        root: usize,
        leaf: usize,
        rows: &Rows,
    ) -> Result<Option<Int32Array>, ParquetError> {
        if !self.is_own() {
            return Ok(None);
        }
        let distinct = self.distinct(leaf)?;
        let group = self.fetched(&[root], rows)?;
        // Its own type does not matter.
        let mut column = FlatColumn::new(group.pages(leaf), DataType::Null, distinct);
        column.codes(&rows.ranges()).map(Some)
    }

    /// Those of the chosen rows that have a code of a column that has nothing else. `None` when the file is not one of ours.
    pub(crate) fn rows_of_code(
        &self,
        root: usize,
        leaf: usize,
        code: usize,
        rows: &Rows,
    ) -> Result<Option<Rows>, ParquetError> {
        if !self.is_own() || self.places(leaf)?.is_empty() {
            return Ok(None);
        }
        // Codes are told without what they stand for.
        let group = self.fetched_for(&[root], rows, 0)?;
        let code = u32::try_from(code)?;
        let found = CodeSearch::new(group.pages(leaf)).rows_of(code, &rows.ranges())?;
        Ok(found.map(|found| rows.intersection(&Rows::of_ranges(self.spans(), &found))))
    }

    /// The rows that have some codes of a column whose codes grow from row to row. `None` when that is not known.
    pub(crate) fn rows_of_codes(
        &self,
        root: usize,
        leaf: usize,
        codes: impl Iterator<Item = usize>,
    ) -> Result<Option<Rows>, ParquetError> {
        let is_optional = self.column(leaf).column_descr().max_def_level() > 0;
        if !self.is_own() || is_optional || self.places(leaf)?.is_empty() {
            return Ok(None);
        }
        let distinct = match self.known_distinct(leaf, 0)? {
            Some(known) => Some(known),
            None => self.distinct(leaf)?,
        };
        let Some(distinct) = distinct else {
            return Ok(None);
        };
        let group = self.fetched_for(&[root], &Rows::all(self.spans()), 0)?;
        let mut sorted = SortedCodes::new(group.pages(leaf), distinct.len());
        let mut ranges = Vec::new();
        for code in codes {
            match sorted.rows_of(u32::try_from(code)?)? {
                Some(rows) => ranges.push(rows),
                None => return Ok(None),
            }
        }
        Ok(Some(Rows::of_ranges(self.spans(), &ranges)))
    }

    /// These columns at the chosen rows, as spans are made of them. Columns that have nothing there do not come.
    pub(crate) fn rows(
        &self,
        roots: &[usize],
        rows: &Rows,
        batch_spans: usize,
    ) -> Result<Batches, ParquetError> {
        let mut filled = Vec::new();
        for &root in roots {
            let mut has_values = false;
            let mut pages = 0;
            for leaf in self.leaves(root) {
                has_values = has_values || self.has_values(leaf, rows)?;
                pages += self.places(leaf)?.len() as u64;
            }
            if has_values {
                filled.push(root);
            } else {
                self.report.pages.consider(pages);
                self.report.pages.skip(SkipReason::KeyAbsent, pages);
            }
        }
        let group = self.fetched(&filled, rows)?;
        let mut has_elements = Vec::with_capacity(filled.len());
        for &root in &filled {
            has_elements.push(self.has_elements(&group, root, rows)?);
        }
        let mut has_elements = has_elements.into_iter();
        filled.retain(|_| has_elements.next() == Some(true));
        self.batches(group, &self.paged.rows, &filled, rows, batch_spans)
    }

    /// Whether the pages are written by us: files with checksums are.
    fn is_own(&self) -> bool {
        self.footer.checksums.is_some()
    }

    fn batches(
        &self,
        group: OwnGroup,
        layout: &Layout,
        roots: &[usize],
        rows: &Rows,
        batch_spans: usize,
    ) -> Result<Batches, ParquetError> {
        if !self.is_own() {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                group.fetch,
                layout.for_crate(&self.footer.metadata)?,
            );
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
            let builder = builder.with_projection(mask);
            let builder = builder.with_row_groups(vec![self.number]);
            let mut builder = builder.with_batch_size(batch_spans.max(1));
            if let Some(selection) = rows.selection() {
                builder = builder.with_row_selection(selection);
            }
            let batches = builder.build()?;
            return Ok(Box::new(batches.map(|batch| Ok(batch?))));
        }
        let mut columns = Columns::new(rows, batch_spans);
        for &root in roots {
            let field = Arc::clone(&layout.schema.fields()[root]);
            match self.paged.nested.get(&root) {
                Some(levels) => {
                    let selection = rows.selection();
                    let reader = group.read(levels, batch_spans.max(1), selection)?;
                    columns.push_nested(field, reader);
                }
                None => {
                    let leaf = self.leaves(root).start;
                    let known = self.known_distinct(leaf, rows.count())?;
                    let (pages, kind) = (group.pages(leaf), field.data_type().clone());
                    let column = FlatColumn::new(pages, kind, known);
                    columns.push_flat(field, column, self.presence.contains(&leaf));
                }
            }
        }
        Ok(Box::new(columns))
    }

    /// The rows of those of these traces that are where they may be, which are in order; `None` where that is not known,
    /// or is not so.
    pub(crate) fn rows_of_traces(
        &self,
        root: usize,
        leaf: usize,
        traces: &BTreeSet<TraceId>,
    ) -> Result<Option<Rows>, ParquetError> {
        if self.traces_at.is_empty() {
            return Ok(None);
        }
        let Some(stored) = self.stored(leaf)? else {
            return Ok(None);
        };
        let is_there = |code: &i32| (*code as usize) < stored.len();
        if !self.traces_at.iter().all(is_there) {
            return Ok(None);
        }
        let picked = stored.pick(&self.traces_at)?;
        let is_wanted = |code: &i32| {
            let id = picked.get(*code).try_into().map(TraceId);
            id.is_ok_and(|id| traces.contains(&id))
        };
        // Hashes of other traces may be equal, but seldom are: then all ids are looked at.
        if !picked.codes.iter().all(is_wanted) {
            return Ok(None);
        }
        let codes = picked.codes.iter().map(|code| *code as usize);
        self.rows_of_codes(root, leaf, codes)
    }

    /// The row group with the pages of these columns that have the chosen rows.
    fn fetched(&self, roots: &[usize], rows: &Rows) -> Result<OwnGroup, ParquetError> {
        self.fetched_for(roots, rows, rows.count())
    }

    /// The same for those who want the values of so many rows.
    fn fetched_for(
        &self,
        roots: &[usize],
        rows: &Rows,
        values: usize,
    ) -> Result<OwnGroup, ParquetError> {
        let chosen = rows.ranges();
        let mut ranges = Vec::new();
        let mut all_places = HashMap::new();
        for leaf in roots.iter().flat_map(|&root| self.leaves(root)) {
            let places = self.places(leaf)?;
            self.report.pages.consider(places.len() as u64);
            let before = ranges.len();
            if rows.is_all() || places.is_empty() {
                let (start, length) = self.column(leaf).byte_range();
                let end = start.saturating_add(length);
                self.report.pages.read(places.len() as u64);
                let is_known = self.presence.contains(&leaf) && self.is_own()
                    || self.known_distinct(leaf, values)?.is_some();
                ranges.push(match is_known && !places.is_empty() {
                    true => places.bytes(0).start..end,
                    false => start..end,
                });
            } else {
                push_pages(&places, &chosen, &mut ranges);
                let read = ranges.len() - before;
                self.report.pages.read(read as u64);
                let skipped = places.len() - read;
                self.report.pages.skip(SkipReason::NoRows, skipped as u64);
                if self.known_distinct(leaf, values)?.is_none() {
                    ranges.extend(dictionary::range(self.column(leaf)));
                }
            }
            all_places.insert(leaf, places);
        }
        Ok(OwnGroup {
            fetch: self.fetch.with(&ranges)?,
            metadata: Arc::clone(&self.footer.metadata),
            number: self.number,
            places: all_places,
        })
    }

    /// Whether a column that may be one of lists has any element at the chosen rows. Not asked where they are many.
    fn has_elements(
        &self,
        group: &OwnGroup,
        root: usize,
        rows: &Rows,
    ) -> Result<bool, ParquetError> {
        let leaf = self.leaves(root).start;
        let is_list = self.paged.nested.contains_key(&root);
        if !is_list || !self.is_own() || rows.count() > FEW_ROWS {
            return Ok(true);
        }
        let descriptor = self.column(leaf).column_descr();
        if (descriptor.max_rep_level(), descriptor.max_def_level()) != (1, 1) {
            return Ok(true);
        }
        pages::lists::any_elements(&group.pages(leaf), &rows.ranges())
    }

    fn leaves(&self, root: usize) -> Range<usize> {
        let root = self.footer.roots().get(root);
        root.map_or(0..0, |(_, leaves)| leaves.clone())
    }

    /// Where the pages of a column lie; nothing when the file does not say it.
    fn places(&self, leaf: usize) -> Result<Arc<Places>, ParquetError> {
        if let Some(known) = self.places.borrow().get(&leaf) {
            return Ok(Arc::clone(known));
        }
        let places = match self.footer.offset_index(self.number, leaf) {
            Some(index) => Arc::new(Places::parse(index, self.spans())?),
            None => Arc::default(),
        };
        let known = Arc::clone(&places);
        self.places.borrow_mut().insert(leaf, known);
        Ok(places)
    }

    /// Whether a column may have a value at the chosen rows.
    fn has_values(&self, leaf: usize, rows: &Rows) -> Result<bool, ParquetError> {
        if dictionary::is_empty(self.column(leaf)) {
            return Ok(false);
        }
        // Columns whose bounds would help nobody have no index.
        let index = self.footer.column_index(self.number, leaf);
        let Some(index) = index.filter(|_| !rows.is_all()) else {
            return Ok(true);
        };
        let (places, nulls) = (self.places(leaf)?, pages::index::null_pages(index)?);
        if nulls.len() != places.len() {
            return Ok(true);
        }
        let mut filled = nulls.iter().enumerate().filter(|(_, is_null)| !**is_null);
        Ok(filled.any(|(page, _)| {
            let range = places.rows(page);
            rows.any_within(range.start, range.end)
        }))
    }
}

/// The bytes of pages that have any of the chosen rows.
fn push_pages(places: &Places, chosen: &[Range<usize>], ranges: &mut Vec<Range<u64>>) {
    let mut chosen = chosen.iter().peekable();
    for page in 0..places.len() {
        let rows = places.rows(page);
        while chosen.next_if(|range| range.end <= rows.start).is_some() {}
        if chosen.peek().is_some_and(|range| range.start < rows.end) {
            ranges.push(places.bytes(page));
        }
    }
}

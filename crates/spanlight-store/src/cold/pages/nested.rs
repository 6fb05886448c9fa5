//! Our pages for the `parquet` crate's reader, which puts lists together.

use std::collections::HashMap;
use std::sync::Arc;

use parquet::arrow::FieldLevels;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::ColumnPages;
use super::index::Places;
use crate::cold::dictionary;
use crate::cold::fetch::Fetch;

/// A row group whose pages are read by us.
#[derive(Debug)]
pub(crate) struct OwnGroup {
    pub(crate) fetch: Fetch,
    pub(crate) metadata: Arc<ParquetMetaData>,
    pub(crate) number: usize,
    /// Of the columns that are to be read, by leaf.
    pub(crate) places: HashMap<usize, Arc<Places>>,
}

impl OwnGroup {
    pub(crate) fn pages(&self, leaf: usize) -> ColumnPages {
        ColumnPages {
            fetch: self.fetch.clone(),
            metadata: Arc::clone(&self.metadata),
            group: self.number,
            leaf,
            places: self.places.get(&leaf).cloned().unwrap_or_default(),
        }
    }

    /// The column that these levels are of, at the chosen rows.
    pub(crate) fn read(
        &self,
        levels: &FieldLevels,
        batch_spans: usize,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader> {
        ParquetRecordBatchReader::try_new_with_row_groups(levels, self, batch_spans, selection)
    }
}

impl RowGroups for OwnGroup {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata.row_group(self.number).num_rows()).unwrap_or(0)
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let pages = self.pages(leaf);
        let stream = PageStream {
            is_dictionary: dictionary::range(pages.column()).is_some(),
            pages,
            next: 0,
        };
        Ok(Box::new(OneColumn(Some(stream))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.number)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// The one chunk of a column in one row group.
struct OneColumn(Option<PageStream>);

impl Iterator for OneColumn {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let stream = self.0.take()?;
        Some(Ok(Box::new(stream)))
    }
}

impl PageIterator for OneColumn {}

/// The pages of a chunk, one after the other.
struct PageStream {
    pages: ColumnPages,
    /// The next page is that of the dictionary.
    is_dictionary: bool,
    next: usize,
}

impl Iterator for PageStream {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for PageStream {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let count = |slots: usize| u32::try_from(slots).map_err(ParquetError::from);
        if std::mem::take(&mut self.is_dictionary)
            && let Some(page) = self.pages.dictionary()?
        {
            return Ok(Some(Page::DictionaryPage {
                num_values: count(page.slots)?,
                buf: page.bytes,
                encoding: page.encoding,
                is_sorted: false,
            }));
        }
        if self.next >= self.pages.places.len() {
            return Ok(None);
        }
        let page = self.pages.data(self.next)?;
        self.next += 1;
        Ok(Some(Page::DataPage {
            num_values: count(page.slots)?,
            buf: page.bytes,
            encoding: page.encoding,
            def_level_encoding: parquet::basic::Encoding::RLE,
            rep_level_encoding: parquet::basic::Encoding::RLE,
            statistics: None,
        }))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        if self.is_dictionary {
            return Ok(Some(PageMetadata {
                num_rows: None,
                num_levels: None,
                is_dict: true,
            }));
        }
        let is_left = self.next < self.pages.places.len();
        Ok(is_left.then(|| PageMetadata {
            num_rows: Some(self.pages.places.rows(self.next).len()),
            num_levels: None,
            is_dict: false,
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_dictionary) {
            self.next += 1;
        }
        Ok(())
    }
}

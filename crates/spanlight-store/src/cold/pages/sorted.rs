//! Codes that grow from row to row, as those of trace ids do in files of ours: where a code is, is found by a search,
//! for which few pages are opened.

use std::collections::HashMap;
use std::ops::Range;

use parquet::errors::ParquetError;

use super::encodings::{codes_below, first_code};
use super::{ColumnPages, Page, damaged};

/// A column of codes that grow, being searched.
#[derive(Debug)]
pub(crate) struct SortedCodes {
    pages: ColumnPages,
    distinct: usize,
    open: HashMap<usize, Page>,
}

impl SortedCodes {
    /// A column that has a value in each row, and a dictionary of so many.
    pub(crate) fn new(pages: ColumnPages, distinct: usize) -> Self {
        Self {
            pages,
            distinct,
            open: HashMap::new(),
        }
    }

    /// The rows of a code. `None` where codes turn out not to grow.
    pub(crate) fn rows_of(&mut self, code: u32) -> Result<Option<Range<usize>>, ParquetError> {
        let (Some(first), Some(end)) = (self.first_from(code)?, self.first_from(code + 1)?) else {
            return Ok(None);
        };
        Ok(Some(first..end))
    }

    /// The first row whose code is this one or greater.
    fn first_from(&mut self, code: u32) -> Result<Option<usize>, ParquetError> {
        let count = self.pages.places.len();
        // Codes mostly have as many rows as others.
        let guess = code as usize * count / self.distinct.max(1);
        let mut number = guess.min(count.saturating_sub(1));
        while number > 0 && first_code(&self.page(number)?.bytes)? >= code {
            number -= 1;
        }
        while number + 1 < count && first_code(&self.page(number + 1)?.bytes)? < code {
            number += 1;
        }
        let rows = self.pages.places.rows(number);
        let page = self.page(number)?;
        if page.slots != rows.len() {
            return Err(damaged("a page has another number of rows than is said"));
        }
        let below = codes_below(&page.bytes, page.slots, code)?;
        Ok(below.map(|below| rows.start + below))
    }

    fn page(&mut self, number: usize) -> Result<&Page, ParquetError> {
        if !self.open.contains_key(&number) {
            let page = self.pages.data(number)?;
            self.open.insert(number, page);
        }
        let page = self.open.get(&number);
        page.ok_or_else(|| damaged("a column has no pages"))
    }
}

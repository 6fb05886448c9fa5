//! Where a code is in a column of codes: told page by page, without making codes of all the others.
//!
//! Every page is looked at. Codes are given to values in the order in which these come first, but a page says of its own
//! values only: that it has no code as great does not mean that no page before it has.

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::errors::ParquetError;

use super::encodings::{Validity, places_of_code, split_levels};
use super::{ColumnPages, damaged};

/// A column of codes that is being searched.
#[derive(Debug)]
pub(crate) struct CodeSearch {
    pages: ColumnPages,
}

/// The codes of a page.
#[derive(Debug)]
struct Codes {
    first_row: usize,
    validity: Validity,
    bytes: Bytes,
    count: usize,
    has_codes: bool,
}

impl CodeSearch {
    pub(crate) fn new(pages: ColumnPages) -> Self {
        Self { pages }
    }

    /// The rows of these ranges that have a code, in order, as stretches. `None` when a page has no codes.
    pub(crate) fn rows_of(
        &self,
        code: u32,
        chosen: &[Range<usize>],
    ) -> Result<Option<Vec<Range<usize>>>, ParquetError> {
        let mut found = Vec::new();
        let mut chosen = chosen.iter().peekable();
        for number in 0..self.pages.places.len() {
            let rows = self.pages.places.rows(number);
            while chosen.next_if(|range| range.end <= rows.start).is_some() {}
            if chosen.peek().is_none_or(|range| range.start >= rows.end) {
                continue;
            }
            let page = Codes::open(&self.pages, number)?;
            if !page.has_codes {
                return Ok(None);
            }
            page.find(code, &mut found)?;
        }
        Ok(Some(found))
    }
}

impl Codes {
    fn open(pages: &ColumnPages, number: usize) -> Result<Self, ParquetError> {
        let rows = pages.places.rows(number);
        let page = pages.data(number)?;
        if page.slots != rows.len() {
            return Err(damaged("a page has another number of rows than is said"));
        }
        let (validity, bytes, count) = match pages.column().column_descr().max_def_level() > 0 {
            true => {
                let (levels, bytes) = split_levels(&page.bytes, 0..page.slots)?;
                (levels.validity, bytes, levels.values.len())
            }
            false => (Validity::All, page.bytes.clone(), page.slots),
        };
        let is_coded = matches!(
            page.encoding,
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY
        );
        Ok(Self {
            first_row: rows.start,
            validity,
            bytes,
            count,
            // Nothing but nulls may be encoded in any way.
            has_codes: is_coded || count == 0,
        })
    }

    /// Appends the rows that have the code.
    fn find(&self, code: u32, found: &mut Vec<Range<usize>>) -> Result<(), ParquetError> {
        let first_row = self.first_row;
        let mut add = |rows: Range<usize>| match found.last_mut() {
            Some(last) if last.end == rows.start => last.end = rows.end,
            _ => found.push(rows),
        };
        match &self.validity {
            Validity::All => places_of_code(&self.bytes, self.count, code, |places| {
                add(first_row + places.start..first_row + places.end);
            }),
            Validity::None => Ok(()),
            Validity::Some(valid) => {
                let (mut rows, mut next) = (valid.set_indices(), 0);
                places_of_code(&self.bytes, self.count, code, |places| {
                    let skipped = places.start - next;
                    next = places.end;
                    for row in rows.by_ref().skip(skipped).take(places.len()) {
                        add(first_row + row..first_row + row + 1);
                    }
                })
            }
        }
    }
}

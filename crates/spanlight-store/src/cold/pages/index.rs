//! The index of pages of one column: where each lies, which have nothing but nulls, between which bounds the others are.
//! Read column by column from the bytes that a footer keeps, as most readers want few of them.

use std::ops::Range;

use parquet::errors::ParquetError;

use super::damaged;
use super::thrift::{I32, I64, LIST, Reader, STRUCT};

/// Where the pages of a column lie.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pages: Vec<Place>,
    /// Rows of the row group.
    rows: usize,
}

#[derive(Debug, Default)]
struct Place {
    start: u64,
    length: u64,
    first_row: usize,
}

impl Places {
    /// Of an offset index, in a row group of so many rows.
    pub(crate) fn parse(bytes: &[u8], rows: usize) -> Result<Self, ParquetError> {
        let mut reader = Reader::new(bytes);
        let mut pages = Vec::new();
        let mut last = 0;
        while let Some((number, kind)) = reader.field(&mut last)? {
            if (number, kind) == (1, LIST) {
                let (count, _) = reader.list()?;
                pages.reserve(count);
                for _ in 0..count {
                    pages.push(Place::parse(&mut reader)?);
                }
            } else {
                reader.skip(kind, 0)?;
            }
        }
        let is_ordered = pages.is_sorted_by(|one, next| one.first_row < next.first_row);
        match is_ordered && pages.first().is_none_or(|first| first.first_row == 0) {
            true => Ok(Self { pages, rows }),
            false => Err(damaged("the pages of a column are out of order")),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The rows of a page.
    pub(crate) fn rows(&self, page: usize) -> Range<usize> {
        let first = |page: usize| {
            let place = self.pages.get(page);
            place.map_or(self.rows, |place| place.first_row.min(self.rows))
        };
        first(page)..first(page + 1)
    }

    /// The page that has this row.
    pub(crate) fn page_of(&self, row: usize) -> Option<usize> {
        let after = self.pages.partition_point(|page| page.first_row <= row);
        let page = after.checked_sub(1)?;
        (row < self.rows).then_some(page)
    }

    /// The bytes of a page in the file, its header included.
    pub(crate) fn bytes(&self, page: usize) -> Range<u64> {
        let place = self.pages.get(page);
        place.map_or(0..0, |it| it.start..it.start.saturating_add(it.length))
    }
}

impl Place {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, ParquetError> {
        let mut place = Self::default();
        let mut last = 0;
        while let Some((number, kind)) = reader.field(&mut last)? {
            match (number, kind) {
                (1, I64) => place.start = reader.length()? as u64,
                (2, I32) => place.length = reader.length()? as u64,
                (3, I64) => place.first_row = reader.length()?,
                (_, kind) => reader.skip(kind, 0)?,
            }
        }
        Ok(place)
    }
}

/// Which pages have nothing but nulls, of a column index.
pub(crate) fn null_pages(bytes: &[u8]) -> Result<Vec<bool>, ParquetError> {
    let mut reader = Reader::new(bytes);
    let mut last = 0;
    while let Some((number, kind)) = reader.field(&mut last)? {
        if (number, kind) == (1, LIST) {
            let (count, _) = reader.list()?;
            return (0..count).map(|_| reader.truth()).collect();
        }
        reader.skip(kind, 0)?;
    }
    Ok(Vec::new())
}

/// The least and greatest integer of each page, of a column index; `None` where there is none.
pub(crate) fn bounds(bytes: &[u8]) -> Result<Vec<Option<(i64, i64)>>, ParquetError> {
    let mut reader = Reader::new(bytes);
    let (mut least, mut greatest) = (Vec::new(), Vec::new());
    let mut last = 0;
    while let Some((number, kind)) = reader.field(&mut last)? {
        match (number, kind) {
            (2, LIST) => least = integers(&mut reader)?,
            (3, LIST) => greatest = integers(&mut reader)?,
            (_, kind) => reader.skip(kind, 0)?,
        }
    }
    let bounds = least.into_iter().zip(greatest);
    Ok(bounds
        .map(|(least, greatest)| least.zip(greatest))
        .collect())
}

fn integers(reader: &mut Reader<'_>) -> Result<Vec<Option<i64>>, ParquetError> {
    let (count, kind) = reader.list()?;
    if kind == STRUCT {
        return Err(damaged("bounds of pages are no integers"));
    }
    let integer = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_le_bytes);
    (0..count).map(|_| reader.bytes().map(integer)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read() {
        // Two pages, at 4 and 9, of rows 0 and 100.
        let offsets = [
            0x19, 0x2c, 0x16, 8, 0x15, 10, 0x16, 0, 0, 0x16, 18, 0x15, 2, 0x16, 0xc8, 1, 0, 0,
        ];
        let places = Places::parse(&offsets, 130).unwrap();
        let pages: Vec<_> = (0..2)
            .map(|it| (places.rows(it), places.bytes(it)))
            .collect();
        assert_eq!(pages, [(0..100, 4..9), (100..130, 9..10)]);
        for end in 0..offsets.len() {
            assert!(Places::parse(&offsets[..end], 130).is_err(), "{end}");
        }
        let mut columns = vec![0x19, 0x21, 2, 1, 0x19, 0x28, 8];
        columns.extend(7_i64.to_le_bytes());
        columns.extend([0, 0x19, 0x28, 8]);
        columns.extend(9_i64.to_le_bytes());
        columns.extend([0, 0]);
        assert_eq!(null_pages(&columns).unwrap(), [false, true]);
        assert_eq!(bounds(&columns).unwrap(), [Some((7, 9)), None]);
    }
}

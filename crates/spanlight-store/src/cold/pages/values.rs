//! Rows of a page of a plain column, opened: which have a value, and the values of those that do.

use std::ops::Range;

use arrow_buffer::BooleanBuffer;
use parquet::basic::{Encoding, Type};
use parquet::errors::ParquetError;

use super::encodings::{
    self, Levels, Texts, Validity, codes, delta_texts, deltas, split_levels, truths,
};
use super::{Page, damaged};
use crate::cold::dictionary::Values;
use crate::cold::stored::Stored;

/// The distinct values of a column.
#[derive(Debug)]
pub(crate) enum Distinct {
    Texts(Values),
    /// Texts that are read one by one.
    Stored(Stored),
    Longs(Vec<i64>),
    Ints(Vec<i32>),
}

impl Distinct {
    pub(crate) fn of(page: &Page, kind: Type) -> Result<Self, ParquetError> {
        Ok(match kind {
            Type::BYTE_ARRAY => Self::Texts(Values::split(page.bytes.clone(), page.slots)?),
            Type::INT64 | Type::DOUBLE => {
                Self::Longs(encodings::longs(&page.bytes, 0..page.slots)?)
            }
            Type::INT32 => Self::Ints(encodings::ints(&page.bytes, 0..page.slots)?),
            _ => return Err(unknown()),
        })
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts(values) => values.len(),
            Self::Stored(values) => values.len(),
            Self::Longs(values) => values.len(),
            Self::Ints(values) => values.len(),
        }
    }
}

/// Values of some rows of a page that are there.
#[derive(Debug)]
pub(super) enum PageValues {
    /// Of a dictionary of texts.
    Codes(Vec<i32>),
    Texts(Texts),
    /// Also the bits of fractions.
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Truths(BooleanBuffer),
}

/// Some rows of a page, whose values can be got at.
#[derive(Debug)]
pub(super) struct OpenRows {
    /// Of the row group.
    pub(super) rows: Range<usize>,
    pub(super) validity: Validity,
    pub(super) values: PageValues,
}

impl OpenRows {
    /// These rows of a page, which has those of `whole`.
    pub(super) fn new(
        page: &Page,
        whole: &Range<usize>,
        rows: Range<usize>,
        is_optional: bool,
        kind: Type,
        distinct: Option<&Distinct>,
    ) -> Result<Self, ParquetError> {
        if page.slots != whole.len() {
            return Err(damaged("a page has another number of rows than is said"));
        }
        let slots = rows.start - whole.start..rows.end - whole.start;
        let (levels, bytes) = match is_optional {
            true => split_levels(&page.bytes, slots)?,
            false => (Levels::full(slots), page.bytes.clone()),
        };
        let range = levels.values;
        let values = match (page.encoding, kind) {
            (Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY, _) => {
                let distinct = distinct.ok_or_else(|| damaged("a page lacks its dictionary"))?;
                coded(codes(&bytes, range, distinct.len())?, distinct)
            }
            (Encoding::PLAIN, Type::INT64 | Type::DOUBLE) => {
                PageValues::Longs(encodings::longs(&bytes, range)?)
            }
            (Encoding::PLAIN, Type::INT32) => PageValues::Ints(encodings::ints(&bytes, range)?),
            (Encoding::PLAIN, Type::BOOLEAN) => PageValues::Truths(truths(&bytes, range)?),
            (Encoding::DELTA_BINARY_PACKED, Type::INT64) => {
                PageValues::Longs(deltas(&bytes, range)?)
            }
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, Type::BYTE_ARRAY) => {
                PageValues::Texts(delta_texts(&bytes, range)?)
            }
            // Of nothing there is nothing to decode.
            (Encoding::PLAIN, Type::BYTE_ARRAY) if range.is_empty() => {
                PageValues::Texts(delta_texts(&bytes, 0..0)?)
            }
            _ => return Err(unknown()),
        };
        Ok(Self {
            rows,
            validity: levels.validity,
            values,
        })
    }
}

fn coded(codes: Vec<i32>, distinct: &Distinct) -> PageValues {
    let all = |values: &[i64]| codes.iter().map(|&code| values[code as usize]).collect();
    match distinct {
        Distinct::Longs(values) => PageValues::Longs(all(values)),
        Distinct::Ints(values) => {
            PageValues::Ints(codes.iter().map(|&code| values[code as usize]).collect())
        }
        Distinct::Texts(_) | Distinct::Stored(_) => PageValues::Codes(codes),
    }
}

fn unknown() -> ParquetError {
    ParquetError::NYI("pages of this encoding".to_owned())
}

//! A column without lists, read page by page into arrays of the rows that are asked for.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Int32Array, PrimitiveArray, StringArray,
};
use arrow_buffer::{
    BooleanBuffer, BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer,
    ScalarBuffer,
};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use parquet::errors::ParquetError;

use super::encodings::{Validity, split_levels};
use super::values::{Distinct, OpenRows, PageValues};
use super::{ColumnPages, Page, damaged};
use crate::cold::dictionary::Values;

/// Of a dictionary that has so many times the values that are asked for, only those become part of an array.
const SPARSE: usize = 8;

/// A column that is being read, from its first rows to its last.
#[derive(Debug)]
pub(crate) struct FlatColumn {
    pages: ColumnPages,
    data_type: DataType,
    distinct: Option<Arc<Distinct>>,
    /// The dictionary as an array, once it was asked for.
    texts: Option<ArrayRef>,
    page: Option<OpenPage>,
    open: Option<OpenRows>,
}

/// The page that was read last.
#[derive(Debug)]
struct OpenPage {
    /// Of the row group.
    rows: Range<usize>,
    page: Page,
}

impl FlatColumn {
    /// A column to be read as arrays of this type. The dictionary is read from the pages when it is not given.
    pub(crate) fn new(
        pages: ColumnPages,
        data_type: DataType,
        distinct: Option<Arc<Distinct>>,
    ) -> Self {
        Self {
            pages,
            data_type,
            distinct,
            texts: None,
            page: None,
            open: None,
        }
    }

    /// The column at these rows, which come after those that were read before.
    pub(crate) fn read(&mut self, ranges: &[Range<usize>]) -> Result<ArrayRef, ParquetError> {
        let count = ranges.iter().map(ExactSizeIterator::len).sum();
        let mut nulls = NullBufferBuilder::new(count);
        let mut lane = Lane::of(&self.data_type, count)?;
        self.each_page(ranges, |page, distinct, rows| {
            lane.push(page, distinct, rows.clone())?;
            push_nulls(&mut nulls, &page.validity, rows);
            Ok(())
        })?;
        let array = self.finish(lane, nulls.finish())?;
        match array.len() == count {
            true => Ok(array),
            false => Err(damaged("a column ends too early")),
        }
    }

    /// The codes at these rows, of a column that has nothing else.
    pub(crate) fn codes(&mut self, ranges: &[Range<usize>]) -> Result<Int32Array, ParquetError> {
        let count = ranges.iter().map(ExactSizeIterator::len).sum();
        let mut nulls = NullBufferBuilder::new(count);
        let mut lane = Lane::Codes(Vec::with_capacity(count));
        self.each_page(ranges, |page, distinct, rows| {
            lane.push(page, distinct, rows.clone())?;
            push_nulls(&mut nulls, &page.validity, rows);
            Ok(())
        })?;
        match lane {
            Lane::Codes(codes) if codes.len() == count => Ok(Int32Array::try_new(
                ScalarBuffer::from(codes),
                nulls.finish(),
            )?),
            _ => Err(damaged("a column ends too early")),
        }
    }

    /// Which of these rows have a value, of a column that has nothing else: the valid ones of an array.
    pub(crate) fn presence(&mut self, ranges: &[Range<usize>]) -> Result<ArrayRef, ParquetError> {
        let count = ranges.iter().map(ExactSizeIterator::len).sum();
        let is_optional = self.pages.column().column_descr().max_def_level() > 0;
        let mut nulls = NullBufferBuilder::new(count);
        for range in ranges {
            let mut from = range.start;
            while from < range.end {
                let OpenPage { page, rows } = self.page_of(from)?;
                if page.slots != rows.len() {
                    return Err(damaged("a page has another number of rows than is said"));
                }
                let to = range.end.min(rows.end);
                let slots = from - rows.start..to - rows.start;
                let validity = match is_optional {
                    true => split_levels(&page.bytes, slots)?.0.validity,
                    false => Validity::All,
                };
                push_nulls(&mut nulls, &validity, 0..to - from);
                from = to;
            }
        }
        let values = BooleanBuffer::new_unset(count);
        Ok(Arc::new(BooleanArray::new(values, nulls.finish())))
    }

    /// Calls with what is opened of each page that has rows of these ranges, and which of the opened rows those are.
    fn each_page(
        &mut self,
        ranges: &[Range<usize>],
        mut each: impl FnMut(&OpenRows, Option<&Distinct>, Range<usize>) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        let end = ranges.last().map_or(0, |range| range.end);
        for range in ranges {
            let mut from = range.start;
            while from < range.end {
                let open = self.open_from(from, end)?;
                let to = range.end.min(open.rows.end);
                let rows = from - open.rows.start..to - open.rows.start;
                from = to;
                if let Some(open) = &self.open {
                    each(open, self.distinct.as_deref(), rows)?;
                }
            }
        }
        Ok(())
    }

    /// Opens the page of a row, from there on, as far as rows before `end` are wanted.
    fn open_from(&mut self, row: usize, end: usize) -> Result<&OpenRows, ParquetError> {
        let is_open = self
            .open
            .as_ref()
            .is_some_and(|open| open.rows.contains(&row));
        if !is_open {
            let column = self.pages.column();
            let kind = column.column_type();
            let is_optional = column.column_descr().max_def_level() > 0;
            if self.distinct.is_none()
                && let Some(page) = self.pages.dictionary()?
            {
                self.distinct = Some(Arc::new(Distinct::of(&page, kind)?));
            }
            let distinct = self.distinct.clone();
            let OpenPage { page, rows } = self.page_of(row)?;
            let wanted = row..rows.end.min(end);
            let distinct = distinct.as_deref();
            let open = OpenRows::new(page, rows, wanted, is_optional, kind, distinct)?;
            self.open = Some(open);
        }
        self.open
            .as_ref()
            .ok_or_else(|| damaged("a column has no pages"))
    }

    /// The page of a row.
    fn page_of(&mut self, row: usize) -> Result<&OpenPage, ParquetError> {
        let places = &self.pages.places;
        let page = self.page.take().filter(|page| page.rows.contains(&row));
        let page = match page {
            Some(page) => page,
            None => {
                let number = places.page_of(row);
                let number = number.ok_or_else(|| damaged("a column ends too early"))?;
                OpenPage {
                    rows: places.rows(number),
                    page: self.pages.data(number)?,
                }
            }
        };
        Ok(self.page.insert(page))
    }

    fn finish(&mut self, lane: Lane, nulls: Option<NullBuffer>) -> Result<ArrayRef, ParquetError> {
        let wrong = || damaged("a column is of another type than is said");
        Ok(match (lane, &self.data_type) {
            (Lane::Codes(codes), DataType::Dictionary(_, kind)) => {
                let kind = kind.as_ref().clone();
                self.dictionary(codes, nulls, &kind)?
            }
            (Lane::Texts { bytes, offsets }, kind) => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                texts(kind, offsets, Buffer::from_vec(bytes), nulls)?
            }
            (Lane::Longs(longs), DataType::Int64) => {
                Arc::new(PrimitiveArray::<Int64Type>::try_new(longs.into(), nulls)?)
            }
            (Lane::Longs(longs), DataType::Float64) => {
                let fractions = ScalarBuffer::from(Buffer::from_vec(longs));
                Arc::new(PrimitiveArray::<Float64Type>::try_new(fractions, nulls)?)
            }
            (Lane::Longs(longs), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
                let times =
                    PrimitiveArray::<TimestampMicrosecondType>::try_new(longs.into(), nulls)?;
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
            (Lane::Ints(ints), DataType::Int32) => {
                Arc::new(PrimitiveArray::<Int32Type>::try_new(ints.into(), nulls)?)
            }
            (Lane::Truths(mut truths), DataType::Boolean) => {
                Arc::new(BooleanArray::new(truths.finish(), nulls))
            }
            _ => return Err(wrong()),
        })
    }

    fn dictionary(
        &mut self,
        mut codes: Vec<i32>,
        nulls: Option<NullBuffer>,
        kind: &DataType,
    ) -> Result<ArrayRef, ParquetError> {
        let values = match self.distinct.as_deref() {
            Some(Distinct::Texts(values)) => values,
            // Nothing but nulls, or nothing that is there already.
            _ => &Values::default(),
        };
        let texts = if let Some(Distinct::Stored(stored)) = self.distinct.as_deref() {
            let used = renumber(&mut codes, nulls.as_ref());
            let (offsets, bytes) = stored.pick(&used)?.values.parts();
            texts(kind, offsets, bytes, None)?
        } else if codes.len() * SPARSE < values.len() {
            let used = renumber(&mut codes, nulls.as_ref());
            let (offsets, bytes) = values.gather(&used);
            texts(kind, offsets, bytes, None)?
        } else {
            match &self.texts {
                Some(texts) => Arc::clone(texts),
                None => {
                    let (offsets, bytes) = values.parts();
                    let texts = texts(kind, offsets, bytes, None)?;
                    Arc::clone(self.texts.insert(texts))
                }
            }
        };
        let keys = Int32Array::try_new(ScalarBuffer::from(codes), nulls)?;
        Ok(Arc::new(DictionaryArray::try_new(keys, texts)?))
    }
}

/// Gives the codes that occur the numbers from zero on; returns what they were.
fn renumber(codes: &mut [i32], nulls: Option<&NullBuffer>) -> Vec<i32> {
    let is_valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
    let rows = codes.iter().enumerate();
    let mut used: Vec<i32> = rows
        .filter(|(row, _)| is_valid(*row))
        .map(|(_, code)| *code)
        .collect();
    used.sort_unstable();
    used.dedup();
    for code in codes {
        *code = used.binary_search(code).unwrap_or(0) as i32;
    }
    used
}

fn texts(
    kind: &DataType,
    offsets: OffsetBuffer<i32>,
    bytes: Buffer,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ParquetError> {
    Ok(match kind {
        DataType::Utf8 => Arc::new(StringArray::try_new(offsets, bytes, nulls)?),
        DataType::Binary => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
        other => {
            let message = format!("texts read as {other}");
            return Err(ArrowError::SchemaError(message).into());
        }
    })
}

/// Values of an array that is being made, with something in the place of nulls.
enum Lane {
    Codes(Vec<i32>),
    Texts { bytes: Vec<u8>, offsets: Vec<i32> },
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Truths(BooleanBufferBuilder),
}

impl Lane {
    fn of(data_type: &DataType, count: usize) -> Result<Self, ParquetError> {
        Ok(match data_type {
            DataType::Dictionary(_, _) => Self::Codes(Vec::with_capacity(count)),
            DataType::Utf8 | DataType::Binary => {
                let mut offsets = Vec::with_capacity(count + 1);
                offsets.push(0);
                let bytes = Vec::new();
                Self::Texts { bytes, offsets }
            }
            DataType::Int64 | DataType::Float64 | DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Longs(Vec::with_capacity(count))
            }
            DataType::Int32 => Self::Ints(Vec::with_capacity(count)),
            DataType::Boolean => Self::Truths(BooleanBufferBuilder::new(count)),
            other => return Err(ParquetError::NYI(format!("columns of type {other}"))),
        })
    }

    /// Appends some rows of a page.
    fn push(
        &mut self,
        page: &OpenRows,
        distinct: Option<&Distinct>,
        rows: Range<usize>,
    ) -> Result<(), ParquetError> {
        let validity = &page.validity;
        match (self, &page.values) {
            (Self::Codes(target), PageValues::Codes(codes)) => {
                spread(target, codes, validity, rows);
            }
            // Nothing but nulls was not worth a dictionary.
            (Self::Codes(target), PageValues::Texts(_)) if matches!(validity, Validity::None) => {
                target.resize(target.len() + rows.len(), 0);
            }
            (Self::Longs(target), PageValues::Longs(longs)) => {
                spread(target, longs, validity, rows);
            }
            (Self::Ints(target), PageValues::Ints(ints)) => spread(target, ints, validity, rows),
            (Self::Texts { bytes, offsets }, PageValues::Texts(texts)) => {
                if matches!(validity, Validity::All) {
                    let start = bytes.len();
                    let (added, ends) = texts.within(rows);
                    bytes.extend_from_slice(added);
                    let shift = start as i64 - i64::from(ends[0]);
                    for end in &ends[1..] {
                        offsets.push(i32::try_from(i64::from(*end) + shift)?);
                    }
                } else {
                    push_texts(bytes, offsets, validity, rows, |at| texts.get(at))?;
                }
            }
            (Self::Texts { bytes, offsets }, PageValues::Codes(codes)) => match distinct {
                Some(Distinct::Texts(values)) => {
                    let text = |at: usize| values.get(codes[at] as usize);
                    push_texts(bytes, offsets, validity, rows, text)?;
                }
                Some(Distinct::Stored(stored)) => {
                    let picked = match validity {
                        Validity::All => stored.pick(&codes[rows.clone()])?,
                        _ => stored.pick(codes)?,
                    };
                    let text = |at: usize| picked.get(codes[at]);
                    push_texts(bytes, offsets, validity, rows, text)?;
                }
                _ => return Err(damaged("a page lacks its dictionary")),
            },
            (Self::Truths(target), PageValues::Truths(truths)) => match validity {
                Validity::All => target.append_buffer(&truths.slice(rows.start, rows.len())),
                Validity::None => target.append_n(rows.len(), false),
                Validity::Some(valid) => {
                    let mut at = valid.slice(0, rows.start).count_set_bits();
                    for row in rows {
                        let is_valid = valid.value(row);
                        target.append(is_valid && truths.value(at));
                        at += usize::from(is_valid);
                    }
                }
            },
            _ => return Err(damaged("a column is of another type than is said")),
        }
        Ok(())
    }
}

/// Appends the values of some rows, with zero in the place of nulls.
fn spread<T: Copy + Default>(
    target: &mut Vec<T>,
    values: &[T],
    validity: &Validity,
    rows: Range<usize>,
) {
    match validity {
        Validity::All => target.extend_from_slice(&values[rows]),
        Validity::None => target.resize(target.len() + rows.len(), T::default()),
        Validity::Some(valid) => {
            let mut at = valid.slice(0, rows.start).count_set_bits();
            target.extend(rows.map(|row| {
                if !valid.value(row) {
                    return T::default();
                }
                at += 1;
                values[at - 1]
            }));
        }
    }
}

/// Appends the texts of some rows, with an empty one in the place of nulls.
fn push_texts<'a>(
    bytes: &mut Vec<u8>,
    offsets: &mut Vec<i32>,
    validity: &Validity,
    rows: Range<usize>,
    text: impl Fn(usize) -> &'a [u8],
) -> Result<(), ParquetError> {
    let mut at = match validity {
        Validity::All => rows.start,
        Validity::None => 0,
        Validity::Some(valid) => valid.slice(0, rows.start).count_set_bits(),
    };
    for row in rows {
        let is_valid = match validity {
            Validity::All => true,
            Validity::None => false,
            Validity::Some(valid) => valid.value(row),
        };
        if is_valid {
            bytes.extend_from_slice(text(at));
            at += 1;
        }
        offsets.push(i32::try_from(bytes.len())?);
    }
    Ok(())
}

fn push_nulls(nulls: &mut NullBufferBuilder, validity: &Validity, rows: Range<usize>) {
    match validity {
        Validity::All => nulls.append_n_non_nulls(rows.len()),
        Validity::None => nulls.append_n_nulls(rows.len()),
        Validity::Some(valid) => {
            let valid: BooleanBuffer = valid.slice(rows.start, rows.len());
            nulls.append_buffer(&NullBuffer::new(valid));
        }
    }
}

//! Parquet's encodings, read: levels of optional columns, codes of dictionaries, differences, texts.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>

use std::ops::Range;

use arrow_buffer::bit_chunk_iterator::UnalignedBitChunk;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer};
use bytes::Bytes;
use parquet::errors::ParquetError;

use super::bits::{Stretch, Stretches, take_varint, unpack, zigzag};
use super::damaged;

/// Which of some rows have a value.
#[derive(Debug)]
pub(super) enum Validity {
    All,
    None,
    Some(BooleanBuffer),
}

/// The levels of some slots of a page.
#[derive(Debug)]
pub(super) struct Levels {
    pub(super) validity: Validity,
    /// Which of the page's values belong to these slots.
    pub(super) values: Range<usize>,
}

impl Levels {
    /// Where every slot has a value.
    pub(super) fn full(slots: Range<usize>) -> Self {
        Self {
            validity: Validity::All,
            values: slots,
        }
    }
}

/// The levels of some slots of a page, of a kind of which each is zero or one; and the bytes behind all of them.
pub(super) fn split_levels(
    bytes: &Bytes,
    slots: Range<usize>,
) -> Result<(Levels, Bytes), ParquetError> {
    let early = || damaged("the levels of a page end too early");
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(early)?;
    let length = u32::from_le_bytes(*length) as usize;
    let levels = rest.get(..length).ok_or_else(early)?;
    Ok((levels_of(levels, slots)?, bytes.slice(4 + length..)))
}

fn levels_of(levels: &[u8], slots: Range<usize>) -> Result<Levels, ParquetError> {
    let stretches = Stretches {
        bytes: levels,
        width: 1,
        left: slots.end,
    };
    let mut valid = BooleanBufferBuilder::new(slots.len());
    let (mut at, mut before) = (0, 0);
    for stretch in stretches {
        let stretch = stretch.ok_or_else(|| damaged("the levels of a page make no sense"))?;
        let count = stretch.count();
        let skipped = slots.start.saturating_sub(at).min(count);
        match stretch {
            Stretch::Run(_, level) => {
                before += if level == 0 { 0 } else { skipped };
                valid.append_n(count - skipped, level != 0);
            }
            Stretch::Packed(_, packed) => {
                if skipped > 0 {
                    before += UnalignedBitChunk::new(packed, 0, skipped).count_ones();
                }
                valid.append_packed_range(skipped..count, packed);
            }
        }
        at += count;
    }
    let valid = valid.finish();
    let count = valid.count_set_bits();
    Ok(Levels {
        // Of few rows the levels are packed, also where they are all the same.
        validity: match count {
            0 => Validity::None,
            count if count == slots.len() => Validity::All,
            _ => Validity::Some(valid),
        },
        values: before..before + count,
    })
}

/// Some of the codes of a page, for a dictionary that has so many values.
pub(super) fn codes(
    bytes: &[u8],
    values: Range<usize>,
    distinct: usize,
) -> Result<Vec<i32>, ParquetError> {
    let mut codes = Vec::with_capacity(values.len());
    let stretches = stretches_of_codes(bytes, values.end)?;
    let width = stretches.width;
    let mut at = 0;
    for stretch in stretches {
        let stretch = stretch.ok_or_else(wrong_codes)?;
        let count = stretch.count();
        let skipped = values.start.saturating_sub(at).min(count);
        match stretch {
            Stretch::Run(_, code) => codes.resize(codes.len() + count - skipped, code as i32),
            Stretch::Packed(_, packed) => {
                unpack(packed, width, skipped..count, |code| {
                    codes.push(code as i32)
                });
            }
        }
        at += count;
    }
    let greatest = codes
        .iter()
        .fold(0, |greatest: u32, &code| greatest.max(code as u32));
    if !codes.is_empty() && greatest as usize >= distinct {
        return Err(damaged("a code stands for nothing in the dictionary"));
    }
    Ok(codes)
}

/// Calls with the places of a code among the first codes of a page, in order, as stretches.
pub(super) fn places_of_code(
    bytes: &[u8],
    count: usize,
    code: u32,
    mut each: impl FnMut(Range<usize>),
) -> Result<(), ParquetError> {
    let stretches = stretches_of_codes(bytes, count)?;
    let width = stretches.width;
    let mut at = 0;
    for stretch in stretches {
        let stretch = stretch.ok_or_else(wrong_codes)?;
        let count = stretch.count();
        match stretch {
            Stretch::Run(_, other) if other == code => each(at..at + count),
            Stretch::Run(..) => {}
            Stretch::Packed(_, packed) => {
                let mut place = at;
                unpack(packed, width, 0..count, |other| {
                    if other == u64::from(code) {
                        each(place..place + 1);
                    }
                    place += 1;
                });
            }
        }
        at += count;
    }
    Ok(())
}

/// The stretches of the first codes of a page.
fn stretches_of_codes(bytes: &[u8], left: usize) -> Result<Stretches<'_>, ParquetError> {
    if left == 0 {
        return Ok(Stretches {
            bytes,
            width: 0,
            left,
        });
    }
    let (&width, bytes) = bytes.split_first().ok_or_else(wrong_codes)?;
    if width > 31 {
        return Err(wrong_codes());
    }
    Ok(Stretches {
        bytes,
        width: u32::from(width),
        left,
    })
}

/// The first code of a page.
pub(super) fn first_code(bytes: &[u8]) -> Result<u32, ParquetError> {
    let mut stretches = stretches_of_codes(bytes, 1)?;
    let width = stretches.width;
    let mut first = 0;
    match stretches.next().flatten().ok_or_else(wrong_codes)? {
        Stretch::Run(_, code) => first = code,
        Stretch::Packed(_, packed) => unpack(packed, width, 0..1, |code| first = code as u32),
    }
    Ok(first)
}

/// How many of a page's codes are less than this one. `None` where they do not grow.
pub(super) fn codes_below(
    bytes: &[u8],
    count: usize,
    code: u32,
) -> Result<Option<usize>, ParquetError> {
    let stretches = stretches_of_codes(bytes, count)?;
    let width = stretches.width;
    let (mut below, mut last, mut grows) = (0, 0, true);
    for stretch in stretches {
        match stretch.ok_or_else(wrong_codes)? {
            Stretch::Run(count, next) => {
                grows &= last <= next;
                last = next;
                below += if next < code { count } else { 0 };
            }
            Stretch::Packed(count, packed) => unpack(packed, width, 0..count, |next| {
                let next = next as u32;
                grows &= last <= next;
                last = next;
                below += usize::from(next < code);
            }),
        }
    }
    Ok(grows.then_some(below))
}

fn wrong_codes() -> ParquetError {
    damaged("the codes of a page make no sense")
}

/// Some of the integers that are kept as differences from one to the next.
pub(super) fn deltas(bytes: &[u8], values: Range<usize>) -> Result<Vec<i64>, ParquetError> {
    let mut numbers = Vec::with_capacity(values.len());
    each_delta(bytes, values.end, |at, number| {
        if at >= values.start {
            numbers.push(number);
        }
    })?;
    Ok(numbers)
}

/// Calls with the first of some integers that are kept as differences, up to `end`; returns the bytes behind all.
fn each_delta(
    bytes: &[u8],
    end: usize,
    each: impl FnMut(usize, i64),
) -> Result<&[u8], ParquetError> {
    let wrong = || damaged("the differences of a page make no sense");
    each_delta_of(bytes, end, each).ok_or_else(wrong)
}

fn each_delta_of(mut bytes: &[u8], end: usize, mut each: impl FnMut(usize, i64)) -> Option<&[u8]> {
    let block = usize::try_from(take_varint(&mut bytes)?).ok()?;
    let minis = usize::try_from(take_varint(&mut bytes)?).ok()?;
    let total = usize::try_from(take_varint(&mut bytes)?).ok()?;
    let mut last = zigzag(take_varint(&mut bytes)?);
    let mini = block.checked_div(minis)?;
    if total < end || mini == 0 || !mini.is_multiple_of(8) {
        return None;
    }
    if end > 0 {
        each(0, last);
    }
    let mut at = 1;
    while at < total {
        let least = zigzag(take_varint(&mut bytes)?);
        let widths = bytes.get(..minis)?;
        bytes = &bytes[minis..];
        for &width in widths {
            if at >= total {
                break;
            }
            let packed = bytes.get(..(mini / 8).checked_mul(usize::from(width))?)?;
            if width > 64 {
                return None;
            }
            bytes = &bytes[packed.len()..];
            let now = mini.min(end.saturating_sub(at));
            let mut next = at;
            unpack(packed, u32::from(width), 0..now, |delta| {
                last = last.wrapping_add(least).wrapping_add(delta as i64);
                each(next, last);
                next += 1;
            });
            at += mini;
        }
    }
    Some(bytes)
}

/// Texts, one after the other.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Bytes,
    /// Where each begins, and where the last ends.
    offsets: Vec<u32>,
}

impl Texts {
    pub(super) fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    /// The bytes of some texts that follow each other, and where each of them begins and ends.
    pub(super) fn within(&self, range: Range<usize>) -> (&[u8], &[u32]) {
        let offsets = &self.offsets[range.start..=range.end];
        let (first, last) = (offsets[0] as usize, offsets[range.len()] as usize);
        (&self.bytes[first..last], offsets)
    }
}

/// Some of the texts that lie behind the lengths of all.
pub(super) fn delta_texts(bytes: &Bytes, values: Range<usize>) -> Result<Texts, ParquetError> {
    if values.is_empty() {
        return Ok(Texts {
            bytes: Bytes::new(),
            offsets: vec![0],
        });
    }
    let mut offsets = Vec::with_capacity(values.len() + 1);
    let mut end = 0_i64;
    let mut is_right = true;
    let rest = each_delta(bytes, values.end, |at, length| {
        if at == values.start {
            offsets.push(end as u32);
        }
        is_right &= length >= 0;
        end = end.saturating_add(length);
        if at >= values.start {
            offsets.push(end as u32);
        }
    })?;
    // Nothing before the end is beyond it.
    if !is_right || end > rest.len() as i64 || u32::try_from(end).is_err() {
        return Err(damaged("the texts of a page end too early"));
    }
    Ok(Texts {
        bytes: bytes.slice(bytes.len() - rest.len()..),
        offsets,
    })
}

/// Some numbers of eight bytes, as they are.
pub(super) fn longs(bytes: &[u8], values: Range<usize>) -> Result<Vec<i64>, ParquetError> {
    let (numbers, _) = bytes.as_chunks::<8>();
    let numbers = numbers.get(values).ok_or_else(too_few)?;
    Ok(numbers.iter().map(|it| i64::from_le_bytes(*it)).collect())
}

/// Some numbers of four bytes, as they are.
pub(super) fn ints(bytes: &[u8], values: Range<usize>) -> Result<Vec<i32>, ParquetError> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers = numbers.get(values).ok_or_else(too_few)?;
    Ok(numbers.iter().map(|it| i32::from_le_bytes(*it)).collect())
}

/// Some truth values, a bit each.
pub(super) fn truths(bytes: &Bytes, values: Range<usize>) -> Result<BooleanBuffer, ParquetError> {
    if bytes.len() < values.end.div_ceil(8) {
        return Err(too_few());
    }
    let buffer = Buffer::from(bytes.clone());
    Ok(BooleanBuffer::new(buffer, values.start, values.len()))
}

fn too_few() -> ParquetError {
    damaged("the values of a page end too early")
}

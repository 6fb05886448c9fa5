//! Parquet's encodings, read: levels of optional columns, codes of dictionaries, differences, texts.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer};
use bytes::Bytes;
use parquet::errors::ParquetError;

use super::bits::{Stretch, Stretches, take_varint, unpack, zigzag};
use super::damaged;

/// Which rows of a page have a value.
#[derive(Debug)]
pub(super) enum Validity {
    All,
    None,
    Some(BooleanBuffer),
}

/// The definition levels of an optional column that lie before its values, and the values.
pub(super) fn split_levels(bytes: &Bytes, slots: usize) -> Result<(Validity, Bytes), ParquetError> {
    let early = || damaged("the levels of a page end too early");
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(early)?;
    let length = u32::from_le_bytes(*length) as usize;
    let levels = rest.get(..length).ok_or_else(early)?;
    Ok((validity(levels, slots)?, bytes.slice(4 + length..)))
}

fn validity(levels: &[u8], slots: usize) -> Result<Validity, ParquetError> {
    let stretches = Stretches {
        bytes: levels,
        width: 1,
        left: slots,
    };
    let mut valid = BooleanBufferBuilder::new(slots);
    for stretch in stretches {
        match stretch.ok_or_else(|| damaged("the levels of a page make no sense"))? {
            Stretch::Run(count, level) => valid.append_n(count, level != 0),
            Stretch::Packed(count, packed) => valid.append_packed_range(0..count, packed),
        }
    }
    let valid = valid.finish();
    // Of few rows the levels are packed, also where they are all the same.
    Ok(match valid.count_set_bits() {
        0 => Validity::None,
        count if count == slots => Validity::All,
        _ => Validity::Some(valid),
    })
}

/// Codes of a dictionary that has so many values.
pub(super) fn codes(bytes: &[u8], count: usize, distinct: usize) -> Result<Vec<i32>, ParquetError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let wrong = || damaged("the codes of a page make no sense");
    let (&width, bytes) = bytes.split_first().ok_or_else(wrong)?;
    if width > 31 {
        return Err(wrong());
    }
    let width = u32::from(width);
    let mut codes = Vec::with_capacity(count);
    let stretches = Stretches {
        bytes,
        width,
        left: count,
    };
    for stretch in stretches {
        match stretch.ok_or_else(wrong)? {
            Stretch::Run(count, code) => codes.resize(codes.len() + count, code as i32),
            Stretch::Packed(count, packed) => {
                unpack(packed, width, count, |code| codes.push(code as i32));
            }
        }
    }
    let greatest = codes
        .iter()
        .fold(0, |greatest: u32, &code| greatest.max(code as u32));
    if greatest as usize >= distinct {
        return Err(damaged("a code stands for nothing in the dictionary"));
    }
    Ok(codes)
}

/// Integers as differences from one to the next, and the bytes behind them.
pub(super) fn deltas(bytes: &[u8], count: usize) -> Result<(Vec<i64>, &[u8]), ParquetError> {
    let wrong = || damaged("the differences of a page make no sense");
    deltas_of(bytes, count).ok_or_else(wrong)
}

fn deltas_of(mut bytes: &[u8], count: usize) -> Option<(Vec<i64>, &[u8])> {
    let block = usize::try_from(take_varint(&mut bytes)?).ok()?;
    let minis = usize::try_from(take_varint(&mut bytes)?).ok()?;
    let total = usize::try_from(take_varint(&mut bytes)?).ok()?;
    let mut last = zigzag(take_varint(&mut bytes)?);
    let mini = block.checked_div(minis)?;
    if total != count || mini == 0 || !mini.is_multiple_of(8) {
        return None;
    }
    let mut numbers = Vec::with_capacity(count);
    if count > 0 {
        numbers.push(last);
    }
    while numbers.len() < count {
        let least = zigzag(take_varint(&mut bytes)?);
        let widths = bytes.get(..minis)?;
        bytes = &bytes[minis..];
        for &width in widths {
            let now = mini.min(count - numbers.len());
            if now == 0 {
                break;
            }
            let packed = bytes.get(..(mini / 8).checked_mul(usize::from(width))?)?;
            if width > 64 {
                return None;
            }
            bytes = &bytes[packed.len()..];
            unpack(packed, u32::from(width), now, |delta| {
                last = last.wrapping_add(least).wrapping_add(delta as i64);
                numbers.push(last);
            });
        }
    }
    Some((numbers, bytes))
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
    pub(super) fn within(&self, range: std::ops::Range<usize>) -> (&[u8], &[u32]) {
        let offsets = &self.offsets[range.start..=range.end];
        let (first, last) = (offsets[0] as usize, offsets[range.len()] as usize);
        (&self.bytes[first..last], offsets)
    }
}

/// Texts behind all of their lengths.
pub(super) fn delta_texts(bytes: &Bytes, count: usize) -> Result<Texts, ParquetError> {
    if count == 0 {
        return Ok(Texts {
            bytes: Bytes::new(),
            offsets: vec![0],
        });
    }
    let (lengths, rest) = deltas(bytes, count)?;
    let mut offsets = Vec::with_capacity(count + 1);
    let mut end = 0_i64;
    offsets.push(0);
    for length in lengths {
        end = end.saturating_add(length);
        let is_right = length >= 0 && end <= rest.len() as i64;
        if !is_right {
            return Err(damaged("the texts of a page end too early"));
        }
        offsets.push(u32::try_from(end)?);
    }
    Ok(Texts {
        bytes: bytes.slice(bytes.len() - rest.len()..),
        offsets,
    })
}

/// Numbers of eight bytes, as they are.
pub(super) fn longs(bytes: &[u8], count: usize) -> Result<Vec<i64>, ParquetError> {
    let (numbers, _) = bytes.as_chunks::<8>();
    let numbers = numbers.get(..count).ok_or_else(too_few)?;
    Ok(numbers.iter().map(|it| i64::from_le_bytes(*it)).collect())
}

/// Numbers of four bytes, as they are.
pub(super) fn ints(bytes: &[u8], count: usize) -> Result<Vec<i32>, ParquetError> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers = numbers.get(..count).ok_or_else(too_few)?;
    Ok(numbers.iter().map(|it| i32::from_le_bytes(*it)).collect())
}

/// Truth values, a bit each.
pub(super) fn truths(bytes: &Bytes, count: usize) -> Result<BooleanBuffer, ParquetError> {
    if bytes.len() < count.div_ceil(8) {
        return Err(too_few());
    }
    Ok(BooleanBuffer::new(Buffer::from(bytes.clone()), 0, count))
}

fn too_few() -> ParquetError {
    damaged("the values of a page end too early")
}

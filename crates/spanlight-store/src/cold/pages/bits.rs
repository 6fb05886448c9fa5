//! Numbers of few bits: variable lengths, packed bits, runs.

use std::ops::Range;

/// Takes an unsigned LEB128 number off the front; `None` when it does not end, or is too great.
#[inline]
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    // Most have one byte or two.
    match **bytes {
        [one @ ..0x80, ref rest @ ..] => {
            *bytes = rest;
            Some(u64::from(one))
        }
        [one, two @ ..0x80, ref rest @ ..] => {
            *bytes = rest;
            Some(u64::from(one & 0x7f) | u64::from(two) << 7)
        }
        _ => take_long_varint(bytes),
    }
}

fn take_long_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Some(number);
        }
    }
    None
}

/// A signed number whose sign is its lowest bit.
pub(super) fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Calls with each of some numbers of `width` bits, the first of all in the lowest bits. There must be enough bytes.
pub(super) fn unpack(bytes: &[u8], width: u32, range: Range<usize>, mut each: impl FnMut(u64)) {
    if width == 0 {
        range.for_each(|_| each(0));
        return;
    }
    let mask = u64::MAX >> (64 - width);
    let width = width as usize;
    // Where eight bytes can be read at once, and a number is sure to end within them.
    let fast = match width {
        ..=56 if bytes.len() >= 8 => (bytes.len() - 8) * 8 / width + 1,
        _ => 0,
    };
    let fast = fast.clamp(range.start, range.end);
    for at in range.start..fast {
        let bit = at * width;
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[bit / 8..bit / 8 + 8]);
        each(u64::from_le_bytes(word) >> (bit % 8) & mask);
    }
    for at in fast..range.end {
        let bit = at * width;
        let end = bytes.len().min((bit + width).div_ceil(8));
        let mut word = [0; 16];
        let bytes = &bytes[bit / 8..end];
        word[..bytes.len()].copy_from_slice(bytes);
        each((u128::from_le_bytes(word) >> (bit % 8)) as u64 & mask);
    }
}

/// A stretch of Parquet's hybrid of runs and bit-packed groups of eight.
#[derive(Debug)]
pub(super) enum Stretch<'a> {
    /// The same number so many times.
    Run(usize, u32),
    /// So many numbers, packed.
    Packed(usize, &'a [u8]),
}

impl Stretch<'_> {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Run(count, _) | Self::Packed(count, _) => *count,
        }
    }
}

/// The stretches of the hybrid encoding, `left` numbers in all.
#[derive(Debug)]
pub(super) struct Stretches<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) width: u32,
    pub(super) left: usize,
}

impl<'a> Stretches<'a> {
    /// `None` when the bytes are not that, or too few.
    #[inline]
    fn take(&mut self) -> Option<Stretch<'a>> {
        let header = take_varint(&mut self.bytes)?;
        let count = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let length = self.width.div_ceil(8) as usize;
            let number = match self.bytes.first_chunk::<4>() {
                // Most have others behind them.
                Some(word) if length < 4 => u32::from_le_bytes(*word) & ((1 << (8 * length)) - 1),
                _ => {
                    let mut number = [0; 4];
                    let bytes = self.bytes.get(..length)?;
                    number.get_mut(..length)?.copy_from_slice(bytes);
                    u32::from_le_bytes(number)
                }
            };
            self.bytes = self.bytes.get(length..)?;
            let count = count.min(self.left);
            self.left -= count;
            return Some(Stretch::Run(count, number));
        }
        // The last group may be cut where its numbers end.
        let count = count.checked_mul(8)?;
        let bytes = count / 8 * self.width as usize;
        let count = count.min(self.left);
        let needed = (count * self.width as usize).div_ceil(8);
        let packed = self.bytes.get(..bytes.min(self.bytes.len()))?;
        if packed.len() < needed {
            return None;
        }
        self.bytes = &self.bytes[packed.len()..];
        self.left -= count;
        Some(Stretch::Packed(count, packed))
    }
}

impl<'a> Iterator for Stretches<'a> {
    type Item = Option<Stretch<'a>>;

    /// A stretch, or an inner `None` for damage, after which nothing follows.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let stretch = self.take();
        // A run of nothing would go on for ever.
        let stretch = stretch
            .filter(|stretch| !matches!(stretch, Stretch::Run(0, _) | Stretch::Packed(0, _)));
        if stretch.is_none() {
            self.left = 0;
        }
        Some(stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_taken_off_the_front() {
        for number in (0..64).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits, u64::MAX >> bits]) {
            let (mut bytes, mut left) = (Vec::new(), number);
            while left >= 0x80 {
                bytes.push(left as u8 | 0x80);
                left >>= 7;
            }
            bytes.extend([left as u8, 0x2a]);
            let mut rest = &bytes[..];
            assert_eq!(take_varint(&mut rest), Some(number));
            assert_eq!(rest, [0x2a], "{number}");
            let end = bytes.len() - 2;
            assert_eq!(take_varint(&mut &bytes[..end]), None, "{number}");
        }
        assert_eq!(take_varint(&mut &[0xff; 11][..]), None);
    }
}

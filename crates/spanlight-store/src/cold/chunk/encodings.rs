//! Parquet's encodings of numbers: runs and bit-packing for levels and dictionary codes, differences for integers.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>

/// Appends an unsigned LEB128 number.
pub(super) fn push_varint(target: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        target.push((number as u8) | 0x80);
        number >>= 7;
    }
    target.push(number as u8);
}

/// Appends a signed number, small ones short.
pub(super) fn push_zigzag(target: &mut Vec<u8>, number: i64) {
    push_varint(target, ((number << 1) ^ (number >> 63)) as u64);
}

/// Bits that a number takes.
pub(super) fn bits(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// Appends numbers of `width` bits each, the first in the lowest bits.
fn pack(target: &mut Vec<u8>, numbers: impl Iterator<Item = u64>, width: u32) {
    let mut buffer: u128 = 0;
    let mut filled = 0;
    for number in numbers {
        buffer |= u128::from(number) << filled;
        filled += width;
        if filled >= 64 {
            target.extend_from_slice(&(buffer as u64).to_le_bytes());
            buffer >>= 64;
            filled -= 64;
        }
    }
    let bytes = filled.div_ceil(8) as usize;
    target.extend_from_slice(&(buffer as u64).to_le_bytes()[..bytes]);
}

/// Appends one bit each.
pub(super) fn push_bits(target: &mut Vec<u8>, numbers: &[u32]) {
    let numbers = numbers.iter().map(|&number| u64::from(number));
    pack(target, numbers, 1);
}

/// Equal numbers that are worth a run of their own.
const RUN_MIN: usize = 8;

/// Appends numbers in Parquet's hybrid of runs and bit-packed groups of eight.
pub(super) fn push_hybrid(target: &mut Vec<u8>, numbers: &[u32], width: u32) {
    let mut literals = 0;
    let mut at = 0;
    while at < numbers.len() {
        let run = run_length(&numbers[at..]);
        // Literals end at a multiple of eight, or at the end of all.
        let padding = (8 - (at - literals) % 8) % 8;
        if run < RUN_MIN + padding {
            at += run;
            continue;
        }
        at += padding;
        push_literals(target, &numbers[literals..at], width);
        push_run(target, run - padding, numbers[at], width);
        at += run - padding;
        literals = at;
    }
    push_literals(target, &numbers[literals..], width);
}

fn run_length(numbers: &[u32]) -> usize {
    let first = numbers[0];
    let other = numbers.iter().position(|&number| number != first);
    other.unwrap_or(numbers.len())
}

/// Appends one run of equal numbers.
pub(super) fn push_run(target: &mut Vec<u8>, length: usize, number: u32, width: u32) {
    push_varint(target, (length as u64) << 1);
    let bytes = width.div_ceil(8) as usize;
    target.extend_from_slice(&number.to_le_bytes()[..bytes]);
}

fn push_literals(target: &mut Vec<u8>, numbers: &[u32], width: u32) {
    if numbers.is_empty() {
        return;
    }
    let groups = numbers.len().div_ceil(8);
    push_varint(target, (groups as u64) << 1 | 1);
    let padding = groups * 8 - numbers.len();
    let numbers = numbers.iter().map(|&number| u64::from(number));
    pack(
        target,
        numbers.chain(std::iter::repeat_n(0, padding)),
        width,
    );
}

/// Differences in a block, in which four smaller blocks have a width each.
const BLOCK: usize = 128;
const MINI_BLOCKS: usize = 4;

/// Appends integers as differences from one to the next (`DELTA_BINARY_PACKED`).
pub(super) fn push_deltas(target: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = i64>) {
    push_varint(target, BLOCK as u64);
    push_varint(target, MINI_BLOCKS as u64);
    push_varint(target, numbers.len() as u64);
    let mut numbers = numbers;
    let mut last = numbers.next().unwrap_or(0);
    push_zigzag(target, last);
    let mut deltas = Vec::with_capacity(BLOCK);
    loop {
        deltas.clear();
        for number in numbers.by_ref().take(BLOCK) {
            deltas.push(number.wrapping_sub(last));
            last = number;
        }
        if deltas.is_empty() {
            return;
        }
        push_block(target, &mut deltas);
    }
}

fn push_block(target: &mut Vec<u8>, deltas: &mut [i64]) {
    let least = deltas.iter().copied().min().unwrap_or(0);
    push_zigzag(target, least);
    for delta in deltas.iter_mut() {
        *delta = delta.wrapping_sub(least);
    }
    const MINI: usize = BLOCK / MINI_BLOCKS;
    let mut widths = [0; MINI_BLOCKS];
    for (width, mini) in widths.iter_mut().zip(deltas.chunks(MINI)) {
        let all = mini.iter().fold(0, |all, &delta| all | delta as u64);
        *width = bits(all);
    }
    target.extend(widths.iter().map(|&width| width as u8));
    for (&width, mini) in widths.iter().zip(deltas.chunks(MINI)) {
        let padding = std::iter::repeat_n(0, MINI - mini.len());
        let numbers = mini.iter().map(|&delta| delta as u64);
        pack(target, numbers.chain(padding), width);
    }
}

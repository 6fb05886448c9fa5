//! Reading a segment's bytes: its records, and what is not a record.

use std::ops::Range;

use super::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, find_record};

/// A part of a segment, in the order of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A record whose checksums are right.
    Record {
        header: RecordHeader,
        payload: Range<usize>,
    },
    /// Bytes that are no record though one follows them.
    Damage(Range<usize>),
    /// Bytes to the end of the file that are no record.
    Tail(Range<usize>),
}

/// Splits a segment, header included, into its parts.
pub(crate) fn parts(segment: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while at < segment.len() {
        if let Some((header, payload)) = record_at(segment, at) {
            at = payload.end;
            parts.push(Part::Record { header, payload });
            continue;
        }
        match next_record(segment, at + 1) {
            Some(next) => {
                parts.push(Part::Damage(at..next));
                at = next;
            }
            None => {
                parts.push(Part::Tail(at..segment.len()));
                break;
            }
        }
    }
    parts
}

fn next_record(segment: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let at = find_record(segment, from)?;
        if record_at(segment, at).is_some() {
            return Some(at);
        }
        from = at + 1;
    }
}

fn record_at(segment: &[u8], at: usize) -> Option<(RecordHeader, Range<usize>)> {
    let header = RecordHeader::parse(segment.get(at..)?)?;
    let start = at + RECORD_HEADER_BYTES;
    let payload = start..start + header.payload_bytes as usize;
    let bytes = segment.get(payload.clone())?;
    (crc32c::crc32c(bytes) == header.payload_checksum).then_some((header, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::format::segment_header;

    fn record(sequence: u64, payload: &[u8]) -> Vec<u8> {
        let header = RecordHeader {
            payload_bytes: payload.len() as u32,
            sequence,
            received_at: 7,
            spans: 1,
            payload_checksum: crc32c::crc32c(payload),
        };
        [&header.to_bytes()[..], payload].concat()
    }

    fn sequences(segment: &[u8]) -> Vec<u64> {
        let records = parts(segment).into_iter().filter_map(|part| match part {
            Part::Record { header, .. } => Some(header.sequence),
            Part::Damage(_) | Part::Tail(_) => None,
        });
        records.collect()
    }

    fn segment() -> Vec<u8> {
        let mut bytes = segment_header(1).to_vec();
        for sequence in 1..=3 {
            bytes.extend(record(sequence, &[sequence as u8; 100]));
        }
        bytes
    }

    #[test]
    fn every_cut_leaves_the_records_before_it() {
        let whole = segment();
        for length in SEGMENT_HEADER_BYTES..whole.len() {
            let complete = (length - SEGMENT_HEADER_BYTES) / 140;
            let expected: Vec<u64> = (1..=complete as u64).collect();
            assert_eq!(sequences(&whole[..length]), expected, "cut at {length}");
        }
    }

    #[test]
    fn every_flipped_bit_costs_only_its_record() {
        let whole = segment();
        for at in SEGMENT_HEADER_BYTES..whole.len() {
            // The four unused bytes of a header are under its checksum too, so nothing goes unseen.
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            let hit = ((at - SEGMENT_HEADER_BYTES) / 140) as u64 + 1;
            let expected: Vec<u64> = (1..=3).filter(|&sequence| sequence != hit).collect();
            assert_eq!(sequences(&flipped), expected, "flipped byte {at}");
        }
    }
}

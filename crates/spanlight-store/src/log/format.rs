//! The fixed parts of the log's files: names, segment headers, record headers.

use std::fmt;

/// Raised when the layout below changes.
pub(crate) const FORMAT_VERSION: u16 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"SPANLOG\n";
pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;

const RECORD_MAGIC: [u8; 4] = *b"\xa5Rec";
pub(crate) const RECORD_HEADER_BYTES: usize = 40;

/// A larger payload is no record: nothing that large is ever accepted.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// The name of a segment's file.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:020}.log")
}

/// The number of the segment of this name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// Why a segment's header is not one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Too short, or its checksum is wrong.
    Damaged,
    /// A newer version wrote it.
    Newer { format: u16, schema: u16 },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => formatter.write_str("its header is damaged"),
            Self::Newer { format, schema } => write!(
                formatter,
                "its format {format} with schema {schema} is newer than this version of Spanlight"
            ),
        }
    }
}

pub(crate) fn segment_header(number: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[10..12].copy_from_slice(&spanlight_model::schema::VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Checks the header of a segment.
pub(crate) fn check_segment_header(bytes: &[u8]) -> Result<(), HeaderError> {
    let header = bytes
        .get(..SEGMENT_HEADER_BYTES)
        .ok_or(HeaderError::Damaged)?;
    if header[..8] != SEGMENT_MAGIC || crc32c::crc32c(&header[..28]) != u32_at(header, 28) {
        return Err(HeaderError::Damaged);
    }
    let format = u16::from_le_bytes([header[8], header[9]]);
    let schema = u16::from_le_bytes([header[10], header[11]]);
    if format > FORMAT_VERSION || schema > spanlight_model::schema::VERSION {
        return Err(HeaderError::Newer { format, schema });
    }
    Ok(())
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) payload_bytes: u32,
    pub(crate) sequence: u64,
    /// The latest receipt of the record's spans, in unix nanoseconds.
    pub(crate) received_at: i64,
    pub(crate) spans: u32,
    pub(crate) payload_checksum: u32,
}

impl RecordHeader {
    pub(crate) fn to_bytes(self) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.received_at.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.spans.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the start of these bytes, if a whole one is there.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES)?;
        if bytes[..4] != RECORD_MAGIC || crc32c::crc32c(&bytes[..36]) != u32_at(bytes, 36) {
            return None;
        }
        let header = Self {
            payload_bytes: u32_at(bytes, 4),
            sequence: u64_at(bytes, 8),
            received_at: u64_at(bytes, 16) as i64,
            spans: u32_at(bytes, 24),
            payload_checksum: u32_at(bytes, 32),
        };
        (header.payload_bytes as usize <= PAYLOAD_BYTES_MAX).then_some(header)
    }
}

/// Where the next record may begin, at or after `from`.
pub(crate) fn find_record(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(RECORD_MAGIC.len())
        .position(|window| window == RECORD_MAGIC)
        .map(|at| from + at)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

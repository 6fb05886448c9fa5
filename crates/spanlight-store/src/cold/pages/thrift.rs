//! Thrift's compact protocol, as far as headers and indexes of pages have it.
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

use parquet::errors::ParquetError;

use super::bits::{take_varint, zigzag};
use super::damaged;

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
pub(super) const STRUCT: u8 = 12;

/// Structures within structures: statistics have fewer.
const DEPTH_MAX: usize = 8;

/// Reads values off the front of bytes.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn byte(&mut self) -> Result<u8, ParquetError> {
        let (byte, rest) = self.0.split_first().ok_or_else(ends)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn number(&mut self) -> Result<i64, ParquetError> {
        take_varint(&mut self.0).map(zigzag).ok_or_else(ends)
    }

    pub(super) fn length(&mut self) -> Result<usize, ParquetError> {
        usize::try_from(self.number()?).map_err(|_| damaged("a length is below zero"))
    }

    /// The number and the type of the next field; `None` at the end of the structure.
    pub(super) fn field(&mut self, last: &mut i64) -> Result<Option<(i64, u8)>, ParquetError> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *last = match byte >> 4 {
            0 => self.number()?,
            more => last.saturating_add(i64::from(more)),
        };
        Ok(Some((*last, byte & 0x0f)))
    }

    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Result<(), ParquetError> {
        if depth > DEPTH_MAX {
            return Err(damaged("what is said of pages is too deep"));
        }
        match kind {
            TRUE | FALSE => {}
            BYTE => drop(self.byte()?),
            I16 | I32 | I64 => drop(self.number()?),
            DOUBLE => self.0 = self.0.get(8..).ok_or_else(ends)?,
            BINARY => drop(self.bytes()?),
            LIST | SET => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    match kind {
                        TRUE | FALSE => drop(self.byte()?),
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return Err(damaged("what is said of pages makes no sense")),
        }
        Ok(())
    }

    /// The number of elements of a list, and their type.
    pub(super) fn list(&mut self) -> Result<(usize, u8), ParquetError> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => take_varint(&mut self.0).ok_or_else(ends)?,
            few => u64::from(few),
        };
        // Each takes a byte at least.
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.0.len());
        Ok((count.ok_or_else(ends)?, byte & 0x0f))
    }

    /// A truth value of a list, where it is a byte.
    pub(super) fn truth(&mut self) -> Result<bool, ParquetError> {
        Ok(self.byte()? == TRUE)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], ParquetError> {
        let length = take_varint(&mut self.0).ok_or_else(ends)?;
        let length = usize::try_from(length).map_err(|_| ends())?;
        let bytes = self.0.get(..length).ok_or_else(ends)?;
        self.0 = &self.0[length..];
        Ok(bytes)
    }
}

fn ends() -> ParquetError {
    damaged("what is said of pages ends too early")
}

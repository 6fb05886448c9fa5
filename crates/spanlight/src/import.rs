//! Files of OTLP, split into requests: JSON (documents, or one a line), protobuf (one message, or messages with a
//! length before each, as the collector's file exporter writes them), plain or packed with gzip or zstd.
//!
//! A [`Unit`] is what one resource sent, the bytes as they are in the file; nothing is decoded here. Files of any size
//! pass in bounded memory. What is no OTLP is a [`Flaw`] with its place, and what follows it is read on.

mod input;
mod json;
mod protobuf;
mod request;
mod send;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use input::{Input, Read};
pub use request::{Format, Request, Requests};
pub use send::{SendError, Sender, Sent};

/// A resource with its spans: a `ResourceSpans`.
#[derive(Debug, Clone)]
pub struct Unit {
    /// How it is written.
    pub format: Format,
    /// As in the file.
    pub bytes: Vec<u8>,
    /// How many spans are in it.
    pub spans: usize,
    /// Where it begins.
    pub place: Place,
}

/// A place in a file, after unpacking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: Arc<str>,
    /// In bytes, from 0.
    pub offset: u64,
    /// Line and column, from 1, of files that have lines.
    pub line: Option<(u64, u64)>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some((line, column)) => write!(formatter, "{}:{line}:{column}", self.file),
            None => write!(formatter, "{} at byte {}", self.file, self.offset),
        }
    }
}

/// Something in a file that is not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where it begins.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
}

/// What a file is made of.
#[derive(Debug)]
pub enum Item {
    /// Spans.
    Unit(Unit),
    /// Something else.
    Flaw(Flaw),
}

/// Takes what is found; `false` ends the reading.
pub(crate) type Sink<'a> = dyn FnMut(Item) -> bool + 'a;

/// A resource with more bytes than this is not read into memory.
const UNIT_BYTES_MAX: usize = 256 << 20;

fn too_large(what: &str) -> String {
    let most = UNIT_BYTES_MAX >> 20;
    format!("{what} is larger than {most} MiB; write smaller ones")
}

/// Reads an input to its end, or until the sink has enough.
///
/// # Errors
/// When it cannot be read, or cannot be unpacked.
pub fn split(input: &mut Input, sink: &mut Sink<'_>) -> io::Result<()> {
    match input.first_byte()? {
        None => Ok(()),
        Some(b'{' | b'[' | b' ' | b'\t' | b'\r' | BYTE_ORDER_MARK) => json::split(input, sink),
        // Also the first byte of most messages.
        Some(b'\n') if input.begins_as_json()? => json::split(input, sink),
        Some(_) => protobuf::split(input, sink),
    }
}

/// The first byte of the mark that some editors put before a text.
const BYTE_ORDER_MARK: u8 = 0xef;

//! Splits protobuf: one `TracesData` (or several, one after the other, which is the same message), or messages with
//! their length in four bytes before each, as the collector's file exporter writes them.

use std::io::{self, Cursor, Read as _};
use std::ops::Range;
use std::sync::Arc;

use super::input::{Input, ZSTD};
use super::{Flaw, Format, Item, Place, Sink, UNIT_BYTES_MAX, Unit, too_large};

/// `TracesData.resource_spans`, with a length.
const RESOURCE_SPANS: u8 = 0x0a;
/// `ResourceSpans.scope_spans` and `ScopeSpans.spans`.
pub(super) const MEMBERS: u64 = 2;
const LENGTH: u64 = 2;

pub(super) fn split(input: &mut Input, sink: &mut Sink<'_>) -> io::Result<()> {
    let file = Arc::clone(&input.name);
    if input.first_byte()? != Some(RESOURCE_SPANS) {
        return Framed { input, file }.split(sink);
    }
    let mut messages = Messages {
        file,
        reader: input,
        offset: 0,
    };
    messages.split(sink).map(drop)
}

/// Messages with their lengths.
struct Framed<'i> {
    input: &'i mut Input,
    file: Arc<str>,
}

impl Framed<'_> {
    fn split(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        let mut offset = 0;
        while self.input.first_byte()?.is_some() {
            let begin = Place {
                file: Arc::clone(&self.file),
                offset,
                line: None,
            };
            let flaw = |problem: &str| {
                Item::Flaw(Flaw {
                    place: begin.clone(),
                    problem: problem.to_owned(),
                })
            };
            let mut head = [0; 4];
            let mut message = Vec::new();
            let head_read = read_up_to(self.input, &mut head)?;
            let length = u32::from_be_bytes(head) as usize;
            if head_read < head.len() || length > UNIT_BYTES_MAX {
                sink(flaw(if offset == 0 { NO_FORMAT } else { NO_MESSAGE }));
                return Ok(());
            }
            self.input.take(length as u64).read_to_end(&mut message)?;
            if message.len() < length {
                sink(flaw(if offset == 0 { NO_FORMAT } else { CUT_OFF }));
                return Ok(());
            }
            offset += 4 + length as u64;
            let message = if message.starts_with(&ZSTD) {
                zstd::stream::decode_all(&message[..])?
            } else {
                message
            };
            let mut messages = Messages {
                file: Arc::clone(&self.file),
                reader: &mut Cursor::new(message),
                offset: begin.offset + 4,
            };
            if !messages.split(sink)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

const NO_FORMAT: &str = "this is no OTLP: neither JSON, nor a protobuf message of traces, nor such messages with \
                         their lengths";
const NO_MESSAGE: &str = "expected a message with its length";
const CUT_OFF: &str = "this message is cut off";

fn read_up_to(input: &mut Input, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match input.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// The fields of a `TracesData`.
struct Messages<'r, R> {
    file: Arc<str>,
    reader: &'r mut R,
    offset: u64,
}

impl<R: io::BufRead> Messages<'_, R> {
    /// Whether the sink takes more.
    fn split(&mut self, sink: &mut Sink<'_>) -> io::Result<bool> {
        loop {
            let place = Place {
                file: Arc::clone(&self.file),
                offset: self.offset,
                line: None,
            };
            let item = match self.next()? {
                Next::End => return Ok(true),
                Next::Bad(problem) => {
                    let problem = problem.to_owned();
                    // Where the next field begins is not known.
                    return Ok(sink(Item::Flaw(Flaw { place, problem })));
                }
                Next::Large => Item::Flaw(Flaw {
                    place,
                    problem: too_large("a resource with its spans"),
                }),
                Next::Unit(bytes) => match count_spans(&bytes) {
                    Some(spans) => Item::Unit(Unit {
                        format: Format::Protobuf,
                        bytes,
                        spans,
                        place,
                    }),
                    None => Item::Flaw(Flaw {
                        place,
                        problem: "this is no protobuf message of a resource with its spans"
                            .to_owned(),
                    }),
                },
            };
            if !sink(item) {
                return Ok(false);
            }
        }
    }

    fn next(&mut self) -> io::Result<Next> {
        let Some(tag) = self.byte()? else {
            return Ok(Next::End);
        };
        if tag != RESOURCE_SPANS {
            return Ok(Next::Bad("expected a resource with its spans"));
        }
        let Some(length) = self.varint()? else {
            return Ok(Next::Bad(CUT_OFF));
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > UNIT_BYTES_MAX {
            let mut rest = self.reader.take(length as u64);
            self.offset += io::copy(&mut rest, &mut io::sink())?;
            return Ok(Next::Large);
        }
        let mut bytes = Vec::new();
        self.reader.take(length as u64).read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        if bytes.len() < length {
            return Ok(Next::Bad(CUT_OFF));
        }
        Ok(Next::Unit(bytes))
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let first = self.reader.fill_buf()?.first().copied();
        if first.is_some() {
            self.reader.consume(1);
            self.offset += 1;
        }
        Ok(first)
    }

    fn varint(&mut self) -> io::Result<Option<u64>> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.byte()? else {
                return Ok(None);
            };
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

enum Next {
    Unit(Vec<u8>),
    Large,
    Bad(&'static str),
    End,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    /// With its tag.
    pub(super) whole: Range<usize>,
    /// Of a field with a length.
    pub(super) content: Range<usize>,
}

/// The fields of a message; `None` when it is none.
pub(super) fn fields(message: &[u8], range: Range<usize>) -> Option<Vec<Field>> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let begin = at;
        let tag = varint_at(message, &mut at)?;
        let content = match tag & 7 {
            0 => {
                varint_at(message, &mut at)?;
                at..at
            }
            1 => at + 8..at + 8,
            LENGTH => {
                let length = usize::try_from(varint_at(message, &mut at)?).ok()?;
                at..at.checked_add(length)?
            }
            5 => at + 4..at + 4,
            _ => return None,
        };
        at = content.end;
        if at > range.end {
            return None;
        }
        found.push(Field {
            number: tag >> 3,
            whole: begin..at,
            content,
        });
    }
    Some(found)
}

fn varint_at(message: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *message.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn count_spans(unit: &[u8]) -> Option<usize> {
    let mut spans = 0;
    for scope in fields(unit, 0..unit.len())? {
        if scope.number == MEMBERS {
            let members = fields(unit, scope.content)?.into_iter();
            spans += members.filter(|field| field.number == MEMBERS).count();
        }
    }
    Some(spans)
}

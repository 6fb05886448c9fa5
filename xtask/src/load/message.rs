//! Protobuf by hand: just what OTLP needs, with notes of where the bytes are that differ from trace to trace.

use super::{span_id, trace_id};
use crate::random::Random;

/// A message that is being encoded.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    pub(super) patches: Vec<Patch>,
}

/// A place in a request that is filled in for each use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    at: usize,
    /// Which trace of the request it belongs to.
    trace: u16,
    value: Value,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    TraceId,
    SpanId {
        span: u8,
    },
    /// A time, this long after the trace's start.
    Time {
        after_nano: u64,
    },
    /// `user-` and six digits.
    User,
    /// A UUID of the trace and one of its functions.
    Invocation {
        function: u8,
    },
}

pub(super) const USER_LENGTH: usize = 11;
pub(super) const UUID_LENGTH: usize = 36;

impl Message {
    fn tag(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.tag(field, 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn text(&mut self, field: u32, value: &str) {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    pub(super) fn message(&mut self, field: u32, inner: &Self) {
        self.tag(field, 2);
        self.varint(inner.bytes.len() as u64);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&inner.bytes);
        self.patches.extend(inner.patches.iter().map(|patch| Patch {
            at: start + patch.at,
            ..*patch
        }));
    }

    /// A field whose value is filled in later.
    pub(super) fn later(&mut self, field: u32, trace: u16, value: Value) {
        let length = match value {
            Value::Time { .. } => 8,
            Value::TraceId => 16,
            Value::SpanId { .. } => 8,
            Value::User => USER_LENGTH,
            Value::Invocation { .. } => UUID_LENGTH,
        };
        if matches!(value, Value::Time { .. }) {
            self.tag(field, 1);
        } else {
            self.tag(field, 2);
            self.varint(length as u64);
        }
        self.patches.push(Patch {
            at: self.bytes.len(),
            trace,
            value,
        });
        self.bytes.resize(self.bytes.len() + length, 0);
    }
}

impl Patch {
    pub(super) fn apply(&self, seed: u64, first: u64, start_time_unix_nano: u64, body: &mut [u8]) {
        let number = first + u64::from(self.trace);
        let place = &mut body[self.at..];
        match self.value {
            Value::TraceId => place[..16].copy_from_slice(&trace_id(seed, number)),
            Value::SpanId { span } => {
                place[..8].copy_from_slice(&span_id(seed, number, usize::from(span)));
            }
            Value::Time { after_nano } => {
                // Traces of one request start a microsecond apart, so that their order is known.
                let time = start_time_unix_nano + after_nano + u64::from(self.trace) * 1_000;
                place[..8].copy_from_slice(&time.to_le_bytes());
            }
            Value::User => {
                place[..5].copy_from_slice(b"user-");
                let mut user = Random::at(seed ^ 0x75, number).below(100_000);
                for digit in place[5..USER_LENGTH].iter_mut().rev() {
                    *digit = b'0' + (user % 10) as u8;
                    user /= 10;
                }
            }
            Value::Invocation { function } => {
                let mut random = Random::at(seed ^ 0x69, number << 4 | u64::from(function));
                write_uuid([random.next(), random.next()], &mut place[..UUID_LENGTH]);
            }
        }
    }
}

/// Writes a UUID of version 4.
fn write_uuid(words: [u64; 2], place: &mut [u8]) {
    let mut nibbles = (u128::from(words[0]) << 64) | u128::from(words[1]);
    for (index, letter) in place.iter_mut().enumerate() {
        *letter = match index {
            8 | 13 | 18 | 23 => b'-',
            14 => b'4',
            19 => b'8',
            _ => {
                let nibble = (nibbles & 0xf) as usize;
                nibbles >>= 4;
                b"0123456789abcdef"[nibble]
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_as_protobuf_says() {
        let mut message = Message::default();
        message.number(1, 300);
        message.text(2, "ab");
        let mut outer = Message::default();
        outer.message(3, &message);
        assert_eq!(
            outer.bytes,
            [0x1a, 7, 0x08, 0xac, 0x02, 0x12, 2, b'a', b'b']
        );
    }

    #[test]
    fn a_patch_moves_with_its_message() {
        let mut inner = Message::default();
        inner.later(1, 0, Value::SpanId { span: 0 });
        let mut outer = Message::default();
        outer.text(1, "before");
        outer.message(2, &inner);
        let mut body = outer.bytes.clone();
        outer.patches[0].apply(5, 9, 0, &mut body);
        assert!(body.ends_with(&span_id(5, 9, 0)));
        assert_eq!(body.len(), outer.bytes.len());
    }

    #[test]
    fn a_uuid_has_its_dashes_and_its_version() {
        let mut place = [0; UUID_LENGTH];
        write_uuid([1, 0xffff], &mut place);
        assert_eq!(&place, b"ffff0000-0000-4000-8010-000000000000");
    }
}

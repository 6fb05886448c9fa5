//! Protobuf by hand: just what OTLP needs, with notes of where the bytes are that differ from trace to trace.

use super::Starts;
use super::drawn::{Drawn, UUID_LENGTH};

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
    /// A time, this long after the trace's start at a pace of one.
    Time {
        after_nano: f64,
    },
    /// `user-` and six digits.
    User,
    OrderTotal,
    /// A UUID of the trace and one of its functions.
    Invocation {
        service: u8,
    },
}

const USER_PREFIX: &[u8] = b"user-";
const USER_LENGTH: usize = 11;

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
            Value::Time { .. } | Value::OrderTotal | Value::SpanId { .. } => 8,
            Value::TraceId => 16,
            Value::User => USER_LENGTH,
            Value::Invocation { .. } => UUID_LENGTH,
        };
        if matches!(value, Value::Time { .. } | Value::OrderTotal) {
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
    /// `drawn`: the traces of the request.
    pub(super) fn apply(&self, drawn: &[Drawn], starts: Starts, body: &mut [u8]) {
        let trace = &drawn[usize::from(self.trace)];
        let place = &mut body[self.at..];
        match self.value {
            Value::TraceId => place[..16].copy_from_slice(&trace.trace_id),
            Value::SpanId { span } => {
                place[..8].copy_from_slice(&trace.span_id(usize::from(span)));
            }
            Value::Time { after_nano } => {
                let start = starts.first_unix_nano + u64::from(self.trace) * starts.step_nano;
                let time = start + paced(after_nano, trace.pace);
                place[..8].copy_from_slice(&time.to_le_bytes());
            }
            Value::User => {
                place[..USER_PREFIX.len()].copy_from_slice(USER_PREFIX);
                place[USER_PREFIX.len()..USER_LENGTH].copy_from_slice(&trace.user);
            }
            Value::OrderTotal => place[..8].copy_from_slice(&trace.order_total().to_le_bytes()),
            Value::Invocation { service } => {
                place[..UUID_LENGTH].copy_from_slice(&trace.invocations[usize::from(service)]);
            }
        }
    }
}

/// A time after the trace's start, at the trace's own pace.
pub(super) fn paced(after_nano: f64, pace: f64) -> u64 {
    (after_nano * pace) as u64
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
        let drawn = [Drawn::of(5, 9)];
        outer.patches[0].apply(&drawn, Starts::at(0), &mut body);
        assert!(body.ends_with(&drawn[0].span_id(0)));
        assert_eq!(body.len(), outer.bytes.len());
    }
}

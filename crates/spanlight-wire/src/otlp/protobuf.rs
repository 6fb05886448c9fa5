//! From the protobuf of a trace request into columns, in one pass.
//!
//! No message becomes a struct: a span's fields go from the body into the builder's row as they come. Fields come
//! in any order, but a resource and a scope must be known before their spans, so those are looked for first, by
//! stepping over the length-delimited fields beside them.

mod names;
mod repeat;
mod value;

use spanlight_model::{
    AttributeSink, ResourceIndex, ScopeIndex, SpanBatchBuilder, SpanId, SpanKind, SpanRow,
    StatusCode, TraceId,
};

use super::ids::Ids;
use super::notes::{Dropped, Notes};
use crate::protobuf::{Read, Reader, Wire, Within};
use crate::{DecodeError, DecodeLimits, Decoded};
use names::{EVENT, LINK, REQUEST, RESOURCE, RESOURCE_SPANS, SCOPE, SCOPE_SPANS, SPAN, STATUS};
use repeat::Repeats;
use value::{push_attribute, push_attribute_again};

/// So many spans tell how large the others of a request will be.
const SAMPLE_SPANS: usize = 32;
/// Beyond this, memory is taken only for what is there.
const EXPECT_BYTES_MAX: usize = 16 << 20;

pub(super) fn decode(
    body: &[u8],
    received_at_unix_nano: i64,
    limits: &DecodeLimits,
) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder {
        builder: SpanBatchBuilder::new(received_at_unix_nano),
        notes: Notes::new(limits),
        repeats: Repeats::new(),
        body,
    };
    decoder
        .request(body)
        .map_err(|malformed| malformed.into_error(body))?;
    Ok(Decoded {
        batch: decoder.builder.finish()?,
        report: decoder.notes.finish(),
    })
}

struct Decoder<'l, 'b> {
    builder: SpanBatchBuilder,
    notes: Notes<'l>,
    repeats: Repeats<'b>,
    body: &'b [u8],
}

/// What is needed of a `ResourceSpans` or a `ScopeSpans` before its spans.
struct Envelope<'a> {
    /// The resource or the scope; protobuf merges what is sent in several pieces.
    header: Vec<&'a [u8]>,
    schema_url: &'a [u8],
    children: usize,
}

impl<'a> Envelope<'a> {
    fn read(message: &'a [u8], names: &[&str]) -> Read<Self> {
        let mut envelope = Self {
            header: Vec::new(),
            schema_url: b"",
            children: 0,
        };
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next().of_message(names)? {
            match (field.number, field.value) {
                (1, Wire::Bytes(bytes)) => envelope.header.push(bytes),
                (2, Wire::Bytes(_)) => envelope.children += 1,
                (3, Wire::Bytes(bytes)) => envelope.schema_url = bytes,
                _ => {}
            }
        }
        Ok(envelope)
    }
}

impl<'b> Decoder<'_, 'b> {
    fn request(&mut self, body: &'b [u8]) -> Read<()> {
        let mut index = 0;
        let mut reader = Reader::new(body);
        while let Some(field) = reader.next().of_message(REQUEST)? {
            if let (1, Wire::Bytes(message)) = (field.number, field.value) {
                self.notes.place.resource_spans = index;
                self.resource_spans(message)
                    .within_element("resource_spans", index)?;
                index += 1;
            }
        }
        Ok(())
    }

    fn resource_spans(&mut self, message: &'b [u8]) -> Read<()> {
        let envelope = Envelope::read(message, RESOURCE_SPANS)?;
        // Made when the first span needs it: a request of empty envelopes costs no memory.
        let mut resource = None;
        let mut index = 0;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next().of_message(RESOURCE_SPANS)? {
            if let (2, Wire::Bytes(message)) = (field.number, field.value) {
                self.scope_spans(message, index, &envelope, &mut resource)
                    .within_element("scope_spans", index)?;
                index += 1;
            }
        }
        Ok(())
    }

    fn scope_spans(
        &mut self,
        message: &'b [u8],
        index: usize,
        parent: &Envelope<'_>,
        resource: &mut Option<ResourceIndex>,
    ) -> Read<()> {
        let envelope = Envelope::read(message, SCOPE_SPANS)?;
        if envelope.children > 0 && !self.notes.is_full() {
            let resource = match *resource {
                Some(resource) => resource,
                None => *resource.insert(self.resource(parent).within("resource")?),
            };
            self.notes.place.scope_spans = Some(index);
            let scope = self.scope(&envelope).within("scope")?;
            self.spans(message, envelope.children, resource, scope)?;
        } else if envelope.children > 0 {
            self.notes.place.scope_spans = Some(index);
            self.notes.too_many_spans(envelope.children as u64);
        }
        self.notes.place.scope_spans = None;
        Ok(())
    }

    fn spans(
        &mut self,
        message: &'b [u8],
        count: usize,
        resource: ResourceIndex,
        scope: ScopeIndex,
    ) -> Read<()> {
        let mut index = 0;
        let mut reader = Reader::new(message);
        while let Some(field) = reader.next().of_message(SCOPE_SPANS)? {
            if let (2, Wire::Bytes(message)) = (field.number, field.value) {
                self.notes.place.span = Some(index);
                if self.notes.is_full() {
                    self.notes.too_many_spans((count - index) as u64);
                    break;
                }
                if self.notes.spans == SAMPLE_SPANS {
                    self.expect_the_rest(message);
                }
                self.notes.spans += 1;
                let row = self.builder.begin_span(resource, scope);
                span(row, &mut self.notes, &mut self.repeats, message)
                    .within_element("spans", index)?;
                index += 1;
            }
        }
        self.notes.place.span = None;
        Ok(())
    }

    /// Makes room for what a body of this length will hold if it goes on as it began.
    fn expect_the_rest(&mut self, next: &[u8]) {
        let read = (next.as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
        if self.body.len() <= EXPECT_BYTES_MAX {
            self.builder.expect(self.body.len() / read.max(1) + 1);
        }
    }

    fn resource(&mut self, envelope: &Envelope<'_>) -> Read<ResourceIndex> {
        let mut row = self.builder.begin_resource();
        let mut dropped = Dropped::default();
        for piece in &envelope.header {
            let mut reader = Reader::new(piece);
            while let Some(field) = reader.next().of_message(RESOURCE)? {
                match (field.number, field.value) {
                    (1, Wire::Bytes(bytes)) => {
                        attribute(row.attributes(), &mut self.notes, &mut dropped, bytes)?;
                    }
                    (2, Wire::Varint(count)) => dropped.sent = count as u32,
                    _ => {}
                }
            }
        }
        row.set_dropped_attributes_count(dropped.total());
        row.set_schema_url(&self.notes.text(envelope.schema_url));
        Ok(row.commit())
    }

    fn scope(&mut self, envelope: &Envelope<'_>) -> Read<ScopeIndex> {
        let mut row = self.builder.begin_scope();
        let mut dropped = Dropped::default();
        for piece in &envelope.header {
            let mut reader = Reader::new(piece);
            while let Some(field) = reader.next().of_message(SCOPE)? {
                match (field.number, field.value) {
                    (1, Wire::Bytes(bytes)) => row.set_name(&self.notes.text(bytes)),
                    (2, Wire::Bytes(bytes)) => row.set_version(&self.notes.text(bytes)),
                    (3, Wire::Bytes(bytes)) => {
                        attribute(row.attributes(), &mut self.notes, &mut dropped, bytes)?;
                    }
                    (4, Wire::Varint(count)) => dropped.sent = count as u32,
                    _ => {}
                }
            }
        }
        row.set_dropped_attributes_count(dropped.total());
        row.set_schema_url(&self.notes.text(envelope.schema_url));
        Ok(row.commit())
    }
}

fn span<'b>(
    mut row: SpanRow<'_>,
    notes: &mut Notes<'_>,
    repeats: &mut Repeats<'b>,
    message: &'b [u8],
) -> Read<()> {
    let mut ids = Ids::default();
    let mut attributes = Dropped::default();
    let mut events = Dropped::default();
    let mut links = Dropped::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next().of_message(SPAN)? {
        match (field.number, field.value) {
            (1, Wire::Bytes(id)) => row.set_trace_id(TraceId(ids.bytes("trace_id", id))),
            (2, Wire::Bytes(id)) => row.set_span_id(SpanId(ids.bytes("span_id", id))),
            (3, Wire::Bytes(text)) => row.set_trace_state(&notes.text(text)),
            (4, Wire::Bytes(id)) => {
                row.set_parent_span_id(SpanId(ids.bytes("parent_span_id", id)));
            }
            (5, Wire::Bytes(text)) => row.set_name(&notes.text(text)),
            (6, Wire::Varint(kind)) => row.set_kind(SpanKind::from_number(kind as i64)),
            (7, Wire::Fixed64(time)) => row.set_start_time_unix_nano(time),
            (8, Wire::Fixed64(time)) => row.set_end_time_unix_nano(time),
            (9, Wire::Bytes(bytes)) => {
                let sink = row.attributes();
                if !push_attribute_again(sink, notes, repeats, bytes).within("attributes")? {
                    attributes.add();
                }
            }
            (10, Wire::Varint(count)) => attributes.sent = count as u32,
            (11, Wire::Bytes(bytes)) => {
                event(&mut row, notes, &mut events, bytes).within("events")?
            }
            (12, Wire::Varint(count)) => events.sent = count as u32,
            (13, Wire::Bytes(bytes)) => link(&mut row, notes, &mut links, bytes).within("links")?,
            (14, Wire::Varint(count)) => links.sent = count as u32,
            (15, Wire::Bytes(bytes)) => status(&mut row, notes, bytes).within("status")?,
            (16, Wire::Fixed32(flags)) => row.set_flags(flags),
            _ => {}
        }
    }
    row.set_dropped_attributes_count(attributes.total());
    row.set_dropped_events_count(events.total());
    row.set_dropped_links_count(links.total());
    notes.commit(row, ids.problem());
    Ok(())
}

fn status(row: &mut SpanRow<'_>, notes: &mut Notes<'_>, message: &[u8]) -> Read<()> {
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next().of_message(STATUS)? {
        match (field.number, field.value) {
            (2, Wire::Bytes(text)) => row.set_status_message(&notes.text(text)),
            (3, Wire::Varint(code)) => row.set_status_code(StatusCode::from_number(code as i64)),
            _ => {}
        }
    }
    Ok(())
}

fn event(
    span: &mut SpanRow<'_>,
    notes: &mut Notes<'_>,
    events: &mut Dropped,
    message: &[u8],
) -> Read<()> {
    if span.num_events() >= notes.limits.events_per_span {
        events.add();
        notes.dropped_event();
        return Ok(());
    }
    let mut row = span.begin_event();
    let mut dropped = Dropped::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next().of_message(EVENT)? {
        match (field.number, field.value) {
            (1, Wire::Fixed64(time)) => row.set_time_unix_nano(time),
            (2, Wire::Bytes(text)) => row.set_name(&notes.text(text)),
            (3, Wire::Bytes(bytes)) => attribute(row.attributes(), notes, &mut dropped, bytes)?,
            (4, Wire::Varint(count)) => dropped.sent = count as u32,
            _ => {}
        }
    }
    row.set_dropped_attributes_count(dropped.total());
    row.commit();
    Ok(())
}

fn link(
    span: &mut SpanRow<'_>,
    notes: &mut Notes<'_>,
    links: &mut Dropped,
    message: &[u8],
) -> Read<()> {
    if span.num_links() >= notes.limits.links_per_span {
        links.add();
        notes.dropped_link("too many links");
        return Ok(());
    }
    let mut row = span.begin_link();
    let mut ids = Ids::default();
    let mut dropped = Dropped::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next().of_message(LINK)? {
        match (field.number, field.value) {
            (1, Wire::Bytes(id)) => row.set_trace_id(TraceId(ids.bytes("trace_id", id))),
            (2, Wire::Bytes(id)) => row.set_span_id(SpanId(ids.bytes("span_id", id))),
            (3, Wire::Bytes(text)) => row.set_trace_state(&notes.text(text)),
            (4, Wire::Bytes(bytes)) => attribute(row.attributes(), notes, &mut dropped, bytes)?,
            (5, Wire::Varint(count)) => dropped.sent = count as u32,
            (6, Wire::Fixed32(flags)) => row.set_flags(flags),
            _ => {}
        }
    }
    if let Some(problem) = ids.problem() {
        drop(row);
        links.add();
        notes.dropped_link(&format!("links: {problem}"));
        return Ok(());
    }
    row.set_dropped_attributes_count(dropped.total());
    row.commit();
    Ok(())
}

#[inline]
fn attribute(
    sink: AttributeSink<'_>,
    notes: &mut Notes<'_>,
    dropped: &mut Dropped,
    message: &[u8],
) -> Read<()> {
    if !push_attribute(sink, notes, message).within("attributes")? {
        dropped.add();
    }
    Ok(())
}

//! The messages that become rows: spans with their events and links, resources, scopes.

use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use spanlight_model::{
    EventRow, LinkRow, ResourceIndex, ResourceRow, ScopeIndex, ScopeRow, SpanId, SpanKind, SpanRow,
    StatusCode, TraceId,
};

use super::read::{Elements, Integer, List, Members, Object, Text};
use super::value::AttributeList;
use crate::otlp::ids::Ids;
use crate::otlp::notes::{Dropped, Notes};

const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

const COUNT: &str = "a 32-bit count";
const TIME: &str = "nanoseconds since 1970 as a 64-bit unsigned integer";

pub(super) struct Resource<'x, 'b, 'l> {
    row: ResourceRow<'b>,
    notes: &'x mut Notes<'l>,
    dropped: Dropped,
}

impl<'x, 'b, 'l> Resource<'x, 'b, 'l> {
    pub(super) fn new(row: ResourceRow<'b>, notes: &'x mut Notes<'l>) -> Self {
        Self {
            row,
            notes,
            dropped: Dropped::default(),
        }
    }

    pub(super) fn commit(mut self) -> ResourceIndex {
        self.row.set_dropped_attributes_count(self.dropped.total());
        self.row.commit()
    }
}

impl<'de> Object<'de> for Resource<'_, '_, '_> {
    const EXPECTED: &'static str = "a resource";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "attributes" => map.next_value_seed(Elements(&mut AttributeList {
                sink: self.row.attributes(),
                notes: self.notes,
                dropped: &mut self.dropped,
            }))?,
            "droppedAttributesCount" => self.dropped.sent = count(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

pub(super) struct Scope<'x, 'b, 'l> {
    row: ScopeRow<'b>,
    notes: &'x mut Notes<'l>,
    dropped: Dropped,
}

impl<'x, 'b, 'l> Scope<'x, 'b, 'l> {
    pub(super) fn new(row: ScopeRow<'b>, notes: &'x mut Notes<'l>) -> Self {
        Self {
            row,
            notes,
            dropped: Dropped::default(),
        }
    }

    pub(super) fn commit(mut self) -> ScopeIndex {
        self.row.set_dropped_attributes_count(self.dropped.total());
        self.row.commit()
    }
}

impl<'de> Object<'de> for Scope<'_, '_, '_> {
    const EXPECTED: &'static str = "an instrumentation scope";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "name" => text(map, self.notes, |name| self.row.set_name(name))?,
            "version" => text(map, self.notes, |version| self.row.set_version(version))?,
            "attributes" => map.next_value_seed(Elements(&mut AttributeList {
                sink: self.row.attributes(),
                notes: self.notes,
                dropped: &mut self.dropped,
            }))?,
            "droppedAttributesCount" => self.dropped.sent = count(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

pub(super) struct Span<'x, 'b, 'l> {
    row: SpanRow<'b>,
    notes: &'x mut Notes<'l>,
    ids: Ids,
    attributes: Dropped,
    events: Dropped,
    links: Dropped,
}

impl<'x, 'b, 'l> Span<'x, 'b, 'l> {
    pub(super) fn new(row: SpanRow<'b>, notes: &'x mut Notes<'l>) -> Self {
        Self {
            row,
            notes,
            ids: Ids::default(),
            attributes: Dropped::default(),
            events: Dropped::default(),
            links: Dropped::default(),
        }
    }

    pub(super) fn commit(mut self) {
        self.notes.spans += 1;
        self.row
            .set_dropped_attributes_count(self.attributes.total());
        self.row.set_dropped_events_count(self.events.total());
        self.row.set_dropped_links_count(self.links.total());
        self.notes.commit(self.row, self.ids.problem());
    }
}

impl<'de> Object<'de> for Span<'_, '_, '_> {
    const EXPECTED: &'static str = "a span";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let Self {
            row, notes, ids, ..
        } = self;
        match key {
            "traceId" => row.set_trace_id(TraceId(id(map, ids, "traceId")?)),
            "spanId" => row.set_span_id(SpanId(id(map, ids, "spanId")?)),
            "parentSpanId" => row.set_parent_span_id(SpanId(id(map, ids, "parentSpanId")?)),
            "traceState" => text(map, notes, |text| row.set_trace_state(text))?,
            "flags" => row.set_flags(Integer::read(map, "32 bits")?.unwrap_or(0)),
            "name" => text(map, notes, |name| row.set_name(name))?,
            "kind" => row.set_kind(SpanKind::from_number(number_or_name(map, KINDS)?)),
            "startTimeUnixNano" => row.set_start_time_unix_nano(time(map)?),
            "endTimeUnixNano" => row.set_end_time_unix_nano(time(map)?),
            "attributes" => map.next_value_seed(Elements(&mut AttributeList {
                sink: row.attributes(),
                notes,
                dropped: &mut self.attributes,
            }))?,
            "droppedAttributesCount" => self.attributes.sent = count(map)?,
            "events" => map.next_value_seed(Elements(&mut EventList(self)))?,
            "droppedEventsCount" => self.events.sent = count(map)?,
            "links" => map.next_value_seed(Elements(&mut LinkList(self)))?,
            "droppedLinksCount" => self.links.sent = count(map)?,
            "status" => map.next_value_seed(Members(&mut Status { row, notes }))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

struct Status<'x, 'b, 'l> {
    row: &'x mut SpanRow<'b>,
    notes: &'x mut Notes<'l>,
}

impl<'de> Object<'de> for Status<'_, '_, '_> {
    const EXPECTED: &'static str = "a status";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "message" => text(map, self.notes, |text| self.row.set_status_message(text))?,
            "code" => {
                let code = StatusCode::from_number(number_or_name(map, STATUS_CODES)?);
                self.row.set_status_code(code);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

struct EventList<'s, 'x, 'b, 'l>(&'s mut Span<'x, 'b, 'l>);

impl<'de> List<'de> for EventList<'_, '_, '_, '_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let span = &mut *self.0;
        if span.row.num_events() >= span.notes.limits.events_per_span {
            let has_element = seq.next_element::<IgnoredAny>()?.is_some();
            if has_element {
                span.events.add();
                span.notes.dropped_event();
            }
            return Ok(has_element);
        }
        let mut event = Event {
            row: span.row.begin_event(),
            notes: span.notes,
            dropped: Dropped::default(),
        };
        let has_element = seq.next_element_seed(Members(&mut event))?.is_some();
        if has_element {
            event
                .row
                .set_dropped_attributes_count(event.dropped.total());
            event.row.commit();
        }
        Ok(has_element)
    }
}

struct Event<'x, 'b, 'l> {
    row: EventRow<'b>,
    notes: &'x mut Notes<'l>,
    dropped: Dropped,
}

impl<'de> Object<'de> for Event<'_, '_, '_> {
    const EXPECTED: &'static str = "an event";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "timeUnixNano" => self.row.set_time_unix_nano(time(map)?),
            "name" => text(map, self.notes, |name| self.row.set_name(name))?,
            "attributes" => map.next_value_seed(Elements(&mut AttributeList {
                sink: self.row.attributes(),
                notes: self.notes,
                dropped: &mut self.dropped,
            }))?,
            "droppedAttributesCount" => self.dropped.sent = count(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

struct LinkList<'s, 'x, 'b, 'l>(&'s mut Span<'x, 'b, 'l>);

impl<'de> List<'de> for LinkList<'_, '_, '_, '_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let span = &mut *self.0;
        if span.row.num_links() >= span.notes.limits.links_per_span {
            let has_element = seq.next_element::<IgnoredAny>()?.is_some();
            if has_element {
                span.links.add();
                span.notes.dropped_link("too many links");
            }
            return Ok(has_element);
        }
        let mut link = Link {
            row: span.row.begin_link(),
            notes: span.notes,
            ids: Ids::default(),
            dropped: Dropped::default(),
        };
        if seq.next_element_seed(Members(&mut link))?.is_none() {
            return Ok(false);
        }
        if let Some(problem) = link.ids.problem() {
            link.notes.dropped_link(&format!("links: {problem}"));
            span.links.add();
        } else {
            link.row.set_dropped_attributes_count(link.dropped.total());
            link.row.commit();
        }
        Ok(true)
    }
}

struct Link<'x, 'b, 'l> {
    row: LinkRow<'b>,
    notes: &'x mut Notes<'l>,
    ids: Ids,
    dropped: Dropped,
}

impl<'de> Object<'de> for Link<'_, '_, '_> {
    const EXPECTED: &'static str = "a link";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let Self {
            row, notes, ids, ..
        } = self;
        match key {
            "traceId" => row.set_trace_id(TraceId(id(map, ids, "traceId")?)),
            "spanId" => row.set_span_id(SpanId(id(map, ids, "spanId")?)),
            "traceState" => text(map, notes, |text| row.set_trace_state(text))?,
            "flags" => row.set_flags(Integer::read(map, "32 bits")?.unwrap_or(0)),
            "attributes" => map.next_value_seed(Elements(&mut AttributeList {
                sink: row.attributes(),
                notes,
                dropped: &mut self.dropped,
            }))?,
            "droppedAttributesCount" => self.dropped.sent = count(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    notes: &mut Notes<'_>,
    set: impl FnOnce(&str),
) -> Result<(), A::Error> {
    if let Some(text) = map.next_value_seed(Text)? {
        set(&notes.text(&text));
    }
    Ok(())
}

fn id<'de, const N: usize, A: MapAccess<'de>>(
    map: &mut A,
    ids: &mut Ids,
    field: &'static str,
) -> Result<[u8; N], A::Error> {
    let digits = map.next_value_seed(Text)?.unwrap_or_default();
    Ok(ids.digits(field, &digits))
}

fn time<'de, A: MapAccess<'de>>(map: &mut A) -> Result<u64, A::Error> {
    Ok(Integer::read(map, TIME)?.unwrap_or(0))
}

fn count<'de, A: MapAccess<'de>>(map: &mut A) -> Result<u32, A::Error> {
    Ok(Integer::read(map, COUNT)?.unwrap_or(0))
}

fn number_or_name<'de, A: MapAccess<'de>>(
    map: &mut A,
    names: &'static [&'static str],
) -> Result<i64, A::Error> {
    Ok(Integer::read_enum(map, names)?.unwrap_or(0))
}

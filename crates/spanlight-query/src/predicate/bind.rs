//! A query's fields bound to a batch: keys looked up once, resources and scopes evaluated once.

use std::borrow::Cow;

use arrow_array::Array as _;
use spanlight_model::{Attributes, SpanColumns, SpanKind, StatusCode, TraceId};
use spanlight_traceql::ast::{Attribute, AttributeScope, Field, Intrinsic, Kind, Status};

use super::program::{Fields, is_service_name};
use super::scalar::Scalar;

/// A span with one of its events and one of its links; rows are rows of the batch's columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) row: usize,
    pub(crate) event: Option<usize>,
    pub(crate) link: Option<usize>,
}

/// What the fields that need a whole trace read.
#[derive(Debug, Default)]
pub(crate) struct TraceShape<'a> {
    pub(crate) duration: i64,
    pub(crate) root_name: &'a str,
    pub(crate) root_service_name: &'a str,
    /// By position in the trace.
    pub(crate) child_counts: Vec<u32>,
    /// Left, right and parent's left, by position in the trace.
    pub(crate) nested_sets: Vec<[i64; 3]>,
    /// Values of the parents, by slot and position in the trace; empty for other fields.
    pub(crate) of_parents: Vec<Vec<Scalar<'a>>>,
}

/// The traces of a batch's rows, once they are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceFacts<'a> {
    pub(crate) shapes: &'a [TraceShape<'a>],
    /// By row: the trace, and the span's position in it.
    pub(crate) places: &'a [(u32, u32)],
}

/// Fields bound to a batch.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) columns: SpanColumns<'a>,
    accessors: Vec<Accessor<'a>>,
    traces: Option<TraceFacts<'a>>,
}

/// How a field is read.
#[derive(Debug)]
pub(crate) enum Accessor<'a> {
    /// The span's attributes, by the indices of the key.
    Span(Vec<i32>),
    /// By resource.
    Resource(Vec<Scalar<'a>>),
    /// The span's attributes, then the resource.
    Any(Vec<i32>, Vec<Scalar<'a>>),
    Event(Vec<i32>),
    Link(Vec<i32>),
    /// By instrumentation scope.
    Scope(Vec<Scalar<'a>>),
    Intrinsic(Intrinsic),
    /// An attribute of the span's parent.
    Parent,
}

impl<'a> Bound<'a> {
    pub(crate) fn new(
        fields: &Fields,
        columns: SpanColumns<'a>,
        traces: Option<TraceFacts<'a>>,
    ) -> Self {
        Self {
            accessors: fields
                .iter()
                .map(|field| Accessor::new(field, &columns))
                .collect(),
            columns,
            traces,
        }
    }

    pub(crate) fn accessor(&self, slot: usize) -> &Accessor<'a> {
        &self.accessors[slot]
    }

    /// Whether the field belongs to an event or a link, and the position has none.
    pub(crate) fn is_absent(&self, slot: usize, at: Position) -> bool {
        use {Accessor as A, Intrinsic as I};
        match self.accessors[slot] {
            A::Event(_) | A::Intrinsic(I::EventName | I::EventTimeSinceStart) => at.event.is_none(),
            A::Link(_) | A::Intrinsic(I::LinkTraceId | I::LinkSpanId) => at.link.is_none(),
            _ => false,
        }
    }

    /// The first event and the first link of a span, for expressions that have one value a span.
    pub(crate) fn first_position(&self, row: usize) -> Position {
        Position {
            row,
            event: self.columns.events.range(row).next(),
            link: self.columns.links.range(row).next(),
        }
    }

    /// The value of a field in the first event or link of the span that has it.
    pub(crate) fn first_value(&self, slot: usize, row: usize) -> Scalar<'a> {
        let columns = &self.columns;
        let (events, links) = (columns.events.range(row), columns.links.range(row));
        let count = events.len().max(links.len()).max(1);
        (0..count)
            .map(|at| Position {
                row,
                event: (at < events.len()).then_some(events.start + at),
                link: (at < links.len()).then_some(links.start + at),
            })
            .map(|at| self.value(slot, at))
            .find(|value| !value.is_nil())
            .unwrap_or(Scalar::Nil)
    }

    /// The value of a field.
    pub(crate) fn value(&self, slot: usize, at: Position) -> Scalar<'a> {
        let columns = &self.columns;
        match &self.accessors[slot] {
            Accessor::Span(keys) => attribute(&columns.attributes, keys, at.row),
            Accessor::Resource(values) => values[self.resource(at.row)].clone(),
            Accessor::Any(keys, values) => match attribute(&columns.attributes, keys, at.row) {
                Scalar::Nil => values[self.resource(at.row)].clone(),
                value => value,
            },
            Accessor::Event(keys) => at.event.map_or(Scalar::Nil, |event| {
                attribute(&columns.events.attributes, keys, event)
            }),
            Accessor::Link(keys) => at.link.map_or(Scalar::Nil, |link| {
                attribute(&columns.links.attributes, keys, link)
            }),
            Accessor::Scope(values) => values[columns.scopes.value(at.row) as usize].clone(),
            Accessor::Intrinsic(intrinsic) => self.intrinsic(*intrinsic, at),
            Accessor::Parent => self.of_parent(slot, at.row).unwrap_or(Scalar::Nil),
        }
    }

    fn resource(&self, row: usize) -> usize {
        self.columns.resources.value(row) as usize
    }

    fn intrinsic(&self, intrinsic: Intrinsic, at: Position) -> Scalar<'a> {
        use Intrinsic as I;
        let (columns, row) = (&self.columns, at.row);
        match intrinsic {
            I::Name => Scalar::Text(Cow::Borrowed(columns.name(row))),
            I::Duration => Scalar::Duration(duration(columns, row)),
            I::Status => Scalar::Status(status(columns.status_codes.value(row))),
            I::StatusMessage => Scalar::Text(Cow::Borrowed(columns.status_messages.value(row))),
            I::Kind => Scalar::Kind(kind(columns.kinds.value(row))),
            I::SpanId => Scalar::Text(Cow::Owned(columns.span_id(row).to_string())),
            I::SpanParentId => Scalar::Text(Cow::Owned(
                columns.parent_span_id(row).unwrap_or_default().to_string(),
            )),
            I::TraceId => Scalar::TraceId(columns.trace_id(row)),
            I::EventName => at.event.map_or(Scalar::Nil, |event| {
                let events = &columns.events;
                Scalar::Text(Cow::Borrowed(
                    events.name_values.value(events.names.value(event) as usize),
                ))
            }),
            I::EventTimeSinceStart => at.event.map_or(Scalar::Nil, |event| {
                let since = columns.events.times.value(event);
                let since = since.saturating_sub(columns.start_times.value(row));
                Scalar::Duration(since.max(0))
            }),
            I::LinkTraceId => at.link.map_or(Scalar::Nil, |link| {
                let id = columns.links.trace_ids.value(link).try_into();
                Scalar::TraceId(TraceId(id.unwrap_or_default()))
            }),
            I::LinkSpanId => at.link.map_or(Scalar::Nil, |link| {
                let id = columns.links.span_ids.value(link).try_into();
                let id = spanlight_model::SpanId(id.unwrap_or_default());
                Scalar::Text(Cow::Owned(id.to_string()))
            }),
            // Bound as values of the scope.
            I::InstrumentationName | I::InstrumentationVersion => Scalar::Nil,
            I::TraceDuration
            | I::RootName
            | I::RootServiceName
            | I::SpanChildCount
            | I::NestedSetLeft
            | I::NestedSetRight
            | I::NestedSetParent => self.of_trace(intrinsic, row).unwrap_or(Scalar::Nil),
        }
    }

    /// Whether the traces of the rows are known.
    pub(crate) fn has_traces(&self) -> bool {
        self.traces.is_some()
    }

    /// The trace of a row by number and shape, and the row's position in it.
    pub(crate) fn trace(&self, row: usize) -> Option<(u32, &'a TraceShape<'a>, usize)> {
        let traces = self.traces?;
        let (trace, position) = *traces.places.get(row)?;
        let shape = traces.shapes.get(trace as usize)?;
        Some((trace, shape, position as usize))
    }

    /// The trace of a row, and the row's position in it.
    fn shape(&self, row: usize) -> Option<(&'a TraceShape<'a>, usize)> {
        let (_, shape, position) = self.trace(row)?;
        Some((shape, position))
    }

    fn of_parent(&self, slot: usize, row: usize) -> Option<Scalar<'a>> {
        let (shape, position) = self.shape(row)?;
        shape.of_parents.get(slot)?.get(position).cloned()
    }

    fn of_trace(&self, intrinsic: Intrinsic, row: usize) -> Option<Scalar<'a>> {
        let (shape, position) = self.shape(row)?;
        let nested = |side: usize| Some(Scalar::Int(shape.nested_sets.get(position)?[side]));
        match intrinsic {
            Intrinsic::TraceDuration => Some(Scalar::Duration(shape.duration)),
            Intrinsic::RootName => Some(Scalar::Text(Cow::Borrowed(shape.root_name))),
            Intrinsic::RootServiceName => {
                Some(Scalar::Text(Cow::Borrowed(shape.root_service_name)))
            }
            Intrinsic::SpanChildCount => {
                let count = *shape.child_counts.get(position)?;
                Some(Scalar::Int(i64::from(count)))
            }
            Intrinsic::NestedSetLeft => nested(0),
            Intrinsic::NestedSetRight => nested(1),
            Intrinsic::NestedSetParent => nested(2),
            _ => None,
        }
    }
}

impl<'a> Accessor<'a> {
    fn new(field: &Field, columns: &SpanColumns<'a>) -> Self {
        let scopes = &columns.scope_values;
        match field {
            Field::Attribute(attribute) if attribute.of_parent => Self::Parent,
            Field::Attribute(attribute) => Self::of_attribute(field, attribute, columns),
            Field::Intrinsic(Intrinsic::InstrumentationName) => Self::Scope(texts(scopes.names)),
            Field::Intrinsic(Intrinsic::InstrumentationVersion) => {
                Self::Scope(texts(scopes.versions))
            }
            Field::Intrinsic(intrinsic) => Self::Intrinsic(*intrinsic),
        }
    }

    fn of_attribute(field: &Field, attribute: &Attribute, columns: &SpanColumns<'a>) -> Self {
        let name = attribute.name.as_str();
        let resource = || {
            if is_service_name(field) {
                texts(columns.resource_values.service_names)
            } else {
                let rows = columns.resource_values.service_names.len();
                by_row(&columns.resource_values.attributes, name, rows)
            }
        };
        match attribute.scope {
            AttributeScope::Any => Self::Any(columns.attributes.find_key(name), resource()),
            AttributeScope::Span => Self::Span(columns.attributes.find_key(name)),
            AttributeScope::Resource => Self::Resource(resource()),
            AttributeScope::Event => Self::Event(columns.events.attributes.find_key(name)),
            AttributeScope::Link => Self::Link(columns.links.attributes.find_key(name)),
            AttributeScope::Instrumentation => {
                let scopes = &columns.scope_values;
                Self::Scope(by_row(&scopes.attributes, name, scopes.names.len()))
            }
        }
    }
}

fn texts<'a>(values: &'a arrow_array::StringArray) -> Vec<Scalar<'a>> {
    let scalar = |value: Option<&'a str>| {
        value.map_or(Scalar::Nil, |text| Scalar::Text(Cow::Borrowed(text)))
    };
    values.iter().map(scalar).collect()
}

fn by_row<'a>(attributes: &Attributes<'a>, name: &str, rows: usize) -> Vec<Scalar<'a>> {
    (0..rows)
        .map(|row| {
            attributes
                .get(row, name)
                .map_or(Scalar::Nil, Scalar::of_attribute)
        })
        .collect()
}

/// The entry of the first of these keys in a row.
pub(crate) fn entry(attributes: &Attributes<'_>, keys: &[i32], row: usize) -> Option<usize> {
    let indices = attributes.key_indices();
    let mut range = attributes.range(row);
    match keys {
        [] => None,
        [key] => range.find(|&entry| indices[entry] == *key),
        _ => range.find(|&entry| keys.contains(&indices[entry])),
    }
}

fn attribute<'a>(attributes: &Attributes<'a>, keys: &[i32], row: usize) -> Scalar<'a> {
    entry(attributes, keys, row).map_or(Scalar::Nil, |entry| {
        Scalar::of_attribute(attributes.value(entry))
    })
}

fn duration(columns: &SpanColumns<'_>, row: usize) -> i64 {
    let (start, end) = (columns.start_times.value(row), columns.end_times.value(row));
    end.saturating_sub(start).max(0)
}

fn status(number: i8) -> Status {
    match StatusCode::from_number(i64::from(number)) {
        StatusCode::Unset => Status::Unset,
        StatusCode::Ok => Status::Ok,
        StatusCode::Error => Status::Error,
    }
}

fn kind(number: i8) -> Kind {
    match SpanKind::from_number(i64::from(number)) {
        SpanKind::Unspecified => Kind::Unspecified,
        SpanKind::Internal => Kind::Internal,
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Consumer => Kind::Consumer,
    }
}

//! A trace of plain structs, and what expressions are over a span of it.

use spanlight_traceql::ast::{
    Attribute, AttributeScope, Field, FieldExpression, FieldNode, Intrinsic, Kind, Status,
};

use super::value::{Stored, Value, calculate, compare, matches};

pub(crate) type Attributes = Vec<(&'static str, Stored)>;

/// A span; times in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) name: &'static str,
    pub(crate) start: i64,
    /// Negative where the span ends before it starts.
    pub(crate) duration: i64,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    pub(crate) message: &'static str,
    pub(crate) service: Option<&'static str>,
    pub(crate) attributes: Attributes,
    pub(crate) resource: Attributes,
    pub(crate) events: Vec<Event>,
    pub(crate) links: Vec<Link>,
    pub(crate) scope: Option<Scope>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    /// After the span's start.
    pub(crate) at: i64,
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scope {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) attributes: Attributes,
}

/// The spans of a trace, each once, by start.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) id: u128,
    pub(crate) spans: Vec<Span>,
}

/// A span with one of its events and one of its links.
#[derive(Debug, Clone, Copy)]
struct Place {
    span: usize,
    event: Option<usize>,
    link: Option<usize>,
}

const MILLI: i64 = 1_000_000;

impl Trace {
    pub(crate) fn start(&self) -> i64 {
        self.spans.iter().map(|span| span.start).min().unwrap()
    }

    pub(crate) fn end(&self) -> i64 {
        let end = |span: &Span| span.start + span.duration.max(0);
        self.spans.iter().map(end).max().unwrap()
    }

    /// The position of the parent. Where a client and a server span share an id, children belong to the server's.
    pub(crate) fn parent(&self, span: usize) -> Option<usize> {
        let parent = self.spans[span].parent?;
        let named = (0..self.spans.len()).filter(|&it| self.spans[it].id == parent);
        named.max_by_key(|&it| self.spans[it].kind == Kind::Server)
    }

    pub(crate) fn ancestors(&self, span: usize) -> Vec<usize> {
        std::iter::successors(self.parent(span), |&it| self.parent(it)).collect()
    }

    fn children(&self, span: Option<usize>) -> Vec<usize> {
        let all = 0..self.spans.len();
        all.filter(|&it| self.parent(it) == span).collect()
    }

    /// The earliest span that names no parent.
    fn root(&self) -> Option<&Span> {
        self.spans.iter().find(|span| span.parent.is_none())
    }

    /// By position: left, right, and the parent's left, of a walk over the trace from 1.
    fn nested_sets(&self) -> Vec<[i64; 3]> {
        let mut sets = vec![[0; 3]; self.spans.len()];
        let mut next = 1;
        for root in self.children(None) {
            self.walk(root, -1, &mut next, &mut sets);
        }
        sets
    }

    fn walk(&self, span: usize, parent: i64, next: &mut i64, sets: &mut [[i64; 3]]) {
        let left = *next;
        *next += 1;
        for child in self.children(Some(span)) {
            self.walk(child, left, next, sets);
        }
        sets[span] = [left, *next, parent];
        *next += 1;
    }

    /// Whether a filter selects the span: its condition holds with one of the events and one of the links.
    pub(crate) fn passes(&self, condition: &FieldExpression, span: usize) -> bool {
        let some = |count: usize| match count {
            0 => vec![None],
            _ => (0..count).map(Some).collect::<Vec<_>>(),
        };
        let (events, links) = (&self.spans[span].events, &self.spans[span].links);
        some(events.len()).into_iter().any(|event| {
            some(links.len()).into_iter().any(|link| {
                let place = Place { span, event, link };
                self.evaluate(&condition.node, place).holds()
            })
        })
    }

    /// The one value of a span: with its first event and its first link.
    pub(crate) fn value_of(&self, expression: &FieldExpression, span: usize) -> Value {
        let place = Place {
            span,
            event: (!self.spans[span].events.is_empty()).then_some(0),
            link: (!self.spans[span].links.is_empty()).then_some(0),
        };
        self.evaluate(&expression.node, place)
    }

    fn evaluate(&self, node: &FieldNode, place: Place) -> Value {
        let of = |operand: &FieldExpression| self.evaluate(&operand.node, place);
        match node {
            FieldNode::Static(literal) => Value::of_static(literal),
            FieldNode::Field(field) => self.field(field, place),
            FieldNode::Not(operand) => match of(operand) {
                Value::Bool(truth) => Value::Bool(!truth),
                _ => Value::Nil,
            },
            FieldNode::Negate(operand) => match of(operand) {
                Value::Int(number) => Value::Int(number.wrapping_neg()),
                Value::Float(number) => Value::Float(-number),
                Value::Duration(nanos) => Value::Duration(nanos.wrapping_neg()),
                _ => Value::Nil,
            },
            FieldNode::Arithmetic {
                operator,
                left,
                right,
            } => calculate(*operator, &of(left), &of(right)),
            FieldNode::Comparison {
                operator,
                left,
                right,
            } => Value::Bool(compare(*operator, &of(left), &of(right))),
            FieldNode::Match {
                operand,
                negated,
                pattern,
            } => Value::Bool(matches(&of(operand), &pattern.node, *negated)),
            FieldNode::NilTest { operand, negated } => {
                let is_nil = of(operand) == Value::Nil;
                // What belongs to an event is lacking only where there is an event that lacks it.
                let lacks_place = match &operand.node {
                    FieldNode::Field(field) => match scope_of(field) {
                        Some(AttributeScope::Event) => place.event.is_none(),
                        Some(AttributeScope::Link) => place.link.is_none(),
                        _ => false,
                    },
                    _ => false,
                };
                Value::Bool(match negated {
                    true => !is_nil,
                    false => is_nil && !lacks_place,
                })
            }
            FieldNode::And(operands) => Value::Bool(operands.iter().all(|it| of(it).holds())),
            FieldNode::Or(operands) => Value::Bool(operands.iter().any(|it| of(it).holds())),
        }
    }

    fn field(&self, field: &Field, place: Place) -> Value {
        match field {
            Field::Attribute(attribute) => self.attribute(attribute, place),
            Field::Intrinsic(intrinsic) => self.intrinsic(*intrinsic, place),
        }
    }

    fn attribute(&self, attribute: &Attribute, place: Place) -> Value {
        let span = match attribute.of_parent {
            false => &self.spans[place.span],
            true => match self.parent(place.span) {
                Some(parent) => &self.spans[parent],
                None => return Value::Nil,
            },
        };
        let in_resource = || match (attribute.name.as_str(), span.service) {
            ("service.name", Some(service)) => Value::Text(service.to_owned()),
            (name, _) => look_up(&span.resource, name),
        };
        let name = attribute.name.as_str();
        match attribute.scope {
            AttributeScope::Any => match look_up(&span.attributes, name) {
                Value::Nil => in_resource(),
                value => value,
            },
            AttributeScope::Span => look_up(&span.attributes, name),
            AttributeScope::Resource => in_resource(),
            AttributeScope::Event => match place.event {
                Some(event) => look_up(&span.events[event].attributes, name),
                None => Value::Nil,
            },
            AttributeScope::Link => match place.link {
                Some(link) => look_up(&span.links[link].attributes, name),
                None => Value::Nil,
            },
            AttributeScope::Instrumentation => match &span.scope {
                Some(scope) => look_up(&scope.attributes, name),
                None => Value::Nil,
            },
        }
    }

    fn intrinsic(&self, intrinsic: Intrinsic, place: Place) -> Value {
        use Intrinsic as I;
        let span = &self.spans[place.span];
        let text = |text: &str| Value::Text(text.to_owned());
        let scope = |part: fn(&Scope) -> &'static str| text(span.scope.as_ref().map_or("", part));
        let event =
            |part: fn(&Event) -> Value| place.event.map_or(Value::Nil, |it| part(&span.events[it]));
        let link =
            |part: fn(&Link) -> Value| place.link.map_or(Value::Nil, |it| part(&span.links[it]));
        match intrinsic {
            I::Name => text(span.name),
            I::Duration => Value::Duration(span.duration.max(0) * MILLI),
            I::Status => Value::Status(span.status),
            I::StatusMessage => text(span.message),
            I::Kind => Value::Kind(span.kind),
            I::SpanId => Value::Text(format!("{:016x}", span.id)),
            I::SpanParentId => Value::Text(format!("{:016x}", span.parent.unwrap_or(0))),
            I::SpanChildCount => Value::Int(self.children(Some(place.span)).len() as i64),
            I::TraceId => Value::TraceId(self.id),
            I::TraceDuration => Value::Duration((self.end() - self.start()) * MILLI),
            I::RootName => text(self.root().map_or("", |root| root.name)),
            I::RootServiceName => text(self.root().and_then(|root| root.service).unwrap_or("")),
            I::NestedSetLeft => Value::Int(self.nested_sets()[place.span][0]),
            I::NestedSetRight => Value::Int(self.nested_sets()[place.span][1]),
            I::NestedSetParent => Value::Int(self.nested_sets()[place.span][2]),
            I::EventName => event(|event| Value::Text(event.name.to_owned())),
            I::EventTimeSinceStart => event(|event| Value::Duration(event.at.max(0) * MILLI)),
            I::LinkTraceId => link(|link| Value::TraceId(link.trace)),
            I::LinkSpanId => link(|link| Value::Text(format!("{:016x}", link.span))),
            I::InstrumentationName => scope(|scope| scope.name),
            I::InstrumentationVersion => scope(|scope| scope.version),
        }
    }
}

fn look_up(attributes: &Attributes, name: &str) -> Value {
    let found = attributes.iter().find(|(key, _)| *key == name);
    found.map_or(Value::Nil, |(_, value)| value.seen())
}

fn scope_of(field: &Field) -> Option<AttributeScope> {
    use Intrinsic as I;
    match field {
        Field::Attribute(attribute) => Some(attribute.scope),
        Field::Intrinsic(I::EventName | I::EventTimeSinceStart) => Some(AttributeScope::Event),
        Field::Intrinsic(I::LinkTraceId | I::LinkSpanId) => Some(AttributeScope::Link),
        Field::Intrinsic(_) => None,
    }
}

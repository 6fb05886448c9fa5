//! Random spans: few names, keys and values, so that random questions meet them; values of all types under one key,
//! missing parents, several roots, repeats, spans that end before they start.

use std::fmt::{self, Write as _};

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;
use spanlight_traceql::ast::{Kind, Status};

use crate::reference::{Event, Link, Scope, Span, Stored, Trace};

/// The batch in which a span comes, and what came of it before, if it comes twice.
#[derive(Debug, Clone)]
struct Sent {
    batch: usize,
    span: Span,
    /// The batch and the first form of it.
    earlier: Option<(usize, Span)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Dataset {
    traces: Vec<Vec<Sent>>,
    /// Whether the first batch is in the table before the others come.
    pub(crate) begins_in_table: bool,
}

const BATCHES: usize = 3;

pub(crate) fn dataset() -> impl Strategy<Value = Dataset> {
    (vec(vec(sent(), 1..9), 1..6), any::<bool>()).prop_map(|(mut traces, begins_in_table)| {
        for trace in &mut traces {
            number(trace);
        }
        Dataset {
            traces,
            begins_in_table,
        }
    })
}

/// Gives the spans of a trace ids and parents: what was random in them says which.
fn number(trace: &mut [Sent]) {
    for (id, sent) in (1_u64..).zip(trace.iter_mut()) {
        let parent = match sent.span.parent {
            // One that is not there.
            Some(0) => Some(0x77),
            Some(random) if id > 1 => Some(random % (id - 1) + 1),
            _ => None,
        };
        let earlier = sent.earlier.as_mut().map(|(_, form)| form);
        for span in std::iter::once(&mut sent.span).chain(earlier) {
            span.id = id;
            span.parent = parent;
        }
    }
    // A server's span may share the id of the client's that calls it, as Zipkin's clients make them.
    for at in 1..trace.len() {
        let (before, after) = trace.split_at_mut(at);
        let (client, server) = (&mut before[at - 1], &mut after[0]);
        let are_two = client.span.kind == Kind::Client && server.span.kind == Kind::Server;
        if are_two && client.earlier.is_none() && server.earlier.is_none() {
            server.span.id = client.span.id;
            server.span.parent = client.span.parent;
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let earlier = weighted(0.15, (0..BATCHES, span()));
    (0..BATCHES, span(), earlier).prop_map(|(batch, span, earlier)| {
        // What comes later stands; a repeat is of the same kind.
        let earlier = earlier
            .filter(|(first, _)| *first < batch)
            .map(|(first, mut form)| {
                form.kind = span.kind;
                (first, form)
            });
        Sent {
            batch,
            span,
            earlier,
        }
    })
}

fn span() -> impl Strategy<Value = Span> {
    let relations = (
        weighted(0.8, 0_u64..9),
        select(vec!["A", "B", "C", "order"]),
        0_i64..3_000,
        prop_oneof![9 => 0_i64..1_000, 1 => -50_i64..0],
    );
    let states = (
        select(Kind::ALL.to_vec()),
        select(Status::ALL.to_vec()),
        select(vec!["", "", "boom", "no money"]),
        weighted(0.8, select(vec!["front", "back", "db"])),
    );
    let said = (
        attributes(vec!["a", "b", "s", "my key"], 4),
        attributes(vec!["a", "zone"], 2),
        vec(event(), 0..3),
        vec(link(), 0..3),
        of(scope()),
    );
    (relations, states, said).prop_map(
        |((parent, name, start, duration), (kind, status, message, service), said)| {
            let (attributes, resource, events, links, scope) = said;
            Span {
                id: 0,
                parent,
                name,
                start,
                duration,
                kind,
                status,
                message,
                service,
                attributes,
                resource,
                events,
                links,
                scope,
            }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let name = select(vec!["exception", "log"]);
    (name, -5_i64..50, attributes(vec!["a", "n"], 2)).prop_map(|(name, at, attributes)| Event {
        name,
        at,
        attributes,
    })
}

fn link() -> impl Strategy<Value = Link> {
    (1_u128..4, 1_u64..4, attributes(vec!["a", "k"], 2)).prop_map(|(trace, span, attributes)| {
        Link {
            trace,
            span,
            attributes,
        }
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    let name = select(vec!["lib", "other"]);
    let version = select(vec!["", "1.0"]);
    (name, version, attributes(vec!["a", "lang"], 1)).prop_map(|(name, version, attributes)| {
        Scope {
            name,
            version,
            attributes,
        }
    })
}

fn attributes(
    keys: Vec<&'static str>,
    count_max: usize,
) -> impl Strategy<Value = Vec<(&'static str, Stored)>> {
    vec((select(keys), stored()), 0..=count_max).prop_map(|mut attributes| {
        attributes.sort_by_key(|(key, _)| *key);
        attributes.dedup_by_key(|(key, _)| *key);
        attributes
    })
}

fn stored() -> impl Strategy<Value = Stored> {
    let scalar = prop_oneof![
        3 => (-2_i64..6).prop_map(Stored::Int),
        2 => select(vec![-1.5, 0.0, 0.5, 1.0, 2.0, 2.5]).prop_map(Stored::Float),
        3 => select(vec!["", "x", "y", "xyz", "5"]).prop_map(Stored::Text),
        2 => any::<bool>().prop_map(Stored::Bool),
    ];
    prop_oneof![
        8 => scalar.clone(),
        1 => vec(scalar, 0..3).prop_map(Stored::List),
        1 => select(vec![Stored::Null, Stored::Bytes, Stored::Map, Stored::Float(f64::NAN)]),
    ]
}

impl Dataset {
    /// The traces as they stand when everything has come.
    pub(crate) fn traces(&self) -> Vec<Trace> {
        let numbered = self.traces.iter().zip(1_u128..);
        numbered
            .map(|(sent, id)| {
                let mut spans: Vec<Span> = sent.iter().map(|it| it.span.clone()).collect();
                spans.sort_by_key(|span| (span.start, span.id, span.kind != Kind::Server));
                Trace { id, spans }
            })
            .collect()
    }
}

/// In the notation of the cases, so that what goes wrong may become one.
impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for batch in 0..BATCHES {
            if batch > 0 {
                writeln!(f, "---")?;
            }
            for (sent, id) in self.traces.iter().zip(1_u128..) {
                writeln!(f, "trace {id:x}")?;
                for sent in sent {
                    match &sent.earlier {
                        Some((first, span)) if *first == batch => write_span(f, span)?,
                        _ => {}
                    }
                    if sent.batch == batch {
                        write_span(f, &sent.span)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn write_span(f: &mut fmt::Formatter<'_>, span: &Span) -> fmt::Result {
    write!(
        f,
        "  {} {}+{} id:{:x}",
        span.name, span.start, span.duration, span.id
    )?;
    if let Some(parent) = span.parent {
        write!(f, " parent:{parent:x}")?;
    }
    write!(
        f,
        " kind:{} status:{}",
        span.kind.as_str(),
        span.status.as_str()
    )?;
    if !span.message.is_empty() {
        write!(f, " message:\"{}\"", span.message)?;
    }
    if let Some(service) = span.service {
        write!(f, " @{service}")?;
    }
    for (key, value) in &span.attributes {
        write!(f, " .\"{key}\"={}", text(value))?;
    }
    for (key, value) in &span.resource {
        write!(f, " resource.{key}={}", text(value))?;
    }
    for event in &span.events {
        write!(
            f,
            " event:{}@{}{{{}}}",
            event.name,
            event.at,
            list(&event.attributes)
        )?;
    }
    for link in &span.links {
        write!(
            f,
            " link:{:x}/{:x}{{{}}}",
            link.trace,
            link.span,
            list(&link.attributes)
        )?;
    }
    if let Some(scope) = &span.scope {
        write!(
            f,
            " scope:{}/{}{{{}}}",
            scope.name,
            scope.version,
            list(&scope.attributes)
        )?;
    }
    writeln!(f)
}

fn list(attributes: &[(&str, Stored)]) -> String {
    let mut out = String::new();
    for (key, value) in attributes {
        write!(out, "{key}={} ", text(value)).unwrap();
    }
    out.trim_end().to_owned()
}

fn text(value: &Stored) -> String {
    match value {
        Stored::Null => "null".to_owned(),
        Stored::Bytes => "bytes".to_owned(),
        Stored::Map => "map".to_owned(),
        Stored::Bool(truth) => truth.to_string(),
        Stored::Int(number) => number.to_string(),
        Stored::Float(number) => format!("{number:?}"),
        Stored::Text(text) => format!("\"{text}\""),
        Stored::List(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            format!("[{}]", items.join(","))
        }
    }
}

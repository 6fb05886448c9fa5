//! A found trace in short.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use spanlight_model::convention::FAAS_COLDSTART;
use spanlight_model::{AnyValue, SpanColumns, StatusCode, Value};
use spanlight_traceql::ast::{Field, Intrinsic};

use crate::answer::{MatchedSpan, ServiceSummary, SpanSet, TraceSummary};
use crate::predicate::{Bound, Fields};
use crate::spanset::Selected;
use crate::traces::TraceRows;

/// The summary of a trace of which the query left these span sets.
pub(crate) fn summarize(
    trace: &TraceRows,
    bound: &[Bound<'_>],
    fields: &Fields,
    sets: Vec<Selected>,
    spans_per_trace: usize,
) -> TraceSummary {
    let columns = |part: usize| &bound[part].columns;
    let mut cold_start = ColdStart::default();
    let mut services = Services::default();
    for at in &trace.rows {
        let columns = columns(at.part);
        let failed = columns.status_codes.value(at.row) == StatusCode::Error as i8;
        services.add(columns.service_name(at.row), failed);
        cold_start.look_at(columns, at.part, at.row);
    }
    let mut sets = sets.into_iter().map(|set| SpanSet {
        matched: set.spans.len() as u32,
        spans: set
            .spans
            .iter()
            .take(spans_per_trace)
            .map(|&span| matched_span(trace, bound, fields, span))
            .collect(),
        attributes: set.attributes,
    });
    let first = sets.next().unwrap_or(SpanSet {
        matched: 0,
        spans: Vec::new(),
        attributes: Vec::new(),
    });
    let root = trace.root.map(|root| trace.rows[root]);
    TraceSummary {
        trace_id: trace.id,
        root_service_name: root
            .and_then(|at| columns(at.part).service_name(at.row))
            .map(str::to_owned),
        root_name: root.map(|at| columns(at.part).name(at.row).to_owned()),
        start_time_unix_nano: trace.start,
        duration_nano: trace.duration(),
        span_count: trace.rows.len() as u32,
        error_count: services.list.iter().map(|it| it.error_count).sum(),
        has_cold_start: cold_start.found,
        services: services.sorted(),
        matched: first.matched,
        spans: first.spans,
        attributes: first.attributes,
        more_span_sets: sets.collect(),
    }
}

#[derive(Default)]
struct Services<'a> {
    by_name: FxHashMap<Option<&'a str>, usize>,
    list: Vec<ServiceSummary>,
}

impl<'a> Services<'a> {
    fn add(&mut self, name: Option<&'a str>, failed: bool) {
        let list = &mut self.list;
        let at = *self.by_name.entry(name).or_insert_with(|| {
            list.push(ServiceSummary {
                name: name.map(str::to_owned),
                span_count: 0,
                error_count: 0,
            });
            list.len() - 1
        });
        self.list[at].span_count += 1;
        self.list[at].error_count += u32::from(failed);
    }

    fn sorted(mut self) -> Vec<ServiceSummary> {
        self.list
            .sort_by(|a, b| (b.span_count, &a.name).cmp(&(a.span_count, &b.name)));
        self.list
    }
}

/// Looks for `faas.coldstart = true`, with the key looked up once a part.
#[derive(Default)]
struct ColdStart {
    found: bool,
    keys: FxHashMap<usize, Vec<i32>>,
}

impl ColdStart {
    fn look_at(&mut self, columns: &SpanColumns<'_>, part: usize, row: usize) {
        if self.found {
            return;
        }
        let attributes = &columns.attributes;
        let keys = self
            .keys
            .entry(part)
            .or_insert_with(|| attributes.find_key(FAAS_COLDSTART));
        self.found =
            !keys.is_empty() && attributes.get(row, FAAS_COLDSTART) == Some(Value::Bool(true));
    }
}

fn matched_span(
    trace: &TraceRows,
    bound: &[Bound<'_>],
    fields: &Fields,
    span: usize,
) -> MatchedSpan {
    let at = trace.rows[span];
    let bound = &bound[at.part];
    let columns = &bound.columns;
    let place = &trace.places[span];
    let mut attributes: Vec<(String, AnyValue)> = Vec::new();
    for (slot, field) in fields.iter().enumerate() {
        let Some(key) = key(field) else { continue };
        if attributes.iter().any(|(known, _)| *known == key) {
            continue;
        }
        if let Some(value) = bound.first_value(slot, at.row).to_any() {
            attributes.push((key.into_owned(), value));
        }
    }
    MatchedSpan {
        span_id: place.span_id,
        name: columns.name(at.row).to_owned(),
        service_name: columns.service_name(at.row).map(str::to_owned),
        start_time_unix_nano: place.start,
        duration_nano: place.end.saturating_sub(place.start).max(0),
        attributes,
    }
}

/// Under which name a field is shown with a span; `None` for what is shown elsewhere.
fn key(field: &Field) -> Option<Cow<'_, str>> {
    match field {
        // Not to be taken for the span's own.
        Field::Attribute(attribute) if attribute.of_parent => Some(attribute.to_string().into()),
        Field::Attribute(attribute) => Some(attribute.name.as_str().into()),
        Field::Intrinsic(
            Intrinsic::Name
            | Intrinsic::Duration
            | Intrinsic::SpanId
            | Intrinsic::TraceId
            | Intrinsic::TraceDuration
            | Intrinsic::RootName
            | Intrinsic::RootServiceName,
        ) => None,
        Field::Intrinsic(intrinsic) => Some(intrinsic.as_str().into()),
    }
}

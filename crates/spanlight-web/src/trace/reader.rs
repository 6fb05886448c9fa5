//! From a trace's batch and tree to the structs of its page.

use std::collections::{BTreeMap, HashMap};

use spanlight_model::{
    AnyValue, SpanBatch, SpanColumns, SpanId, SpanRef, StatusCode, TraceId, Value, convention,
};

use super::minimap;
use super::{
    Anomaly, AttributeFacts, EventFacts, LinkFacts, Row, ServiceFacts, SpanPanel, Timeline,
    TraceFacts, TracePage, TraceRows,
};
use crate::address::TraceView;
use crate::colour::ServiceColours;

/// The place of a span in the tree of its trace. Rows stand in tree order: a parent before its children, and what is
/// below a span directly after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeNode {
    /// The level, the root being 0.
    pub depth: u32,
    /// The parent's row, where the parent has come.
    pub parent: Option<usize>,
    /// Spans directly below.
    pub child_count: u32,
    /// Spans below, at any depth.
    pub descendant_count: u32,
    /// Whether it names a parent that has not come.
    pub orphan: bool,
    /// Whether it was started without being waited for.
    pub asynchronous: bool,
}

/// Reads a trace for its page and the page's fragments. Making one costs a pass over the spans' times; after that
/// each window costs its rows, and each span its own attributes.
#[derive(Debug)]
pub struct TraceReader<'a> {
    trace_id: TraceId,
    columns: SpanColumns<'a>,
    nodes: &'a [TreeNode],
    partial: Vec<String>,
    start_time_unix_nano: i64,
    duration_nano: i64,
    services: Vec<ServiceFacts>,
    colours: ServiceColours,
}

/// A span that starts later than this after its receipt has a wrong clock (`spanlight.anomaly = future_time`).
const FUTURE_TOLERANCE_NANO: i64 = 5 * 60 * 1_000_000_000;

impl<'a> TraceReader<'a> {
    /// Reads `batch`, whose rows stand in tree order and have their places in `nodes`. `partial` says what is missing.
    ///
    /// Rows without a node, or nodes without a row, are left out.
    #[must_use]
    pub fn new(
        trace_id: TraceId,
        batch: &'a SpanBatch,
        nodes: &'a [TreeNode],
        partial: Vec<String>,
    ) -> Self {
        let columns = batch.columns();
        let nodes = &nodes[..nodes.len().min(batch.num_spans())];
        let (start_time_unix_nano, end) = bounds(&columns, nodes.len());
        let services = services(&columns, nodes.len());
        let names = services
            .iter()
            .filter_map(|service| service.name.as_deref());
        Self {
            trace_id,
            nodes,
            partial,
            start_time_unix_nano,
            duration_nano: end.saturating_sub(start_time_unix_nano),
            colours: ServiceColours::of(names),
            services,
            columns,
        }
    }

    /// The page of the trace. When the address names a span, but no window, the window is the one with the span.
    #[must_use]
    pub fn page(&self, view: &TraceView) -> TracePage {
        let mut view = view.clone();
        if let Some(row) = view.span.and_then(|span| self.rows_of(span).next()) {
            self.unfold(&mut view, row);
            if view.offset == 0 {
                view.offset = self.window_with(&view, row);
            }
        }
        TracePage {
            facts: self.facts(),
            minimap: minimap::minimap(self.nodes.len(), self.duration_nano, |row| {
                let start = self.columns.start_times.value(row);
                minimap::Bar {
                    start_offset_nano: start.saturating_sub(self.start_time_unix_nano),
                    duration_nano: self
                        .columns
                        .end_times
                        .value(row)
                        .saturating_sub(start)
                        .max(0),
                    service_name: self.columns.service_name(row),
                    error: self.is_error(row),
                }
            }),
            rows: self.rows(&view),
            panel: view.span.and_then(|span| self.span(&view, span)),
            partial: self.partial.clone(),
            view,
        }
    }

    /// A window of the visible rows.
    #[must_use]
    pub fn rows(&self, view: &TraceView) -> TraceRows {
        let limit = view.limit.min(TraceView::MAXIMUM_LIMIT);
        let (total, rows) = view.fold.visible(
            self.nodes,
            |row| self.columns.span_id(row),
            view.offset,
            limit,
        );
        TraceRows {
            trace_id: self.trace_id,
            view: view.clone(),
            total,
            offset: view.offset.min(total),
            timeline: Timeline::new(self.duration_nano, view.zoom.as_ref()),
            colours: self.colours.clone(),
            rows: rows.into_iter().map(|row| self.row(row, view)).collect(),
        }
    }

    /// The panel of a span; `None` when the trace has no span with this id.
    #[must_use]
    pub fn span(&self, view: &TraceView, span_id: SpanId) -> Option<SpanPanel> {
        let mut same_id = self.rows_of(span_id);
        let row = same_id.next()?;
        let same_id_count = 1 + same_id.count();
        let node = self.nodes[row];
        let span = self.columns.span(row);
        let resource = span.resource();
        let scope = span.scope();
        Some(SpanPanel {
            trace_id: self.trace_id,
            view: view.with_span(Some(span_id)),
            span_id,
            parent_span_id: span.parent_span_id(),
            parent_name: self
                .parent(row)
                .map(|row| self.columns.name(row).to_owned()),
            name: span.name().to_owned(),
            service_name: resource.service_name().map(str::to_owned),
            colours: self.colours.clone(),
            kind: span.kind(),
            status_code: span.status_code(),
            status_message: span.status_message().to_owned(),
            start_time_unix_nano: span.start_time_unix_nano(),
            start_offset_nano: self.offset(span.start_time_unix_nano()),
            duration_nano: span.duration_nano(),
            self_time_nano: self.self_time(row),
            received_at_unix_nano: span.received_at_unix_nano(),
            orphan: node.orphan,
            asynchronous: node.asynchronous,
            cold_start: is_cold_start(&span),
            anomalies: anomalies(&span),
            attributes: attributes(span.attributes()),
            dropped: [
                span.dropped_attributes_count(),
                span.dropped_events_count(),
                span.dropped_links_count(),
            ],
            events: events(&span),
            links: self.links(&span),
            resource: attributes(resource.attributes()),
            scope_name: scope.name().to_owned(),
            scope_version: scope.version().to_owned(),
            scope: attributes(scope.attributes()),
            trace_state: span.trace_state().to_owned(),
            same_id_count,
        })
    }

    fn facts(&self) -> TraceFacts {
        let root = (0..self.nodes.len())
            .find(|&row| self.nodes[row].parent.is_none() && !self.nodes[row].orphan);
        let services = &self.services;
        TraceFacts {
            trace_id: self.trace_id,
            root_service_name: root
                .and_then(|row| self.columns.service_name(row))
                .map(str::to_owned),
            root_name: root.map(|row| self.columns.name(row).to_owned()),
            start_time_unix_nano: self.start_time_unix_nano,
            duration_nano: self.duration_nano,
            span_count: self.nodes.len(),
            error_count: services.iter().map(|service| service.error_count).sum(),
            orphan_count: self.nodes.iter().filter(|node| node.orphan).count(),
            depth: self.nodes.iter().map(|node| node.depth).max().unwrap_or(0),
            services: services.clone(),
            colours: self.colours.clone(),
        }
    }

    fn row(&self, row: usize, view: &TraceView) -> Row {
        let node = self.nodes[row];
        let span = self.columns.span(row);
        let folded = node.child_count > 0 && view.fold.folds(node.depth, span.span_id());
        let below =
            row + 1..(row.saturating_add(1 + node.descendant_count as usize)).min(self.nodes.len());
        Row {
            span_id: span.span_id(),
            name: span.name().to_owned(),
            service_name: self.columns.service_name(row).map(str::to_owned),
            kind: span.kind(),
            depth: node.depth,
            guides: self.guides(row),
            child_count: node.child_count,
            descendant_count: node.descendant_count,
            folded,
            hidden_error_count: if folded {
                u32::try_from(below.filter(|&row| self.is_error(row)).count()).unwrap_or(u32::MAX)
            } else {
                0
            },
            start_offset_nano: self.offset(span.start_time_unix_nano()),
            duration_nano: span.duration_nano(),
            error: self.is_error(row),
            orphan: node.orphan,
            asynchronous: node.asynchronous,
            cold_start: is_cold_start(&span),
            link_count: span.links().count(),
            events: span
                .events()
                .take(Self::EVENT_MARKS_MAX)
                .map(|event| {
                    let exception = event.name() == convention::EXCEPTION_EVENT;
                    (self.offset(event.time_unix_nano()), exception)
                })
                .collect(),
            anomalous: !anomalies(&span).is_empty(),
        }
    }

    /// The most events of a span that its row marks; the panel has them all.
    const EVENT_MARKS_MAX: usize = 32;
    /// The most levels of tree guides that a row draws.
    pub(super) const GUIDES_MAX: u32 = 24;

    fn guides(&self, row: usize) -> Vec<bool> {
        let depth = self.nodes[row].depth;
        let mut guides = vec![false; depth.min(Self::GUIDES_MAX) as usize + 1];
        let mut at = Some(row);
        while let Some(ancestor) = at {
            let node = self.nodes[ancestor];
            if let Some(guide) = guides.get_mut(node.depth as usize) {
                let next = ancestor + 1 + node.descendant_count as usize;
                *guide = self
                    .nodes
                    .get(next)
                    .is_some_and(|sibling| sibling.depth == node.depth && node.depth > 0);
            }
            at = self.parent(ancestor);
        }
        guides
    }

    /// Unfolds the ancestors of a row.
    fn unfold(&self, view: &mut TraceView, row: usize) {
        let mut at = row;
        while let Some(parent) = self.parent(at) {
            let id = self.columns.span_id(parent);
            if view.fold.folds(self.nodes[parent].depth, id) && !view.fold.toggled.remove(&id) {
                view.fold.toggled.insert(id);
            }
            at = parent;
        }
    }

    /// The parent's row. It stands above its children; anything else would be a cycle.
    fn parent(&self, row: usize) -> Option<usize> {
        self.nodes[row].parent.filter(|&parent| parent < row)
    }

    fn window_with(&self, view: &TraceView, row: usize) -> usize {
        let span_id = |row: usize| self.columns.span_id(row);
        match view.fold.position(self.nodes, span_id, row) {
            Some(position) if position >= view.limit => position - view.limit / 2,
            _ => 0,
        }
    }

    fn rows_of(&self, span_id: SpanId) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(move |&row| self.columns.span_ids.value(row) == span_id.0)
    }

    fn offset(&self, time_unix_nano: i64) -> i64 {
        time_unix_nano.saturating_sub(self.start_time_unix_nano)
    }

    fn is_error(&self, row: usize) -> bool {
        is_error(&self.columns, row)
    }

    /// The span's duration without the parts in which a child that it waited for ran.
    fn self_time(&self, row: usize) -> i64 {
        let start = self.columns.start_times.value(row);
        let end = self.columns.end_times.value(row).max(start);
        let mut covered: Vec<(i64, i64)> = self
            .children(row)
            .filter(|&child| !self.nodes[child].asynchronous)
            .map(|child| {
                (
                    self.columns.start_times.value(child).clamp(start, end),
                    self.columns.end_times.value(child).clamp(start, end),
                )
            })
            .collect();
        covered.sort_unstable();
        let mut rest = end.saturating_sub(start);
        let mut until = start;
        for (from, to) in covered {
            let from = from.max(until);
            if to > from {
                rest -= to - from;
                until = to;
            }
        }
        rest
    }

    fn children(&self, row: usize) -> impl Iterator<Item = usize> {
        let end = (row + 1 + self.nodes[row].descendant_count as usize).min(self.nodes.len());
        let mut next = row + 1;
        std::iter::from_fn(move || {
            let child = next;
            next = child + 1 + self.nodes.get(child)?.descendant_count as usize;
            (child < end).then_some(child)
        })
    }

    fn links(&self, span: &SpanRef<'_>) -> Vec<LinkFacts> {
        span.links()
            .map(|link| {
                let here = link.trace_id() == self.trace_id;
                let row = here.then(|| self.rows_of(link.span_id()).next()).flatten();
                LinkFacts {
                    trace_id: link.trace_id(),
                    span_id: link.span_id(),
                    name: row.map(|row| self.columns.name(row).to_owned()),
                    attributes: attributes(link.attributes()),
                }
            })
            .collect()
    }
}

/// The earliest start and the latest end of the spans whose times can be right; of all, where none can.
fn bounds(columns: &SpanColumns<'_>, rows: usize) -> (i64, i64) {
    let times = |row: usize| {
        let start = columns.start_times.value(row);
        (start, columns.end_times.value(row).max(start))
    };
    let credible = |&row: &usize| {
        let (start, end) = times(row);
        let latest = columns
            .received_at
            .value(row)
            .saturating_add(FUTURE_TOLERANCE_NANO);
        start > 0 && start <= latest && end < i64::MAX
    };
    let extent = |found: Option<(i64, i64)>, row: usize| {
        let (start, end) = times(row);
        Some(found.map_or((start, end), |(first, last)| {
            (first.min(start), last.max(end))
        }))
    };
    (0..rows)
        .filter(credible)
        .fold(None, extent)
        .or_else(|| (0..rows).fold(None, extent))
        .unwrap_or((0, 0))
}

fn is_error(columns: &SpanColumns<'_>, row: usize) -> bool {
    columns.status_codes.value(row) == StatusCode::Error as i8
}

/// Counted by resource, since a service name is compared only once for each of those.
fn services(columns: &SpanColumns<'_>, rows: usize) -> Vec<ServiceFacts> {
    let mut by_resource: HashMap<i32, usize> = HashMap::new();
    let mut by_name: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    let mut services: Vec<ServiceFacts> = Vec::new();
    for row in 0..rows {
        let resource = columns.resources.value(row);
        let service = *by_resource.entry(resource).or_insert_with(|| {
            let name = columns.service_name(row);
            *by_name.entry(name).or_insert_with(|| {
                services.push(ServiceFacts {
                    name: name.map(str::to_owned),
                    span_count: 0,
                    error_count: 0,
                });
                services.len() - 1
            })
        });
        services[service].span_count += 1;
        services[service].error_count += usize::from(is_error(columns, row));
    }
    services
}

fn attributes<'a>(pairs: impl Iterator<Item = (&'a str, Value<'a>)>) -> Vec<AttributeFacts> {
    pairs
        .map(|(key, value)| AttributeFacts {
            key: key.to_owned(),
            value: value.to_any().unwrap_or(AnyValue::Empty),
        })
        .collect()
}

fn events(span: &SpanRef<'_>) -> Vec<EventFacts> {
    let start = span.start_time_unix_nano();
    span.events()
        .map(|event| EventFacts {
            name: event.name().to_owned(),
            offset_nano: event.time_unix_nano().saturating_sub(start),
            attributes: attributes(event.attributes()),
            dropped_attributes_count: event.dropped_attributes_count(),
        })
        .collect()
}

fn is_cold_start(span: &SpanRef<'_>) -> bool {
    span.attribute(convention::FAAS_COLDSTART) == Some(Value::Bool(true))
}

fn anomalies(span: &SpanRef<'_>) -> Vec<Anomaly> {
    let Some(Value::String(text)) = span.attribute(convention::ANOMALY) else {
        return Vec::new();
    };
    text.split(',')
        .filter_map(|word| match word.trim() {
            convention::ANOMALY_END_BEFORE_START => Some(Anomaly::EndBeforeStart),
            convention::ANOMALY_ZERO_TIME => Some(Anomaly::ZeroTime),
            convention::ANOMALY_FUTURE => Some(Anomaly::FutureTime),
            convention::ANOMALY_TIME_CUT => Some(Anomaly::TimeCut),
            _ => None,
        })
        .collect()
}

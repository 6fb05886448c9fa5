//! `compare`: of which values of which attributes the selected spans have more than the others.
//!
//! For each value, and for each attribute as a whole, the spans that have it are counted, those of the selection apart
//! from the rest, the baseline. An attribute of too many values is given up: what nearly each span has for itself
//! alone tells nothing, and would take the memory.

mod chosen;
mod tally;
mod traces;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::Array as _;
use datafusion::execution::memory_pool::MemoryReservation;
use rustc_hash::FxHashMap;
use spanlight_model::convention::SERVICE_NAME;
use spanlight_model::{AnyValue, AttributeType, Attributes};
use spanlight_store::{AttributeColumn, AttributeKeys, AttributeValues, ScanColumns};
use spanlight_traceql::ast::{
    Attribute, AttributeScope, Field, FieldExpression, Intrinsic, MetricsFunction,
};

use super::Pass;
use super::groups::{GroupValue, Intervals, codes};
use super::lines::{Labels, Line, Lines};
use super::plan::MetricsPlan;
use super::rows::Sink;
use super::weights::Weights;
use crate::error::QueryError;
use crate::load::MemoryFull;
use crate::plan::Plan;
use crate::predicate::{Bound, Filter, Scalar};
use chosen::Chosen;
use tally::Tally;
use traces::Traces;

/// Values of an attribute that are shown where the query does not say how many.
const TOP: u32 = 10;

/// Numbers that the values of all attributes may have together.
const CELLS_MAX: usize = 2 << 20;

/// What beside attributes is compared. Not what nearly each span has for itself: ids and times.
const INTRINSICS: [Intrinsic; 3] = [Intrinsic::Name, Intrinsic::Kind, Intrinsic::Status];

/// The same, of the trace; see [`Traces`].
const OF_TRACES: [Intrinsic; 2] = [Intrinsic::RootName, Intrinsic::RootServiceName];

// Labels of the series.
const TYPE: &str = "__meta_type";
const ERROR: &str = "__meta_error";
const TOO_MANY: &str = "__too_many_values__";

/// What is compared with what.
#[derive(Debug)]
pub(crate) struct Compare {
    selection: Filter,
    /// The selected spans start in it.
    window: Option<Range<i64>>,
    /// How many values of an attribute are shown of each side.
    top: usize,
    /// The slots of [`INTRINSICS`].
    slots: Vec<usize>,
}

impl Compare {
    /// `None` for other functions.
    pub(crate) fn compile(function: &MetricsFunction, plan: &mut Plan) -> Option<Self> {
        let MetricsFunction::Compare {
            selection,
            top,
            window,
        } = function
        else {
            return None;
        };
        let selection: Option<&FieldExpression> = selection.as_deref();
        Some(Self {
            slots: Vec::new(),
            selection: Filter::compile(selection, &mut plan.fields),
            window: window.map(|(start, end)| start..end),
            top: top.unwrap_or(TOP) as usize,
        })
    }

    /// Adds what is compared to the fields, once it is known how the spans are found: assembled traces have it then,
    /// but no trace is assembled for it.
    pub(crate) fn add_fields(&mut self, plan: &mut Plan) {
        let mut slot = |intrinsic: Intrinsic| plan.fields.slot(&Field::Intrinsic(intrinsic));
        self.slots = INTRINSICS.into_iter().map(&mut slot).collect();
        OF_TRACES.into_iter().for_each(|it| _ = slot(it));
        slot(Intrinsic::SpanChildCount);
    }

    fn columns() -> ScanColumns {
        ScanColumns {
            status_message: true,
            trace_state: true,
            resource: AttributeKeys::All,
            scope: true,
            ..ScanColumns::BASE
        }
    }
}

/// Counts values.
pub(super) struct CompareSink {
    plan: Arc<MetricsPlan>,
    intervals: Intervals,
    tallies: FxHashMap<Field, Tally>,
}

impl CompareSink {
    fn new(plan: &Arc<MetricsPlan>, intervals: Intervals) -> Self {
        Self {
            plan: Arc::clone(plan),
            intervals,
            tallies: FxHashMap::default(),
        }
    }

    /// Two sides of so many intervals.
    fn places(&self) -> usize {
        2 * self.intervals.count()
    }

    fn tally(&mut self, field: Field) -> &mut Tally {
        self.tallies.entry(field).or_default()
    }

    /// The rows of the time range, and where they count.
    fn chosen(&self, compare: &Compare, bound: &Bound<'_>, rows: &[u32]) -> Chosen {
        let starts = bound.columns.start_times.values();
        let range = self.intervals.time_range();
        let rows = rows.iter().copied();
        let rows: Vec<u32> = rows
            .filter(|&row| range.contains(&starts[row as usize]))
            .collect();
        let mut selected = bound.select(&compare.selection, rows.clone());
        if let Some(window) = &compare.window {
            selected.retain(|&row| window.contains(&starts[row as usize]));
        }
        let mut selected = selected.into_iter().peekable();
        let count = self.intervals.count();
        // Spans of a trace start in the same interval, mostly.
        let (mut known, mut interval) = (0..0_i64, 0);
        let place = |&row: &u32| {
            let side = usize::from(selected.next_if_eq(&row).is_some());
            let start = starts[row as usize];
            if !known.contains(&start) {
                interval = self.intervals.interval_of(start);
                let from = self.intervals.start_of(interval);
                known = from..self.intervals.start_of(interval + 1).max(from);
            }
            (side * count + interval) as u32
        };
        let places = rows.iter().map(place).collect();
        let weights = Weights::of(&bound.columns);
        Chosen::new(rows, places, &weights, self.places())
    }

    fn intrinsics(&mut self, slots: &[usize], bound: &Bound<'_>, chosen: &Chosen) {
        for (intrinsic, &slot) in INTRINSICS.into_iter().zip(slots) {
            let tally = self.tally(Field::Intrinsic(intrinsic));
            let codes = codes(&mut tally.values, bound, slot, &chosen.rows);
            let blank = tally.values.list().iter().position(is_blank);
            for (code, (_, place, weight)) in codes.into_iter().zip(chosen.each()) {
                if Some(code as usize) != blank {
                    tally.add(code, place, weight, chosen.places_in_all());
                }
            }
            tally.bound(chosen.places_in_all());
        }
    }

    fn of_traces(&mut self, bound: &Bound<'_>, chosen: &Chosen) {
        let traces = Traces::of(bound, &chosen.rows);
        for (intrinsic, texts) in OF_TRACES.into_iter().zip(&traces.roots) {
            let tally = self.tally(Field::Intrinsic(intrinsic));
            let value = |at: usize| Some(GroupValue::Text(texts[at].into()));
            let code = |row: usize| traces.root_of(row).filter(|&at| !texts[at].is_empty());
            tally.coded(chosen, texts.len(), code, value);
        }
        let tally = self.tally(Field::Intrinsic(Intrinsic::SpanChildCount));
        let count = |row: usize| Some(i64::from(traces.child_counts[row]));
        tally.numbers(chosen, count, GroupValue::Int);
    }

    fn status_messages(&mut self, bound: &Bound<'_>, chosen: &Chosen) {
        let messages = bound.columns.status_messages;
        if messages.value_data().is_empty() {
            return;
        }
        let tally = self.tally(Field::Intrinsic(Intrinsic::StatusMessage));
        for (row, place, weight) in chosen.each() {
            let text = messages.value(row);
            if !text.is_empty() {
                let value = || Some(GroupValue::Text(text.into()));
                tally.add_value(value, place, weight, chosen.places_in_all());
            }
        }
    }

    fn own_attributes(&mut self, attributes: &Attributes<'_>, chosen: &Chosen) {
        let mut by_key: Vec<Vec<(usize, u32, f64)>> = vec![Vec::new(); attributes.keys().len()];
        let keys = attributes.key_indices();
        for (row, place, weight) in chosen.each() {
            for entry in attributes.range(row) {
                by_key[keys[entry] as usize].push((entry, place, weight));
            }
        }
        for (key, entries) in by_key.into_iter().enumerate() {
            if entries.is_empty() {
                continue;
            }
            let name = attributes.keys().value(key);
            let tally = self.tally(attribute(AttributeScope::Span, name));
            // Texts are looked up once a batch.
            let mut known: FxHashMap<i32, u32> = FxHashMap::default();
            for (entry, place, weight) in entries {
                let text = attributes.text_indices()[entry];
                let is_text = attributes.types()[entry] == AttributeType::String as i8;
                if let Some(&code) = known.get(&text).filter(|_| is_text) {
                    tally.add(code, place, weight, chosen.places_in_all());
                    continue;
                }
                let value = || match GroupValue::of(&Scalar::of_attribute(attributes.value(entry)))
                {
                    GroupValue::Nil => None,
                    value => Some(value),
                };
                let code = tally.add_value(value, place, weight, chosen.places_in_all());
                if let Some(code) = code.filter(|_| is_text) {
                    known.insert(text, code);
                }
            }
        }
    }

    /// Attributes that come by themselves.
    fn apart(&mut self, columns: &[AttributeColumn], chosen: &Chosen) {
        for column in columns {
            let tally = self.tally(attribute(AttributeScope::Span, &column.key));
            let valid = |row: usize| column.values.nulls().is_none_or(|it| it.is_valid(row));
            match &column.values {
                AttributeValues::Texts(codes, texts) => {
                    let code = |row: usize| valid(row).then(|| codes.value(row) as usize);
                    let value = |at: usize| Some(GroupValue::Text(texts.value(at).into()));
                    tally.coded(chosen, texts.len(), code, value);
                }
                AttributeValues::Same(text, nulls) => {
                    let value = GroupValue::Text(text.as_ref().into());
                    match nulls {
                        Some(_) => tally.same(Some(&value), chosen, valid),
                        None => tally.add_all(Some(&value), chosen),
                    }
                }
                AttributeValues::Bools(truths) => {
                    let code = |row: usize| valid(row).then(|| usize::from(truths.value(row)));
                    tally.coded(chosen, 2, code, |at| Some(GroupValue::Bool(at == 1)));
                }
                AttributeValues::Ints(ints) => {
                    let number = |row: usize| valid(row).then(|| ints.value(row));
                    tally.numbers(chosen, number, GroupValue::Int);
                }
                AttributeValues::Doubles(doubles) => {
                    let bits = |row: usize| valid(row).then(|| doubles.value(row).to_bits() as i64);
                    tally.numbers(chosen, bits, |bits| GroupValue::Float(bits as u64));
                }
                AttributeValues::Present(None) => tally.add_all(None, chosen),
                AttributeValues::Present(Some(_)) => tally.same(None, chosen, valid),
            }
        }
    }

    /// What spans share: each resource or scope is looked at once, with all the spans that have it.
    fn shared(
        &mut self,
        indices: &[i32],
        count: usize,
        chosen: &Chosen,
        entries: impl Fn(usize) -> Vec<(Field, GroupValue)>,
    ) {
        let places = self.places();
        for (index, sums) in chosen.sums_by(indices, count) {
            for (field, value) in entries(index) {
                self.tally(field).add_sums(Some(&value), &sums, places);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let places = self.places();
        for (field, tally) in other.tallies {
            self.tally(field).merge(&tally, places);
        }
    }

    fn lines(self) -> Lines {
        let (plan, intervals) = (Arc::clone(&self.plan), self.intervals.count());
        let top = plan.compare.as_ref().map_or(0, |compare| compare.top);
        let mut tallies: Vec<(String, Tally)> = self
            .tallies
            .into_iter()
            .map(|(field, tally)| (field.to_string(), tally))
            .collect();
        tallies.sort_by(|(one, _), (two, _)| one.cmp(two));
        let mut lines = Lines {
            name: plan.name.to_owned(),
            ..Lines::default()
        };
        for (name, tally) in tallies {
            for (side, of) in ["baseline", "selection"].into_iter().enumerate() {
                let total = tally.totals(2 * intervals)[side * intervals..][..intervals].to_vec();
                if total.iter().all(|count| *count == 0.0) {
                    continue;
                }
                let kind = |text: String| (TYPE.to_owned(), Some(AnyValue::String(text)));
                if tally.has_too_many {
                    let error = AnyValue::String(TOO_MANY.to_owned());
                    let labels = vec![
                        kind(of.to_owned()),
                        (ERROR.to_owned(), Some(error)),
                        (name.clone(), None),
                    ];
                    lines.list.push(Line::new(labels, total.clone()));
                }
                for (value, counts) in tally.greatest(side, intervals, top) {
                    let labels = vec![kind(of.to_owned()), (name.clone(), value)];
                    lines.list.push(Line::new(labels, counts));
                }
                let labels: Labels = vec![kind(format!("{of}_total")), (name.clone(), None)];
                lines.list.push(Line::new(labels, total));
            }
        }
        lines
    }
}

impl Sink for CompareSink {
    const APART: bool = true;

    fn without_values(&self) -> impl Iterator<Item = &str> {
        let given_up = self.tallies.iter().filter(|(_, tally)| tally.has_too_many);
        given_up.filter_map(|(field, _)| match field {
            Field::Attribute(it) if it.scope == AttributeScope::Span => Some(it.name.as_str()),
            _ => None,
        })
    }

    fn add(
        &mut self,
        bound: &Bound<'_>,
        rows: &[u32],
        apart: &[AttributeColumn],
        _: &MemoryReservation,
    ) -> Result<(), MemoryFull> {
        let plan = Arc::clone(&self.plan);
        let Some(compare) = &plan.compare else {
            return Ok(());
        };
        let columns = &bound.columns;
        let chosen = self.chosen(compare, bound, rows);
        self.intrinsics(&compare.slots, bound, &chosen);
        self.of_traces(bound, &chosen);
        self.status_messages(bound, &chosen);
        self.own_attributes(&columns.attributes, &chosen);
        self.apart(apart, &chosen);
        let resources = &columns.resource_values;
        let count = resources.service_names.len();
        self.shared(columns.resources.values(), count, &chosen, |resource| {
            let mut all = shown(&resources.attributes, resource, AttributeScope::Resource);
            // It has a column of its own, and may be among the attributes, too.
            let service_name = attribute(AttributeScope::Resource, SERVICE_NAME);
            all.retain(|(field, _)| *field != service_name);
            if resources.service_names.is_valid(resource) {
                let name = resources.service_names.value(resource);
                all.push((service_name, GroupValue::Text(name.into())));
            }
            all
        });
        let scopes = &columns.scope_values;
        let count = scopes.names.len();
        self.shared(columns.scopes.values(), count, &chosen, |scope| {
            let mut all = shown(&scopes.attributes, scope, AttributeScope::Instrumentation);
            for (intrinsic, texts) in [
                (Intrinsic::InstrumentationName, scopes.names),
                (Intrinsic::InstrumentationVersion, scopes.versions),
            ] {
                if !texts.value(scope).is_empty() {
                    let text = GroupValue::Text(texts.value(scope).into());
                    all.push((Field::Intrinsic(intrinsic), text));
                }
            }
            all
        });
        Ok(())
    }

    fn fit(&mut self, memory: &MemoryReservation, other: usize) -> Result<(), MemoryFull> {
        let cells = |sink: &Self| {
            sink.tallies
                .values()
                .map(|it| it.counts.len())
                .sum::<usize>()
        };
        let places = self.places();
        while cells(self) > CELLS_MAX {
            let largest = self.tallies.values_mut().max_by_key(|it| it.counts.len());
            largest.into_iter().for_each(|it| it.give_up(places));
        }
        let values = self.tallies.values().map(|it| it.values.byte_size());
        let bytes = cells(self) * size_of::<f64>() + values.sum::<usize>() + other;
        memory.try_resize(bytes).map_err(|_| MemoryFull)
    }
}

/// Whether it says that there is nothing.
fn is_blank(value: &GroupValue) -> bool {
    match value {
        GroupValue::Nil => true,
        GroupValue::Text(text) => text.is_empty(),
        _ => false,
    }
}

fn attribute(scope: AttributeScope, name: &str) -> Field {
    Field::Attribute(Attribute {
        of_parent: false,
        scope,
        name: name.to_owned(),
    })
}

fn shown(
    attributes: &Attributes<'_>,
    row: usize,
    scope: AttributeScope,
) -> Vec<(Field, GroupValue)> {
    let entries = attributes.iter(row);
    let entries = entries.map(|(key, value)| {
        let value = GroupValue::of(&Scalar::of_attribute(value));
        (attribute(scope, key), value)
    });
    entries
        .filter(|(_, value)| *value != GroupValue::Nil)
        .collect()
}

impl Pass<'_> {
    /// Counts the values of the selection and of the rest.
    pub(super) async fn compare(&mut self) -> Result<(), QueryError> {
        let columns = Compare::columns().union(&self.plan.plan.fields.columns());
        let make = |pass: &Self| CompareSink::new(&pass.plan, pass.intervals.clone());
        let workers = self.rows(columns.clone(), |_| true, make).await?;
        let columns = ScanColumns {
            attributes: AttributeKeys::All,
            ..columns
        };
        let mut all = make(self);
        let mut again = std::collections::BTreeSet::new();
        for worker in workers {
            all.merge(worker.sink);
            again.extend(worker.again);
        }
        let rest = self.by_ids(make(self), columns, again).await?;
        all.merge(rest);
        self.lines = super::off_the_loop(move || all.lines()).await?;
        Ok(())
    }
}

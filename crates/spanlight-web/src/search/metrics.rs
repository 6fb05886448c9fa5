//! The answer to a metrics query: a chart, and under it a table of its series.

use std::collections::BTreeSet;
use std::ops::Range;

use maud::{Markup, html};
use spanlight_model::AnyValue;

use super::{Inspected, SearchPage, compare, form};
use crate::address::SearchAddress;
use crate::attribute;
use crate::chart::{ChartLine, Hint, Intervals, Unit, heat_map, line_chart};
use crate::colour::ServiceColours;
use crate::format;
use crate::icon;
use crate::traceql;

/// Series that are drawn: more would be no chart but a wall.
const LINES_MAX: usize = 20;
/// Rows of the table.
const ROWS_MAX: usize = 200;
/// Heat maps, one for each group.
const MAPS_MAX: usize = 6;
/// Series that are named where a column is pointed at.
const HINT_LINES: usize = 10;

/// Labels that are not fields.
const QUANTILE: &str = "p";
const BUCKET: &str = "__bucket";

/// The answer to a metrics query.
#[derive(Debug, Clone, Default)]
pub struct MetricsResults {
    /// What the values are: `rate`, `(rate / rate)`.
    pub name: String,
    /// What they are of.
    pub unit: Unit,
    /// Of histograms, what the bounds of the buckets are of.
    pub bucket_unit: Unit,
    /// The series, by their labels.
    pub series: Vec<MetricsSeries>,
    /// What was asked about, in unix nanoseconds.
    pub time_range: Range<i64>,
    /// The length of an interval; `None` where all of the range is one.
    pub step_nano: Option<i64>,
    /// A search for the spans that the series are made of, where there is one.
    pub spans_query: Option<String>,
    /// What is missing from the answer, a sentence each; empty when it is complete.
    pub partial: Vec<String>,
    /// What was read for it.
    pub inspected: Inspected,
}

/// A time series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricsSeries {
    /// Fields and their values, `None` where the spans have none; `p`, `__bucket` and the `__meta` labels of `compare`.
    pub labels: Vec<(String, Option<AnyValue>)>,
    /// The starts of intervals in unix nanoseconds, and their values, by time.
    pub points: Vec<(i64, f64)>,
}

pub(super) fn metrics(page: &SearchPage, results: &MetricsResults) -> Markup {
    html! {
        @for sentence in &results.partial {
            p.partial role="status" { (icon::anomaly()) "Not complete: " (sentence) }
        }
        @if results.series.is_empty() {
            (nothing(page))
        } @else if compare::is_comparison(results) {
            (summary(results, None))
            (compare::comparison(page, results))
        } @else {
            @let drawn = Drawn::of(page, results);
            (summary(results, drawn.intervals.as_ref()))
            (drawn.chart(page, results))
            (drawn.table(page, results))
        }
    }
}

fn nothing(page: &SearchPage) -> Markup {
    html! {
        section.nothing {
            h1 { "No series" }
            p { "No span in this range is counted by this query." }
            p.nothing-tools {
                @if page.address.start != "now-24h" && page.address.start != "now-7d" {
                    a.button href=(page.address.with_range("now-24h", "").href()) { "Look at the last 24 h" }
                }
                @if page.address.start != "now-7d" {
                    a.button href=(page.address.with_range("now-7d", "").href()) { "Look at the last 7 d" }
                }
            }
        }
        (form::examples(&page.address))
    }
}

fn summary(results: &MetricsResults, intervals: Option<&Intervals>) -> Markup {
    html! {
        p.summary {
            strong { (results.name) }
            @if let Some(intervals) = intervals {
                span { (format::count(results.series.len() as u64)) " series, a point for each " (format::duration(intervals.step)) }
            }
            (super::results::cost(&results.inspected))
        }
    }
}

/// The series in the order in which they are shown, with their names and colours.
struct Drawn<'r> {
    /// `None` where there is one interval.
    intervals: Option<Intervals>,
    series: Vec<Shown<'r>>,
    colours: ServiceColours,
}

struct Shown<'r> {
    series: &'r MetricsSeries,
    name: String,
    greatest: f64,
    last: f64,
    mean: f64,
}

impl<'r> Drawn<'r> {
    fn of(page: &SearchPage, results: &'r MetricsResults) -> Self {
        let intervals = results.step_nano.map(|step| {
            let intervals = Intervals::of(&results.time_range, step);
            intervals.truncated(reached(&intervals, results, page.now_unix_nano))
        });
        let end = intervals.map_or(i64::MAX, |intervals| intervals.end());
        let mut series: Vec<Shown<'_>> = results
            .series
            .iter()
            .map(|series| Shown::of(series, &results.name, end))
            .collect();
        // The largest first, of equal ones those of the first labels; buckets stand as they are drawn.
        series.sort_by(|one, two| match (one.bucket(), two.bucket()) {
            (Some(one), Some(two)) => two.total_cmp(&one),
            _ => two.mean.total_cmp(&one.mean),
        });
        let colours = ServiceColours::of(series.iter().take(LINES_MAX).map(|it| it.name.as_str()));
        Self {
            intervals: intervals.filter(|intervals| intervals.count > 1),
            series,
            colours,
        }
    }

    fn has_buckets(&self) -> bool {
        self.series.iter().all(|shown| shown.bucket().is_some())
    }

    fn class(&self, shown: &Shown<'_>) -> String {
        self.colours.class(Some(&shown.name))
    }

    fn chart(&self, page: &SearchPage, results: &MetricsResults) -> Markup {
        let Some(intervals) = &self.intervals else {
            return html! {};
        };
        if self.has_buckets() {
            return self.heat_maps(page, results, intervals);
        }
        let drawn = &self.series[..self.series.len().min(LINES_MAX)];
        let lines: Vec<ChartLine> = drawn
            .iter()
            .map(|shown| ChartLine {
                class: self.class(shown),
                values: values(shown.series, intervals),
            })
            .collect();
        let hint = |columns: Range<usize>| Hint {
            lines: hint_lines(drawn, &lines, results.unit, columns.clone()),
            href: spans_href(page, results, intervals, columns),
        };
        html! {
            (line_chart(&label(results), intervals, results.unit, &lines, &hint))
            @if self.series.len() > 1 {
                ul.chart-legend aria-label="Series" {
                    @for shown in drawn {
                        li { span.chip .(self.class(shown)) {} (shown.name) }
                    }
                }
            }
            @if self.series.len() > LINES_MAX {
                p.chart-more { "The " (LINES_MAX) " largest are drawn. " code { "| topk(" (LINES_MAX) ")" } " keeps the greatest at each point." }
            }
        }
    }

    fn heat_maps(
        &self,
        page: &SearchPage,
        results: &MetricsResults,
        intervals: &Intervals,
    ) -> Markup {
        // Buckets of what has the same other labels stand over each other.
        let mut groups: Vec<(String, Vec<&MetricsSeries>)> = Vec::new();
        for shown in &self.series {
            let others = shown.series.labels.iter().filter(|(key, _)| key != BUCKET);
            let name = name_of(others, &results.name);
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, series)) => series.push(shown.series),
                None => groups.push((name, vec![shown.series])),
            }
        }
        let unit = results.bucket_unit;
        html! {
            @for (name, group) in groups.iter().take(MAPS_MAX) {
                @let buckets: Vec<_> = group.iter().filter_map(|it| Some((it.bucket()?, values(it, intervals)))).collect();
                @let hint = |columns: Range<usize>| Hint {
                    lines: bucket_lines(&buckets, unit, columns.clone()),
                    href: spans_href(page, results, intervals, columns),
                };
                @if groups.len() > 1 { h2.chart-title { (name) } }
                (heat_map(&label(results), intervals, unit, &buckets, &hint))
            }
            @if groups.len() > MAPS_MAX {
                p.chart-more { "Of " (groups.len()) " groups the " (MAPS_MAX) " largest are drawn." }
            }
        }
    }

    fn table(&self, page: &SearchPage, results: &MetricsResults) -> Markup {
        let keys: Vec<&str> = {
            let labels = self.series.iter().flat_map(|shown| &shown.series.labels);
            let mut seen = BTreeSet::new();
            let keys = labels.map(|(key, _)| key.as_str());
            keys.filter(|key| seen.insert(*key)).collect()
        };
        let is_single = self.intervals.is_none();
        let greatest = self
            .series
            .iter()
            .map(|shown| shown.last.abs())
            .fold(0.0, f64::max);
        html! {
            div.table-frame {
                table.series {
                    caption.visually-hidden { "Series of " (results.name) }
                    thead {
                        tr {
                            @if keys.is_empty() { th scope="col" { "Series" } }
                            @for key in &keys { th scope="col" { (heading(key)) } }
                            @if is_single {
                                th.number scope="col" { "Value" }
                                th.bar scope="col" aria-hidden="true" {}
                            } @else {
                                @for name in ["Mean", "Greatest", "Last"] { th.number scope="col" { (name) } }
                            }
                        }
                    }
                    tbody {
                        @for (index, shown) in self.series.iter().take(ROWS_MAX).enumerate() {
                            (self.row(page, results, shown, &keys, (index < LINES_MAX, greatest)))
                        }
                    }
                }
            }
            @if self.series.len() > ROWS_MAX {
                p.chart-more { (format::count((self.series.len() - ROWS_MAX) as u64)) " more are not in the table." }
            }
        }
    }

    fn row(
        &self,
        page: &SearchPage,
        results: &MetricsResults,
        shown: &Shown<'_>,
        keys: &[&str],
        (has_colour, greatest): (bool, f64),
    ) -> Markup {
        let query = results
            .spans_query
            .as_deref()
            .and_then(|query| traceql::and_labels(query, &shown.series.fields()));
        let href = query.map(|query| page.address.with_query(query).href());
        let chip =
            html! { @if has_colour && self.series.len() > 1 { span.chip .(self.class(shown)) {} } };
        let linked = |text: &str| {
            html! { @match &href { Some(href) => a href=(href) title="Search for these spans" { (text) }, None => (text) } }
        };
        html! {
            tr {
                @if keys.is_empty() { td { (chip) (linked(&shown.name)) } }
                @for (index, key) in keys.iter().enumerate() {
                    td {
                        @let text = value_text(key, shown.series.label(key), results);
                        @if index == 0 { (chip) (linked(&text)) } @else { (text) }
                    }
                }
                @if self.intervals.is_none() {
                    td.number { (results.unit.text(shown.last)) }
                    td.bar aria-hidden="true" {
                        svg width="100%" height="8" {
                            rect .(self.class(shown)) width=(format::percent(shown.last.abs() / greatest.max(f64::MIN_POSITIVE))) height="8" rx="2" {}
                        }
                    }
                } @else {
                    @for value in [shown.mean, shown.greatest, shown.last] {
                        td.number { (results.unit.text(value)) }
                    }
                }
            }
        }
    }
}

impl<'r> Shown<'r> {
    /// Up to a time: what is still to come has nothing yet.
    fn of(series: &'r MetricsSeries, name: &str, end: i64) -> Self {
        let points = &series.points[..series.points.partition_point(|(time, _)| *time < end)];
        let values = || points.iter().map(|(_, value)| *value);
        Self {
            series,
            name: name_of(series.labels.iter(), name),
            greatest: values().fold(f64::NEG_INFINITY, f64::max),
            last: values().next_back().unwrap_or(0.0),
            mean: values().sum::<f64>() / points.len().max(1) as f64,
        }
    }

    fn bucket(&self) -> Option<f64> {
        self.series.bucket()
    }
}

impl MetricsSeries {
    pub(super) fn label(&self, key: &str) -> Option<&AnyValue> {
        let mut labels = self.labels.iter();
        labels.find(|(label, _)| label == key)?.1.as_ref()
    }

    /// The labels that are fields of spans.
    pub(super) fn fields(&self) -> Vec<(&str, Option<&AnyValue>)> {
        let labels = self.labels.iter();
        labels
            .filter(|(key, _)| key != QUANTILE && !key.starts_with("__"))
            .map(|(key, value)| (key.as_str(), value.as_ref()))
            .collect()
    }

    /// Of a histogram, the greatest value that is counted.
    fn bucket(&self) -> Option<f64> {
        match self.label(BUCKET)? {
            AnyValue::Double(bound) => Some(*bound),
            AnyValue::Int(bound) => Some(*bound as f64),
            _ => None,
        }
    }
}

/// Intervals up to now, and beyond it those that have something: clocks may run ahead.
fn reached(intervals: &Intervals, results: &MetricsResults, now_unix_nano: i64) -> usize {
    let points = results.series.iter().flat_map(|series| &series.points);
    let last = points
        .filter(|(_, value)| *value != 0.0)
        .filter_map(|(time, _)| intervals.number(*time))
        .max();
    let now = intervals.number(now_unix_nano);
    now.map_or(intervals.count, |now| now.max(last.unwrap_or(0)) + 1)
}

fn values(series: &MetricsSeries, intervals: &Intervals) -> Vec<Option<f64>> {
    let mut values = vec![None; intervals.count];
    for (time, value) in &series.points {
        if let Some(number) = intervals.number(*time).filter(|_| value.is_finite()) {
            values[number] = Some(*value);
        }
    }
    values
}

/// What the labels say; the value alone where there is one field.
fn name_of<'l>(labels: impl Iterator<Item = &'l (String, Option<AnyValue>)>, name: &str) -> String {
    let labels: Vec<_> = labels.collect();
    let fields = labels.iter().filter(|(key, _)| key != QUANTILE).count();
    let parts = labels.iter().map(|(key, value)| match value {
        None => format!("no {key}"),
        Some(value) if key == QUANTILE => quantile(value),
        Some(value) if fields == 1 => attribute::short(value),
        Some(value) => format!("{key}={}", attribute::short(value)),
    });
    match labels.is_empty() {
        true => name.to_owned(),
        false => parts.collect::<Vec<_>>().join(" "),
    }
}

/// `p90` of 0.9.
fn quantile(value: &AnyValue) -> String {
    match value {
        AnyValue::Double(share) => format!("p{}", format::percent(*share).trim_end_matches('%')),
        other => attribute::short(other),
    }
}

fn heading(key: &str) -> &str {
    match key {
        QUANTILE => "Quantile",
        BUCKET => "At most",
        key => key,
    }
}

fn value_text(key: &str, value: Option<&AnyValue>, results: &MetricsResults) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if key == QUANTILE => quantile(value),
        Some(AnyValue::Double(bound)) if key == BUCKET => results.bucket_unit.text(*bound),
        Some(value) => attribute::short(value),
    }
}

fn label(results: &MetricsResults) -> String {
    format!(
        "{} over time; the table below has its figures",
        results.name
    )
}

/// What the largest series have in some columns.
fn hint_lines(
    series: &[Shown<'_>],
    lines: &[ChartLine],
    unit: Unit,
    columns: Range<usize>,
) -> Vec<String> {
    let at = |line: &ChartLine| {
        let values = line.values.get(columns.clone()).unwrap_or_default();
        values.iter().flatten().copied().reduce(f64::max)
    };
    let mut values: Vec<(f64, &str)> = series
        .iter()
        .zip(lines)
        .filter_map(|(shown, line)| Some((at(line)?, shown.name.as_str())))
        .collect();
    values.sort_by(|one, two| two.0.total_cmp(&one.0));
    let more = values.len().saturating_sub(HINT_LINES);
    let values = values.into_iter().take(HINT_LINES);
    let mut texts: Vec<String> = values
        .map(|(value, name)| format!("{name}: {}", unit.text(value)))
        .collect();
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    texts
}

fn bucket_lines(
    buckets: &[(f64, Vec<Option<f64>>)],
    unit: Unit,
    columns: Range<usize>,
) -> Vec<String> {
    let mut counts: Vec<(f64, f64)> = buckets
        .iter()
        .map(|(bound, counts)| {
            let counts = counts.get(columns.clone()).unwrap_or_default();
            (*bound, counts.iter().flatten().sum())
        })
        .filter(|(_, count)| *count > 0.0)
        .collect();
    counts.sort_by(|one, two| two.0.total_cmp(&one.0));
    counts
        .into_iter()
        .map(|(bound, count)| format!("≤ {}: {}", unit.text(bound), Unit::Number.text(count)))
        .collect()
}

/// The search for the spans of some columns.
fn spans_href(
    page: &SearchPage,
    results: &MetricsResults,
    intervals: &Intervals,
    columns: Range<usize>,
) -> Option<String> {
    let query = results.spans_query.as_deref()?;
    let (start, end) = (
        intervals.start_of(columns.start),
        intervals.start_of(columns.end),
    );
    let address = SearchAddress {
        step: String::new(),
        ..page.address.with_query(query)
    };
    let address = address.with_range(format::rfc3339(start), format::rfc3339(end));
    Some(address.href())
}

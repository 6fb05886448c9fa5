//! What `compare` counts: of which values the selected spans have more than the others, or fewer.

use std::collections::BTreeMap;

use maud::{Markup, html};
use spanlight_model::AnyValue;

use super::SearchPage;
use super::metrics::{MetricsResults, MetricsSeries};
use crate::attribute;
use crate::format;
use crate::traceql;

/// Rows of the table.
const ROWS_MAX: usize = 100;

// Labels of the series.
const SIDE: &str = "__meta_type";
const ERROR: &str = "__meta_error";

/// A value of an attribute, and the share of spans that have it, on both sides.
struct Compared<'r> {
    series: &'r MetricsSeries,
    key: &'r str,
    value: &'r AnyValue,
    selection: f64,
    baseline: f64,
}

pub(super) fn is_comparison(results: &MetricsResults) -> bool {
    let mut series = results.series.iter();
    series.any(|series| series.label(SIDE).is_some())
}

pub(super) fn comparison(page: &SearchPage, results: &MetricsResults) -> Markup {
    let rows = compared(results);
    html! {
        p.chart-more { "The share of spans on each side that have the value. What differs most comes first." }
        div.table-frame {
            table.series.comparison {
                caption.visually-hidden { "Selected spans and the rest, by the values of their attributes" }
                thead {
                    tr {
                        th scope="col" { "Attribute" }
                        th scope="col" { "Value" }
                        th scope="col" { "Selection" }
                        th scope="col" { "Baseline" }
                    }
                }
                tbody {
                    @for row in rows.iter().take(ROWS_MAX) {
                        tr {
                            td { (row.key) }
                            td { (value(page, results, row)) }
                            (share(row.selection, "selection"))
                            (share(row.baseline, "baseline"))
                        }
                    }
                }
            }
        }
        @if rows.len() > ROWS_MAX {
            p.chart-more { (format::count((rows.len() - ROWS_MAX) as u64)) " values that differ less are left out." }
        }
    }
}

fn value(page: &SearchPage, results: &MetricsResults, row: &Compared<'_>) -> Markup {
    let query = results
        .spans_query
        .as_deref()
        .and_then(|query| traceql::and_labels(query, &row.series.fields()));
    let text = attribute::short(row.value);
    html! {
        @match query {
            Some(query) => a href=(page.address.with_query(query).href()) title="Search for these spans" { (text) },
            None => (text),
        }
    }
}

fn share(share: f64, class: &str) -> Markup {
    html! {
        td.share {
            span { (format!("{:.1} %", share * 100.0)) }
            svg width="100%" height="6" aria-hidden="true" {
                rect.duration-track width="100%" height="6" rx="2" {}
                rect .{ "share-" (class) } width=(format::percent(share.clamp(0.0, 1.0))) height="6" rx="2" {}
            }
        }
    }
}

fn compared(results: &MetricsResults) -> Vec<Compared<'_>> {
    // Series by side, attribute and value; without a value, how many have the attribute.
    let mut sums: BTreeMap<(&str, &str, String), f64> = BTreeMap::new();
    let mut values: BTreeMap<(&str, String), (&MetricsSeries, &AnyValue)> = BTreeMap::new();
    for series in &results.series {
        let (Some(AnyValue::String(side)), None) = (series.label(SIDE), series.label(ERROR)) else {
            continue;
        };
        let Some((key, value)) = series.fields().first().copied() else {
            continue;
        };
        let text = format!("{value:?}");
        let sum = series.points.iter().map(|(_, value)| value).sum::<f64>();
        *sums.entry((side, key, text.clone())).or_default() += sum;
        if let Some(value) = value {
            values.insert((key, text), (series, value));
        }
    }
    // Of all spans, not of those that have the attribute: an attribute that few have makes no difference. Each span has
    // a name, so that what has the most values has as many as there are spans.
    let spans = |side: &str| {
        let totals = sums.iter().filter(|(it, _)| it.0 == side);
        totals.map(|(_, sum)| *sum).fold(0.0, f64::max)
    };
    let (selected, others) = (spans("selection_total"), spans("baseline_total"));
    let share = |side: &str, spans: f64, key: &str, text: &str| {
        let found = sums.get(&(side, key, text.to_owned())).copied();
        found.map_or(0.0, |found| found / spans.max(found))
    };
    let mut rows: Vec<Compared<'_>> = values
        .into_iter()
        .map(|((key, text), (series, value))| Compared {
            series,
            key,
            value,
            selection: share("selection", selected, key, &text),
            baseline: share("baseline", others, key, &text),
        })
        .collect();
    let difference = |row: &Compared<'_>| (row.selection - row.baseline).abs();
    rows.sort_by(|one, two| {
        let order = difference(two).total_cmp(&difference(one));
        order.then(two.selection.total_cmp(&one.selection))
    });
    rows
}

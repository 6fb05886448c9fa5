//! The rows of the waterfall: a tree on the left, bars over time on the right. Every row has the same height, and
//! every coordinate is an SVG attribute, so that a window of rows stands anywhere in a list of a million.

use maud::{Markup, html};
use spanlight_model::SpanKind;

use super::timeline::Extent;
use super::{Row, TraceRows};
use crate::colour::ServiceColours;
use crate::format;
use crate::icon;

/// The height of a row in pixels; `app.css` and `trace.js` know it too.
const ROW_HEIGHT: u32 = 26;
/// The width of a level of the tree.
const INDENT: u32 = 14;

/// A window of rows as an HTML fragment: one element whose `data-offset` and `data-total` say where it belongs.
#[must_use]
pub fn trace_rows(rows: &TraceRows) -> String {
    render(rows).into_string()
}

pub(super) fn render(rows: &TraceRows) -> Markup {
    html! {
        div #rows-window .rows-window role="presentation" data-offset=(rows.offset) data-total=(rows.total) data-count=(rows.rows.len()) {
            @for (index, row) in rows.rows.iter().enumerate() {
                (self::row(rows, row, rows.offset + index))
            }
        }
    }
}

fn row(rows: &TraceRows, row: &Row, position: usize) -> Markup {
    let selected = rows.view.span == Some(row.span_id);
    let expandable = row.child_count > 0;
    html! {
        div.row role="treeitem" tabindex="-1" data-span=(row.span_id) data-error[row.error]
            data-start=(row.start_offset_nano) data-length=(row.duration_nano)
            aria-level=(row.depth + 1) aria-selected=(selected)
            aria-expanded=[expandable.then_some(!row.folded)] aria-label=(label(row))
            .is-error[row.error] .is-folded[row.folded] .is-even[position.is_multiple_of(2)]
        {
            div.row-name {
                (guides(row))
                @if expandable {
                    a.toggle href=(rows.view.with_toggled(row.span_id).with_span(rows.view.span).href(rows.trace_id))
                        data-toggle=(row.span_id) tabindex="-1" title=(toggle_title(row)) { (icon::chevron()) }
                } @else {
                    span.toggle {}
                }
                a.row-link href=(rows.view.with_span(Some(row.span_id)).href(rows.trace_id)) tabindex="-1" {
                    span.chip .(rows.colours.class(row.service_name.as_deref())) {}
                    @if row.error { span.mark.mark-error title="error" { (icon::error()) } }
                    span.row-service { (row.service_name.as_deref().unwrap_or("—")) }
                    span.row-operation { (row.name) }
                }
                (marks(row))
            }
            (timeline_cell(rows, row))
        }
    }
}

fn label(row: &Row) -> String {
    let service = row.service_name.as_deref().unwrap_or("no service name");
    let mut label = format!(
        "{service} {}, {}",
        row.name,
        format::duration(row.duration_nano)
    );
    for (said, word) in [
        (row.error, ", error"),
        (row.cold_start, ", cold start"),
        (row.orphan, ", parent not received"),
        (row.asynchronous, ", asynchronous"),
        (row.anomalous, ", odd times"),
    ] {
        if said {
            label.push_str(word);
        }
    }
    label
}

fn toggle_title(row: &Row) -> String {
    let below = format::counted(u64::from(row.descendant_count), "span");
    if row.folded {
        format!("Unfold {below}")
    } else {
        format!("Fold {below} away")
    }
}

fn marks(row: &Row) -> Markup {
    html! {
        span.marks {
            @if row.folded && row.descendant_count > 0 {
                span.count title="folded away" { "+" (format::count(u64::from(row.descendant_count))) }
            }
            @if row.hidden_error_count > 0 {
                span.mark.mark-error title={ (row.hidden_error_count) " failed below" } {
                    (icon::error()) (row.hidden_error_count)
                }
            }
            @if row.cold_start { span.mark.mark-cold title="cold start" { (icon::cold_start()) } }
            @if row.orphan { span.mark.mark-warning title="parent not received" { (icon::orphan()) } }
            @if row.asynchronous { span.mark title="asynchronous: its parent did not wait for it" { (icon::asynchronous()) } }
            @if row.link_count > 0 {
                span.mark title=(format::counted(row.link_count as u64, "link")) { (icon::link()) }
            }
            @if row.anomalous { span.mark.mark-warning title="odd times, see the panel" { (icon::anomaly()) } }
        }
    }
}

/// Lines from parents to children. A level beyond those that are drawn is written as a number.
fn guides(row: &Row) -> Markup {
    let drawn = row.guides.len().saturating_sub(1) as u32;
    let middle = ROW_HEIGHT / 2;
    let centre = |level: u32| f64::from(level * INDENT) - f64::from(INDENT) / 2.0 + 1.0;
    let hidden = row.depth > drawn;
    html! {
        @if drawn > 0 {
            svg.guides .is-cut[hidden] width=(drawn * INDENT) height=(ROW_HEIGHT) aria-hidden="true" {
                @for level in 1..drawn {
                    @if row.guides.get(level as usize) == Some(&true) {
                        line x1=(centre(level)) x2=(centre(level)) y1="0" y2=(ROW_HEIGHT) {}
                    }
                }
                @let last = row.guides.get(drawn as usize) != Some(&true);
                line x1=(centre(drawn)) x2=(centre(drawn)) y1="0" y2=(if last { middle } else { ROW_HEIGHT })
                    .is-orphan[row.orphan] {}
                line x1=(centre(drawn)) x2=(drawn * INDENT) y1=(middle) y2=(middle) .is-orphan[row.orphan] {}
            }
            @if hidden { span.count title="level of the tree" { (row.depth) } }
        }
    }
}

/// The bar, its events and its duration, which stands where there is room: after the bar, before it, or on it.
fn timeline_cell(rows: &TraceRows, row: &Row) -> Markup {
    let timeline = &rows.timeline;
    let extent = timeline.extent(row.start_offset_nano, row.duration_nano);
    html! {
        svg.row-time width="100%" height=(ROW_HEIGHT) aria-hidden="true" {
            @if extent.outside == 0 { (bar(row, &extent, &rows.colours)) }
            @for &(offset, exception) in &row.events {
                @let fraction = timeline.fraction(offset);
                @if (0.0..=1.0).contains(&fraction) {
                    svg x=(format::percent(fraction)) y="50%" overflow="visible" {
                        path.event-mark .is-exception[exception] d="M0-4.5 3.5 0 0 4.5-3.5 0Z" {}
                    }
                }
            }
            (duration_label(row, &extent))
        }
    }
}

fn bar(row: &Row, extent: &Extent, colours: &ServiceColours) -> Markup {
    let (x, width) = (format::percent(extent.start), format::percent(extent.width));
    // An asynchronous or producing span hands over and goes on: its bar is thinner.
    let (y, height) = if row.asynchronous { (9, 8) } else { (7, 12) };
    let class = colours.class(row.service_name.as_deref());
    html! {
        rect.bar .(class) .is-queue[matches!(row.kind, SpanKind::Producer | SpanKind::Consumer)]
            x=(x) width=(width) y=(y) height=(height) rx="2.5" {}
        // A bar of no width is still a pixel or two.
        @if extent.width < 0.004 {
            svg x=(x) overflow="visible" { rect.bar .(class) x="-1" width="2" y=(y) height=(height) rx="1" {} }
        }
        @if row.cold_start {
            rect.bar-cold x=(x) width=(width) y=(y) height=(height) rx="2.5" fill="url(#cold-stripes)" {}
        }
        @if row.error {
            rect.bar-error x=(x) width=(width) y=(y) height=(height) rx="2.5" {}
        }
    }
}

fn duration_label(row: &Row, extent: &Extent) -> Markup {
    let text = format::duration(row.duration_nano);
    let end = extent.start + extent.width;
    let (class, x, dx) = match extent.outside {
        -1 => ("label-outside", 0.0, 6),
        1 => ("label-outside label-before", 1.0, -6),
        _ if end <= 0.85 => ("", end, 6),
        _ if extent.start >= 0.15 => ("label-before", extent.start, -6),
        _ => ("label-on", extent.start, 8),
    };
    html! {
        svg x=(format::percent(x)) overflow="visible" {
            text.bar-label .(class) x=(dx) y="17.5" {
                @match extent.outside { -1 => "◂ ", _ => "" }
                (text)
                @match extent.outside { 1 => " ▸", _ => "" }
            }
        }
    }
}

//! Spans as text that a person can check.

use std::fmt::Write as _;

use spanlight_model::{SpanBatch, SpanRef, Value};

/// Every field of every span that is not empty.
pub(crate) fn dump(batch: &SpanBatch) -> String {
    let mut text = String::new();
    for row in 0..batch.num_spans() {
        span(&mut text, &batch.span(row)).unwrap();
    }
    text
}

fn span(text: &mut String, span: &SpanRef<'_>) -> std::fmt::Result {
    let (resource, scope) = (span.resource(), span.scope());
    writeln!(
        text,
        "{} {} {:?}",
        span.name(),
        span.kind().as_str(),
        resource.service_name()
    )?;
    writeln!(
        text,
        "  trace {} span {} parent {:?} flags {:#x} state {:?}",
        span.trace_id(),
        span.span_id(),
        span.parent_span_id(),
        span.flags(),
        span.trace_state()
    )?;
    writeln!(
        text,
        "  {} .. {}",
        span.start_time_unix_nano(),
        span.end_time_unix_nano()
    )?;
    writeln!(
        text,
        "  {} {:?}",
        span.status_code().as_str(),
        span.status_message()
    )?;
    writeln!(
        text,
        "  dropped {} {} {}",
        span.dropped_attributes_count(),
        span.dropped_events_count(),
        span.dropped_links_count()
    )?;
    attributes(text, "  ", span.attributes())?;
    for event in span.events() {
        writeln!(text, "  event {} {}", event.time_unix_nano(), event.name())?;
        attributes(text, "    ", event.attributes())?;
    }
    for link in span.links() {
        writeln!(
            text,
            "  link {} {} flags {:#x} state {:?}",
            link.trace_id(),
            link.span_id(),
            link.flags(),
            link.trace_state()
        )?;
        attributes(text, "    ", link.attributes())?;
    }
    writeln!(text, "  resource {:?}", resource.schema_url())?;
    attributes(text, "    ", resource.attributes())?;
    writeln!(
        text,
        "  scope {} {} {:?}",
        scope.name(),
        scope.version(),
        scope.schema_url()
    )?;
    attributes(text, "    ", scope.attributes())
}

fn attributes<'a>(
    text: &mut String,
    indent: &str,
    attributes: impl Iterator<Item = (&'a str, Value<'a>)>,
) -> std::fmt::Result {
    for (key, value) in attributes {
        writeln!(text, "{indent}{key} = {value:?}")?;
    }
    Ok(())
}

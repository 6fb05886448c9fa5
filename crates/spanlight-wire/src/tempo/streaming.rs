//! Messages of `tempopb.StreamingQuerier`, the gRPC service that Grafana asks when its data source streams: as far as
//! clients of Tempo 2.3 send and read them, and of 2.4 for time series. Fields that are not known here are passed over.

use spanlight_model::AnyValue;

use crate::DecodeError;
use crate::otlp::write_any;
use crate::protobuf::{Field, Read, Reader, Wire, Within as _, Writer};

/// `SearchRequest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchMessage {
    /// Keys and values of the search from before TraceQL.
    pub tags: Vec<(String, String)>,
    /// The least length of a trace; none when it is zero.
    pub min_duration_ms: u32,
    /// The greatest length of a trace; none when it is zero.
    pub max_duration_ms: u32,
    /// The most traces; zero where nothing is said.
    pub limit: u32,
    /// Unix seconds; zero where nothing is said.
    pub start: u32,
    /// Unix seconds; zero where nothing is said.
    pub end: u32,
    /// TraceQL.
    pub query: String,
    /// The most spans of a set; zero where nothing is said.
    pub spans_per_set: u32,
}

/// `SearchTagsRequest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagsMessage {
    /// Empty for all scopes.
    pub scope: String,
}

/// `SearchTagValuesRequest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagValuesMessage {
    /// A raw key in the first version, a field of TraceQL in the second.
    pub name: String,
    /// TraceQL that narrows the values.
    pub query: String,
}

/// `QueryRangeRequest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryRangeMessage {
    /// TraceQL.
    pub query: String,
    /// Unix nanoseconds; zero where nothing is said.
    pub start: u64,
    /// Unix nanoseconds; zero where nothing is said.
    pub end: u64,
    /// Nanoseconds; zero where nothing is said.
    pub step: u64,
}

/// `TimeSeries`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundSeries {
    /// Names and values.
    pub labels: Vec<(String, AnyValue)>,
    /// Unix milliseconds and values, by time.
    pub samples: Vec<(i64, f64)>,
}

/// What a search found: `TraceSearchMetadata`.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundTrace<'a> {
    /// Hexadecimal.
    pub trace_id: &'a str,
    /// The service of the root, or what stands for it.
    pub root_service_name: &'a str,
    /// The name of the root.
    pub root_name: &'a str,
    /// Unix nanoseconds.
    pub start_time_unix_nano: u64,
    /// From the first start to the last end.
    pub duration_ms: u32,
    /// The spans that matched, by group.
    pub span_sets: Vec<FoundSpans<'a>>,
}

/// `SpanSet`.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSpans<'a> {
    /// Spans, the first of them.
    pub spans: Vec<FoundSpan<'a>>,
    /// How many there are.
    pub matched: u32,
    /// Aggregates and groups.
    pub attributes: &'a [(String, AnyValue)],
}

/// `Span` of a search's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSpan<'a> {
    /// Hexadecimal.
    pub span_id: String,
    /// The name.
    pub name: &'a str,
    /// Unix nanoseconds.
    pub start_time_unix_nano: u64,
    /// From start to end.
    pub duration_nano: u64,
    /// What the query names or selects.
    pub attributes: &'a [(String, AnyValue)],
}

/// `SearchMetrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchMetrics {
    /// Traces that were assembled.
    pub inspected_traces: u32,
    /// Bytes that were read.
    pub inspected_bytes: u64,
    /// One when the answer is complete.
    pub completed_jobs: u32,
    /// One.
    pub total_jobs: u32,
}

/// Reads a `SearchRequest`.
///
/// # Errors
/// When it is no protobuf.
pub fn decode_search(message: &[u8]) -> Result<SearchMessage, DecodeError> {
    let mut search = SearchMessage::default();
    each_field("SearchRequest", message, |field| {
        match (field.number, field.value) {
            (1, Wire::Bytes(entry)) => search.tags.push(tag(entry)?),
            (2, Wire::Varint(number)) => search.min_duration_ms = number as u32,
            (3, Wire::Varint(number)) => search.max_duration_ms = number as u32,
            (4, Wire::Varint(number)) => search.limit = number as u32,
            (5, Wire::Varint(number)) => search.start = number as u32,
            (6, Wire::Varint(number)) => search.end = number as u32,
            (8, Wire::Bytes(bytes)) => search.query = text(bytes),
            (9, Wire::Varint(number)) => search.spans_per_set = number as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(search)
}

/// Reads a `SearchTagsRequest`.
///
/// # Errors
/// When it is no protobuf.
pub fn decode_tags(message: &[u8]) -> Result<TagsMessage, DecodeError> {
    let mut tags = TagsMessage::default();
    each_field("SearchTagsRequest", message, |field| {
        if let (1, Wire::Bytes(bytes)) = (field.number, field.value) {
            tags.scope = text(bytes);
        }
        Ok(())
    })?;
    Ok(tags)
}

/// Reads a `SearchTagValuesRequest`.
///
/// # Errors
/// When it is no protobuf.
pub fn decode_tag_values(message: &[u8]) -> Result<TagValuesMessage, DecodeError> {
    let mut values = TagValuesMessage::default();
    each_field("SearchTagValuesRequest", message, |field| {
        match (field.number, field.value) {
            (1, Wire::Bytes(bytes)) => values.name = text(bytes),
            (2, Wire::Bytes(bytes)) => values.query = text(bytes),
            _ => {}
        }
        Ok(())
    })?;
    Ok(values)
}

/// Reads a `QueryRangeRequest`.
///
/// # Errors
/// When it is no protobuf.
pub fn decode_query_range(message: &[u8]) -> Result<QueryRangeMessage, DecodeError> {
    let mut range = QueryRangeMessage::default();
    each_field("QueryRangeRequest", message, |field| {
        match (field.number, field.value) {
            (1, Wire::Bytes(bytes)) => range.query = text(bytes),
            (2, Wire::Varint(number)) => range.start = number,
            (3, Wire::Varint(number)) => range.end = number,
            (4, Wire::Varint(number)) => range.step = number,
            _ => {}
        }
        Ok(())
    })?;
    Ok(range)
}

fn each_field<'m>(
    name: &'static str,
    message: &'m [u8],
    mut take: impl FnMut(Field<'m>) -> Read<()>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(message);
    let mut read = || -> Read<()> {
        while let Some(field) = reader.next()? {
            take(field)?;
        }
        Ok(())
    };
    read()
        .within(name)
        .map_err(|malformed| malformed.into_error(message))
}

/// An entry of a map of texts.
fn tag(entry: &[u8]) -> Read<(String, String)> {
    let mut pair = (String::new(), String::new());
    let mut reader = Reader::new(entry);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (1, Wire::Bytes(bytes)) => pair.0 = text(bytes),
            (2, Wire::Bytes(bytes)) => pair.1 = text(bytes),
            _ => {}
        }
    }
    Ok(pair)
}

/// What is no UTF-8 finds nothing, and need not be an error.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a `SearchResponse`.
#[must_use]
pub fn encode_search(traces: &[FoundTrace<'_>], metrics: SearchMetrics) -> Vec<u8> {
    let mut response = Writer::default();
    for trace in traces {
        response.message(1, |writer| {
            writer.text(1, trace.trace_id);
            writer.text(2, trace.root_service_name);
            writer.text(3, trace.root_name);
            writer.varint(4, trace.start_time_unix_nano);
            writer.varint(5, u64::from(trace.duration_ms));
            // The field of older clients, which know of one set only.
            if let Some(first) = trace.span_sets.first() {
                writer.message(6, |writer| write_spans(writer, first));
            }
            for set in &trace.span_sets {
                writer.message(7, |writer| write_spans(writer, set));
            }
        });
    }
    response.message(2, |writer| write_metrics(writer, metrics));
    response.finish()
}

fn write_metrics(writer: &mut Writer, metrics: SearchMetrics) {
    writer.varint(1, u64::from(metrics.inspected_traces));
    writer.varint(2, metrics.inspected_bytes);
    writer.varint(4, u64::from(metrics.completed_jobs));
    writer.varint(5, u64::from(metrics.total_jobs));
}

/// Writes a `QueryRangeResponse`.
#[must_use]
pub fn encode_series(
    series: impl IntoIterator<Item = FoundSeries>,
    metrics: SearchMetrics,
) -> Vec<u8> {
    let mut response = Writer::default();
    for FoundSeries { labels, samples } in series {
        response.message(1, |writer| {
            write_attributes(writer, 1, &labels);
            for (time, value) in samples {
                writer.message(2, |writer| {
                    writer.fixed64(1, value.to_bits());
                    writer.varint(2, time as u64);
                });
            }
        });
    }
    response.message(2, |writer| write_metrics(writer, metrics));
    response.finish()
}

fn write_spans(writer: &mut Writer, set: &FoundSpans<'_>) {
    for span in &set.spans {
        writer.message(1, |writer| {
            writer.text(1, &span.span_id);
            writer.text(2, span.name);
            writer.varint(3, span.start_time_unix_nano);
            writer.varint(4, span.duration_nano);
            write_attributes(writer, 5, span.attributes);
        });
    }
    writer.varint(2, u64::from(set.matched));
    write_attributes(writer, 3, set.attributes);
}

fn write_attributes(writer: &mut Writer, field: u32, attributes: &[(String, AnyValue)]) {
    for (key, value) in attributes {
        writer.message(field, |writer| {
            writer.text(1, key);
            writer.message(2, |writer| write_any(writer, value));
        });
    }
}

/// Writes a `SearchTagsResponse`, or a `SearchTagValuesResponse`, which has the same form.
#[must_use]
pub fn encode_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut response = Writer::default();
    for text in texts {
        response.bytes_always(1, text.as_bytes());
    }
    response.finish()
}

/// Writes a `SearchTagsV2Response` of scopes and their tags.
#[must_use]
pub fn encode_scopes<'a, T>(scopes: impl IntoIterator<Item = (&'a str, T)>) -> Vec<u8>
where
    T: IntoIterator<Item = &'a str>,
{
    let mut response = Writer::default();
    for (name, tags) in scopes {
        response.message(1, |writer| {
            writer.text(1, name);
            for tag in tags {
                writer.bytes_always(2, tag.as_bytes());
            }
        });
    }
    response.finish()
}

/// Writes a `SearchTagValuesV2Response` of types and values.
#[must_use]
pub fn encode_typed_values<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut response = Writer::default();
    for (kind, value) in values {
        response.message(1, |writer| {
            writer.text(1, kind);
            writer.text(2, value);
        });
    }
    response.finish()
}

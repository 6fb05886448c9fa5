//! Spans to rows of the table, column by column. `cold/decode.rs` is the way back.
//!
//! What the batches' dictionaries have once is looked at once: a text becomes a number when its batch is first met,
//! and from there on only numbers move.

mod attributes;
mod nested;
mod texts;

use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, SchemaRef};
use spanlight_model::{SpanBatch, SpanColumns, SpanKind, StatusCode};

use self::attributes::{AttributeRouter, ResourceRouter};
use self::nested::{EventRows, LinkRows};
use self::texts::{Memo, NONE, Texts};
use super::catalogue::Catalogue;
use super::json::{resource_to_json, scope_to_json};
use super::order::Place;
use super::schema::{table_schema, with_dictionaries};

/// A batch whose rows are to be written, with its resources and scopes as the table has them.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    columns: SpanColumns<'a>,
    resources: Vec<String>,
    scopes: Vec<String>,
}

impl<'a> Source<'a> {
    pub(crate) fn of(batch: &'a SpanBatch) -> Self {
        let columns = batch.columns();
        let mut resources = vec![String::new(); columns.resource_values.schema_urls.len()];
        let mut scopes = vec![String::new(); columns.scope_values.schema_urls.len()];
        for row in 0..batch.num_spans() {
            let resource = &mut resources[columns.resources.value(row) as usize];
            if resource.is_empty() {
                *resource = resource_to_json(&columns.span(row).resource());
            }
            let scope = &mut scopes[columns.scopes.value(row) as usize];
            if scope.is_empty() {
                *scope = scope_to_json(&columns.span(row).scope());
            }
        }
        Self {
            columns,
            resources,
            scopes,
        }
    }
}

/// Makes rows of batches.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    sources: &'a [Source<'a>],
    schema: SchemaRef,
    catalogue: &'a Catalogue,
    texts: Texts<'a>,
    names: Vec<Memo>,
    service_names: Vec<Memo>,
    resources: Vec<Memo>,
    scopes: Vec<Memo>,
    attributes: AttributeRouter,
    resource_attributes: ResourceRouter,
    events: nested::EventMemos,
    links: nested::LinkMemos,
}

impl<'a> Encoder<'a> {
    /// Rows will have the columns of this catalogue.
    pub(crate) fn new(sources: &'a [Source<'a>], catalogue: &'a Catalogue) -> Self {
        let memos = |size: fn(&Source<'_>) -> usize| -> Vec<Memo> {
            let sizes = sources.iter().map(size);
            sizes.map(Memo::new).collect()
        };
        Self {
            schema: with_dictionaries(&table_schema(catalogue)),
            catalogue,
            texts: Texts::default(),
            names: memos(|source| source.columns.name_values.len()),
            service_names: memos(|source| source.resources.len()),
            resources: memos(|source| source.resources.len()),
            scopes: memos(|source| source.scopes.len()),
            attributes: AttributeRouter::new(sources, catalogue),
            resource_attributes: ResourceRouter::new(sources, catalogue),
            events: nested::EventMemos::new(sources),
            links: nested::LinkMemos::new(sources),
            sources,
        }
    }

    /// The schema of the rows: the table's, with dictionaries.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The rows of these places, in this order.
    pub(crate) fn rows(&mut self, places: &[Place]) -> Result<RecordBatch, ArrowError> {
        let (attributes, attribute_columns) =
            self.attributes
                .rows(self.sources, &mut self.texts, places)?;
        let mut resource_columns =
            self.resource_attributes
                .rows(self.sources, &mut self.texts, places)?;
        let mut columns = self.fixed(places)?;
        columns.push(attributes);
        columns.push(self.event_rows(places)?);
        columns.push(self.link_rows(places)?);
        let mut attribute_columns = attribute_columns.into_iter();
        for column in self.catalogue.columns() {
            let next = match column.scope {
                super::catalogue::AttributeScope::Span => attribute_columns.next(),
                super::catalogue::AttributeScope::Resource => resource_columns.next(),
            };
            columns.extend(next);
        }
        RecordBatch::try_new(self.schema(), columns)
    }

    /// The columns that come before the attributes.
    fn fixed(&mut self, places: &[Place]) -> Result<Vec<ArrayRef>, ArrowError> {
        let sources = self.sources;
        let count = |of: fn(&SpanColumns<'a>, usize) -> u32| -> ArrayRef {
            let counts = places.iter().map(|place| {
                let count = of(&sources[place.batch as usize].columns, place.row as usize);
                (count > 0).then_some(i64::from(count))
            });
            Arc::new(counts.collect::<Int64Array>())
        };
        let number = |of: fn(&SpanColumns<'a>, usize) -> i64| -> Vec<i64> {
            let numbers = places
                .iter()
                .map(|place| of(&sources[place.batch as usize].columns, place.row as usize));
            numbers.collect()
        };
        let starts = number(|columns, row| columns.start_times.value(row));
        let ends = number(|columns, row| columns.end_times.value(row));
        let micros = starts.iter().map(|start| start.div_euclid(1_000));
        let micros = TimestampMicrosecondArray::from_iter_values(micros);
        let nanos = starts.iter().map(|start| start.rem_euclid(1_000) as i32);
        // Wrapping, here and on the way back: any two times survive.
        let durations = ends
            .iter()
            .zip(&starts)
            .map(|(end, start)| end.wrapping_sub(*start));
        let received = number(|columns, row| columns.received_at.value(row));
        let ids = |width, of: fn(&SpanColumns<'a>, usize) -> Option<&'a [u8]>| {
            ids(
                width,
                places
                    .iter()
                    .map(|place| of(&sources[place.batch as usize].columns, place.row as usize)),
            )
        };
        let trace_ids = ids(16, |columns, row| Some(columns.trace_ids.value(row)))?;
        let span_ids = ids(8, |columns, row| Some(columns.span_ids.value(row)))?;
        let parent_span_ids = ids(8, |columns, row| {
            let ids = columns.parent_span_ids;
            ids.is_valid(row).then(|| ids.value(row))
        })?;
        let micros = micros.with_timezone("UTC");
        let durations: Int64Array = Int64Array::from_iter_values(durations);
        Ok(vec![
            trace_ids,
            span_ids,
            parent_span_ids,
            self.names(places)?,
            self.words(
                places,
                &SpanKind::ALL.map(SpanKind::as_str),
                |columns, row| columns.kinds.value(row),
            )?,
            self.service_names(places)?,
            self.words(
                places,
                &StatusCode::ALL.map(StatusCode::as_str),
                |columns, row| columns.status_codes.value(row),
            )?,
            Arc::new(micros),
            Arc::new(Int32Array::from_iter_values(nanos)),
            Arc::new(durations),
            Arc::new(Int64Array::from(received)),
            self.optional_texts(places, |columns, row| columns.status_messages.value(row))?,
            self.optional_texts(places, |columns, row| columns.trace_states.value(row))?,
            count(|columns, row| columns.flags.value(row)),
            count(|columns, row| columns.dropped_attributes_counts.value(row)),
            count(|columns, row| columns.dropped_events_counts.value(row)),
            count(|columns, row| columns.dropped_links_counts.value(row)),
            self.resources(places)?,
            self.scopes(places)?,
        ])
    }

    fn names(&mut self, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let (names, texts) = (&mut self.names, &mut self.texts);
        let codes = places.iter().map(|place| {
            let columns = &self.sources[place.batch as usize].columns;
            let name = columns.names.value(place.row as usize) as usize;
            names[place.batch as usize].get(name, || texts.intern(columns.name_values.value(name)))
        });
        let codes = codes.collect();
        self.texts.dictionary(codes)
    }

    fn service_names(&mut self, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let (services, texts) = (&mut self.service_names, &mut self.texts);
        let codes = places.iter().map(|place| {
            let columns = &self.sources[place.batch as usize].columns;
            let resource = columns.resources.value(place.row as usize) as usize;
            let names = columns.resource_values.service_names;
            if names.is_null(resource) {
                return NONE;
            }
            services[place.batch as usize].get(resource, || texts.intern(names.value(resource)))
        });
        let codes = codes.collect();
        self.texts.dictionary(codes)
    }

    fn resources(&mut self, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let (resources, texts) = (&mut self.resources, &mut self.texts);
        let codes = places.iter().map(|place| {
            let source = &self.sources[place.batch as usize];
            let resource = source.columns.resources.value(place.row as usize) as usize;
            resources[place.batch as usize]
                .get(resource, || texts.intern(&source.resources[resource]))
        });
        let codes = codes.collect();
        self.texts.dictionary(codes)
    }

    fn scopes(&mut self, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let (scopes, texts) = (&mut self.scopes, &mut self.texts);
        let codes = places.iter().map(|place| {
            let source = &self.sources[place.batch as usize];
            let scope = source.columns.scopes.value(place.row as usize) as usize;
            scopes[place.batch as usize].get(scope, || texts.intern(&source.scopes[scope]))
        });
        let codes = codes.collect();
        self.texts.dictionary(codes)
    }

    /// A column of one of a few words, by their number.
    fn words(
        &mut self,
        places: &[Place],
        words: &[&'static str],
        number: fn(&SpanColumns<'a>, usize) -> i8,
    ) -> Result<ArrayRef, ArrowError> {
        let ids: Vec<u32> = words.iter().map(|word| self.texts.intern(word)).collect();
        let codes = places.iter().map(|place| {
            let columns = &self.sources[place.batch as usize].columns;
            let number = usize::try_from(number(columns, place.row as usize)).unwrap_or(0);
            ids[if number < ids.len() { number } else { 0 }]
        });
        let codes = codes.collect();
        self.texts.dictionary(codes)
    }

    /// A column of texts that are mostly empty, which is null.
    fn optional_texts(
        &mut self,
        places: &[Place],
        text: fn(&SpanColumns<'a>, usize) -> &'a str,
    ) -> Result<ArrayRef, ArrowError> {
        let codes = places.iter().map(|place| {
            let columns = &self.sources[place.batch as usize].columns;
            let text = text(columns, place.row as usize);
            if text.is_empty() {
                NONE
            } else {
                self.texts.intern(text)
            }
        });
        let codes = codes.collect();
        self.texts.dictionary(codes)
    }

    fn event_rows(&mut self, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let mut rows = EventRows::default();
        for place in places {
            let events = &self.sources[place.batch as usize].columns.events;
            rows.push(&mut self.events, &mut self.texts, *place, events);
        }
        rows.finish(&mut self.texts)
    }

    fn link_rows(&mut self, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let mut rows = LinkRows::default();
        for place in places {
            let links = &self.sources[place.batch as usize].columns.links;
            rows.push(&mut self.links, &mut self.texts, *place, links);
        }
        rows.finish(&mut self.texts)
    }
}

/// A column of ids of one width.
fn ids<'a>(
    width: usize,
    ids: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
) -> Result<ArrayRef, ArrowError> {
    let rows = ids.len();
    let mut bytes = Vec::with_capacity(rows * width);
    let mut lengths = Vec::with_capacity(rows);
    for id in ids {
        lengths.push(id.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(id.unwrap_or_default());
    }
    let nulls = lengths.contains(&0).then(|| {
        let valid: Vec<bool> = lengths.iter().map(|length| *length > 0).collect();
        NullBuffer::from(valid)
    });
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(BinaryArray::try_new(
        offsets,
        Buffer::from_vec(bytes),
        nulls,
    )?))
}

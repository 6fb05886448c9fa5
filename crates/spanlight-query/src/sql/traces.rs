//! The view that has a row a trace: what all its spans together say.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use spanlight_model::{SpanColumns, StatusCode, TraceId, Value, convention};
use spanlight_store::{AttributeKeys, ScanColumns};

use super::columns::{UTC, texts, time_type};

const TRACE_ID: &str = "trace_id";
const COLD_START: &str = "cold_start";
const SERVICES: &str = "services";

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let services = Arc::new(Field::new_list_field(DataType::Utf8, true));
    Arc::new(Schema::new(vec![
        Field::new(TRACE_ID, DataType::Utf8, false),
        Field::new("root_service", DataType::Utf8, true),
        Field::new("root_name", DataType::Utf8, true),
        Field::new("start_time", time_type(), false),
        Field::new("end_time", time_type(), false),
        Field::new("duration_ns", DataType::Int64, false),
        Field::new("span_count", DataType::Int64, false),
        Field::new("error_count", DataType::Int64, false),
        Field::new(COLD_START, DataType::Boolean, false),
        Field::new(SERVICES, DataType::List(services), false),
    ]))
});

/// Its columns.
pub(super) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// What of the store these columns are made of.
pub(super) fn needs(schema: &Schema) -> ScanColumns {
    let has = |name: &str| schema.field_with_name(name).is_ok();
    ScanColumns {
        trace_id: true,
        // Which span the root is takes all of them.
        span_id: true,
        parent_span_id: true,
        kind: true,
        times: true,
        name: has("root_name"),
        service_name: has("root_service") || has(SERVICES),
        status: has("error_count"),
        attributes: match has(COLD_START) {
            true => AttributeKeys::of([convention::FAAS_COLDSTART]),
            false => AttributeKeys::None,
        },
        ..ScanColumns::NONE
    }
}

/// Rows that come to be.
pub(super) struct TraceTable {
    schema: SchemaRef,
    wants_cold_starts: bool,
    wants_services: bool,
    rows: Vec<Row>,
}

struct Row {
    id: TraceId,
    root: Option<(Option<String>, String)>,
    start: i64,
    end: i64,
    spans: i64,
    errors: i64,
    cold_start: bool,
    services: Vec<String>,
}

impl TraceTable {
    /// Rows of these columns.
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let has = |name: &str| schema.field_with_name(name).is_ok();
        Self {
            wants_cold_starts: has(COLD_START),
            wants_services: has(SERVICES),
            schema: Arc::clone(schema),
            rows: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a trace of these spans, of which there is at least one, each once.
    pub(super) fn add<'c, 'a: 'c>(
        &mut self,
        id: TraceId,
        spans: impl Iterator<Item = (&'c SpanColumns<'a>, usize)>,
    ) {
        let mut row = Row {
            id,
            root: None,
            start: i64::MAX,
            end: i64::MIN,
            spans: 0,
            errors: 0,
            cold_start: false,
            services: Vec::new(),
        };
        // The earliest without a parent, as where a trace is shown.
        let mut root = None;
        for (columns, at) in spans {
            let (start, end) = (columns.start_times.value(at), columns.end_times.value(at));
            row.start = row.start.min(start);
            row.end = row.end.max(end).max(start);
            row.spans += 1;
            row.errors += i64::from(columns.status_codes.value(at) == StatusCode::Error as i8);
            if columns.parent_span_id(at).is_none() {
                let place = (start, columns.span_id(at), columns.kinds.value(at));
                if root.as_ref().is_none_or(|(first, _, _)| place < *first) {
                    root = Some((place, columns, at));
                }
            }
            if self.wants_cold_starts && !row.cold_start {
                let cold = columns.attributes.get(at, convention::FAAS_COLDSTART);
                row.cold_start = cold == Some(Value::Bool(true));
            }
            if self.wants_services
                && let Some(name) = columns.service_name(at)
                && !row.services.iter().any(|known| known == name)
            {
                row.services.push(name.to_owned());
            }
        }
        row.root = root.map(|(_, columns, at)| {
            let service = columns.service_name(at).map(str::to_owned);
            (service, columns.name(at).to_owned())
        });
        row.services.sort_unstable();
        self.rows.push(row);
    }

    /// The rows so far.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let fields = self.schema.fields().iter();
        let arrays = fields.map(|field| column(field.name(), &rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }
}

fn column(name: &str, rows: &[Row]) -> ArrayRef {
    let times = |of: fn(&Row) -> i64| -> ArrayRef {
        let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(of));
        Arc::new(times.with_timezone(UTC))
    };
    let numbers = |of: fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
    };
    match name {
        TRACE_ID => texts(rows.iter().map(|row| Some(row.id.to_string()))),
        "root_service" => texts(rows.iter().map(|row| row.root.as_ref()?.0.as_deref())),
        "root_name" => texts(rows.iter().map(|row| Some(row.root.as_ref()?.1.as_str()))),
        "start_time" => times(|row| row.start),
        "end_time" => times(|row| row.end),
        "duration_ns" => numbers(|row| row.end.saturating_sub(row.start)),
        "span_count" => numbers(|row| row.spans),
        "error_count" => numbers(|row| row.errors),
        COLD_START => {
            let cold: Vec<bool> = rows.iter().map(|row| row.cold_start).collect();
            Arc::new(BooleanArray::from(cold))
        }
        _ => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for row in rows {
                row.services
                    .iter()
                    .for_each(|name| lists.values().append_value(name));
                lists.append(true);
            }
            Arc::new(lists.finish())
        }
    }
}

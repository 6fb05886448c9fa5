//! Attribute columns: what goes there, what stays in the tail, and that every value survives either way.

use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;
use spanlight_model::{AnyValue, SpanBatch, SpanBatchBuilder, SpanId, TraceId, Value};

use super::{read, round_trip, sorted, write};
use crate::cold::ColdFile;
use crate::cold::catalogue::{AttributeScope, Catalogue, ColumnType};
use crate::cold::promote::Promotion;
use crate::cold::read::FileReader;
use crate::disk::{Disk, LocalDisk};
use crate::sample;
use crate::scan::{AttributeColumn, AttributeKeys, AttributeValues, ScanColumns, ScanRequest};

/// What a span has beside its ids.
type Span = (i64, i64, Vec<(String, AnyValue)>);

fn batch(spans: &[Span]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(7);
    let resource = builder.begin_resource().commit();
    let scope = builder.begin_scope().commit();
    for (number, (start, length, attributes)) in (1_u64..).zip(spans) {
        let mut span = builder.begin_span(resource, scope);
        span.set_trace_id(TraceId(u128::from(number / 7 + 1).to_be_bytes()));
        span.set_span_id(SpanId(number.to_be_bytes()));
        span.set_start_time_unix_nano(*start as u64);
        span.set_end_time_unix_nano(start.saturating_add(*length).max(0) as u64);
        for (key, value) in attributes {
            span.attributes().push_any(key, value);
        }
        span.commit().unwrap();
    }
    builder.finish().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn value() -> impl Strategy<Value = AnyValue> {
    prop_oneof![
        Just(AnyValue::Empty),
        "[a-c]{0,2}".prop_map(AnyValue::String),
        // As many texts as spans, some of them long.
        ".{0,90}".prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        (0_i64..3).prop_map(AnyValue::Int),
        any::<f64>().prop_map(AnyValue::Double),
        Just(AnyValue::Double(f64::NAN)),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(AnyValue::Bytes),
        Just(AnyValue::Array(vec![AnyValue::Int(1)])),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    let time = prop_oneof![Just(0), Just(i64::MAX), 0..i64::MAX];
    let length = prop_oneof![-5_i64..5, any::<i64>()];
    // Few keys, so that they repeat within a span, with other types; and one that no engine would like.
    let key = "[ab]|http.route|a b,c|κ|";
    let attributes = prop::collection::vec((key, value()), 0..8);
    (time, length, attributes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_value_survives(spans in prop::collection::vec(span(), 0..150)) {
        let sent = batch(&spans);
        let back = runtime().block_on(round_trip(std::slice::from_ref(&sent), ScanColumns::ALL));
        prop_assert_eq!(sorted(sample::describe(&back)), sorted(sample::describe(&sent)));
    }
}

/// Each span's attributes, sorted, however they come; of the key `b` only that they are there.
async fn attributes(file: &ColdFile, listed: AttributeKeys, apart: bool) -> Vec<Vec<String>> {
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let columns = ScanColumns {
        attributes: if apart { listed } else { AttributeKeys::All },
        ..ScanColumns::NONE
    };
    let request = Arc::new(ScanRequest {
        columns,
        ..ScanRequest::default()
    });
    let (file, report) = (Arc::new(file.clone()), Arc::default());
    let files = std::iter::once(&file);
    let reader = FileReader::local(&disk);
    let mut found = Vec::new();
    for partition in crate::scan::of_files(&reader, files, &request, &report).await {
        let mut take = |batch: &SpanBatch, apart: &[AttributeColumn]| {
            for row in 0..batch.num_spans() {
                let listed = batch.columns().attributes;
                let own = listed.iter(row).map(|(key, value)| match key {
                    "b" => "b".to_owned(),
                    key => format!("{key} {value:?}"),
                });
                let own = own.chain(apart.iter().filter_map(|it| said(it, row)));
                found.push(sorted(own.collect()));
            }
        };
        if apart {
            let has_values = |key: &str| key != "b";
            // So many that they do not end where pages do.
            partition.read_apart(7, has_values, |read| {
                let (batch, columns) = read.unwrap();
                assert!(batch.num_spans() <= 7);
                take(&batch, &columns);
                ControlFlow::Continue(())
            });
        } else {
            partition.read(|read| {
                take(&read.unwrap(), &[]);
                ControlFlow::Continue(())
            });
        }
    }
    found
}

/// What a column says of a row.
fn said(column: &AttributeColumn, row: usize) -> Option<String> {
    if column
        .values
        .nulls()
        .is_some_and(|nulls| nulls.is_null(row))
    {
        return None;
    }
    let value = match &column.values {
        AttributeValues::Present(_) => return Some(column.key.clone()),
        AttributeValues::Same(text, _) => Value::String(text),
        AttributeValues::Texts(codes, texts) => {
            Value::String(texts.value(codes.value(row) as usize))
        }
        AttributeValues::Ints(ints) => Value::Int(ints.value(row)),
        AttributeValues::Doubles(doubles) => Value::Double(doubles.value(row)),
        AttributeValues::Bools(truths) => Value::Bool(truths.value(row)),
    };
    Some(format!("{} {value:?}", column.key))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn attributes_that_come_by_themselves_are_those_of_the_spans(
        spans in prop::collection::vec(span(), 1..150),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = write(&LocalDisk, directory.path(), &[batch(&spans)]).file;
        let runtime = runtime();
        let expected = runtime.block_on(attributes(&file, AttributeKeys::All, false));
        for listed in [AttributeKeys::None, AttributeKeys::of(["a", "http.route"])] {
            let found = runtime.block_on(attributes(&file, listed, true));
            prop_assert_eq!(&found, &expected);
        }
    }
}

#[tokio::test]
async fn spans_of_many_pages_survive() {
    // Three batches, of several pages together: columns with few values, with as many as spans, with hardly any.
    let batches: Vec<SpanBatch> = (0..3)
        .map(|seed| {
            let spans: Vec<Span> = (0..4_500_i64)
                .map(|number| {
                    let text = |text: &str| AnyValue::String(text.to_owned());
                    let mut attributes = vec![
                        ("few".to_owned(), text(["x", "y"][(number % 2) as usize])),
                        ("many".to_owned(), text(&format!("{seed} {number}"))),
                        ("int".to_owned(), AnyValue::Int(number * 1_000_003)),
                        ("fraction".to_owned(), AnyValue::Double(number as f64 / 3.0)),
                        ("truth".to_owned(), AnyValue::Bool(number % 5 == 0)),
                    ];
                    if number % 900 == 17 {
                        attributes.push(("rare".to_owned(), text("needle")));
                    }
                    (number * 1_000, number % 13, attributes)
                })
                .collect();
            let spans = batch(&spans);
            // Other traces than the other batches'.
            retraced(&spans, seed)
        })
        .collect();
    let back = round_trip(&batches, ScanColumns::ALL).await;
    let sent = batches.iter().flat_map(sample::describe);
    assert_eq!(sorted(sample::describe(&back)), sorted(sent.collect()));
    assert_is_ordered(&back);
}

/// The same spans in other traces.
fn retraced(batch: &SpanBatch, seed: u8) -> SpanBatch {
    use arrow_array::{Array as _, FixedSizeBinaryArray, RecordBatch};
    use spanlight_model::schema::{Column, schema};
    let ids = batch.columns().trace_ids;
    let ids = (0..ids.len()).map(|row| {
        let mut id = ids.value(row).to_vec();
        id[0] = seed;
        id
    });
    let ids = FixedSizeBinaryArray::try_from_iter(ids).unwrap();
    let mut columns = batch.record_batch().columns().to_vec();
    columns[Column::TraceId as usize] = Arc::new(ids);
    SpanBatch::try_new(RecordBatch::try_new(schema(), columns).unwrap()).unwrap()
}

/// By the earliest start of the trace, trace id, start, span id.
pub(super) fn assert_is_ordered(batch: &SpanBatch) {
    let spans = (0..batch.num_spans()).map(|row| batch.span(row));
    let spans: Vec<_> = spans
        .map(|span| (span.trace_id(), span.start_time_unix_nano(), span.span_id()))
        .collect();
    let earliest = |id: TraceId| {
        let own = spans.iter().filter(|(trace, _, _)| *trace == id);
        own.map(|(_, start, _)| *start).min()
    };
    let mut known = std::collections::BTreeMap::new();
    let keys = spans.iter().map(|(trace, start, span)| {
        let first = *known.entry(*trace).or_insert_with(|| earliest(*trace));
        (first, *trace, *start, *span)
    });
    assert!(keys.collect::<Vec<_>>().is_sorted());
}

#[test]
fn a_trace_belongs_where_its_first_span_that_stays_starts() {
    let mut builder = SpanBatchBuilder::new(1);
    let resource = builder.begin_resource().commit();
    let scope = builder.begin_scope().commit();
    // The first span of trace 2 is there again, later: trace 1 comes first.
    for (trace, span_id, start) in [(2, 1, 5), (1, 1, 10), (2, 1, 20)] {
        let mut span = builder.begin_span(resource, scope);
        span.set_trace_id(TraceId([trace; 16]));
        span.set_span_id(SpanId([span_id; 8]));
        span.set_start_time_unix_nano(start);
        span.set_end_time_unix_nano(start);
        span.commit().unwrap();
    }
    let batch = builder.finish().unwrap();
    let order = crate::cold::order::Order::of(&[batch]);
    let rows: Vec<u32> = order.places.iter().map(|place| place.row).collect();
    assert_eq!((rows, order.repeats), (vec![1, 2], 1));
}

#[tokio::test]
async fn a_file_has_the_columns_of_its_frequent_keys() {
    let text = |text: &str| AnyValue::String(text.to_owned());
    let spans: Vec<Span> = (0..200)
        .map(|number| {
            let mut attributes = vec![
                ("user.id".to_owned(), text("u")),
                ("user.id".to_owned(), text("second")),
                ("blob".to_owned(), AnyValue::Bytes(vec![1])),
            ];
            let total = match number % 4 {
                0 => AnyValue::Int(5),
                _ => AnyValue::Double(0.5),
            };
            attributes.push(("order.total".to_owned(), total));
            if number < 15 {
                attributes.push(("rare".to_owned(), text("x")));
            }
            (number, 1, attributes)
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let written = write(&LocalDisk, directory.path(), &[batch(&spans)]);
    let names = |catalogue: &Catalogue| -> Vec<String> {
        let columns = catalogue.columns().iter();
        columns.map(|column| column.name.clone()).collect()
    };
    let expected = ["span_user_id", "span_order_total", "span_order_total_int"];
    assert_eq!(names(&written.file.columns), expected);
    assert_eq!(names(&written.catalogue), expected);
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let request = ScanRequest::default();
    let (back, _) = read(&FileReader::local(&disk), written.file, &request).await;
    let span = back.span(0);
    assert_eq!(span.attribute("user.id"), Some(Value::String("u")));
    assert_eq!(
        span.attributes()
            .filter(|(key, _)| *key == "user.id")
            .count(),
        2
    );
}

#[test]
fn a_flood_of_keys_leaves_the_good_ones_their_columns() {
    let batches: Vec<SpanBatch> = (0..20)
        .map(|round| {
            let spans: Vec<Span> = (0..1_000)
                .map(|number| {
                    let mut attributes: Vec<_> = (0..20)
                        .map(|key| (format!("flood.{round}.{number}.{key}"), AnyValue::Int(1)))
                        .collect();
                    if number % 20 == 0 {
                        attributes.push(("user.id".to_owned(), AnyValue::String("u".to_owned())));
                    }
                    (number, 1, attributes)
                })
                .collect();
            batch(&spans)
        })
        .collect();
    let promotion = Promotion::of(&Arc::default(), &batches);
    let columns = promotion.catalogue.columns();
    assert_eq!(columns.len(), 1);
    assert!(
        promotion
            .occurring
            .has(AttributeScope::Span, "user.id", ColumnType::String)
    );
}

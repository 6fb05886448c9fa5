//! Scans of a data file with conditions: nothing that passes is left out, and what is left out is not read.

use std::collections::BTreeSet;

use spanlight_model::{AnyValue, SpanRef, Value};

use super::*;
use crate::scan::{Comparison, Field, Filter, Literal, Predicate, SkipReason, Test, TextTest};

/// Whether a span passes, by the words of [`Filter`].
fn passes(span: &SpanRef<'_>, filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| passes(span, filter)),
        Filter::Or(filters) => filters.iter().any(|filter| passes(span, filter)),
        Filter::Test(test) => {
            let predicate = &test.predicate;
            let span_has = |key: &str| {
                let mut values = span.attributes().filter(|(known, _)| *known == key);
                values.any(|(_, value)| value_passes(value, predicate))
            };
            let resource_has = |key: &str| {
                let resource = span.resource();
                let mut values = resource.attributes().filter(|(known, _)| *known == key);
                values.any(|(_, value)| value_passes(value, predicate))
            };
            match &test.field {
                Field::Name => predicate.passes_text(span.name()),
                Field::Kind => predicate.passes_text(span.kind().as_str()),
                Field::Status => predicate.passes_text(span.status_code().as_str()),
                Field::StatusMessage => predicate.passes_text(span.status_message()),
                Field::Duration => {
                    let (start, end) = (span.start_time_unix_nano(), span.end_time_unix_nano());
                    predicate.passes_int(end.saturating_sub(start).max(0))
                }
                Field::ServiceName => {
                    let resource = span.resource();
                    let name = resource.service_name();
                    name.is_some_and(|name| predicate.passes_text(name))
                }
                Field::SpanAttribute(key) => span_has(key),
                Field::ResourceAttribute(key) => resource_has(key),
                Field::Attribute(key) => span_has(key) || resource_has(key),
            }
        }
    }
}

fn value_passes(value: Value<'_>, predicate: &Predicate) -> bool {
    any_passes(&value.to_any().unwrap(), predicate)
}

fn any_passes(value: &AnyValue, predicate: &Predicate) -> bool {
    match value {
        AnyValue::String(text) => predicate.passes_text(text),
        AnyValue::Int(number) => predicate.passes_int(*number),
        AnyValue::Double(number) => predicate.passes_double(*number),
        AnyValue::Bool(truth) => predicate.passes_bool(*truth),
        AnyValue::Array(values) => values.iter().any(|value| any_passes(value, predicate)),
        AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::KeyValueList(_) => {
            matches!(predicate, Predicate::Exists)
        }
    }
}

fn any_field() -> impl Strategy<Value = Field> {
    let key = prop::sample::select(vec!["a", "http.route", "", "κλειδί", "nowhere"]);
    prop_oneof![
        Just(Field::Name),
        Just(Field::Kind),
        Just(Field::Status),
        Just(Field::StatusMessage),
        Just(Field::Duration),
        Just(Field::ServiceName),
        key.clone().prop_map(|key| Field::SpanAttribute(key.into())),
        key.clone()
            .prop_map(|key| Field::ResourceAttribute(key.into())),
        key.prop_map(|key| Field::Attribute(key.into())),
    ]
}

fn any_literal() -> impl Strategy<Value = Literal> {
    let texts = vec![
        "",
        "héllo",
        "GET /",
        "service-1",
        "server",
        "error",
        "broken",
        "m",
    ];
    prop_oneof![
        4 => prop::sample::select(texts).prop_map(Literal::from),
        1 => any::<bool>().prop_map(Literal::Bool),
        1 => any::<i64>().prop_map(Literal::Int),
        1 => (0_i64..1_000_000).prop_map(Literal::Int),
        1 => prop::sample::select(vec![0.0, 1.0, f64::NAN, 5e5]).prop_map(Literal::Double),
    ]
}

fn any_predicate() -> impl Strategy<Value = Predicate> {
    let comparison = prop::sample::select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    prop_oneof![
        4 => (comparison, any_literal()).prop_map(|(c, literal)| Predicate::Compare(c, literal)),
        1 => prop::collection::vec(any_literal(), 0..4).prop_map(|all| Predicate::OneOf(all.into())),
        1 => Just(Predicate::Exists),
        1 => Just(Predicate::Matches(TextTest::new("has r", |text| text.contains('r')))),
        1 => Just(Predicate::Matches(TextTest::new("is empty", str::is_empty))),
    ]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let test = (any_field(), any_predicate())
        .prop_map(|(field, predicate)| Filter::Test(Test { field, predicate }));
    test.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner, 0..3).prop_map(Filter::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_that_passes_is_left_out(
        seed in any::<u32>(),
        spans in 1_usize..300,
        filters in prop::collection::vec(any_filter(), 8),
    ) {
        let batch = sample::batch(u64::from(seed), spans);
        let directory = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
        let written = write(disk.as_ref(), directory.path(), std::slice::from_ref(&batch));
        let reader = FileReader::local(&disk);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for filter in filters {
            let passing = |batch: &SpanBatch| {
                let described = sample::describe(batch);
                let rows = (0..batch.num_spans()).filter(|&row| passes(&batch.span(row), &filter));
                rows.map(|row| described[row].clone()).collect::<BTreeSet<_>>()
            };
            let request = ScanRequest {
                filter: Some(Arc::new(filter.clone())),
                ..ScanRequest::default()
            };
            let (found, figures) = runtime.block_on(read(&reader, written.file.clone(), &request));
            prop_assert_eq!(passing(&found), passing(&batch), "{}", &filter);
            let spans = figures.spans;
            let skipped: u64 = spans.skipped.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(spans.read + skipped, spans.considered, "{}", &filter);
            prop_assert_eq!(spans.read, found.num_spans() as u64);
        }
    }
}

#[tokio::test]
async fn what_is_kept_of_files_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let reader = FileReader::local(&disk);
    let mut file = write(disk.as_ref(), directory.path(), &[sample::batch(1, 20)]).file;
    let original = file.path.clone();
    let mut kept = Vec::new();
    for number in 0..4 {
        file.path = directory.path().join(number.to_string());
        std::fs::copy(&original, &file.path).unwrap();
        read(&reader, file.clone(), &ScanRequest::default()).await;
        kept.push(reader.footers.bytes());
    }
    // Reading again adds nothing.
    let (_, figures) = read(&reader, file.clone(), &ScanRequest::default()).await;
    assert_eq!((figures.footers_read, reader.footers.bytes()), (0, kept[3]));
    assert_eq!((kept[1], kept[3]), (2 * kept[0], 4 * kept[0]));
    // The last was used last.
    reader.footers.trim_to(2 * kept[0]);
    assert!(reader.footers.bytes() <= 2 * kept[0]);
    assert!(reader.footers.find(&file.path).is_some());
    assert!(reader.footers.find(&directory.path().join("0")).is_none());
    // What is small and needed by more stays longer.
    assert!(
        reader
            .footers
            .find_traces(&directory.path().join("0"))
            .is_some()
    );
    reader.footers.trim_to(0);
    let left = (0..4).filter(|number| {
        let path = directory.path().join(number.to_string());
        reader.footers.find_traces(&path).is_some()
    });
    assert_eq!(left.count(), 1);
}

#[tokio::test]
async fn a_file_without_a_trace_is_left_out_by_its_index() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let reader = FileReader::local(&disk);
    let file = write(disk.as_ref(), directory.path(), &[sample::batch(1, 20)]).file;
    let asked = |traces: &[TraceId]| ScanRequest {
        trace_ids: Some(Arc::new(traces.iter().copied().collect())),
        ..ScanRequest::default()
    };
    let absent = asked(&[TraceId([9; 16]), TraceId([8; 16])]);
    for _ in 0..2 {
        let (found, figures) = read(&reader, file.clone(), &absent).await;
        assert_eq!(found.num_spans(), 0);
        assert_eq!(figures.footers_read, 0);
        assert_eq!(figures.row_groups.skipped, [(SkipReason::Bloom, 1)]);
        assert_eq!(figures.spans.skipped, [(SkipReason::Bloom, 20)]);
        assert_eq!(figures.files.read, 0);
    }
    let present = sample::batch(1, 20).span(7).trace_id();
    let (found, figures) = read(&reader, file.clone(), &asked(&[present])).await;
    assert!(found.num_spans() > 0);
    assert_eq!(figures.footers_read, 1);
}

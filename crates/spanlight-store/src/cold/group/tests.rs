//! Our reader of columns says what the `parquet` crate's says, whatever is asked of it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::DataType;
use proptest::prelude::*;
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, TraceId, Value};

use super::{Batches, GroupReader};
use crate::cold::condition::Condition;
use crate::cold::fetch::Fetch;
use crate::cold::footer::Footer;
use crate::cold::footers::FooterCache;
use crate::cold::rows::Rows;
use crate::cold::source::LocalFiles;
use crate::cold::{select, write};
use crate::disk::LocalDisk;
use crate::sample;
use crate::scan::{ScanReport, ScanRequest};

/// Several pages of each column, the last one short.
const SPANS: u64 = 10_000;

/// A file, read by us and by the crate.
struct Both {
    _directory: tempfile::TempDir,
    own: (Arc<Footer>, Fetch),
    theirs: (Arc<Footer>, Fetch),
    report: ScanReport,
}

static FILES: LazyLock<Vec<Both>> = LazyLock::new(|| {
    let few = (1..8).map(|count| Both::new(&[spans(2, count)]));
    let many = (0..3).map(|seed| Both::new(&[spans(seed, SPANS), sample::batch(seed, 700)]));
    many.chain(few).collect()
});

impl Both {
    fn new(batches: &[SpanBatch]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let written = write::write(
            &LocalDisk,
            directory.path(),
            "file",
            batches,
            &Arc::default(),
        );
        let source = Arc::new(LocalFiles(Arc::new(LocalDisk)));
        let file = Arc::new(written.unwrap().file);
        let fetch = Fetch::new(source, file, Arc::default());
        let own = FooterCache::default().get(&fetch).unwrap();
        assert!(own.checksums.is_some());
        let theirs = FooterCache::default().get(&fetch).unwrap();
        let mut theirs = Arc::into_inner(theirs).unwrap();
        theirs.checksums = None;
        Self {
            _directory: directory,
            own: (Arc::clone(&own), fetch.checked(own.checksums.clone())),
            theirs: (Arc::new(theirs), fetch),
            report: ScanReport::default(),
        }
    }

    fn own(&self) -> GroupReader<'_> {
        let (footer, fetch) = &self.own;
        GroupReader::new(footer, fetch.clone(), 0, &self.report).unwrap()
    }

    fn theirs(&self) -> GroupReader<'_> {
        let (footer, fetch) = &self.theirs;
        GroupReader::new(footer, fetch.clone(), 0, &self.report).unwrap()
    }
}

/// Spans whose attributes are there always, in stretches, now and then, hardly ever; that repeat and that do not.
fn spans(seed: u64, count: u64) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(7);
    let resource = builder.begin_resource().commit();
    let scope = builder.begin_scope().commit();
    for number in 1..=count {
        // Random, and the same each time.
        let random = (number ^ (seed << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let mut span = builder.begin_span(resource, scope);
        let trace = number / (seed + 4) + 1;
        span.set_trace_id(TraceId(u128::from(trace).to_be_bytes()));
        span.set_span_id(SpanId(number.to_be_bytes()));
        if random.is_multiple_of(3) {
            span.set_parent_span_id(SpanId(random.to_be_bytes()));
        }
        span.set_start_time_unix_nano(number * 1_000 + random % 1_000);
        span.set_end_time_unix_nano(number * 1_000 + random % 100_000);
        let (unlike, like) = (format!("{random:x}"), format!("value {}", random % 40));
        let mut attributes = span.attributes();
        attributes.push("always", Value::String("the same"));
        // The third value comes in the first page and, after pages without it, in the last.
        let mostly = match number {
            5 => "once",
            6 | 9_500 => "early and late",
            _ => "usual",
        };
        attributes.push("mostly", Value::String(mostly));
        attributes.push("unlike", Value::String(&unlike));
        attributes.push("fraction", Value::Double(random as f64 / 7.0));
        attributes.push("int", Value::Int(random as i64));
        if number / 3_000 % 2 == seed % 2 {
            attributes.push("stretch.like", Value::String(&like));
            attributes.push("stretch.unlike", Value::String(&unlike));
            attributes.push("stretch.bool", Value::Bool(random.is_multiple_of(5)));
        }
        if random.is_multiple_of(2) {
            attributes.push("half.like", Value::String(&like));
            attributes.push("half.unlike", Value::String(&unlike));
            attributes.push("half.bool", Value::Bool(random.is_multiple_of(7)));
            attributes.push("half.int", Value::Int(random as i64 % 300));
            attributes.push("half.fraction", Value::Double(random as f64 % 3.0));
        }
        if random.is_multiple_of(90) {
            attributes.push("seldom", Value::String(&like));
            attributes.push("seldom.int", Value::Int(random as i64));
        }
        if random.is_multiple_of(2_000) {
            attributes.push("tail", Value::String(&like));
        }
        span.commit().unwrap();
    }
    builder.finish().unwrap()
}

/// Stretches of rows: a few spans of a trace, or many pages.
fn selection() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let gap = prop_oneof![1_usize..20, 1_usize..6_000];
    let length = prop_oneof![1_usize..20, 1_usize..6_000];
    prop::collection::vec((gap, length), 0..6)
}

fn rows_of(selection: &[(usize, usize)], total: usize) -> Rows {
    if selection.is_empty() {
        return Rows::all(total);
    }
    let mut mask = BooleanBufferBuilder::new(total);
    for (gap, length) in selection {
        mask.append_n((*gap).min(total - mask.len()), false);
        mask.append_n((*length).min(total - mask.len()), true);
    }
    mask.append_n(total - mask.len(), false);
    Rows::of_mask(mask.finish())
}

/// What a column has, whatever it is kept as.
fn describe(column: &ArrayRef) -> Vec<String> {
    let column = match column.data_type() {
        DataType::Dictionary(_, _) => {
            let array = column.as_dictionary::<Int32Type>();
            let values = describe(array.values());
            let keys = array.keys().iter();
            let rows =
                keys.map(|key| key.map_or("null".to_owned(), |key| values[key as usize].clone()));
            return rows.collect();
        }
        _ => column,
    };
    (0..column.len())
        .map(|row| match column.is_null(row) {
            true => "null".to_owned(),
            false => format!("{:?}", column.slice(row, 1)),
        })
        .collect()
}

fn all_of(batches: Batches) -> Vec<RecordBatch> {
    batches.map(Result::unwrap).collect()
}

/// Lists without elements need not come.
fn assert_same(own: &[RecordBatch], theirs: &[RecordBatch]) {
    assert_eq!(own.len(), theirs.len());
    for (own, theirs) in own.iter().zip(theirs) {
        assert_eq!(own.num_rows(), theirs.num_rows());
        let mut left = own.columns().iter();
        for (field, column) in theirs.schema().fields().iter().zip(theirs.columns()) {
            let Ok(same) = own.schema().field_with_name(field.name()).cloned() else {
                assert_eq!(column.as_list::<i32>().values().len(), 0, "{field}");
                continue;
            };
            assert_eq!(&same, field.as_ref());
            let own = left.next().unwrap();
            match own.data_type().is_nested() {
                true => assert_eq!(own, column),
                false => assert_eq!(describe(own), describe(column)),
            }
        }
        assert!(left.next().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn columns_are_what_the_crate_reads(
        file in 0_usize..FILES.len(),
        selection in selection(),
        picked in prop::collection::btree_set(0_usize..60, 0..8),
        batch_spans in prop_oneof![1_usize..30, 1_000_usize..20_000],
    ) {
        let both = &FILES[file];
        let (own, theirs) = (both.own(), both.theirs());
        prop_assert!(own.is_own() && !theirs.is_own());
        let total = own.spans();
        let rows = rows_of(&selection, total);
        // Batches of a span each are for a few spans.
        let batch_spans = if rows.count() > 500 { batch_spans.max(300) } else { batch_spans };
        let roots: Vec<usize> = picked.into_iter().filter(|root| *root < own.footer.roots().len()).collect();
        let read = |group: &GroupReader<'_>| all_of(group.rows(&roots, &rows, batch_spans).unwrap());
        assert_same(&read(&own), &read(&theirs));
        for &root in &roots {
            let tested = |group: &GroupReader<'_>| all_of(group.tested(root, &rows).unwrap());
            assert_same(&tested(&own), &tested(&theirs));
        }
    }
}

#[test]
fn columns_of_few_rows_are_what_the_crate_reads() {
    // All of them: those without a value are read, too, when they are tested.
    for both in FILES.iter() {
        let (own, theirs) = (both.own(), both.theirs());
        let rows = Rows::all(own.spans());
        for root in 0..own.footer.roots().len() {
            let tested = |group: &GroupReader<'_>| all_of(group.tested(root, &rows).unwrap());
            assert_same(&tested(&own), &tested(&theirs));
        }
    }
}

/// The rows of some traces, as a request for them finds them.
fn rows_of_traces(group: &GroupReader<'_>, ids: impl IntoIterator<Item = TraceId>) -> Rows {
    let request = ScanRequest {
        trace_ids: Some(Arc::new(ids.into_iter().collect())),
        ..ScanRequest::default()
    };
    let condition = Condition::of(&request, group.footer).unwrap();
    let all = Rows::all(group.spans());
    let (rows, _) = select::select(group, &condition, &all).unwrap();
    rows
}

#[test]
fn traces_are_found_where_their_rows_are() {
    for both in FILES.iter() {
        let (_, root) = both.own.0.leaf("trace_id").unwrap();
        let (own, theirs) = (both.own(), both.theirs());
        let column = all_of(
            theirs
                .rows(&[root], &Rows::all(own.spans()), SPANS as usize * 2)
                .unwrap(),
        );
        let ids = column[0].column(0).as_binary::<i32>();
        let id_of = |row: usize| TraceId(ids.value(row).try_into().unwrap());
        let edges = (0..ids.len()).filter(|row| matches!(row % 4_096, 0 | 1 | 4_094 | 4_095));
        let sought: BTreeSet<TraceId> = edges
            .chain((0..ids.len()).step_by(171))
            .map(id_of)
            .collect();
        let expected = |sought: &BTreeSet<TraceId>| {
            let rows = 0..ids.len();
            Rows::of_mask(rows.map(|row| sought.contains(&id_of(row))).collect()).ranges()
        };
        for id in sought.iter().step_by(3) {
            assert_eq!(
                rows_of_traces(&own, [*id]).ranges(),
                expected(&[*id].into())
            );
        }
        let few: BTreeSet<TraceId> = sought.iter().copied().step_by(5).collect();
        for sought in [few, sought] {
            let found = rows_of_traces(&own, sought.iter().copied()).ranges();
            assert_eq!(found, expected(&sought));
            assert_eq!(found, rows_of_traces(&theirs, sought).ranges());
        }
        assert!(rows_of_traces(&own, [TraceId([9; 16])]).is_empty());
    }
}

#[test]
fn traces_are_found_by_what_is_said_of_them_be_it_right_or_wrong() {
    let both = &FILES[1];
    let (leaf, root) = both.own.0.leaf("trace_id").unwrap();
    let mut own = both.own();
    assert!(own.stored(leaf).unwrap().is_some());
    let all = Rows::all(own.spans());
    let column = all_of(both.theirs().rows(&[root], &all, all.count()).unwrap());
    let ids = column[0].column(0).as_binary::<i32>();
    let mut distinct: Vec<TraceId> = Vec::new();
    for id in ids.iter().flatten() {
        let id = TraceId(id.try_into().unwrap());
        if distinct.last() != Some(&id) {
            distinct.push(id);
        }
    }
    for (wanted, said) in [
        (0, 0),
        (700, 700),
        (1_300, 1_300),
        (700, 701),
        (700, 1_000_000),
    ] {
        let id = distinct[wanted];
        own.traces_at = vec![said];
        let known = own.rows_of_traces(root, leaf, &[id].into()).unwrap();
        assert_eq!(known.is_some(), wanted == said as usize, "{said}");
        let rows = (0..ids.len()).filter(|row| ids.value(*row) == id.0);
        let found = rows_of_traces(&own, [id]).ranges();
        assert_eq!(
            found.into_iter().flatten().collect::<Vec<_>>(),
            rows.collect::<Vec<_>>()
        );
    }
}

#[test]
fn codes_are_found_where_they_are() {
    let both = &FILES[0];
    let own = both.own();
    let choices = [
        Rows::all(own.spans()),
        rows_of(&[(90, 4_100), (3_000, 5)], own.spans()),
    ];
    for name in [
        "name",
        "trace_id",
        "span_always",
        "span_mostly",
        "span_stretch_like",
        "span_half_like",
    ] {
        let (leaf, root) = own.footer.leaf(name).unwrap();
        let distinct = own.distinct(leaf).unwrap().unwrap().len();
        for rows in &choices {
            let codes = own.codes(root, leaf, rows).unwrap().unwrap();
            for code in (0..distinct).step_by(1 + distinct / 7) {
                let has = codes.iter().map(|it| it == Some(code as i32));
                let expected = rows.narrowed(&has.collect()).ranges();
                let found = own.rows_of_code(root, leaf, code, rows).unwrap();
                assert_eq!(found.unwrap().ranges(), expected, "{code} of {name}");
            }
        }
    }
}

#[test]
fn every_kind_of_column_is_there() {
    let (footer, _) = &FILES[0].own;
    let names: Vec<&str> = footer
        .roots()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in [
        "attributes",
        "span_stretch_unlike",
        "span_half_bool",
        "span_half_fraction",
    ] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
}

#[test]
fn rows_come_as_stretches() {
    let rows = Rows::of_mask(BooleanBuffer::from(&[true, true, false, true][..]));
    let ranges: [Range<usize>; 2] = [0..2, 3..4];
    assert_eq!(rows.ranges(), ranges);
    assert_eq!(Rows::all(4).ranges().len(), 1);
    assert_eq!(Rows::none(4).ranges().len(), 0);
}

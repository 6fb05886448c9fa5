//! Spans survive the table: written to rows, to a file, and read back.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::StreamExt as _;
use proptest::prelude::*;
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, SpanKind, TraceId};

use super::decode::decode;
use super::encode::{Source, TableRows};
use super::read::{self, FileReader};
use super::write;
use crate::budget::Budget;
use crate::disk::{Disk, LocalDisk};
use crate::hot::{HotBatch, Parts, Summary};
use crate::sample;
use crate::scan::{ScanColumns, ScanRequest};

fn hot(sequence: u64, spans: SpanBatch) -> Arc<HotBatch> {
    let summary = Summary::of(&spans);
    Arc::new(HotBatch {
        parts: Parts::one(sequence, spans.num_spans()),
        spans,
        summary,
        _memory: Arc::new(Budget::new(0)).reserve_anyway(0),
    })
}

/// Writes the batches to a file and reads them back, in the file's order.
async fn round_trip(batches: &[Arc<HotBatch>], columns: ScanColumns) -> SpanBatch {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let written = write::write(disk.as_ref(), directory.path(), "a.parquet", batches).unwrap();
    let request = ScanRequest {
        columns,
        ..ScanRequest::default()
    };
    let stream = read::stream(
        FileReader::local(&disk),
        Arc::new(written.file),
        Arc::new(request),
    );
    let back: Vec<SpanBatch> = stream.map(Result::unwrap).collect().await;
    SpanBatch::concat(&back).unwrap()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn spans_survive_a_data_file(seed in any::<u32>(), spans in 1_usize..60) {
        let batches = [
            hot(1, sample::batch(u64::from(seed), spans)),
            hot(2, sample::batch(u64::from(seed) + 1, spans)),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let back = runtime.block_on(round_trip(&batches, ScanColumns::ALL));
        let sent = batches.iter().flat_map(|batch| sample::describe(&batch.spans));
        prop_assert_eq!(sorted(sample::describe(&back)), sorted(sent.collect()));
    }
}

#[tokio::test]
async fn columns_that_are_not_read_are_empty() {
    let batch = sample::batch(5, 50);
    let back = round_trip(&[hot(1, batch.clone())], ScanColumns::BASE).await;
    assert_eq!(back.num_spans(), 50);
    let services = |batch: &SpanBatch| {
        let columns = batch.columns();
        let services = (0..batch.num_spans()).map(|row| {
            let service = columns.service_name(row);
            format!("{} {service:?}", columns.span_id(row))
        });
        sorted(services.collect())
    };
    assert_eq!(services(&back), services(&batch));
    let span = back.span(0);
    assert_eq!(
        span.attributes().count() + span.events().count() + span.links().count(),
        0
    );
    assert_eq!(span.scope().name(), "");
}

#[tokio::test]
async fn of_a_repeated_span_the_latest_stays() {
    let first = sample::batch(1, 20);
    let again = first.clone();
    let directory = tempfile::tempdir().unwrap();
    let batches = [hot(1, first), hot(2, again)];
    let written = write::write(&LocalDisk, directory.path(), "a.parquet", &batches).unwrap();
    assert_eq!((written.file.spans, written.repeats), (20, 20));
}

#[test]
fn a_client_and_a_server_that_share_an_id_are_two_spans() {
    let mut builder = SpanBatchBuilder::new(1);
    let resource = builder.begin_resource().commit();
    let scope = builder.begin_scope().commit();
    for kind in [SpanKind::Client, SpanKind::Server, SpanKind::Server] {
        let mut span = builder.begin_span(resource, scope);
        span.set_trace_id(TraceId([1; 16]));
        span.set_span_id(SpanId([1; 8]));
        span.set_kind(kind);
        span.commit().unwrap();
    }
    let batches = [hot(1, builder.finish().unwrap())];
    let directory = tempfile::tempdir().unwrap();
    let written = write::write(&LocalDisk, directory.path(), "a.parquet", &batches).unwrap();
    assert_eq!((written.file.spans, written.repeats), (2, 1));
}

#[test]
fn rows_that_are_no_spans_are_refused() {
    let batch = sample::batch(1, 5);
    let source = Source::of(&batch);
    let mut rows = TableRows::default();
    rows.push(&source, 0);
    let rows: RecordBatch = rows.finish().unwrap();
    // Plain texts where the reader asks for dictionaries.
    assert!(decode(&rows).is_err());
}

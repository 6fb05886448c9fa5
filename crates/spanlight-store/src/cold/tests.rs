//! Spans survive the table: written to rows, to a file, and read back.

mod appending;
mod columns;
mod damage;
mod filters;
mod times;

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use proptest::prelude::*;
use spanlight_model::{SpanBatch, SpanBatchBuilder, SpanId, SpanKind, TraceId};

use super::ColdFile;
use super::read::FileReader;
use super::write::{self, Written};
use crate::disk::{Disk, LocalDisk};
use crate::sample;
use crate::scan::{self, ScanColumns, ScanFigures, ScanRequest};

fn write(disk: &dyn Disk, directory: &Path, batches: &[SpanBatch]) -> Written {
    write::write(disk, directory, "file", batches, &Arc::default()).unwrap()
}

/// Writes the batches to a file and reads them back, in the file's order.
async fn round_trip(batches: &[SpanBatch], columns: ScanColumns) -> SpanBatch {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let written = write(disk.as_ref(), directory.path(), batches);
    let request = ScanRequest {
        columns,
        ..ScanRequest::default()
    };
    read(&FileReader::local(&disk), written.file, &request)
        .await
        .0
}

/// What a file has of a request, in the file's order, and what it took.
async fn read(
    reader: &FileReader,
    file: ColdFile,
    request: &ScanRequest,
) -> (SpanBatch, ScanFigures) {
    let report = Arc::default();
    let (file, request) = (Arc::new(file), Arc::new(request.clone()));
    let files = std::iter::once(&file);
    let mut back = Vec::new();
    for partition in scan::of_files(reader, files, &request, &report).await {
        let batches: Vec<_> = partition.stream().map(Result::unwrap).collect().await;
        back.extend(batches);
    }
    (SpanBatch::concat(&back).unwrap(), report.figures())
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn spans_survive_a_data_file(seed in any::<u32>(), spans in 1_usize..200) {
        let batches = [
            sample::batch(u64::from(seed), spans),
            sample::batch(u64::from(seed) + 1, spans),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let back = runtime.block_on(round_trip(&batches, ScanColumns::ALL));
        let sent = batches.iter().flat_map(sample::describe);
        prop_assert_eq!(sorted(sample::describe(&back)), sorted(sent.collect()));
    }
}

#[tokio::test]
async fn columns_that_are_not_read_are_empty() {
    let batch = sample::batch(5, 50);
    let back = round_trip(std::slice::from_ref(&batch), ScanColumns::BASE).await;
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
    let batches = [first, again];
    let written = write(&LocalDisk, directory.path(), &batches);
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
    let batches = [builder.finish().unwrap()];
    let directory = tempfile::tempdir().unwrap();
    let written = write(&LocalDisk, directory.path(), &batches);
    assert_eq!((written.file.spans, written.repeats), (2, 1));
}

//! A directory of an older version opens, is read as it is, and goes on.

use std::path::Path;

use futures::StreamExt as _;
use spanlight_model::{SpanBatch, Value};
use spanlight_store::{ScanRequest, Store, StoreOptions};

use crate::support::batch;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the directory that version 1 of the table's columns left behind.
fn version_1(directory: &Path) -> StoreOptions {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/version-1");
    copy(&fixture, directory);
    StoreOptions::new(directory)
}

/// All spans, by span id.
async fn all(store: &Store) -> Vec<(SpanBatch, usize)> {
    let mut spans = Vec::new();
    for partition in store
        .snapshot()
        .scan(&ScanRequest::default())
        .await
        .partitions
    {
        let mut stream = partition.stream();
        while let Some(batch) = stream.next().await {
            let batch = batch.unwrap();
            spans.extend((0..batch.num_spans()).map(|row| (batch.clone(), row)));
        }
    }
    spans.sort_by_key(|(batch, row)| batch.span(*row).span_id());
    spans
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_the_first_version_are_read_as_they_were_sent() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(version_1(directory.path())).await.unwrap();
    let spans = all(&store).await;
    assert_eq!(spans.len(), 24);
    let (batch, row) = &spans[7];
    let span = batch.span(*row);
    let start = 1_700_000_000_000_000_000 + 7 * 1_000_003;
    assert_eq!(
        (span.start_time_unix_nano(), span.end_time_unix_nano()),
        (start, start - 5)
    );
    let attributes: Vec<(&str, Value<'_>)> = span.attributes().collect();
    assert_eq!(attributes[0], ("http.route", Value::String("/cart")));
    assert_eq!(attributes[1], ("user.id", Value::String("user-7")));
    assert_eq!(attributes[2], ("order.total", Value::Double(10.5)));
    assert_eq!(attributes[6], ("raw", Value::Bytes("AP8H")));
    assert_eq!(attributes[7], ("http.route", Value::String("again")));
    assert_eq!(span.resource().schema_url(), "https://example.org/s");
    let (batch, row) = &spans[3];
    let span = batch.span(*row);
    assert_eq!(span.status_message(), "broken");
    assert_eq!(span.events().count(), 1);
    let (batch, row) = &spans[5];
    assert_eq!(batch.span(*row).links().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_the_first_version_takes_new_files() {
    let directory = tempfile::tempdir().unwrap();
    let options = version_1(directory.path());
    for round in 0..2_u64 {
        let store = Store::open(options.clone()).await.unwrap();
        assert_eq!(all(&store).await.len(), 24 + 30 * round as usize);
        store
            .append(batch(1_000 + 30 * round..1_030 + 30 * round))
            .await
            .unwrap();
        store.flush().await.unwrap();
        assert_eq!(all(&store).await.len(), 54 + 30 * round as usize);
        store.close().await;
    }
}

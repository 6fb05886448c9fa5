//! Deleting traces: gone from every level and from the disk, and nothing else is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use spanlight_store::{ScanRequest, Store, StoreOptions, VerifyOptions, verify};

use crate::support::{batch, numbers, trace_id};

/// The spans of these tests were received in 1970; they shall stay where they are.
fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    options.hot_window = Duration::MAX;
    options
}

fn data_files(directory: &Path) -> BTreeSet<String> {
    let names = ["cold", "recent"].into_iter().flat_map(|folder| {
        let entries = fs::read_dir(directory.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
    });
    names.filter(|name| name.ends_with(".parquet")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_gone_from_every_level_and_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options(directory.path())).await.unwrap();
    // Spans 3 n to 3 n + 2 are trace n.
    store.append(batch(0..30)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch(30..33)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch(33..60)).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch(60..90)).await.unwrap();
    let before = data_files(directory.path());

    let traces: BTreeSet<_> = [2, 10, 15, 25, 999].map(trace_id).into();
    let deletion = store.delete(traces.clone()).await.unwrap();
    assert_eq!(deletion.spans, 12);
    // Trace 10 had a file of its own.
    assert_eq!((deletion.files_rewritten, deletion.files_removed), (3, 1));
    assert_eq!(deletion.files_unreadable, 0);
    let left: Vec<u64> = (0..90)
        .filter(|n| ![2, 10, 15, 25].contains(&(n / 3)))
        .collect();
    assert_eq!(numbers(&store).await, left);
    assert!(before.is_disjoint(&data_files(directory.path())));
    assert_eq!(data_files(directory.path()).len(), 3);
    assert_eq!(
        store.statistics().log.segments,
        0,
        "the log has nothing either"
    );

    let again = store.delete(traces).await.unwrap();
    assert_eq!(again, spanlight_store::Deletion::default());
    store.close().await;
    let check = VerifyOptions::new(directory.path());
    let report = verify(&check, &Arc::default()).await.unwrap();
    assert_eq!(report.problems, []);
    let store = Store::open(options(directory.path())).await.unwrap();
    assert_eq!(numbers(&store).await, left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_under_way_sees_what_it_began_with() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(options(directory.path())).await.unwrap();
    store.append(batch(0..30)).await.unwrap();
    store.flush().await.unwrap();
    let before = data_files(directory.path());
    let snapshot = store.snapshot();
    store.delete([trace_id(4)].into()).await.unwrap();
    assert!(
        before.is_subset(&data_files(directory.path())),
        "it is still read"
    );
    let mut spans = 0;
    for partition in snapshot.scan(&ScanRequest::default()).await.partitions {
        let mut stream = partition.stream();
        while let Some(batch) = stream.next().await {
            spans += batch.unwrap().num_spans();
        }
    }
    assert_eq!(spans, 30);
    drop(snapshot);
    store.maintain().await;
    assert!(before.is_disjoint(&data_files(directory.path())));
    assert_eq!(numbers(&store).await.len(), 27);
}

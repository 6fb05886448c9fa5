//! A table on an object store: it is read back, it may be away for a while, and it has one committer.

mod looking;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use spanlight_store::{ColdLocation, ReadError, ScanRequest, Store, StoreOptions};

use crate::support::objects::Objects;
use crate::support::{batch, numbers};

fn options(directory: &Path, objects: &Arc<Objects>) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    options.cold = objects.location();
    // The spans of these tests were received long ago, and the tests say when what is done.
    options.hot_window = Duration::from_secs(1 << 32);
    options.maintenance_interval = Duration::from_secs(3600);
    options.lease_term = Duration::from_millis(800);
    options
}

/// Does what is due until it shows, or the patience ends.
async fn until(store: &Store, what: impl AsyncFn(&Store) -> bool) {
    for _ in 0..200 {
        store.maintain().await;
        if what(store).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not happen: {:?}", store.health());
}

/// What reading everything fails with.
async fn failures(store: &Store) -> Vec<ReadError> {
    let mut failures = Vec::new();
    for partition in store
        .snapshot()
        .scan(&ScanRequest::default())
        .await
        .partitions
    {
        let mut stream = partition.stream();
        while let Some(batch) = stream.next().await {
            failures.extend(batch.err());
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_spans_are_in_the_object_store() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let options = options(directory.path(), &objects);
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..300)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch(300..310)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..310));
    let files = objects.data_files().await;
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].starts_with("some/prefix/spans-"), "{files:?}");
    assert!(!directory.path().join("cold").exists());
    store.close().await;

    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..310));
    assert_eq!(store.statistics().cold.spans, 300);
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..310));
    assert_eq!(objects.data_files().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_once_is_read_from_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let options = options(directory.path(), &objects);
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..300)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await.len(), 300);
    store.close().await;

    let store = Store::open(options).await.unwrap();
    let before = objects.gets();
    objects.set_down(true);
    assert_eq!(numbers(&store).await.len(), 300);
    assert_eq!(objects.gets(), before);
    let cache = store.statistics().cache;
    assert!(cache.hits > 0 && cache.bytes > 0, "{cache:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_taken_while_the_store_is_away_and_follow_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let store = Store::open(options(directory.path(), &objects))
        .await
        .unwrap();
    store.append(batch(0..30)).await.unwrap();
    objects.set_down(true);
    let error = store.flush().await.unwrap_err().to_string();
    assert!(error.contains("the cable is out"), "{error}");
    store.append(batch(30..60)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..60));
    let outage = store.health().cold_outage.unwrap();
    assert!(
        outage.contains("memory://spans") && outage.contains("the cable is out"),
        "{outage}"
    );
    assert!(store.health().is_writable());

    objects.set_down(false);
    until(&store, async |store| store.flush().await.is_ok()).await;
    assert_eq!(numbers(&store).await, Vec::from_iter(0..60));
    assert_eq!(store.statistics().cold.spans, 60);
    assert_eq!(store.health().cold_outage, None);
    assert_eq!(store.health().flush_failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_at_the_start_is_found_later() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let options = options(directory.path(), &objects);
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..30)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch(30..40)).await.unwrap();
    store.close().await;

    objects.set_down(true);
    let store = Store::open(options).await.unwrap();
    store.append(batch(40..50)).await.unwrap();
    let failures = failures(&store).await;
    assert_eq!(failures.len(), 1, "{failures:?}");
    let failure = failures[0].to_string();
    assert!(
        failure.contains("the cold table") && failure.contains("the cable is out"),
        "{failure}"
    );
    assert_eq!(
        objects.data_files().await.len(),
        1,
        "nothing is litter that is not known"
    );

    objects.set_down(false);
    until(&store, async |store| store.statistics().cold.spans == 30).await;
    assert_eq!(numbers(&store).await, Vec::from_iter(0..50));
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let store = Store::open(options(directory.path(), &objects))
        .await
        .unwrap();
    store.append(batch(0..30)).await.unwrap();
    objects.lose_next_answer();
    store.flush().await.ok();
    until(&store, async |store| store.flush().await.is_ok()).await;
    assert_eq!(numbers(&store).await, Vec::from_iter(0..30));
    assert_eq!(store.statistics().cold.spans, 30);
    assert_eq!(objects.data_files().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_told_who_has_the_table() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects = Arc::<Objects>::default();
    let first = Store::open(options(one.path(), &objects)).await.unwrap();
    first.append(batch(0..3)).await.unwrap();
    first.flush().await.unwrap();
    let error = Store::open(options(two.path(), &objects))
        .await
        .unwrap_err();
    let error = error.to_string();
    let holder = format!(
        "process {}, data directory {}",
        std::process::id(),
        one.path().display()
    );
    assert!(error.contains(&holder), "{error}");
    assert!(error.contains("memory://spans"), "{error}");

    first.close().await;
    let second = Store::open(options(two.path(), &objects)).await.unwrap();
    second.append(batch(3..6)).await.unwrap();
    second.flush().await.unwrap();
    assert_eq!(numbers(&second).await, Vec::from_iter(0..6));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_table_commits_no_more() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects = Arc::<Objects>::default();
    let mut paused = options(one.path(), &objects);
    // As if it had slept since: it will not renew its claim in time.
    paused.lease_term = Duration::from_secs(3600);
    let first = Store::open(paused).await.unwrap();
    first.append(batch(0..3)).await.unwrap();
    first.flush().await.unwrap();
    first.append(batch(10..13)).await.unwrap();

    let second = Store::open(options(two.path(), &objects)).await.unwrap();
    second.append(batch(3..6)).await.unwrap();
    second.flush().await.unwrap();
    for _ in 0..2 {
        let error = first.flush().await.unwrap_err().to_string();
        assert!(error.contains("another"), "{error}");
    }
    assert_eq!(numbers(&second).await, Vec::from_iter(0..6));
    second.append(batch(6..9)).await.unwrap();
    second.flush().await.unwrap();
    second.close().await;

    // The table is free again: nothing that was acknowledged is lost.
    until(&first, async |store| store.flush().await.is_ok()).await;
    assert_eq!(numbers(&first).await, Vec::from_iter((0..9).chain(10..13)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_another_directory_is_locked_there() {
    let (one, two, table) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let url = format!("file://{}/spans", table.path().display());
    let in_table = |directory: &Path| {
        let mut options = StoreOptions::new(directory);
        options.cold = ColdLocation::from_url(&url, &Default::default()).unwrap();
        options
    };
    let first = Store::open(in_table(one.path())).await.unwrap();
    first.append(batch(0..3)).await.unwrap();
    first.flush().await.unwrap();
    assert!(table.path().join("spans/_delta_log").exists());
    assert!(!one.path().join("cold").exists());
    let error = Store::open(in_table(two.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("belongs to a running Spanlight"), "{error}");
    first.close().await;
    let second = Store::open(in_table(two.path())).await.unwrap();
    assert_eq!(numbers(&second).await, [0, 1, 2]);
    second.close().await;

    let error = Store::open(StoreOptions::new(one.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&url) && error.contains("storage.cold_url is not set"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_table_is_not_left_behind_in_silence() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap();
    store.close().await;
    let objects = Arc::<Objects>::default();
    let error = Store::open(options(directory.path(), &objects))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("storage.cold_url names another place"),
        "{error}"
    );
}

#[test]
fn a_url_that_is_no_place_is_refused() {
    let error = |url: &str, options: &[(&str, &str)]| {
        let options = options
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let location = ColdLocation::from_url(url, &options.collect());
        location.unwrap_err().to_string()
    };
    assert!(error("bucket/prefix", &[]).contains("expected s3://bucket/prefix"));
    assert!(error("ftp://host/spans", &[]).contains("expected s3://bucket/prefix"));
    let message = error("s3://bucket/spans", &[("endpoind_url", "http://127.0.0.1")]);
    assert_eq!(
        message,
        r#"s3://bucket/spans: no option is called "endpoind_url""#
    );
}

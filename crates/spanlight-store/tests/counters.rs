//! What is counted of services stays right while spans move, and over a restart.

use std::time::Duration;

use spanlight_store::{Store, StoreOptions};

use crate::support::batch;

fn spans(store: &Store) -> u64 {
    let counters = store.service_counters();
    counters
        .operations
        .iter()
        .map(|(_, counts)| counts.spans)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_is_counted_once_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..10)).await.unwrap();
    assert_eq!(spans(&store), 10);
    store.seal().await.unwrap();
    assert_eq!(spans(&store), 10);
    store.append(batch(10..15)).await.unwrap();
    assert_eq!(spans(&store), 15);
    store.flush().await.unwrap();
    assert_eq!(spans(&store), 15);
    store.append(batch(15..16)).await.unwrap();
    store.close().await;

    let store = Store::open(options).await.unwrap();
    assert_eq!(spans(&store), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_after_the_last_checkpoint_are_counted_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    // The spans are from 1970, and shall not reach the table meanwhile.
    options.hot_window = Duration::MAX;
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..10)).await.unwrap();
    store.seal().await.unwrap();
    let checkpoint = directory.path().join("counters.json");
    let early = std::fs::read(&checkpoint).unwrap();
    store.append(batch(10..30)).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch(30..31)).await.unwrap();
    store.close().await;
    // As if the process had died before it wrote a later one.
    std::fs::write(&checkpoint, early).unwrap();

    let store = Store::open(options).await.unwrap();
    // The task that counts again is the one that seals.
    store.seal().await.unwrap();
    assert_eq!(spans(&store), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_costs_the_counters_and_no_span() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..10)).await.unwrap();
    store.seal().await.unwrap();
    store.close().await;
    std::fs::write(directory.path().join("counters.json"), "{").unwrap();

    let store = Store::open(options).await.unwrap();
    store.append(batch(10..12)).await.unwrap();
    assert_eq!(spans(&store), 2);
    assert_eq!(crate::support::numbers(&store).await.len(), 12);
}

//! Disks that are full or broken: spans are refused, never lost; and everything heals by itself.

use std::sync::Arc;
use std::time::Duration;

use spanlight_store::{AppendError, Clock, FlushError, OpenError, Store, StoreOptions};

use crate::support::clock::HandClock;
use crate::support::disk::{ForgetfulDisk, Operation};
use crate::support::{batch, numbers};

fn options(disk: &ForgetfulDisk) -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    options.disk = Arc::new(disk.clone());
    options.maintenance_interval = Duration::from_secs(3_600);
    options.probe_interval = Duration::from_millis(5);
    // The spans of these tests are from 1970.
    options.hot_window = Duration::MAX;
    options
}

async fn restarted(disk: &ForgetfulDisk, store: Store) -> Store {
    store.close().await;
    disk.restart(0);
    Store::open(options(disk)).await.unwrap()
}

/// Appends until it succeeds, as a client does that heeds `retry_after`.
async fn append_at_last(store: &Store, number: u64) {
    for _ in 0..1_000 {
        match store.append(batch([number])).await {
            Ok(()) => return,
            Err(error) => assert!(error.retry_after().is_some(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the log never healed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_is_not_opened() {
    let disk = ForgetfulDisk::default();
    disk.set_capacity(Some(10));
    let error = Store::open(options(&disk)).await.unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    assert!(
        error.to_string().contains("/data/spanlight.json"),
        "{error}"
    );
    disk.set_capacity(None);
    Store::open(options(&disk)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_spans_and_heals() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch([0])).await.unwrap();
    disk.set_capacity(Some(disk.used() + 100));
    let error = store.append(batch([1])).await.unwrap_err();
    assert!(matches!(error, AppendError::Unwritable { .. }), "{error}");
    let error = store.append(batch([2])).await.unwrap_err();
    assert!(matches!(error, AppendError::Unwritable { .. }), "{error}");
    let reason = store.health().unwritable.unwrap();
    assert!(reason.contains("no storage space"), "{reason}");
    assert_eq!(numbers(&store).await, [0]);

    disk.set_capacity(None);
    append_at_last(&store, 3).await;
    assert!(store.health().is_writable());
    assert_eq!(numbers(&store).await, [0, 3]);
    let store = restarted(&disk, store).await;
    assert_eq!(numbers(&store).await, [0, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_fails_its_appends_and_heals() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch([0])).await.unwrap();
    disk.fail_next(Operation::Sync, "/data/log/");
    let error = store.append(batch([1])).await.unwrap_err();
    assert!(matches!(error, AppendError::Unwritable { .. }), "{error}");
    append_at_last(&store, 2).await;
    assert_eq!(numbers(&store).await, [0, 2]);
    assert_eq!(store.statistics().log.failures, 1);
    // A new file was begun: after a failed sync nobody knows what the old one holds.
    assert_eq!(disk.files("/data/log/").len(), 2);
    let store = restarted(&disk, store).await;
    assert_eq!(numbers(&store).await, [0, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_spans_that_the_disk_lost_are_written_again() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch([0])).await.unwrap();
    store.append(batch([1])).await.unwrap();
    disk.fail_and_damage("/data/log/");
    store.append(batch([2])).await.unwrap_err();
    append_at_last(&store, 3).await;
    let store = restarted(&disk, store).await;
    assert_eq!(numbers(&store).await, [0, 1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_is_looked_up() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch(0..5)).await.unwrap();
    // The commit's file is there, its name perhaps not for ever.
    disk.fail_next(Operation::SyncDirectory, "_delta_log");
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..5));
    assert_eq!(store.statistics().hot.spans, 0);

    // And when even looking fails, the spans stay hot until it is known.
    store.append(batch(5..9)).await.unwrap();
    disk.fail_next(Operation::SyncDirectory, "_delta_log");
    disk.fail_next(Operation::SyncDirectory, "_delta_log");
    let error = store.flush().await.unwrap_err();
    assert!(matches!(error, FlushError::Commit(_)), "{error}");
    assert!(store.health().flush_failure.is_some());
    assert_eq!(numbers(&store).await, Vec::from_iter(0..9));
    store.append(batch(9..12)).await.unwrap();
    store.flush().await.unwrap();
    assert!(store.health().flush_failure.is_none());
    assert_eq!(numbers(&store).await, Vec::from_iter(0..12));
    let store = restarted(&disk, store).await;
    assert_eq!(numbers(&store).await, Vec::from_iter(0..12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_file_that_cannot_be_written_leaves_the_spans_hot() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch(0..5)).await.unwrap();
    for operation in [Operation::Write, Operation::Sync] {
        disk.fail_next(operation, "/data/recent/");
        let error = store.flush().await.unwrap_err();
        assert!(matches!(error, FlushError::Write(_)), "{error}");
        assert_eq!(numbers(&store).await, Vec::from_iter(0..5));
        assert!(disk.files("/data/recent/").is_empty());
    }
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..5));
}

#[tokio::test(flavor = "multi_thread")]
async fn full_memory_refuses_spans_until_a_flush() {
    let disk = ForgetfulDisk::default();
    let mut options = options(&disk);
    options.hot_bytes = 64 << 10;
    // The background flush fails, as on a full disk.
    let store = Store::open(options).await.unwrap();
    for _ in 0..100 {
        disk.fail_next(Operation::Write, "/data/recent/");
    }
    let mut accepted = 0;
    let error = loop {
        match store.append(batch([accepted])).await {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppendError::Overloaded { .. }), "{error}");
    assert!(error.to_string().contains("limits.hot_bytes"), "{error}");
    assert!(error.retry_after().is_some());
    let error = store.append(batch(0..10_000)).await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error}");
    assert_eq!(error.retry_after(), None);
    assert_eq!(numbers(&store).await, Vec::from_iter(0..accepted));

    while store.flush().await.is_err() {}
    store.append(batch([accepted])).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..=accepted));
}

#[tokio::test(flavor = "multi_thread")]
async fn small_batches_are_merged_in_memory_and_stay_the_same_spans() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    for number in 0..200 {
        store.append(batch([number])).await.unwrap();
    }
    store.append(batch(200..800)).await.unwrap();
    let before = store.statistics().hot;
    let view = store.snapshot();
    store.maintain().await;
    let after = store.statistics().hot;
    assert_eq!((before.spans, after.spans), (800, 800));
    assert_eq!((before.batches, after.batches), (201, 2));
    assert!(
        after.bytes < before.bytes / 3,
        "{} of {}",
        after.bytes,
        before.bytes
    );
    assert_eq!(view.span_count_upper_bound(), 800);
    assert_eq!(numbers(&store).await, Vec::from_iter(0..800));

    // The disk loses some of the records that were merged: they are written again, each under its own number.
    disk.fail_and_damage("/data/log/");
    store.append(batch([800])).await.unwrap_err();
    append_at_last(&store, 801).await;
    let store = restarted(&disk, store).await;
    let expected = (0..800).chain([801]);
    assert_eq!(numbers(&store).await, Vec::from_iter(expected.clone()));
    store.maintain().await;
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_with_little_memory_lose_nothing() {
    let disk = ForgetfulDisk::default();
    let mut options = options(&disk);
    options.hot_bytes = 192 << 10;
    options.segment_bytes = 20_000;
    options.maintenance_interval = Duration::from_millis(1);
    let store = Store::open(options.clone()).await.unwrap();
    let senders = (0..8_u64).map(|sender| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..60 {
                let first = (sender * 60 + round) * 10;
                let spans = batch(first..first + 1 + round % 10);
                while let Err(error) = store.append(spans.clone()).await {
                    assert!(matches!(error, AppendError::Overloaded { .. }), "{error}");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        // Panics when a span is there twice.
        numbers(&store).await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let sent = (0..480_u64).flat_map(|batch| batch * 10..batch * 10 + 1 + (batch % 60) % 10);
    let sent = Vec::from_iter(sent);
    assert_eq!(numbers(&store).await, sent);
    assert!(store.statistics().seal.files > 1);
    store.close().await;
    disk.restart(0);
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_move_by_age_and_leave_by_age() {
    let disk = ForgetfulDisk::default();
    let clock = Arc::new(HandClock::default());
    let mut options = options(&disk);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    options.hot_window = Duration::from_secs(60);
    options.retention = Some(Duration::from_secs(1_000));
    options.tombstone_grace = Duration::from_secs(100);
    let store = Store::open(options.clone()).await.unwrap();

    // Received at second 9 and 500: see `batch`.
    clock.set_seconds(10);
    store.append(batch(0..10)).await.unwrap();
    store.maintain().await;
    assert_eq!(store.statistics().hot.spans, 10);
    clock.set_seconds(70);
    store.maintain().await;
    assert_eq!(store.statistics().hot.spans, 0);
    clock.set_seconds(600);
    store.append(batch([500])).await.unwrap();
    store.maintain().await;
    assert_eq!(store.statistics().cold.files, 2);

    clock.set_seconds(1_010);
    store.maintain().await;
    assert_eq!(numbers(&store).await, [500]);
    let expired = store.statistics().expired;
    assert_eq!((expired.files, expired.spans_by_age), (1, 10));
    // The file stays for those who still read it, even over a restart.
    assert_eq!(disk.files("/data/cold/spans-").len(), 2);
    store.close().await;
    let store = Store::open(options).await.unwrap();
    assert_eq!(disk.files("/data/cold/spans-").len(), 2);
    clock.set_seconds(1_111);
    store.maintain().await;
    assert_eq!(disk.files("/data/cold/spans-").len(), 1);
    assert_eq!(numbers(&store).await, [500]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_each_span_once_while_flushes_move_it() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch([0])).await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 1..40 {
                store.append(batch([number])).await.unwrap();
                if number % 4 == 0 {
                    store.flush().await.unwrap();
                }
            }
        }
    });
    let mut seen = 0;
    while !writer.is_finished() {
        // Panics when a span is there twice.
        let found = numbers(&store).await;
        assert_eq!(found, Vec::from_iter(0..found.len() as u64));
        assert!(found.len() >= seen);
        seen = found.len();
    }
    writer.await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..40));
}

//! How spans move through the levels: memory, recent files, the table; and how they leave.

use std::sync::Arc;
use std::time::Duration;

use spanlight_store::{
    AppendError, Clock, Decision, FlushError, SamplingPolicy, ScanRequest, Store, StoreOptions,
    TraceSpans,
};

use crate::support::clock::HandClock;
use crate::support::disk::{ForgetfulDisk, Operation};
use crate::support::{batch, batch_of, counts_of, numbers};

fn options(disk: &ForgetfulDisk) -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    options.disk = Arc::new(disk.clone());
    options.maintenance_interval = Duration::from_secs(3_600);
    // The spans of these tests are from 1970.
    options.hot_window = Duration::MAX;
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_spans_leave_memory_and_the_log() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch(0..10)).await.unwrap();
    store.append(batch(10..20)).await.unwrap();
    let before = store.snapshot();
    store.seal().await.unwrap();
    store.append(batch(20..30)).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch(30..33)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..33));
    assert_eq!(before.span_count_upper_bound(), 20);
    let statistics = store.statistics();
    assert_eq!((statistics.hot.spans, statistics.recent.spans), (3, 30));
    assert_eq!((statistics.recent.files, statistics.cold.files), (2, 0));
    assert_eq!(statistics.log.segments, 1);
    store.close().await;
    disk.restart(0);

    let store = Store::open(options(&disk)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..33));
    let statistics = store.statistics();
    assert_eq!((statistics.hot.spans, statistics.recent.spans), (3, 30));
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..33));
    let statistics = store.statistics();
    assert_eq!((statistics.recent.files, statistics.cold.spans), (0, 33));
    store.maintain().await;
    drop(before);
    assert_eq!(
        disk.files("/data/recent/"),
        Vec::<std::path::PathBuf>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn much_memory_becomes_several_files() {
    let disk = ForgetfulDisk::default();
    let mut options = options(&disk);
    options.seal_bytes = 40 << 10;
    let store = Store::open(options).await.unwrap();
    // Batches that wait in memory may be joined, which takes less of it.
    for number in 0..60 {
        store
            .append(batch(number * 10..number * 10 + 10))
            .await
            .unwrap();
    }
    store.maintain().await;
    let statistics = store.statistics();
    assert!(statistics.recent.files >= 2, "{statistics:?}");
    assert!(statistics.hot.bytes < 40 << 10, "{statistics:?}");
    assert_eq!(numbers(&store).await, Vec::from_iter(0..600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_keeps_the_file_that_moves_on_under_it() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    store.append(batch(0..10)).await.unwrap();
    store.seal().await.unwrap();
    let reader = store.snapshot();
    store.flush().await.unwrap();
    store.maintain().await;
    assert_eq!(disk.files("/data/recent/").len(), 1);
    drop(reader);
    store.maintain().await;
    assert_eq!(disk.files("/data/recent/").len(), 0);
    assert_eq!(numbers(&store).await, Vec::from_iter(0..10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_takes_nothing_fills_the_recent_level_then_memory() {
    let disk = ForgetfulDisk::default();
    let mut options = options(&disk);
    options.hot_bytes = 128 << 10;
    options.recent_bytes = 1;
    options.maintenance_interval = Duration::from_millis(1);
    options.probe_interval = Duration::from_millis(1);
    let store = Store::open(options.clone()).await.unwrap();
    for _ in 0..100_000 {
        disk.fail_next(Operation::Other, "/data/cold/");
    }
    let mut accepted = 0;
    let error = loop {
        match store.append(batch([accepted])).await {
            Ok(()) => accepted += 1,
            Err(error) if error.to_string().contains("storage.recent_max") => break error,
            // The first file is still being written.
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    assert!(matches!(error, AppendError::Overloaded { .. }), "{error}");
    assert!(store.health().flush_failure.is_some());
    assert_eq!(numbers(&store).await, Vec::from_iter(0..accepted));
    let error = store.flush().await.unwrap_err();
    assert!(matches!(error, FlushError::Write(_)), "{error}");

    // The table is back.
    store.close().await;
    disk.restart(0);
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..accepted));
    while store.append(batch([accepted])).await.is_err() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..=accepted));
    assert_eq!(store.health().flush_failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recent_file_that_rotted_is_kept_aside() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    options.hot_window = Duration::MAX;
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..3)).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch(3..6)).await.unwrap();
    store.seal().await.unwrap();
    store.close().await;
    let files = std::fs::read_dir(directory.path().join("recent")).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    std::fs::write(&files[0], "nothing").unwrap();

    let store = Store::open(options.clone()).await.unwrap();
    assert_eq!(numbers(&store).await, [3, 4, 5]);
    assert_eq!(store.statistics().damage.files, 1);
    let kept = directory.path().join("damaged");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 1);
    // And the number of its records is not given again.
    store.append(batch(6..8)).await.unwrap();
    store.flush().await.unwrap();
    store.close().await;
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, [3, 4, 5, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_the_first_format_is_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..3)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch(3..6)).await.unwrap();
    store.close().await;
    // As the first format left it.
    let format = directory.path().join("spanlight.json");
    let text = std::fs::read_to_string(&format).unwrap();
    assert!(text.contains("\"format\": 2"), "{text}");
    std::fs::write(&format, text.replace("\"format\": 2", "\"format\": 1")).unwrap();
    std::fs::remove_dir_all(directory.path().join("recent")).unwrap();

    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..6));
    assert_eq!(std::fs::read_to_string(&format).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_files_make_room() {
    let disk = ForgetfulDisk::default();
    let clock = Arc::new(HandClock::default());
    let mut options = options(&disk);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    options.tombstone_grace = Duration::from_secs(100);
    let store = Store::open(options.clone()).await.unwrap();
    for number in 0..4 {
        store.append(batch([number * 10])).await.unwrap();
        store.flush().await.unwrap();
    }
    let bytes = store.statistics().cold.bytes;
    store.maintain().await;
    store.close().await;
    clock.set_seconds(1_000);

    // Room for three files.
    options.disk_bytes = Some(bytes - 1);
    let store = Store::open(options).await.unwrap();
    let reader = store.snapshot();
    store.maintain().await;
    assert_eq!(numbers(&store).await, [10, 20, 30]);
    let expired = store.statistics().expired;
    assert_eq!((expired.files, expired.spans_by_disk), (1, 1));
    // Its place is needed, but somebody reads it.
    assert_eq!(disk.files("/data/cold/spans-").len(), 4);
    drop(reader);
    store.maintain().await;
    assert_eq!(disk.files("/data/cold/spans-").len(), 3);
    assert_eq!(numbers(&store).await, [10, 20, 30]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_as_large_as_a_row_group() {
    let disk = ForgetfulDisk::default();
    let store = Store::open(options(&disk)).await.unwrap();
    for number in 0..3 {
        let spans = number * 50_000..(number + 1) * 50_000;
        store.append(batch(spans)).await.unwrap();
    }
    store.seal().await.unwrap();
    let statistics = store.statistics();
    assert_eq!(
        (statistics.recent.files, statistics.recent.spans),
        (2, 150_000)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one_and_readers_keep_theirs() {
    let disk = ForgetfulDisk::default();
    let clock = Arc::new(HandClock::default());
    let mut options = options(&disk);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    options.hot_window = Duration::from_secs(60);
    options.tombstone_grace = Duration::from_secs(100);
    let store = Store::open(options.clone()).await.unwrap();
    for number in 0..6 {
        // The last span of each is sent again with the next.
        store
            .append(batch(number * 10..number * 10 + 11))
            .await
            .unwrap();
        store.flush().await.unwrap();
    }
    // Of another slice.
    store.append(batch([20_000])).await.unwrap();
    store.flush().await.unwrap();
    let expected: Vec<u64> = (0..61).chain([20_000]).collect();
    let reader = store.snapshot();
    let mut steps = Vec::new();
    store.compact(|step| steps.push(step)).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].files, steps[0].spans), (6, 66));
    let statistics = store.statistics();
    assert_eq!((statistics.cold.files, statistics.cold.spans), (2, 62));
    assert_eq!(statistics.compaction.repeated_spans, 5);
    assert_eq!(numbers(&store).await, expected);

    // The files that were joined stay for readers: for ours as long as they read, for others a while.
    let old = disk.files("/data/cold/spans-").len();
    assert_eq!(old, 8);
    clock.set_seconds(1_000);
    store.maintain().await;
    assert_eq!(disk.files("/data/cold/spans-").len(), old);
    let found = counts_of(&reader, &ScanRequest::default()).await;
    assert_eq!(found.values().sum::<usize>(), 67);
    drop(reader);
    store.maintain().await;
    assert_eq!(disk.files("/data/cold/spans-").len(), 2);
    store.close().await;
    disk.restart(0);
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, expected);
    assert_eq!(store.statistics().cold.files, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_not_joined() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    let store = Store::open(options.clone()).await.unwrap();
    for number in 0..4 {
        store.append(batch([number])).await.unwrap();
        store.flush().await.unwrap();
    }
    let files = std::fs::read_dir(directory.path().join("cold")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    std::fs::write(&files[1], "nothing").unwrap();
    store.compact(|_| {}).await.unwrap_err();
    store.compact(|_| {}).await.unwrap();
    let statistics = store.statistics();
    assert_eq!((statistics.cold.files, statistics.cold.spans), (2, 4));
    assert!(files[1].exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_be_forgotten_before_others() {
    let disk = ForgetfulDisk::default();
    let clock = Arc::new(HandClock::default());
    let mut options = options(&disk);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    options.service_retention = [("shop".to_owned(), Duration::from_secs(100))].into();
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..10)).await.unwrap();
    store.append(batch_of("bank", 10..12)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch([90])).await.unwrap();
    store.flush().await.unwrap();
    // A file that has nothing else goes as a whole.
    store.append(batch([20])).await.unwrap();
    store.flush().await.unwrap();

    clock.set_seconds(150);
    for _ in 0..4 {
        store.maintain().await;
    }
    let statistics = store.statistics();
    assert_eq!(statistics.expired.spans_by_service, 11);
    assert_eq!((statistics.cold.files, statistics.cold.spans), (2, 3));
    store.close().await;
    disk.restart(0);
    let store = Store::open(options).await.unwrap();
    assert_eq!(store.statistics().cold.spans, 3);
    clock.set_seconds(250);
    store.maintain().await;
    store.maintain().await;
    assert_eq!(store.statistics().cold.spans, 2);
    assert_eq!(store.statistics().expired.spans_by_service, 1);
}

/// Drops every second trace, and looks whether it sees each whole.
#[derive(Debug)]
struct EverySecond;

impl SamplingPolicy for EverySecond {
    fn decide(&self, trace: &TraceSpans<'_>) -> Decision {
        let number = u64::from_be_bytes(trace.trace_id.0[8..].try_into().unwrap());
        let spans: usize = trace.spans.iter().map(|batch| batch.num_spans()).sum();
        assert!(spans >= 3, "trace {number} with {spans} spans");
        if number % 2 == 0 {
            Decision::Keep
        } else {
            Decision::Drop
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_decides_traces_once_and_late_spans_follow() {
    let disk = ForgetfulDisk::default();
    let clock = Arc::new(HandClock::default());
    let mut options = options(&disk);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    options.hot_window = Duration::from_secs(100);
    options.sampling = Arc::new(EverySecond);
    let store = Store::open(options.clone()).await.unwrap();
    // Traces of three spans, over two files and memory, received by second 10.
    store.append(batch([0, 3, 6, 9])).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch([1, 4, 7, 10])).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch([2, 5, 8])).await.unwrap();
    store.append(batch([198, 199, 200, 11])).await.unwrap();
    let all: Vec<u64> = (0..12).chain(198..201).collect();
    assert_eq!(numbers(&store).await, all);

    // The window of the first two files passes: their traces are decided, and dropped of these files alone.
    clock.set_seconds(150);
    store.maintain().await;
    let first = [0, 1, 2, 5, 6, 7, 8, 11, 198, 199, 200];
    assert_eq!(numbers(&store).await, first);
    let sampling = store.statistics().sampling;
    assert_eq!((sampling.traces, sampling.spans), (2, 4));
    store.close().await;
    disk.restart(0);

    // What comes later follows, after a restart too; the policy is not asked again.
    let store = Store::open(options.clone()).await.unwrap();
    assert_eq!(numbers(&store).await, first);
    clock.set_seconds(400);
    store.maintain().await;
    let second = [0, 1, 2, 6, 7, 8, 198, 199, 200];
    assert_eq!(numbers(&store).await, second);
    store.close().await;
    disk.restart(0);
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, second);
}

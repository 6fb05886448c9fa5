//! Logs and tables that rotted: the rest is read, and what was lost is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use spanlight_store::{OpenError, ReadError, ScanRequest, Store, StoreOptions};

use crate::support::{batch, numbers};

async fn store_with(directory: &Path, batches: u64) -> StoreOptions {
    let options = StoreOptions::new(directory);
    let store = Store::open(options.clone()).await.unwrap();
    for number in 1..=batches {
        store.append(batch([number])).await.unwrap();
    }
    store.close().await;
    options
}

fn only_file(directory: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(directory).unwrap().collect();
    assert_eq!(files.len(), 1);
    files[0].as_ref().unwrap().path()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let options = store_with(directory.path(), 3).await;
    let segment = only_file(&directory.path().join("log"));
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() - 7]).unwrap();

    let store = Store::open(options.clone()).await.unwrap();
    assert_eq!(numbers(&store).await, [1, 2]);
    let damage = store.statistics().damage;
    assert_eq!(damage.records, 0);
    assert!(damage.cut_bytes > 0);
    assert!(fs::metadata(&segment).unwrap().len() < whole.len() as u64 - 7);
    store.append(batch([4])).await.unwrap();
    store.close().await;
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, [1, 2, 4]);
    assert_eq!(store.statistics().damage.cut_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_costs_only_itself_and_is_kept_aside() {
    let directory = tempfile::tempdir().unwrap();
    let options = store_with(directory.path(), 5).await;
    let segment = only_file(&directory.path().join("log"));
    let mut bytes = fs::read(&segment).unwrap();
    let record = (bytes.len() - 32) / 5;
    // In the payload of the second, in the header of the fourth.
    bytes[32 + record + 60] ^= 1;
    bytes[32 + 3 * record + 9] ^= 1;
    fs::write(&segment, &bytes).unwrap();

    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, [1, 3, 5]);
    let damage = store.statistics().damage;
    assert_eq!((damage.records, damage.cut_bytes), (2, 0));
    let told = store.health().damage.unwrap();
    assert!(told.starts_with("2 damaged parts of the log"), "{told}");
    let kept: Vec<_> = fs::read_dir(directory.path().join("damaged"))
        .unwrap()
        .collect();
    assert_eq!(kept.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_was_only_begun_is_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = store_with(directory.path(), 2).await;
    let log = directory.path().join("log");
    let segment = only_file(&log);
    let whole = fs::read(&segment).unwrap();
    // A torn tail in the last segment with a record, and two segments after it that have none.
    fs::write(&segment, &whole[..whole.len() - 7]).unwrap();
    fs::write(log.join("00000000000000000002.log"), &whole[..32]).unwrap();
    fs::write(log.join("00000000000000000003.log"), "").unwrap();
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, [1]);
    let damage = store.statistics().damage;
    assert_eq!(damage.records, 0);
    assert!(damage.cut_bytes > 0);
    store.append(batch([3])).await.unwrap();
    assert!(log.join("00000000000000000004.log").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_a_newer_version_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let options = store_with(directory.path(), 1).await;
    let segment = only_file(&directory.path().join("log"));
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] = 9;
    let checksum = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&segment, &bytes).unwrap();
    let error = Store::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("newer"), "{error}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_data_file_is_named_and_hides_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap();
    for number in 0..2 {
        store.append(batch([number])).await.unwrap();
        store.flush().await.unwrap();
    }
    let cold = directory.path().join("cold");
    let files = fs::read_dir(&cold)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    let length = fs::metadata(&files[0]).unwrap().len() as usize;
    fs::write(&files[0], vec![0; length]).unwrap();
    let name = files[0].file_name().unwrap().to_string_lossy().into_owned();

    let mut errors = Vec::new();
    let mut spans = 0;
    for partition in store
        .snapshot()
        .scan(&ScanRequest::default())
        .await
        .partitions
    {
        let mut stream = partition.stream();
        while let Some(batch) = stream.next().await {
            match batch {
                Ok(batch) => spans += batch.num_spans(),
                Err(error) => errors.push(error),
            }
        }
    }
    assert_eq!((spans, errors.len()), (1, 1));
    assert!(matches!(&errors[0], ReadError::Damaged { file, .. } if file.contains(&name)));

    fs::remove_file(&files[0]).unwrap();
    let partitions = store
        .snapshot()
        .scan(&ScanRequest::default())
        .await
        .partitions;
    let mut errors = 0;
    for partition in partitions {
        let results: Vec<_> = partition.stream().collect().await;
        errors += results
            .iter()
            .filter(|r| matches!(r, Err(ReadError::Disk { .. })))
            .count();
    }
    assert_eq!(errors, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_not_whole_is_not_taken_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch([0])).await.unwrap();
    store.flush().await.unwrap();
    store.close().await;
    let folder = directory.path().join("cold/_delta_log");
    let commits = fs::read_dir(&folder).unwrap();
    let commits = commits.map(|entry| entry.unwrap().path());
    let commits = commits.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let last = commits.max().unwrap();
    let whole = fs::read(&last).unwrap();
    for left in [0, whole.len() / 2] {
        fs::write(&last, &whole[..left]).unwrap();
        let error = Store::open(options.clone()).await.unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        let name = last.file_name().unwrap().to_string_lossy();
        assert!(error.to_string().contains(&*name), "{error}");
    }
    // A number that is another one.
    let text = String::from_utf8(whole.clone()).unwrap();
    let others = text
        .replace("numRecords", "numRecord5")
        .replace("\"size\":", "\"size\":1");
    fs::write(&last, others).unwrap();
    let error = Store::open(options.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains("its checksum is wrong: which files"),
        "{error}"
    );
    // Nothing was removed meanwhile. One digit that is another one is put right.
    let digit = text.find("\"size\":").unwrap() + 7;
    let mut changed = whole.clone();
    changed[digit] = if whole[digit] == b'1' { b'8' } else { b'1' };
    fs::write(&last, &changed).unwrap();
    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, [0]);
    assert_eq!(fs::read(&last).unwrap(), whole);
}

/// Reads everything; gives how many spans there were.
async fn read(store: &Store) -> usize {
    let mut spans = 0;
    let scan = store.snapshot().scan(&ScanRequest::default()).await;
    for partition in scan.partitions {
        let batches: Vec<_> = partition.stream().collect().await;
        let batches = batches.into_iter().flatten();
        spans += batches.map(|batch| batch.num_spans()).sum::<usize>();
    }
    spans
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_read_are_told_until_they_can() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap();
    store.append(batch(0..300)).await.unwrap();
    store.flush().await.unwrap();
    let cold = directory.path().join("cold");
    let files = fs::read_dir(&cold)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files.filter(|path| path.is_file()).max().unwrap();
    let whole = fs::read(&file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(store.health().unreadable, []);

    // What a query meets is told at once, and not forgotten by those who do not meet it.
    let mut changed = whole.clone();
    changed[1_000] ^= 4;
    fs::write(&file, &changed).unwrap();
    assert!(read(&store).await < 300);
    for _ in 0..2 {
        let told = store.health().unreadable;
        assert_eq!(told.len(), 1);
        assert_eq!(
            (&told[0].file, told[0].spans),
            (&format!("cold/{name}"), 300)
        );
        assert!(told[0].reason.contains("checksum"), "{told:?}");
        store.maintain().await;
    }
    fs::write(&file, &whole).unwrap();
    store.maintain().await;
    assert_eq!(store.health().unreadable, []);
    assert_eq!(read(&store).await, 300);

    // What is missing is told though nobody asks for it.
    fs::remove_file(&file).unwrap();
    store.maintain().await;
    let told = store.health().unreadable;
    assert_eq!(told[0].reason, "it is missing");
    fs::write(&file, &whole[1..]).unwrap();
    store.maintain().await;
    assert!(store.health().unreadable[0].reason.contains("should have"));

    // Its spans are too old, and it leaves the table.
    store.close().await;
    let mut options = StoreOptions::new(directory.path());
    options.retention = Some(Duration::from_secs(1));
    let store = Store::open(options).await.unwrap();
    store.maintain().await;
    store.maintain().await;
    assert_eq!(store.health().unreadable, []);
}

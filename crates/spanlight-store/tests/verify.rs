//! Checking a directory: nothing to say of a good one, and each kind of damage found and named.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use spanlight_store::disk::LocalDisk;
use spanlight_store::{
    ColdLocation, Store, StoreOptions, VerifyOptions, VerifyReport, usage, verify,
};

use crate::support::batch;

/// A store with spans on every level: numbers 0 to 299 in two files of the table, 300 to 399 in one of the recent
/// level, 400 to 402 in the log.
async fn fill(directory: &Path) -> Store {
    let store = Store::open(options(directory)).await.unwrap();
    for number in 0..2 {
        let begin = number * 150;
        store.append(batch(begin..begin + 150)).await.unwrap();
        store.flush().await.unwrap();
    }
    store.append(batch(300..400)).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch(400..403)).await.unwrap();
    store
}

/// The spans of these tests were received in 1970; they shall stay where they are.
fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    options.hot_window = Duration::from_secs(100 * 365 * 24 * 3600);
    options
}

async fn check(directory: &Path) -> VerifyReport {
    verify(&VerifyOptions::new(directory), &Arc::default())
        .await
        .unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_directory_is_good_with_a_server_and_without() {
    let directory = tempfile::tempdir().unwrap();
    let store = fill(directory.path()).await;
    for is_running in [true, false] {
        if !is_running {
            store.clone().close().await;
        }
        let report = check(directory.path()).await;
        assert_eq!(report.is_running, is_running);
        assert_eq!(report.problems, []);
        let levels = [report.log, report.recent, report.cold];
        assert_eq!(levels.map(|level| level.spans), [3, 100, 300]);
        assert_eq!((report.recent.files, report.cold.files), (1, 2));
        assert_eq!(report.repeated_spans, 0);
        if is_running {
            continue;
        }
        assert_eq!(report.remarks, []);
        drop(Store::open(options(directory.path())).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_were_sent_again_are_counted_in_any_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = fill(directory.path()).await;
    store.append(batch(100..140)).await.unwrap();
    store.seal().await.unwrap();
    store.close().await;
    for key_bytes in [1 << 20, 3_000] {
        let mut options = VerifyOptions::new(directory.path());
        options.key_bytes = key_bytes;
        let report = verify(&options, &Arc::default()).await.unwrap();
        assert_eq!(report.repeated_spans, 40, "{key_bytes}");
        assert_eq!(report.problems, []);
    }
}

/// Damages a directory, and gives what is said of it: files and messages.
async fn damaged(damage: impl FnOnce(&Path)) -> Vec<(String, String)> {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await.close().await;
    damage(directory.path());
    let report = check(directory.path()).await;
    assert!(
        report
            .problems
            .iter()
            .all(|problem| !problem.advice.is_empty())
    );
    let problems = report.problems.into_iter();
    problems.map(|found| (found.file, found.message)).collect()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_damage_is_found_and_named() {
    let cold = |root: &Path| files(&root.join("cold"))[0].clone();
    let found = damaged(|root| change(&cold(root), |bytes| bytes.truncate(5_000))).await;
    assert!(found[0].0.starts_with("cold/spans-"), "{found:?}");
    assert!(
        found[0].1.contains("it has 5000 bytes, and should have"),
        "{found:?}"
    );

    let found = damaged(|root| fs::remove_file(cold(root)).unwrap()).await;
    assert_eq!(found[0].1, "it is missing");

    let found = damaged(|root| {
        let files = files(&root.join("cold"));
        // As long as the other, and another.
        fs::copy(&files[1], &files[0]).unwrap();
    })
    .await;
    assert!(!found.is_empty());

    let found = damaged(|root| {
        let file = files(&root.join("recent"))[0].clone();
        change(&file, |bytes| bytes.fill(7));
    })
    .await;
    assert!(found[0].0.starts_with("recent/spans-"), "{found:?}");

    let found = damaged(|root| {
        change(&files(&root.join("log"))[0], |bytes| bytes[100] ^= 1);
        let segment = files(&root.join("log"))[0].clone();
        let next = segment.with_file_name("00000000000000000999.log");
        fs::copy(&segment, next).unwrap();
    })
    .await;
    assert!(found[0].0.starts_with("log/"), "{found:?}");
    assert!(found[0].1.contains("checksum is wrong"), "{found:?}");

    let found = damaged(|root| {
        let commit = files(&root.join("cold/_delta_log"))[0].clone();
        change(&commit, |bytes| bytes.truncate(20));
    })
    .await;
    let last = "cold/_delta_log/00000000000000000000.json";
    assert_eq!(found[0], (last.to_owned(), "it is not whole".to_owned()));
    assert_eq!(found[1].0, "cold/_delta_log");

    // A digit of a commit that no reader of today needs.
    let found = damaged(|root| {
        let commit = root.join(last);
        let at = fs::read_to_string(&commit)
            .unwrap()
            .find("timestamp")
            .unwrap()
            + 14;
        change(&commit, |bytes| bytes[at] = b'0' + (bytes[at] + 3) % 10);
    })
    .await;
    let message = "one byte of it has changed".to_owned();
    assert_eq!(found, [(last.to_owned(), message)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn left_overs_are_remarks() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await.close().await;
    let cold = directory.path().join("cold");
    fs::copy(&files(&cold)[0], cold.join("spans-1-2-orphan.parquet")).unwrap();
    change(&files(&directory.path().join("log"))[0], |bytes| {
        bytes.extend([0xa5; 9]);
    });
    let report = check(directory.path()).await;
    assert_eq!(report.problems, []);
    let remarks: Vec<&str> = report.remarks.iter().map(|r| r.file.as_str()).collect();
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].starts_with("log/"), "{remarks:?}");
    assert_eq!(remarks[1], "cold/spans-1-2-orphan.parquet");
    assert_eq!(report.cold.files, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counts_bytes_by_level_column_and_service() {
    let directory = tempfile::tempdir().unwrap();
    let store = fill(directory.path()).await;
    let disk: Arc<dyn spanlight_store::disk::Disk> = Arc::new(LocalDisk);
    let usage = usage(
        directory.path(),
        &ColdLocation::DataDir,
        &disk,
        &Arc::default(),
    )
    .await
    .unwrap();
    let level = |name: &str| {
        usage
            .levels
            .iter()
            .find(|level| level.name == name)
            .unwrap()
    };
    assert_eq!(level("cold").spans, Some(300));
    assert_eq!(level("recent").spans, Some(100));
    let files = level("cold").bytes + level("recent").bytes;
    let columns: u64 = usage.columns.iter().map(|c| c.bytes + c.bloom_bytes).sum();
    assert_eq!(columns + usage.index_bytes, files);
    let trace_id = usage.columns.iter().find(|c| c.name == "trace_id").unwrap();
    assert_eq!(trace_id.values, 400);
    assert_eq!(usage.services.len(), 1);
    assert_eq!(usage.services[0].name.as_deref(), Some("shop"));
    assert_eq!(usage.services[0].spans, 400);
    drop(store);
}

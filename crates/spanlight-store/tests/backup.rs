//! Backups: made beside a running store, opened as what they are, and refused when they are not whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use spanlight_store::disk::{Disk, LocalDisk};
use spanlight_store::{
    BackupError, BackupOptions, BackupReport, ColdLocation, Store, StoreOptions, VerifyOptions,
    backup, restore, verify,
};

use crate::support::{batch, counts, numbers};

/// The spans of these tests were received in 1970; they shall stay where they are.
fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    options.hot_window = Duration::from_secs(100 * 365 * 24 * 3600);
    options
}

async fn make(from: &Path, to: &Path, copy: bool) -> Result<BackupReport, BackupError> {
    let options = BackupOptions {
        data_dir: from.to_owned(),
        target: to.to_owned(),
        copy,
        cold: ColdLocation::DataDir,
        disk: Arc::new(LocalDisk),
    };
    backup(&options, &Arc::default()).await
}

fn bring_back(from: &Path, to: &Path) -> Result<BackupReport, BackupError> {
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    restore(from, to, &disk, &Arc::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_every_level_and_the_next_copies_what_is_new() {
    let root = tempfile::tempdir().unwrap();
    let [data, target] = ["data", "backup"].map(|name| root.path().join(name));
    let store = Store::open(options(&data)).await.unwrap();
    store.append(batch(0..100)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch(100..150)).await.unwrap();
    store.seal().await.unwrap();
    store.append(batch(150..160)).await.unwrap();
    for copy in [false, true] {
        let target = target.with_extension(copy.to_string());
        let first = make(&data, &target, copy).await.unwrap();
        assert_eq!(first.new_files, first.files);
        let again = make(&data, &target, copy).await.unwrap();
        assert_eq!((again.files, again.new_files), (first.files, 0));
        let restored = root.path().join(format!("restored-{copy}"));
        bring_back(&target, &restored).unwrap();
        let report = verify(&VerifyOptions::new(&restored), &Arc::default()).await;
        assert_eq!(report.unwrap().problems, []);
        let restored = Store::open(options(&restored)).await.unwrap();
        assert_eq!(numbers(&restored).await, (0..160).collect::<Vec<_>>());
    }
    // What moved on is not there twice, and what nobody needs is gone.
    let target = target.with_extension("false");
    store.append(batch(160..170)).await.unwrap();
    store.flush().await.unwrap();
    let next = make(&data, &target, false).await.unwrap();
    assert!(
        next.new_files > 0 && next.new_files < next.files,
        "{next:?}"
    );
    assert_eq!(fs::read_dir(target.join("recent")).unwrap().count(), 0);
    let restored = root.path().join("later");
    bring_back(&target, &restored).unwrap();
    let restored = Store::open(options(&restored)).await.unwrap();
    assert_eq!(numbers(&restored).await, (0..170).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_has_all_that_was_acknowledged_before() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let store = Store::open(options(&data)).await.unwrap();
    let (done, acknowledged) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let writing = {
        let (store, done) = (store.clone(), Arc::clone(&done));
        let acknowledged = Arc::clone(&acknowledged);
        tokio::spawn(async move {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                store.append(batch(number..number + 5)).await.unwrap();
                number += 5;
                acknowledged.store(number, Ordering::Relaxed);
                match number % 70 {
                    0 => store.flush().await.unwrap(),
                    35 => store.seal().await.unwrap(),
                    _ => {}
                }
            }
        })
    };
    for round in 0..5 {
        let before = acknowledged.load(Ordering::Relaxed);
        let target = root.path().join(format!("backup-{round}"));
        make(&data, &target, false).await.unwrap();
        let restored = root.path().join(format!("restored-{round}"));
        bring_back(&target, &restored).unwrap();
        let copy = Store::open(options(&restored)).await.unwrap();
        let there = counts(&copy, &spanlight_store::ScanRequest::default()).await;
        assert!(there.values().all(|&count| count == 1));
        assert_eq!((0..before).find(|number| !there.contains_key(number)), None);
        assert_eq!(
            copy.statistics().damage,
            spanlight_store::DamageStatistics::default()
        );
        copy.close().await;
    }
    done.store(true, Ordering::Relaxed);
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let [data, target] = ["data", "backup"].map(|name| root.path().join(name));
    let store = Store::open(options(&data)).await.unwrap();
    store.append(batch(0..100)).await.unwrap();
    store.flush().await.unwrap();
    let error = make(&data, &data.join("inside"), false).await.unwrap_err();
    assert!(
        error.to_string().contains("inside the data directory"),
        "{error}"
    );
    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "dear").unwrap();
    let error = make(&data, &other, false).await.unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    assert!(other.join("letter.txt").exists());

    make(&data, &target, true).await.unwrap();
    let error = bring_back(&target, &other).unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    let cold = fs::read_dir(target.join("cold")).unwrap();
    let mut cold = cold.map(|entry| entry.unwrap().path());
    let file = cold.find(|path| path.is_file()).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&file, bytes).unwrap();
    let restored = root.path().join("restored");
    let error = bring_back(&target, &restored).unwrap_err();
    assert!(
        error.to_string().contains("its checksum is wrong"),
        "{error}"
    );
    assert!(!restored.join("spanlight.json").exists());
}

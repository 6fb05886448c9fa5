//! A table on an object store that is checked, measured and backed up, beside the server that has it.

use object_store::ObjectStoreExt as _;
use object_store::path::Path as ObjectPath;
use spanlight_store::disk::{Disk, LocalDisk};
use spanlight_store::{
    BackupOptions, InspectError, VerifyOptions, VerifyReport, backup, restore, usage, verify,
};

use super::*;

async fn check(directory: &Path, objects: &Arc<Objects>) -> VerifyReport {
    let mut options = VerifyOptions::new(directory);
    options.cold = objects.location();
    verify(&options, &Arc::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_table_is_checked_and_measured_beside_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let store = Store::open(options(directory.path(), &objects))
        .await
        .unwrap();
    store.append(batch(0..300)).await.unwrap();
    store.flush().await.unwrap();
    store.append(batch(300..310)).await.unwrap();
    store.seal().await.unwrap();
    let report = check(directory.path(), &objects).await;
    assert!(report.is_running);
    assert_eq!((report.problems, report.remarks), (vec![], vec![]));
    assert_eq!((report.cold.files, report.cold.spans), (1, 300));
    assert_eq!(report.recent.spans, 10);

    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let location = objects.location();
    let usage = usage(directory.path(), &location, &disk, &Arc::default())
        .await
        .unwrap();
    let cold = usage.levels.iter().find(|level| level.name == "cold");
    assert_eq!(cold.unwrap().spans, Some(300));
    assert_eq!(usage.unreadable, Vec::<String>::new());

    // A changed digit of a commit, then a file that is gone.
    let commit = ObjectPath::from("some/prefix/_delta_log/00000000000000000003.json");
    let bytes = objects.get(&commit).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains("\"numRecords\\\":300"), "{text}");
    let changed = text.replace("\"numRecords\\\":300", "\"numRecords\\\":301");
    objects.put(&commit, changed.into()).await.unwrap();
    let file = ObjectPath::from(objects.data_files().await.remove(0));
    objects.delete(&file).await.unwrap();
    let report = check(directory.path(), &objects).await;
    let problems = report.problems.iter();
    let problems: Vec<_> = problems.map(|found| found.message.as_str()).collect();
    assert_eq!(problems, ["one byte of it has changed", "it is missing"]);

    let forgotten = verify(&VerifyOptions::new(directory.path()), &Arc::default()).await;
    let error = forgotten.unwrap_err();
    assert!(matches!(error, InspectError::Elsewhere { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_the_remote_table_and_becomes_a_local_one() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let store = Store::open(options(directory.path(), &objects))
        .await
        .unwrap();
    for number in 0..3 {
        store.append(batch([number])).await.unwrap();
        store.flush().await.unwrap();
    }
    store.append(batch([3])).await.unwrap();
    let target = directory.path().with_extension("backup");
    let asked = BackupOptions {
        data_dir: directory.path().to_owned(),
        target: target.clone(),
        copy: false,
        cold: objects.location(),
        disk: Arc::new(LocalDisk),
    };
    let report = backup(&asked, &Arc::default()).await.unwrap();
    assert!(report.new_files > 4, "{report:?}");
    // What is there already is not fetched again.
    store.append(batch([4])).await.unwrap();
    store.flush().await.unwrap();
    let report = backup(&asked, &Arc::default()).await.unwrap();
    assert!(report.new_files < 5, "{report:?}");

    let restored = directory.path().with_extension("restored");
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    restore(&target, &restored, &disk, &Arc::default()).unwrap();
    let mut local = StoreOptions::new(&restored);
    local.hot_window = Duration::from_secs(1 << 32);
    let copy = Store::open(local).await.unwrap();
    assert_eq!(numbers(&copy).await, [0, 1, 2, 3, 4]);
    copy.close().await;
    let report = verify(&VerifyOptions::new(&restored), &Arc::default()).await;
    assert_eq!(report.unwrap().problems, []);
    for made in [target, restored] {
        std::fs::remove_dir_all(made).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn room_on_the_disk_is_no_reason_to_delete_objects() {
    let directory = tempfile::tempdir().unwrap();
    let objects = Arc::<Objects>::default();
    let mut options = options(directory.path(), &objects);
    options.disk_bytes = Some(64 << 10);
    let store = Store::open(options).await.unwrap();
    let mut number = 0;
    while store.statistics().cold.bytes <= 64 << 10 {
        store.append(batch(number..number + 300)).await.unwrap();
        store.flush().await.unwrap();
        number += 300;
    }
    store.maintain().await;
    let statistics = store.statistics();
    assert_eq!(statistics.cold.spans, number);
    assert_eq!(statistics.expired.spans(), 0);
    // The half of it is what local files may take.
    assert_eq!(statistics.recent.bytes_max, 32 << 10);
}

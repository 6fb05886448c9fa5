//! What is acknowledged is there at once, and after a restart; a directory has one owner and one format.

use spanlight_store::{OpenError, ScanRequest, Store, StoreOptions};

use crate::support::{batch, counts, numbers, trace_id};

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_spans_are_visible_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path().join("made/on/the/way"));
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..10)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..10));
    store.append(batch(10..12)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..12));
    store.close().await;

    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..12));
    store.append(batch(12..13)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..13));
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_from_many_tasks_share_syncs() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap();
    let appends = (0..200_u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.append(batch([number])).await })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    assert_eq!(numbers(&store).await, Vec::from_iter(0..200));
    let log = store.statistics().log;
    assert_eq!(log.appended_spans, 200);
    assert!(log.syncs < 200, "{} syncs", log.syncs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_skips_what_cannot_match() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap();
    store.append(batch(0..30)).await.unwrap();
    store.append(batch(300..330)).await.unwrap();
    let by_id = ScanRequest {
        trace_ids: Some(std::sync::Arc::new([trace_id(2)].into())),
        ..ScanRequest::default()
    };
    let early = ScanRequest {
        time_range: Some(0..29_000_000_000),
        ..ScanRequest::default()
    };
    let never = ScanRequest {
        time_range: Some(60_000_000_000..70_000_000_000),
        ..ScanRequest::default()
    };
    let found = counts(&store, &by_id).await;
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [6, 7, 8]);
    let found = counts(&store, &early).await;
    assert_eq!(found.into_keys().collect::<Vec<_>>(), Vec::from_iter(0..30));
    assert!(store.snapshot().scan(&never).await.partitions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_spans_stay_visible_and_leave_the_log() {
    let directory = tempfile::tempdir().unwrap();
    // A place whose name is special in addresses.
    let options = StoreOptions::new(directory.path().join("a b%20#ü"));
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..30)).await.unwrap();
    store.append(batch(30..60)).await.unwrap();
    let before = store.snapshot();
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..60));
    assert_eq!(before.span_count_upper_bound(), 60);
    let statistics = store.statistics();
    assert_eq!((statistics.hot.spans, statistics.cold.spans), (0, 60));
    assert_eq!((statistics.cold.files, statistics.flush.commits), (1, 1));
    store.append(batch(60..70)).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..70));
    store.close().await;

    let store = Store::open(options).await.unwrap();
    assert_eq!(numbers(&store).await, Vec::from_iter(0..70));
    let statistics = store.statistics();
    assert_eq!((statistics.hot.spans, statistics.cold.spans), (10, 60));
    assert_eq!(statistics.log.segments, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_files_skips_what_cannot_match() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap();
    for numbers in [0..30, 300..330] {
        store.append(batch(numbers)).await.unwrap();
        store.flush().await.unwrap();
    }
    let by_id = |id| ScanRequest {
        trace_ids: Some(std::sync::Arc::new([trace_id(id)].into())),
        ..ScanRequest::default()
    };
    let early = ScanRequest {
        time_range: Some(0..29_000_000_000),
        ..ScanRequest::default()
    };
    let found = counts(&store, &by_id(2)).await;
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [6, 7, 8]);
    assert!(counts(&store, &by_id(1_000_000)).await.is_empty());
    assert_eq!(store.snapshot().scan(&early).await.partitions.len(), 1);
    let found = counts(&store, &early).await;
    assert_eq!(found.into_keys().collect::<Vec<_>>(), Vec::from_iter(0..30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_found_on_any_page() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap();
    // Three pages of ids and more.
    for part in 0..6 {
        store
            .append(batch(part * 9_000..(part + 1) * 9_000))
            .await
            .unwrap();
    }
    store.flush().await.unwrap();
    let traces = [0, 1, 6_665, 6_666, 6_667, 13_332, 13_333, 17_999];
    let by_id = |ids: &[u64]| ScanRequest {
        trace_ids: Some(std::sync::Arc::new(
            ids.iter().map(|&id| trace_id(id)).collect(),
        )),
        ..ScanRequest::default()
    };
    for id in traces {
        let found = counts(&store, &by_id(&[id])).await;
        assert_eq!(
            found.into_keys().collect::<Vec<_>>(),
            Vec::from_iter(id * 3..id * 3 + 3)
        );
    }
    let found = counts(&store, &by_id(&traces)).await;
    assert_eq!(found.len(), traces.len() * 3);
    assert!(counts(&store, &by_id(&[18_000])).await.is_empty());
}

// On a runtime of one thread: what blocks must not be on it.
#[tokio::test]
async fn many_flushes_and_restarts_keep_everything() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    // Beyond the interval of checkpoints, so that a start reads one.
    for round in 0..3 {
        let store = Store::open(options.clone()).await.unwrap();
        for flush in 0..15 {
            let number = round * 15 + flush;
            store.append(batch([number])).await.unwrap();
            store.flush().await.unwrap();
        }
        assert_eq!(numbers(&store).await, Vec::from_iter(0..(round + 1) * 15));
        store.close().await;
    }
    let store = Store::open(options).await.unwrap();
    // Where this takes long, files are joined meanwhile, each time by a commit.
    assert!(store.statistics().cold.table_version >= 45);
    assert_eq!(numbers(&store).await, Vec::from_iter(0..45));
    let log = std::fs::read_dir(directory.path().join("cold/_delta_log")).unwrap();
    let mut names = log.map(|entry| entry.unwrap().file_name());
    assert!(names.any(|name| name.to_string_lossy().ends_with("0.checkpoint.parquet")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    let store = Store::open(options.clone()).await.unwrap();
    let error = Store::open(options.clone()).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    store.close().await;
    Store::open(options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let format = r#"{"format": 7, "app_id": "a", "written_by": "9.1.0"}"#;
    std::fs::write(directory.path().join("spanlight.json"), format).unwrap();
    let error = Store::open(StoreOptions::new(directory.path()))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, OpenError::NewerVersion { found: 7, .. }),
        "{text}"
    );
    assert!(text.contains("written by Spanlight 9.1.0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_without_a_format_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(directory.path());
    let store = Store::open(options.clone()).await.unwrap();
    store.append(batch(0..1)).await.unwrap();
    store.close().await;
    std::fs::remove_file(directory.path().join("spanlight.json")).unwrap();
    let error = Store::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(StoreOptions::new(file.join("data")))
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("file/data"), "{error}");
}

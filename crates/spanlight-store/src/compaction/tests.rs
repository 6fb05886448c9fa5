//! Which files are joined, and how often a span is written.

use std::path::PathBuf;

use super::*;
use crate::cold::FileTimes;

const SECOND: i64 = 1_000_000_000;

fn file(name: usize, spans: u64, start: i64, end: i64) -> Arc<ColdFile> {
    let mut times = FileTimes::NONE;
    times.include(start * SECOND, start * SECOND, start * SECOND);
    times.include(end * SECOND, end * SECOND, end * SECOND);
    Arc::new(ColdFile {
        name: format!("{name:05}"),
        path: PathBuf::new(),
        bytes: spans * 40,
        spans,
        times,
        columns: Arc::default(),
    })
}

fn limits(now: i64) -> Limits {
    Limits {
        now: now * SECOND,
        delay: 1_800 * SECOND,
        spans_max: 256 << 10,
        eager: false,
    }
}

fn names(picked: Option<Vec<Arc<ColdFile>>>) -> Vec<String> {
    let picked = picked.into_iter().flatten();
    picked.map(|file| file.name.clone()).collect()
}

#[test]
fn files_of_a_busy_store_are_left_alone() {
    let files: Vec<_> = (0..100)
        .map(|n| file(n, 150_000, n as i64, n as i64 + 1))
        .collect();
    assert!(pick(&files, limits(1_000_000)).is_none());
}

#[test]
fn a_slice_that_still_grows_waits_for_enough_of_one_size() {
    let mut files: Vec<_> = (0..3)
        .map(|n| file(n, 1_000, n as i64, n as i64 + 1))
        .collect();
    assert!(pick(&files, limits(10)).is_none());
    files.push(file(3, 60_000, 3, 4));
    assert!(pick(&files, limits(10)).is_none());
    files.push(file(4, 1_000, 4, 5));
    assert_eq!(
        names(pick(&files, limits(10))),
        ["00000", "00001", "00002", "00004"]
    );
    // Later, all that is small.
    files.pop();
    assert_eq!(names(pick(&files, limits(10_000))).len(), 4);
    let one = &files[..1];
    assert!(pick(one, limits(10_000)).is_none());
}

#[test]
fn slices_do_not_mix() {
    let early = (0..2).map(|n| file(n, 10, 100, 200));
    let late = (2..4).map(|n| file(n, 10, 100 + 7_200, 200 + 7_200));
    let files: Vec<_> = early.chain(late).collect();
    assert_eq!(names(pick(&files, limits(1_000_000))), ["00000", "00001"]);
    assert_eq!(
        names(pick(&files[1..], limits(1_000_000))),
        ["00002", "00003"]
    );
    // Files with spans of 1970 stay among themselves.
    let odd = file(4, 10, 0, 7_300);
    let files = [Arc::clone(&files[3]), odd];
    assert!(pick(&files, limits(1_000_000)).is_none());
}

#[test]
fn a_file_has_a_cap() {
    let files: Vec<_> = (0..10)
        .map(|n| file(n, 100_000, n as i64, n as i64))
        .collect();
    assert_eq!(names(pick(&files, limits(1_000_000))), ["00000", "00001"]);
}

/// A file each quarter of an hour, of any size: how often is a span written?
#[test]
fn a_span_is_written_a_few_times_at_most() {
    for spans in [1, 100, 10_000, 70_000, 127_000] {
        let mut files: Vec<Arc<ColdFile>> = Vec::new();
        let (mut written, mut made) = (0, 0);
        for quarter in 0..400 {
            let start = quarter * 900;
            made += spans;
            files.push(file(files.len() + 1_000, spans, start, start + 899));
            while let Some(picked) = pick(&files, limits(start + 900 + 900)) {
                let total: u64 = picked.iter().map(|file| file.spans).sum();
                written += total;
                files.retain(|file| !picked.iter().any(|other| Arc::ptr_eq(file, other)));
                let first = picked.iter().map(|f| f.times.start_min / SECOND).min();
                let last = picked.iter().map(|f| f.times.start_max / SECOND).max();
                files.push(file(0, total, first.unwrap(), last.unwrap()));
            }
        }
        let times = 1.0 + written as f64 / made as f64;
        assert!(times <= 3.0, "{spans} spans a file: written {times} times");
        let few = (400 / 4).max(made / LARGE_SPANS) + 60;
        assert!(
            files.len() as u64 <= few,
            "{spans} spans a file: {}",
            files.len()
        );
    }
}

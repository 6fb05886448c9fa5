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
        merge_spans: 64 << 10,
        spans_max: 256 << 10,
        eager: false,
    }
}

fn names(picked: Option<&Join>) -> Vec<String> {
    let picked = picked.map_or(&[][..], Join::files);
    picked.iter().map(|file| file.name.clone()).collect()
}

#[test]
fn files_of_a_busy_store_are_put_together_once() {
    let mut files: Vec<_> = (0..20)
        .map(|n| file(n, 150_000, n as i64, n as i64 + 1))
        .collect();
    // Six of them make a file.
    let picked = pick(&files, limits(10)).unwrap();
    assert!(matches!(&picked, Join::Append(files) if files.len() == 6));
    files.retain(|file| !picked.files().iter().any(|other| Arc::ptr_eq(file, other)));
    files.push(file(100, 900_000, 0, 6));
    assert_eq!(names(pick(&files, limits(10)).as_ref())[0], "00006");
    // More may come.
    assert!(pick(&files[..6], limits(10)).is_none());
    assert_eq!(names(pick(&files[..6], limits(10_000)).as_ref()).len(), 6);
    assert!(pick(&[file(100, 900_000, 0, 6)], limits(10_000)).is_none());
}

#[test]
fn a_slice_that_still_grows_waits_for_enough_of_one_size() {
    let mut files: Vec<_> = (0..3)
        .map(|n| file(n, 1_000, n as i64, n as i64 + 1))
        .collect();
    assert!(pick(&files, limits(10)).is_none());
    files.push(file(3, 30_000, 3, 4));
    assert!(pick(&files, limits(10)).is_none());
    files.push(file(4, 1_000, 4, 5));
    assert_eq!(
        names(pick(&files, limits(10)).as_ref()),
        ["00000", "00001", "00002", "00004"]
    );
    // Later, all that is small.
    files.pop();
    let later = pick(&files, limits(10_000)).unwrap();
    assert!(matches!(&later, Join::Merge(files) if files.len() == 4));
    let one = &files[..1];
    assert!(pick(one, limits(10_000)).is_none());
}

#[test]
fn slices_do_not_mix() {
    for spans in [10, 100_000] {
        let early = (0..2).map(|n| file(n, spans, 100, 200));
        let late = (2..4).map(|n| file(n, spans, 100 + 7_200, 200 + 7_200));
        let files: Vec<_> = early.chain(late).collect();
        assert_eq!(
            names(pick(&files, limits(1_000_000)).as_ref()),
            ["00000", "00001"]
        );
        assert_eq!(
            names(pick(&files[1..], limits(1_000_000)).as_ref()),
            ["00002", "00003"]
        );
        // Files with spans of 1970 stay among themselves.
        let odd = file(4, spans, 0, 7_300);
        let files = [Arc::clone(&files[3]), odd];
        assert!(pick(&files, limits(1_000_000)).is_none());
    }
}

#[test]
fn a_file_has_a_cap() {
    let small: Vec<_> = (0..10)
        .map(|n| file(n, 50_000, n as i64, n as i64))
        .collect();
    assert_eq!(
        names(pick(&small, limits(1_000_000)).as_ref()),
        ["00000", "00001"]
    );
    let fat: Vec<_> = (0..10)
        .map(|n| {
            let file = file(n, 100_000, n as i64, n as i64);
            let bytes = 40 << 20;
            Arc::new(ColdFile {
                bytes,
                ..file.as_ref().clone()
            })
        })
        .collect();
    assert_eq!(
        names(pick(&fat, limits(1_000_000)).as_ref()),
        ["00000", "00001"]
    );
}

/// A file each quarter of an hour, of any size: how often is a span encoded, and how often copied?
#[test]
fn a_span_is_written_a_few_times_at_most() {
    for spans in [1, 100, 5_000, 30_000, 50_000, 70_000, 131_000, 300_000] {
        let mut files: Vec<Arc<ColdFile>> = Vec::new();
        let (mut encoded, mut copied, mut made) = (0, 0, 0);
        for quarter in 0..400 {
            let start = quarter * 900;
            made += spans;
            files.push(file(files.len() + 1_000, spans, start, start + 899));
            while let Some(join) = pick(&files, limits(start + 900 + 900)) {
                let picked = join.files();
                let total: u64 = picked.iter().map(|file| file.spans).sum();
                match join {
                    Join::Merge(_) => encoded += total,
                    Join::Append(_) => copied += total,
                }
                files.retain(|file| !picked.iter().any(|other| Arc::ptr_eq(file, other)));
                let first = picked.iter().map(|f| f.times.start_min / SECOND).min();
                let last = picked.iter().map(|f| f.times.start_max / SECOND).max();
                files.push(file(0, total, first.unwrap(), last.unwrap()));
            }
        }
        let times = |spans: u64| spans as f64 / made as f64;
        assert!(times(encoded) <= 2.0, "{spans}: {} times", times(encoded));
        assert!(times(copied) <= 1.5, "{spans}: {} times", times(copied));
        let few = (400 / 4).max(made / (1 << 19)) + 60;
        assert!(files.len() as u64 <= few, "{spans}: {}", files.len());
    }
}

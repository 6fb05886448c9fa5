//! The cache on a real directory.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::disk::LocalDisk;

const BLOCK: u64 = BlockCache::BLOCK_BYTES;

fn open(directory: &std::path::Path, blocks: u64) -> BlockCache {
    let bytes_max = blocks * (BLOCK + CHECKSUM_BYTES);
    BlockCache::open(Arc::new(LocalDisk), directory.to_owned(), bytes_max).unwrap()
}

/// A file whose bytes say where they are.
fn bytes(range: Range<u64>) -> Bytes {
    range.map(|at| (at / 1000) as u8).collect()
}

/// Reads a range as a reader would, whose file is so long; returns what had to be fetched.
fn read(cache: &BlockCache, file: &str, range: Range<u64>, length: u64) -> Vec<Range<u64>> {
    let mut blocks = cache.blocks(file, std::slice::from_ref(&range));
    let missing = blocks.missing();
    for run in &missing {
        let part = bytes(run.start..run.end.min(length));
        cache.insert_run(file, run.start, &part, length);
        blocks.fill(run.start, &part);
    }
    assert_eq!(blocks.read(&range).unwrap(), bytes(range));
    missing
}

fn on_disk(directory: &std::path::Path) -> u64 {
    let files = fs::read_dir(directory).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn what_was_read_is_there_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let length = 10 * BLOCK + 77;
    let cache = open(directory.path(), 100);
    let fetched = read(&cache, "a.parquet", 100..BLOCK + 1, length);
    assert_eq!(fetched, std::slice::from_ref(&(0..2 * BLOCK)));
    assert!(read(&cache, "a.parquet", 0..2 * BLOCK, length).is_empty());
    // The last block is a short one.
    assert_eq!(
        read(&cache, "a.parquet", length - 80..length, length).len(),
        1
    );
    let cache = open(directory.path(), 100);
    assert!(read(&cache, "a.parquet", 5..2 * BLOCK - 5, length).is_empty());
    assert!(read(&cache, "a.parquet", length - 5..length, length).is_empty());
    assert_eq!(cache.statistics().bytes, on_disk(directory.path()));
    cache.forget("a.parquet");
    assert_eq!(on_disk(directory.path()), 0);
}

#[test]
fn one_long_scan_does_not_push_out_what_is_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 10);
    let length = 100 * BLOCK;
    for _ in 0..2 {
        read(&cache, "a.parquet", 0..2 * BLOCK, length);
    }
    // The end of a file counts as asked for again.
    read(&cache, "b.parquet", length - 10..length, length);
    for block in 10..90 {
        read(
            &cache,
            "c.parquet",
            block * BLOCK..(block + 1) * BLOCK,
            length,
        );
    }
    assert!(on_disk(directory.path()) <= 10 * (BLOCK + CHECKSUM_BYTES));
    assert!(read(&cache, "a.parquet", 0..2 * BLOCK, length).is_empty());
    assert!(read(&cache, "b.parquet", length - 10..length, length).is_empty());
    assert_eq!(
        read(&cache, "c.parquet", 10 * BLOCK..11 * BLOCK, length).len(),
        1
    );
    assert!(cache.statistics().evictions >= 70);
}

#[test]
fn what_was_asked_for_again_leaves_too_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 10);
    for file in 0..40 {
        for _ in 0..3 {
            read(&cache, &format!("{file}.parquet"), 0..BLOCK, 100 * BLOCK);
        }
    }
    assert!(on_disk(directory.path()) <= 10 * (BLOCK + CHECKSUM_BYTES));
    assert!(read(&cache, "39.parquet", 0..BLOCK, 100 * BLOCK).is_empty());
    assert_eq!(read(&cache, "0.parquet", 0..BLOCK, 100 * BLOCK).len(), 1);
}

#[test]
fn a_damaged_block_is_fetched_again() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 10);
    read(&cache, "a.parquet", 0..BLOCK, 4 * BLOCK);
    let block = directory.path().join("a.parquet@0");
    let mut damaged = fs::read(&block).unwrap();
    damaged[1234] ^= 1;
    fs::write(&block, damaged).unwrap();
    assert_eq!(read(&cache, "a.parquet", 0..BLOCK, 4 * BLOCK).len(), 1);
    assert!(read(&cache, "a.parquet", 0..BLOCK, 4 * BLOCK).is_empty());
}

#[test]
fn near_ranges_are_fetched_together_and_far_ones_apart() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 10);
    let far = 1000 * BLOCK;
    let ranges = [0..10, 2 * BLOCK..2 * BLOCK + 10, far..far + 10];
    let blocks = cache.blocks("a.parquet", &ranges);
    assert_eq!(blocks.missing(), [0..3 * BLOCK, far..far + BLOCK]);
    let long = cache.blocks("a.parquet", std::slice::from_ref(&(0..3 * RUN_BYTES)));
    assert_eq!(long.missing().len(), 3);
}

#[test]
fn a_range_beyond_the_end_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let cache = open(directory.path(), 10);
    let range = 0..200;
    let mut blocks = cache.blocks("a.parquet", std::slice::from_ref(&range));
    blocks.fill(0, &bytes(0..100));
    let error = blocks.read(&range).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

//! What is said of traces: never that one is absent which is there, seldom that one is there which is absent.

use std::sync::Arc;

use super::*;
use crate::cold::source::LocalFiles;
use crate::cold::{ColdFile, FileTimes};
use crate::disk::LocalDisk;

/// Trace ids of two kinds: random ones, and such as have only their last bytes.
fn id(group: u64, number: u64) -> TraceId {
    let mut id = [0; 16];
    if !number.is_multiple_of(3) {
        let random = (group << 40 | number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        id[..8].copy_from_slice(&random.to_le_bytes());
    }
    id[8..].copy_from_slice(&(group << 32 | number).to_be_bytes());
    TraceId(id)
}

struct Written {
    _directory: tempfile::TempDir,
    fetch: Fetch,
    about: String,
    bytes: usize,
}

/// An index of so many traces in each row group, in a file behind some other bytes.
fn written(groups: &[u64]) -> Written {
    let mut traces = Gathering::default();
    for (group, count) in groups.iter().enumerate() {
        let ids: Vec<TraceId> = (0..*count).map(|number| id(group as u64, number)).collect();
        // Spans of a trace follow each other.
        traces.push_group(ids.iter().flat_map(|id| [&id.0[..], &id.0[..]]));
    }
    let (index, about) = traces.finish(100);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, [&[7; 100], index.as_slice()].concat()).unwrap();
    let file = ColdFile {
        name: "file".to_owned(),
        path,
        bytes: 100 + index.len() as u64,
        spans: 0,
        times: FileTimes::NONE,
        columns: Arc::default(),
    };
    let source = Arc::new(LocalFiles(Arc::new(LocalDisk)));
    Written {
        fetch: Fetch::new(source, Arc::new(file), Arc::default()),
        bytes: index.len(),
        _directory: directory,
        about,
    }
}

#[test]
fn each_trace_is_found_in_its_row_group_and_few_others_are() {
    for groups in [
        &[1][..],
        &[0, 3],
        &[700; 9],
        &[40_000, 5, 20_000],
        &[300_000, 300_000],
    ] {
        let written = written(groups);
        let index = TraceIndex::parse(&written.about).unwrap();
        assert_eq!(index.groups, groups.len());
        assert_eq!(index.known([id(0, 0)].iter()), None);
        let has = |id: TraceId| index.groups(&written.fetch, [id].iter()).unwrap().groups;
        for (group, count) in groups.iter().enumerate() {
            for number in (0..*count).step_by(1 + *count as usize / 1_000) {
                assert!(
                    has(id(group as u64, number))[group],
                    "{number} of {groups:?}"
                );
            }
        }
        let absent = (0..10_000).map(|number| has(id(77, number)).contains(&true));
        let wrong = absent.filter(|found| *found).count();
        assert!(wrong <= 20, "{wrong} of 10,000 in {groups:?}");
        // What was read is known.
        assert!(index.known([id(77, 5)].iter()).is_some());
        let traces: u64 = groups.iter().sum();
        assert!(written.bytes as u64 <= 20 + traces * 5, "{}", written.bytes);
        assert!(written.about.len() < 5_000);
        let group = groups.len() - 1;
        let last = id(group as u64, groups[group] - 1);
        let said = index.known([last].iter()).unwrap();
        assert!(said.codes_in(group).contains(&(groups[group] as i32 - 1)));
    }
}

#[test]
fn traces_of_several_row_groups_are_found_in_each() {
    let mut traces = Gathering::default();
    let ids: Vec<TraceId> = (0..5_000).map(|number| id(0, number)).collect();
    for _ in 0..3 {
        traces.push_group(ids.iter().map(|id| &id.0[..]));
    }
    traces.push_group(ids[..10].iter().map(|id| &id.0[..]));
    let (bytes, about) = traces.finish(0);
    let index = TraceIndex::parse(&about).unwrap();
    for (number, block) in bytes.chunks(index.block as usize).enumerate() {
        index.blocks[number]
            .set(index.checked(block).unwrap())
            .unwrap();
    }
    for (number, id) in ids.iter().enumerate() {
        let groups = index.known([*id].iter()).unwrap().groups;
        assert_eq!(groups[..3], [true; 3]);
        assert!(groups[3] || number >= 10);
    }
    let all = index.known(ids.iter());
    assert_eq!(all.unwrap().groups, [true; 4]);
}

#[test]
fn an_index_that_knows_no_codes_is_read() {
    let asked = id(1, 2);
    let about = format!(
        "at=0 bytes=20 groups=3 bits=32 block=1024 firsts={:08x}",
        crc32c(&asked.0)
    );
    let index =
        TraceIndex::parse(&format!("crc={:08x} {about}", crc32c(about.as_bytes()))).unwrap();
    // Two entries: of row group 1, and behind it by 40, of row group 2.
    let mut block = vec![2, 0, 1, 122];
    block.extend(crc32c(&block).to_le_bytes());
    index.blocks[0].set(index.checked(&block).unwrap()).unwrap();
    let said = index.known([asked].iter()).unwrap();
    assert_eq!(said.groups, [false, true, false]);
    assert!(said.codes_in(1).is_empty());
}

#[test]
fn damage_is_found() {
    let written = written(&[3_000]);
    let end = [
        b"before",
        META_TRACES.as_bytes(),
        &[0x18],
        &[0x80 | 100, 0],
        b"...",
    ]
    .concat();
    assert!(TraceIndex::find(&end).is_none());
    let mut length = Vec::new();
    push_varint(written.about.len() as u64, &mut length);
    let about = written.about.as_bytes();
    let end = [META_TRACES.as_bytes(), &[0x18], &length, about, b"behind"].concat();
    assert!(TraceIndex::find(&end).is_some());
    let said = META_TRACES.len()..end.len() - b"behind".len();
    for at in said {
        let mut damaged = end.clone();
        damaged[at] ^= 1;
        assert!(TraceIndex::find(&damaged).is_none(), "byte {at}");
    }
    let path = &written.fetch.file().path;
    let bytes = std::fs::read(path).unwrap();
    let asked = id(0, 1_234);
    let index = || TraceIndex::parse(&written.about).unwrap();
    let block = index().range(index().blocks_of(index().hash(&asked)).start);
    for at in block.start..block.end {
        let mut damaged = bytes.clone();
        damaged[at as usize] ^= 1;
        std::fs::write(path, damaged).unwrap();
        let index = index();
        // Bytes behind the checksum mean nothing.
        match index.groups(&written.fetch, [asked].iter()) {
            Ok(said) => assert!(said.groups[0] && at > block.end - 19, "byte {at}"),
            Err(_) => assert!(index.is_damaged()),
        }
    }
}

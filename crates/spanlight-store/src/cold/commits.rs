//! The table's commits as bytes: each has a checksum of itself in its `commitInfo`, where the protocol leaves room, so
//! that a digit that changed is not taken for one that was written. Owns that checksum, how a commit with one changed byte is
//! put right, and the look at the newest commits before a local table is opened.
//!
//! Commits without a checksum are those of other programs and of older versions; of them only the form is checked. An
//! empty one would pass for a commit that changes nothing, and the files that it named be removed as left-overs.

use std::io;
use std::ops::Range;
use std::path::Path;

use crc32c::{crc32c, crc32c_append};
use serde_json::Value as Json;

use crate::disk::{Disk, read_all, write_atomically};
use crate::error::OpenError;

/// More than there are after a checkpoint; older ones are not read by an open.
const COMMITS_LOOKED_AT: usize = 40;

/// How a commit of ours begins,
const BEGIN: &[u8] = b"{\"commitInfo\":{";
/// what stands there then,
const MARK: &[u8] = b"\"spanlightCrc32c\":\"";
/// and the checksum while it is not known.
const UNKNOWN: &[u8; 8] = b"00000000";

/// What to do about a commit that cannot be read.
pub(crate) const ADVICE: &str =
    "restore this one file from a backup: commits never change once they are written";

/// What is found of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is what was written, as far as it says.
    Sound,
    /// One byte is another; this is what was written.
    Mended(Vec<u8>),
    /// What it said cannot be known.
    Damaged(&'static str),
}

/// Whether a file of the table's log is a commit.
pub(crate) fn is_commit(name: &str) -> bool {
    let number = name.strip_suffix(".json");
    number.is_some_and(|number| number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// A commit with its checksum.
pub(crate) fn seal(commit: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(commit.len() + MARK.len() + UNKNOWN.len() + 2);
    let Some(rest) = commit
        .strip_prefix(BEGIN)
        .filter(|rest| rest.first() == Some(&b'"'))
    else {
        return commit.to_vec();
    };
    for part in [BEGIN, MARK, UNKNOWN, b"\",", rest] {
        sealed.extend_from_slice(part);
    }
    let start = BEGIN.len() + MARK.len();
    let sum = format!("{:08x}", crc32c(&sealed));
    sealed[start..start + UNKNOWN.len()].copy_from_slice(sum.as_bytes());
    sealed
}

/// Looks at a commit.
pub(crate) fn examine(commit: &[u8]) -> Condition {
    if let Some(place) = place_of_sum(commit) {
        return compare(commit, &place);
    }
    // The name of the checksum may be what changed.
    let place = BEGIN.len()..BEGIN.len() + MARK.len();
    let stands = commit.get(place.clone()).unwrap_or_default();
    let wrong = stands.iter().zip(MARK).filter(|(a, b)| a != b).count();
    if wrong == 1 && stands.len() == MARK.len() {
        let named = with(commit, place.start, MARK);
        let sum = place_of_sum(&named).map(|place| compare(&named, &place));
        if sum == Some(Condition::Sound) {
            return Condition::Mended(named);
        }
    }
    match is_whole(commit) {
        true => Condition::Sound,
        false => Condition::Damaged("it is not whole"),
    }
}

/// Compares a commit with its checksum.
fn compare(commit: &[u8], place: &Range<usize>) -> Condition {
    let sum = sum_of(commit, place);
    let said = &commit[place.clone()];
    let digits = format!("{sum:08x}");
    let wrong = said.iter().zip(digits.bytes()).filter(|(a, b)| **a != *b);
    match wrong.count() {
        0 => return Condition::Sound,
        // The rest agrees: it is the checksum that changed.
        1 => return Condition::Mended(with(commit, place.start, digits.as_bytes())),
        _ => {}
    }
    let said = std::str::from_utf8(said).ok();
    let said = said.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let Some(said) = said else {
        return Condition::Damaged("its checksum is wrong");
    };
    let mended = changed_bytes(commit.len(), sum ^ said)
        .filter(|(at, _)| !place.contains(at))
        .map(|(at, change)| with(commit, at, &[commit[at] ^ change]))
        .filter(|mended| is_whole(mended));
    let mut mended: Vec<Vec<u8>> = mended.take(2).collect();
    match (mended.pop(), mended.is_empty()) {
        (Some(mended), true) => Condition::Mended(mended),
        _ => Condition::Damaged("its checksum is wrong"),
    }
}

fn place_of_sum(commit: &[u8]) -> Option<Range<usize>> {
    let mark = commit
        .windows(MARK.len())
        .position(|window| window == MARK)?;
    let start = mark + MARK.len();
    let end = start + UNKNOWN.len();
    (end <= commit.len()).then_some(start..end)
}

fn sum_of(commit: &[u8], place: &Range<usize>) -> u32 {
    let sum = crc32c(&commit[..place.start]);
    let sum = crc32c_append(sum, UNKNOWN);
    crc32c_append(sum, &commit[place.end..])
}

fn with(commit: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut commit = commit.to_vec();
    commit[at..at + bytes.len()].copy_from_slice(bytes);
    commit
}

/// The single bytes whose change alone makes this difference of checksums: where, and which bits. A checksum is linear,
/// so what a changed byte adds is the same whatever stands around it, and can be followed back byte by byte.
fn changed_bytes(length: usize, difference: u32) -> impl Iterator<Item = (usize, u8)> {
    let table: Vec<u32> = (0..=255_u8)
        .map(|byte| crc32c(&[byte]) ^ crc32c(&[0]))
        .collect();
    // The first digits of no two entries are the same.
    let mut by_top = [0_u8; 256];
    for (byte, entry) in (0..=255_u8).zip(&table) {
        by_top[(entry >> 24) as usize] = byte;
    }
    let mut difference = difference;
    (0..length).rev().filter_map(move |at| {
        let byte = by_top[(difference >> 24) as usize];
        let is_here = byte != 0 && table[usize::from(byte)] == difference;
        difference = ((difference ^ table[usize::from(byte)]) << 8) | u32::from(byte);
        is_here.then_some((at, byte))
    })
}

/// A commit is one JSON object a line, and at least one.
fn is_whole(bytes: &[u8]) -> bool {
    let mut lines = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .peekable();
    lines.peek().is_some()
        && lines.all(|line| serde_json::from_slice::<Json>(line).is_ok_and(|json| json.is_object()))
}

/// Refuses a local table with a commit that cannot be read; puts right those that can be.
pub(crate) fn check(disk: &dyn Disk, table_log: &Path) -> Result<(), OpenError> {
    let disk_error = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Disk { path, source }
    };
    let entries = match disk.list(table_log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(disk_error(table_log))?,
    };
    let names = entries.into_iter().map(|entry| entry.name);
    let mut commits: Vec<String> = names.filter(|name| is_commit(name)).collect();
    commits.sort_unstable();
    for name in commits.iter().rev().take(COMMITS_LOOKED_AT) {
        let path = table_log.join(name);
        let bytes = read_all(disk, &path).map_err(disk_error(&path))?;
        match examine(&bytes) {
            Condition::Sound => {}
            Condition::Mended(whole) => {
                tracing::warn!(file = %path.display(), "a byte of a commit of the table had changed; it was put right by the commit's checksum");
                write_atomically(disk, &path, &[&whole], true).map_err(disk_error(&path))?;
            }
            Condition::Damaged(reason) => {
                return Err(OpenError::Damaged {
                    path,
                    reason: format!(
                        "it is a commit of the table, and {reason}: which files belong to the table cannot be known; {ADVICE}"
                    ),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &[u8] = b"{\"commitInfo\":{\"timestamp\":17,\"operation\":\"WRITE\"}}\n{\"add\":{\"path\":\"a\",\"size\":1234}}\n{\"txn\":{\"appId\":\"x\",\"version\":42}}";

    #[test]
    fn only_lines_of_objects_are_a_commit() {
        assert!(is_whole(b"{\"add\":{}}\n{\"txn\":{}}"));
        assert!(is_whole(b"{\"add\":{}}\n"));
        for torn in [&b""[..], b"\n", b"{\"add\":{}}\n{\"tx", b"\0\0\0\0", b"7"] {
            assert!(!is_whole(torn), "{torn:?}");
            assert_eq!(examine(torn), Condition::Damaged("it is not whole"));
        }
        assert!(is_commit("00000000000000000007.json"));
        assert!(!is_commit("00000000000000000007.checkpoint.parquet"));
        assert!(!is_commit("7.json"));
    }

    #[test]
    fn a_sealed_commit_says_the_same_and_its_checksum() {
        let sealed = seal(COMMIT);
        assert!(is_whole(&sealed));
        assert_eq!(examine(&sealed), Condition::Sound);
        let lines = |bytes: &[u8]| -> Vec<Json> {
            let text = std::str::from_utf8(bytes).unwrap();
            text.lines()
                .map(|l| serde_json::from_str(l).unwrap())
                .collect()
        };
        let mut says = lines(&sealed);
        let sum = says[0]["commitInfo"]
            .as_object_mut()
            .unwrap()
            .remove("spanlightCrc32c");
        assert_eq!(sum.unwrap().as_str().unwrap().len(), 8);
        assert_eq!(says, lines(COMMIT));
        // Those of others stay as they are.
        assert_eq!(examine(COMMIT), Condition::Sound);
        for other in [&b"{\"add\":{}}"[..], b"{\"commitInfo\":{}}"] {
            assert_eq!(seal(other), other);
            assert_eq!(examine(other), Condition::Sound);
        }
    }

    #[test]
    fn one_changed_byte_is_put_right() {
        let sealed = seal(COMMIT);
        for at in 0..sealed.len() {
            for change in [1, 0x10, 0x80, 0x0f, 0xff] {
                let changed = with(&sealed, at, &[sealed[at] ^ change]);
                let found = examine(&changed);
                assert_eq!(found, Condition::Mended(sealed.clone()), "{at} {change}");
            }
        }
    }

    #[test]
    fn more_than_that_is_damage() {
        let sealed = seal(COMMIT);
        for at in 0..sealed.len() - 9 {
            let mut changed = sealed.clone();
            for byte in &mut changed[at..at + 3] {
                *byte ^= 2;
            }
            let found = examine(&changed);
            assert!(!matches!(found, Condition::Mended(_)), "{at}: {found:?}");
            let is_in_mark = at + 3 > BEGIN.len() && at < BEGIN.len() + MARK.len() + 9;
            assert!(found != Condition::Sound || is_in_mark, "{at}");
        }
        assert_eq!(
            examine(&sealed[..sealed.len() - 4]),
            Condition::Damaged("its checksum is wrong")
        );
    }
}

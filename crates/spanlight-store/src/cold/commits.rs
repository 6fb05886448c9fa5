//! The newest commits of a local table, looked at before it is opened: the table's library takes an empty commit for
//! one that changes nothing, and the files that it named would then be removed as left-overs of a crash.

use std::io;
use std::path::Path;

use serde_json::Value as Json;

use crate::disk::{Disk, read_all};
use crate::error::OpenError;

/// More than there are after a checkpoint; older ones are not read by an open.
const COMMITS_LOOKED_AT: usize = 40;

/// Refuses a table with a commit that is not one.
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
        if !is_whole(&bytes) {
            return Err(OpenError::Damaged {
                path,
                reason: "it is a commit of the table, and not whole: which files belong to the table cannot be known; restore the data directory from a backup"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

fn is_commit(name: &str) -> bool {
    let number = name.strip_suffix(".json");
    number.is_some_and(|number| number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_objects_are_a_commit() {
        assert!(is_whole(b"{\"add\":{}}\n{\"txn\":{}}"));
        assert!(is_whole(b"{\"add\":{}}\n"));
        for torn in [&b""[..], b"\n", b"{\"add\":{}}\n{\"tx", b"\0\0\0\0", b"7"] {
            assert!(!is_whole(torn), "{torn:?}");
        }
        assert!(is_commit("00000000000000000007.json"));
        assert!(!is_commit("00000000000000000007.checkpoint.parquet"));
        assert!(!is_commit("7.json"));
    }
}

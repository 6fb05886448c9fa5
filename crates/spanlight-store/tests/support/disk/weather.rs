//! Operations that fail at random: which ones depends on a seed, on the file and on how often it was used, and not on
//! which thread came first.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use super::{Operation, Outcome};

/// How often operations fail, in a thousand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weather {
    pub(crate) seed: u64,
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) sync: u64,
    pub(crate) sync_directory: u64,
    pub(crate) names: u64,
    pub(crate) uses: BTreeMap<(String, Operation), u64>,
}

impl Weather {
    pub(super) fn outcome(&mut self, kind: Operation, path: &Path) -> Outcome {
        let chance = match kind {
            Operation::Read => self.read,
            Operation::Write => self.write,
            Operation::Sync | Operation::Truncate => self.sync,
            Operation::SyncDirectory => self.sync_directory,
            Operation::Other => self.names,
        };
        if chance == 0 {
            return Outcome::Done;
        }
        let name = without_uuids(&path.to_string_lossy());
        let mut hasher = DefaultHasher::new();
        let uses = self.uses.entry((name, kind)).or_default();
        *uses += 1;
        (self.seed, *uses, kind).hash(&mut hasher);
        without_uuids(&path.to_string_lossy()).hash(&mut hasher);
        let draw = hasher.finish();
        if draw % 1_000 >= chance {
            return Outcome::Done;
        }
        let may_be_denied = matches!(kind, Operation::Other | Operation::SyncDirectory);
        if may_be_denied && (draw / 1_000).is_multiple_of(2) {
            return Outcome::Denied;
        }
        Outcome::Failed
    }
}

/// The text with each random name replaced, so that it is the same in each run.
pub(crate) fn without_uuids(path: &str) -> String {
    const UUID_BYTES: usize = 36;
    let is_uuid = |text: &str| {
        let dashes = [8, 13, 18, 23];
        text.bytes().enumerate().all(|(at, byte)| {
            if dashes.contains(&at) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
    };
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        if rest.get(..UUID_BYTES).is_some_and(is_uuid) {
            text.push('*');
            rest = &rest[UUID_BYTES..];
        } else {
            text.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    text
}

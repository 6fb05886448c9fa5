//! Which traces reach the table: a policy decides each once, when its hot window has passed and all its spans are
//! looked at together; spans that come later follow.
//!
//! Owns the decisions that were taken, on the disk and in memory, for a day and up to a number. A file of them is
//! written before the commit that rests on it; one without its commit is forgotten at the next start.

mod flush;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use spanlight_model::{SpanBatch, TraceId};

use crate::disk::{Disk, read_all, write_atomically};

/// What becomes of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Its spans move to the table.
    Keep,
    /// Its spans are deleted when their hot window has passed.
    Drop,
}

/// Every span of a trace that was received so far, in no order; one that was sent twice may be there twice.
#[derive(Debug)]
pub struct TraceSpans<'a> {
    /// The trace.
    pub trace_id: TraceId,
    /// Its spans, and none of other traces.
    pub spans: &'a [SpanBatch],
}

/// Decides which traces are kept.
pub trait SamplingPolicy: Send + Sync + fmt::Debug {
    /// Whether every trace is kept: then none is looked at.
    fn keeps_all(&self) -> bool {
        false
    }

    /// Decides one trace. Must be quick; called on a blocking thread.
    fn decide(&self, trace: &TraceSpans<'_>) -> Decision;
}

/// Keeps every trace.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepAll;

impl SamplingPolicy for KeepAll {
    fn keeps_all(&self) -> bool {
        true
    }

    fn decide(&self, _trace: &TraceSpans<'_>) -> Decision {
        Decision::Keep
    }
}

/// Decisions that are remembered, at most; the oldest are forgotten first.
const DECISIONS_MAX: usize = 1 << 20;
/// How long a decision is remembered, in nanoseconds.
pub(crate) const REMEMBERED: i64 = 24 * 3_600 * 1_000_000_000;

const MAGIC: [u8; 8] = *b"SPANDEC\x01";
const HEADER_BYTES: usize = 24;

/// The decisions of one flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    /// The last sequence number of the log that the flush covers.
    pub(crate) through: u64,
    pub(crate) at_unix_nano: i64,
    pub(crate) kept: BTreeSet<TraceId>,
    pub(crate) dropped: BTreeSet<TraceId>,
}

impl Decided {
    fn count(&self) -> usize {
        self.kept.len() + self.dropped.len()
    }

    fn file_name(&self) -> String {
        format!("{:020}.decisions", self.through)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.at_unix_nano.to_le_bytes());
        bytes.extend((self.kept.len() as u64).to_le_bytes());
        for id in self.kept.iter().chain(&self.dropped) {
            bytes.extend(id.0);
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    fn parse(through: u64, bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<4>()?;
        let is_whole = crc32c::crc32c(content) == u32::from_le_bytes(*checksum);
        if !is_whole || !content.starts_with(&MAGIC) || content.len() < HEADER_BYTES {
            return None;
        }
        let at_unix_nano = i64::from_le_bytes(content[8..16].try_into().ok()?);
        let kept = u64::from_le_bytes(content[16..24].try_into().ok()?);
        let kept = usize::try_from(kept).ok()?;
        let ids = content[HEADER_BYTES..].chunks_exact(16);
        let ids = ids.map(|id| Some(TraceId(id.try_into().ok()?)));
        let ids: Vec<TraceId> = ids.collect::<Option<_>>()?;
        let (kept, dropped) = ids.split_at_checked(kept)?;
        Some(Self {
            through,
            at_unix_nano,
            kept: kept.iter().copied().collect(),
            dropped: dropped.iter().copied().collect(),
        })
    }
}

/// The decisions that are remembered, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    flushes: VecDeque<Arc<Decided>>,
}

impl Decisions {
    /// Reads what was decided, and forgets what no commit rests on.
    pub(crate) fn load(disk: &dyn Disk, folder: &Path, committed: u64) -> io::Result<Self> {
        let entries = match disk.list(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut names: Vec<(u64, String)> = entries
            .into_iter()
            .filter_map(|entry| {
                let number = entry.name.strip_suffix(".decisions")?.parse().ok()?;
                Some((number, entry.name))
            })
            .collect();
        names.sort();
        let mut flushes = VecDeque::new();
        for (through, name) in names {
            let path = folder.join(name);
            let decided = Decided::parse(through, &read_all(disk, &path)?);
            match decided.filter(|decided| decided.through <= committed) {
                Some(decided) => flushes.push_back(Arc::new(decided)),
                None => disk.remove(&path)?,
            }
        }
        Ok(Self { flushes })
    }

    /// What was decided of a trace; `None` when nothing is remembered.
    pub(crate) fn of(&self, trace_id: TraceId) -> Option<Decision> {
        let mut flushes = self.flushes.iter().rev();
        flushes.find_map(|decided| {
            if decided.kept.contains(&trace_id) {
                Some(Decision::Keep)
            } else {
                let is_dropped = decided.dropped.contains(&trace_id);
                is_dropped.then_some(Decision::Drop)
            }
        })
    }

    /// Remembers, for as long as the process lives.
    pub(crate) fn add(&mut self, decided: Arc<Decided>) {
        self.flushes.push_back(decided);
    }

    /// Forgets what is too old or too much.
    pub(crate) fn forget(&mut self, disk: &dyn Disk, folder: &Path, now: i64) -> io::Result<()> {
        let mut count: usize = self.flushes.iter().map(|decided| decided.count()).sum();
        while let Some(oldest) = self.flushes.front() {
            let is_old = now.saturating_sub(oldest.at_unix_nano) > REMEMBERED;
            if !is_old && count <= DECISIONS_MAX {
                break;
            }
            match disk.remove(&folder.join(oldest.file_name())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            count -= oldest.count();
            self.flushes.pop_front();
        }
        Ok(())
    }
}

/// Makes decisions durable.
pub(crate) fn save(disk: &dyn Disk, folder: &Path, decided: &Decided) -> io::Result<()> {
    disk.create_dir_all(folder)?;
    let path = folder.join(decided.file_name());
    write_atomically(disk, &path, &[&decided.to_bytes()], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_read_back_and_damage_is_seen() {
        let decided = Decided {
            through: 7,
            at_unix_nano: -3,
            kept: [TraceId([1; 16]), TraceId([2; 16])].into(),
            dropped: [TraceId([3; 16])].into(),
        };
        let bytes = decided.to_bytes();
        assert_eq!(Decided::parse(7, &bytes).as_ref(), Some(&decided));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(Decided::parse(7, &damaged), None, "byte {at}");
            assert_eq!(Decided::parse(7, &bytes[..at]), None);
        }
        let mut decisions = Decisions::default();
        decisions.add(Arc::new(decided));
        assert_eq!(decisions.of(TraceId([2; 16])), Some(Decision::Keep));
        assert_eq!(decisions.of(TraceId([3; 16])), Some(Decision::Drop));
        assert_eq!(decisions.of(TraceId([4; 16])), None);
    }
}

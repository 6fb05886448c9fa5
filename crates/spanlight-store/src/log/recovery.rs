//! Reading the log when the store opens: every complete record that the table does not have yet, in order.
//!
//! A torn tail is cut, with a warning. Damage in the middle costs only its records: they are counted, and their bytes
//! are kept aside in `DATA_DIR/damaged`.

use std::collections::{BTreeMap, btree_map};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use spanlight_model::SpanBatch;

use super::codec;
use super::format::{
    HeaderError, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, check_segment_header,
    segment_number,
};
use super::segment::{Part, parts};
use crate::disk::{Disk, Entry, read_all, write_atomically};
use crate::error::OpenError;
use crate::recent::RecentTier;
use crate::statistics::DamageStatistics;

/// What the log held.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Batches by sequence number.
    pub(crate) batches: BTreeMap<u64, SpanBatch>,
    /// The bytes of their records.
    pub(crate) bytes: u64,
    /// The files, oldest first.
    pub(crate) segments: Vec<SealedSegment>,
    pub(crate) damage: DamageStatistics,
    /// The highest number of any segment and any record, so that neither is used again.
    pub(crate) segment_number_max: u64,
    pub(crate) sequence_max: u64,
}

/// A segment that is not written any more.
#[derive(Debug, Clone)]
pub(crate) struct SealedSegment {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// The highest sequence number inside; zero when there is no record.
    pub(crate) sequence_max: u64,
}

impl Recovered {
    /// A log without segments, as in a new directory, is no news.
    fn tell(&self, started: Instant) {
        if self.segments.is_empty() {
            return;
        }
        let spans: usize = self.batches.values().map(SpanBatch::num_spans).sum();
        tracing::info!(
            batches = self.batches.len(),
            spans,
            bytes = self.bytes,
            segments = self.segments.len(),
            elapsed_ms = started.elapsed().as_millis() as u64,
            "recovered the log"
        );
    }
}

/// Where the log is and what is already elsewhere.
#[derive(Debug)]
pub(crate) struct Recovery<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) log_dir: &'a Path,
    pub(crate) damaged_dir: &'a Path,
    /// Records up to and including this sequence number are in the table.
    pub(crate) committed: u64,
    /// Files that cover further records.
    pub(crate) recent: &'a RecentTier,
}

impl Recovery<'_> {
    pub(crate) fn run(&self) -> Result<Recovered, OpenError> {
        let started = Instant::now();
        let mut entries = self
            .disk
            .list(self.log_dir)
            .map_err(disk_error(self.log_dir))?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let numbered: Vec<(u64, Entry)> = entries
            .into_iter()
            .filter_map(|entry| Some((segment_number(&entry.name)?, entry)))
            .collect();
        let mut recovered = Recovered {
            sequence_max: self.committed.max(self.recent.last()),
            ..Recovered::default()
        };
        let numbered = self.without_empty(numbered, &mut recovered)?;
        let last = numbered.len().saturating_sub(1);
        for (position, (_, entry)) in numbered.into_iter().enumerate() {
            let path = self.log_dir.join(&entry.name);
            self.segment(&path, position == last, &mut recovered)?;
        }
        if recovered.damage.records > 0 {
            tracing::error!(
                records = recovered.damage.records,
                bytes = recovered.damage.bytes,
                "the log was damaged; what could not be read is kept in {}",
                self.damaged_dir.display()
            );
        }
        recovered.tell(started);
        Ok(recovered)
    }

    /// Removes segments that were begun and have no record; what is left ends with the one that was written last.
    fn without_empty(
        &self,
        numbered: Vec<(u64, Entry)>,
        recovered: &mut Recovered,
    ) -> Result<Vec<(u64, Entry)>, OpenError> {
        let mut kept = Vec::with_capacity(numbered.len());
        for (number, entry) in numbered {
            recovered.segment_number_max = number;
            if entry.stat.length > SEGMENT_HEADER_BYTES as u64 {
                kept.push((number, entry));
                continue;
            }
            let path = self.log_dir.join(&entry.name);
            self.disk.remove(&path).map_err(disk_error(&path))?;
        }
        Ok(kept)
    }

    fn segment(
        &self,
        path: &Path,
        is_last: bool,
        recovered: &mut Recovered,
    ) -> Result<(), OpenError> {
        let mut bytes = read_all(self.disk, path).map_err(disk_error(path))?;
        match check_segment_header(&bytes) {
            Ok(()) => {}
            Err(error @ HeaderError::Newer { .. }) => {
                return Err(OpenError::Damaged {
                    path: path.to_owned(),
                    reason: format!("{error}; run a newer version, or choose another directory"),
                });
            }
            // The records have checksums of their own.
            Err(HeaderError::Damaged) => self.set_aside(path, &bytes, 0, recovered),
        }
        let mut sequence_max = 0;
        let mut is_needed = false;
        for part in parts(&bytes) {
            match part {
                Part::Record { header, payload } => {
                    sequence_max = sequence_max.max(header.sequence);
                    if self.is_covered(header.sequence) {
                        continue;
                    }
                    is_needed = true;
                    self.record(
                        path,
                        header,
                        &bytes[payload.clone()],
                        payload.start,
                        recovered,
                    );
                }
                Part::Damage(range) => {
                    self.set_aside(path, &bytes[range.clone()], range.start, recovered);
                }
                Part::Tail(range) if is_last => {
                    self.cut(path, &bytes[range.clone()], range.start, recovered)?;
                    bytes.truncate(range.start);
                    break;
                }
                Part::Tail(range) => {
                    self.set_aside(path, &bytes[range.clone()], range.start, recovered);
                    break;
                }
            }
        }
        if is_needed {
            // After a kill the bytes may only be in the page cache, and nobody may see a span that is not synced.
            self.disk
                .truncate(path, bytes.len() as u64)
                .map_err(disk_error(path))?;
        }
        recovered.sequence_max = recovered.sequence_max.max(sequence_max);
        recovered.segments.push(SealedSegment {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            sequence_max,
        });
        Ok(())
    }

    fn is_covered(&self, sequence: u64) -> bool {
        let mut files = self.recent.files().iter();
        sequence <= self.committed || files.any(|recent| recent.range.contains(sequence))
    }

    fn record(
        &self,
        path: &Path,
        header: RecordHeader,
        payload: &[u8],
        offset: usize,
        recovered: &mut Recovered,
    ) {
        match codec::decode(payload) {
            Ok(batch) => {
                // A record that was written again, after its segment was abandoned, is the same record.
                if let btree_map::Entry::Vacant(vacant) = recovered.batches.entry(header.sequence) {
                    vacant.insert(batch);
                    recovered.bytes += (RECORD_HEADER_BYTES + payload.len()) as u64;
                }
            }
            Err(error) => {
                tracing::error!(%error, sequence = header.sequence, "unreadable record in the log");
                self.set_aside(path, payload, offset, recovered);
            }
        }
    }

    fn cut(
        &self,
        path: &Path,
        tail: &[u8],
        offset: usize,
        recovered: &mut Recovered,
    ) -> Result<(), OpenError> {
        tracing::warn!(
            file = %path.display(),
            offset,
            bytes = tail.len(),
            "cut a torn tail off the log: a write that was under way when the process or the machine stopped, and that \
             was never acknowledged"
        );
        recovered.damage.cut_bytes += tail.len() as u64;
        // A record of full length whose bytes are wrong may also be an old one that rotted.
        if RecordHeader::parse(tail)
            .is_some_and(|header| tail.len() >= RECORD_HEADER_BYTES + header.payload_bytes as usize)
        {
            self.set_aside(path, tail, offset, recovered);
        }
        self.disk
            .truncate(path, offset as u64)
            .map_err(disk_error(path))
    }

    fn set_aside(&self, path: &Path, bytes: &[u8], offset: usize, recovered: &mut Recovered) {
        recovered.damage.records += 1;
        recovered.damage.bytes += bytes.len() as u64;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = self.damaged_dir.join(format!("{name}.{offset}"));
        tracing::warn!(file = %path.display(), offset, bytes = bytes.len(), "damaged part of the log");
        let kept = self
            .disk
            .create_dir_all(self.damaged_dir)
            .and_then(|()| write_atomically(self.disk, &target, &[bytes], true));
        if let Err(error) = kept {
            tracing::error!(%error, file = %target.display(), "cannot keep the damaged part aside");
        }
    }
}

fn disk_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Disk { path, source }
}

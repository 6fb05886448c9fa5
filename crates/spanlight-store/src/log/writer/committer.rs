//! The writer's thread.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use spanlight_model::SpanBatch;

use super::{
    Active, Append, Command, Shared, WriterOptions, payload_checksum, record_room, seal_record,
    unwritable,
};
use crate::disk::{DiskFile, read_all};
use crate::error::AppendError;
use crate::hot::{HotBatch, Parts, Summary};
use crate::log::codec;
use crate::log::format::{
    RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, segment_header, segment_name,
};
use crate::log::recovery::SealedSegment;
use crate::log::segment::{Part, parts};
use crate::options::FsyncPolicy;

/// Bytes that are written and synced at once, at most, so that one group does not hold up all others.
const GROUP_BYTES: usize = 8 << 20;
/// Bytes that must fit on the disk before a log that was unwritable takes spans again.
const PROBE_BYTES: usize = 1 << 20;

pub(super) struct Committer {
    options: WriterOptions,
    shared: Arc<Shared>,
    active: Option<Active>,
    sealed: Vec<SealedSegment>,
    next_sequence: u64,
    next_segment: u64,
    buffer: Vec<u8>,
    /// Acknowledged records that the disk lost; they go first into the next segment.
    lost: Vec<(u64, SpanBatch)>,
}

/// Answers whoever waits, even when the thread panics: nobody may hang.
struct AnswerAtEnd(Arc<Shared>);

impl Drop for AnswerAtEnd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the log's thread stopped; restart Spanlight".to_owned();
            self.0.unwritable.store(Some(Arc::new(reason)));
        }
        let mut queue = self.0.lock();
        queue.closed = true;
        queue.commands.clear();
    }
}

impl Committer {
    pub(super) fn new(mut options: WriterOptions, shared: Arc<Shared>) -> Self {
        Self {
            sealed: std::mem::take(&mut options.sealed),
            next_sequence: options.next_sequence,
            next_segment: options.next_segment,
            options,
            shared,
            active: None,
            buffer: Vec::new(),
            lost: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        let _answer = AnswerAtEnd(Arc::clone(&self.shared));
        self.count_segments();
        loop {
            let unwritable = self.shared.unwritable.load().is_some();
            let timeout = unwritable.then_some(self.options.probe_interval);
            let Some(commands) = self.shared.take(timeout) else {
                return;
            };
            if commands.is_empty() {
                self.probe();
            }
            self.process(commands);
        }
    }

    fn process(&mut self, commands: VecDeque<Command>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        for command in commands {
            match command {
                Command::Append(append) => {
                    bytes += append.record.len();
                    group.push(*append);
                    if bytes < GROUP_BYTES {
                        continue;
                    }
                    self.commit(std::mem::take(&mut group));
                    bytes = 0;
                }
                Command::Seal(reply) => {
                    self.commit(std::mem::take(&mut group));
                    self.seal();
                    reply.send(self.next_sequence - 1).ok();
                }
                Command::Cut(through) => {
                    self.commit(std::mem::take(&mut group));
                    self.cut(through);
                }
                Command::Look(reply) => {
                    self.commit(std::mem::take(&mut group));
                    if self.shared.unwritable.load().is_some() {
                        self.probe();
                    }
                    reply.send(()).ok();
                }
            }
        }
        self.commit(group);
    }

    /// Writes, syncs, publishes, answers: in this order.
    fn commit(&mut self, group: Vec<Append>) {
        if group.is_empty() {
            return;
        }
        if let Some(reason) = self.shared.unwritable.load_full() {
            return fail(group, &unwritable(&reason));
        }
        let first = self.next_sequence;
        self.next_sequence += group.len() as u64;
        if let Err(error) = self.write(&group, first) {
            let reason = self.abandon(&error);
            return fail(group, &unwritable(&reason));
        }
        let mut replies = Vec::with_capacity(group.len());
        let mut spans = 0;
        let batches: Vec<Arc<HotBatch>> = (first..)
            .zip(group)
            .map(|(sequence, append)| {
                replies.push(append.reply);
                spans += append.spans.num_spans() as u64;
                Arc::new(HotBatch {
                    parts: Parts::one(sequence, append.spans.num_spans()),
                    spans: append.spans,
                    summary: append.summary,
                    _memory: append.memory,
                })
            })
            .collect();
        let counters = &self.shared.counters;
        counters
            .appended_batches
            .fetch_add(batches.len() as u64, Ordering::Relaxed);
        counters.appended_spans.fetch_add(spans, Ordering::Relaxed);
        let mut hot_bytes = 0;
        self.options.published.update(|view| {
            let next = view.with_hot(view.hot.with(batches));
            hot_bytes = next.hot.bytes;
            next
        });
        for reply in replies {
            reply.send(Ok(())).ok();
        }
        if hot_bytes >= self.options.flush_bytes {
            self.options.flush_wanted.notify_one();
        }
    }

    fn write(&mut self, group: &[Append], first: u64) -> io::Result<()> {
        self.buffer.clear();
        for (sequence, append) in (first..).zip(group) {
            let spans = append.spans.num_spans();
            let received_at = append.summary.received_max;
            let header = header(&append.record, sequence, received_at, spans);
            self.buffer.extend_from_slice(&header);
            self.buffer
                .extend_from_slice(&append.record[RECORD_HEADER_BYTES..]);
        }
        let last = first + group.len() as u64 - 1;
        let full = |active: &Active| active.bytes >= self.options.segment_bytes;
        if self.active.as_ref().is_some_and(full) {
            self.seal();
        }
        let active = match self.active.take() {
            Some(active) => active,
            None => self.begin_segment()?,
        };
        let active = self.active.insert(active);
        write_and_sync(active, &self.buffer, self.options.fsync, &self.shared)?;
        active.sequence_min = active.sequence_min.min(first);
        active.sequence_max = last;
        Ok(())
    }

    /// A new segment, whose name is durable. Leaves nothing behind when it fails, if the disk lets it.
    fn begin_segment(&mut self) -> io::Result<Active> {
        let number = self.next_segment;
        self.next_segment += 1;
        let directory = self.options.directory.log();
        let path = directory.join(segment_name(number));
        let begin = || -> io::Result<Box<dyn DiskFile>> {
            let mut file = self.options.disk.create_new(&path)?;
            file.write_all(&segment_header(number))?;
            file.sync()?;
            self.options.disk.sync_dir(&directory)?;
            Ok(file)
        };
        let file = begin().inspect_err(|_| {
            self.options.disk.remove(&path).ok();
        })?;
        let counters = &self.shared.counters;
        counters.segments.fetch_add(1, Ordering::Relaxed);
        counters
            .bytes
            .fetch_add(SEGMENT_HEADER_BYTES as u64, Ordering::Relaxed);
        Ok(Active {
            path,
            file,
            bytes: SEGMENT_HEADER_BYTES as u64,
            sequence_min: u64::MAX,
            sequence_max: 0,
        })
    }

    /// Ends the segment, if it has a record.
    fn seal(&mut self) {
        if let Some(active) = self.active.take_if(|active| active.sequence_max > 0) {
            self.sealed.push(SealedSegment {
                path: active.path,
                bytes: active.bytes,
                sequence_max: active.sequence_max,
            });
        }
    }

    fn cut(&mut self, through: u64) {
        let disk = &self.options.disk;
        let before = self.sealed.len();
        self.lost.retain(|(sequence, _)| *sequence > through);
        self.sealed.retain(|segment| {
            if segment.sequence_max > through {
                return true;
            }
            match disk.remove(&segment.path) {
                Ok(()) => false,
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => {
                    // Harmless but for the space: its records are known to be in the table.
                    tracing::warn!(%error, file = %segment.path.display(), "cannot remove a segment of the log");
                    true
                }
            }
        });
        if self.sealed.len() < before
            && let Err(error) = disk.sync_dir(&self.options.directory.log())
        {
            tracing::warn!(%error, "cannot sync the log's directory");
        }
        self.count_segments();
    }

    fn count_segments(&self) {
        let active = self.active.iter().map(|active| active.bytes);
        let sealed = self.sealed.iter().map(|segment| segment.bytes);
        let counters = &self.shared.counters;
        let count = self.sealed.len() + usize::from(self.active.is_some());
        counters.segments.store(count as u64, Ordering::Relaxed);
        counters
            .bytes
            .store(active.chain(sealed).sum(), Ordering::Relaxed);
    }

    /// Leaves the segment that could not be written, and refuses appends until another can be begun.
    fn abandon(&mut self, error: &io::Error) -> String {
        self.shared
            .counters
            .failures
            .fetch_add(1, Ordering::Relaxed);
        let place = self.active.as_ref().map_or_else(
            || self.options.directory.log(),
            |active| active.path.clone(),
        );
        let reason = format!("{}: {error}", place.display());
        tracing::error!(%reason, "the log cannot be written; new spans are refused until it can");
        self.shared.unwritable.store(Some(Arc::new(reason.clone())));
        if let Some(active) = self.active.take() {
            drop(active.file);
            // What follows was never acknowledged. If the cut fails too, recovery may find it: that is allowed.
            self.options.disk.truncate(&active.path, active.bytes).ok();
            self.verify(&active.path, active.sequence_min, active.sequence_max);
            self.sealed.push(SealedSegment {
                path: active.path,
                bytes: active.bytes,
                sequence_max: active.sequence_max,
            });
        }
        // A disk that failed once may be fine in another file.
        self.probe();
        reason
    }

    /// Reads the acknowledged part of an abandoned segment back; what is not there is still in memory.
    fn verify(&mut self, path: &Path, sequence_min: u64, sequence_max: u64) {
        let found: BTreeSet<u64> = match read_all(self.options.disk.as_ref(), path) {
            Ok(bytes) => parts(&bytes)
                .into_iter()
                .filter_map(|part| match part {
                    Part::Record { header, .. } => Some(header.sequence),
                    Part::Damage(_) | Part::Tail(_) => None,
                })
                .collect(),
            Err(_) => BTreeSet::new(),
        };
        let view = self.options.published.load();
        let records = view.hot.iter().flat_map(|batch| batch.records());
        let lost = records.filter(|(sequence, _)| {
            (sequence_min..=sequence_max).contains(sequence) && !found.contains(sequence)
        });
        let before = self.lost.len();
        self.lost.extend(lost);
        let lost = self.lost.len() - before;
        if lost > 0 {
            tracing::error!(lost, file = %path.display(), "acknowledged records cannot be read back; they are written again");
        }
    }

    /// Tries whether the disk takes data again.
    fn probe(&mut self) {
        match self.try_probe() {
            Ok(()) => {
                self.shared.unwritable.store(None);
                tracing::info!("the log is writable again");
            }
            Err(error) => {
                let reason = format!("{}: {error}", self.options.directory.log().display());
                self.shared.unwritable.store(Some(Arc::new(reason)));
            }
        }
        self.count_segments();
    }

    fn try_probe(&mut self) -> io::Result<()> {
        let path = self.options.directory.log().join(".probe.tmp");
        let disk = Arc::clone(&self.options.disk);
        let probed = disk.create_new(&path).and_then(|mut file| {
            file.write_all(&vec![0; PROBE_BYTES])?;
            file.sync()
        });
        match disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => probed?,
        }
        let mut active = self.begin_segment()?;
        match self.rewrite_lost(&mut active) {
            Ok(()) => {
                self.active = Some(active);
                Ok(())
            }
            Err(error) => {
                drop(active.file);
                // A rewritten record that stays here as well is the same record to recovery.
                disk.remove(&active.path).ok();
                Err(error)
            }
        }
    }

    /// Puts the records that the disk lost into this segment, under their own sequence numbers.
    fn rewrite_lost(&mut self, active: &mut Active) -> io::Result<()> {
        for (sequence, spans) in &self.lost {
            let mut record = record_room(0);
            codec::encode(spans, &mut record).map_err(io::Error::other)?;
            seal_record(&mut record);
            let received_at = Summary::of(spans).received_max;
            let header = header(&record, *sequence, received_at, spans.num_spans());
            record[..RECORD_HEADER_BYTES].copy_from_slice(&header);
            write_and_sync(active, &record, self.options.fsync, &self.shared)?;
            active.sequence_min = active.sequence_min.min(*sequence);
            active.sequence_max = active.sequence_max.max(*sequence);
        }
        self.lost.clear();
        Ok(())
    }
}

fn write_and_sync(
    active: &mut Active,
    bytes: &[u8],
    fsync: FsyncPolicy,
    shared: &Shared,
) -> io::Result<()> {
    active.file.write_all(bytes)?;
    let counters = &shared.counters;
    if fsync == FsyncPolicy::Always {
        let start = Instant::now();
        active.file.sync()?;
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        counters.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        counters.last_sync_nanos.store(nanos, Ordering::Relaxed);
    }
    active.bytes += bytes.len() as u64;
    let bytes = bytes.len() as u64;
    counters.bytes.fetch_add(bytes, Ordering::Relaxed);
    counters.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
    Ok(())
}

fn header(
    record: &[u8],
    sequence: u64,
    received_at: i64,
    spans: usize,
) -> [u8; RECORD_HEADER_BYTES] {
    // Both fit: the store refuses larger batches before they come here.
    let header = RecordHeader {
        payload_bytes: u32::try_from(record.len() - RECORD_HEADER_BYTES).unwrap_or(u32::MAX),
        sequence,
        received_at,
        spans: u32::try_from(spans).unwrap_or(u32::MAX),
        payload_checksum: payload_checksum(record),
    };
    header.to_bytes()
}

fn fail(group: Vec<Append>, error: &AppendError) {
    for append in group {
        append.reply.send(Err(error.clone())).ok();
    }
}

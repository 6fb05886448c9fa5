//! A disk in memory that keeps what was synced apart from what was not, and can fail in every way that disks do.
//!
//! After [`ForgetfulDisk::pull_plug_after`] so many writing operations everything that writes fails;
//! [`ForgetfulDisk::restart`] forgets what was not synced: bytes of files, names in directories, and directories. A
//! seed above zero keeps a random part of it, as a real disk may: any of the writes, cut at any byte; any of the
//! changes of names. A sync that fails has thrown away what it should have written, and the next one says nothing of it.

mod names;
mod weather;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::SystemTime;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use spanlight_store::disk::{Disk, DiskFile, Entry, Lock, Stat};

use self::names::Names;
pub(crate) use self::weather::{Weather, without_uuids};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct ForgetfulDisk {
    state: Arc<Mutex<State>>,
    changed: Arc<Condvar>,
}

impl fmt::Debug for ForgetfulDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ForgetfulDisk")
    }
}

#[derive(Default)]
struct State {
    files: BTreeMap<u64, File>,
    names: Names,
    operations: u64,
    plug_after: Option<u64>,
    capacity: Option<usize>,
    /// The most bytes that there were.
    peak: usize,
    faults: Vec<Fault>,
    weather: Weather,
    gate: Gate,
}

#[derive(Default)]
struct File {
    /// As every process sees it.
    bytes: Vec<u8>,
    /// So many are synced,
    synced: usize,
    /// but for these, which a failed sync threw away.
    holes: Vec<Range<usize>>,
}

/// One operation that fails, once.
struct Fault {
    kind: Operation,
    /// Part of the path.
    path: &'static str,
    damage: bool,
}

/// A writing operation that waits until it may go on.
#[derive(Default)]
struct Gate {
    at: Option<u64>,
    /// The path of the operation that waits.
    reached: Option<PathBuf>,
}

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operation {
    Read,
    Write,
    Sync,
    SyncDirectory,
    Truncate,
    /// Of names: create, rename, link, remove.
    Other,
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It is said to have failed, and was done.
    Denied,
    Failed,
    /// The power went while it was done.
    Torn(u64),
}

impl Outcome {
    fn result(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Denied | Self::Failed => Err(io::Error::other("input/output error")),
            Self::Torn(_) => Err(io::Error::other("the plug is pulled")),
        }
    }

    fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Denied)
    }
}

impl ForgetfulDisk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many writing operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Everything that writes fails after so many more writing operations.
    pub(crate) fn pull_plug_after(&self, operations: u64) {
        let mut state = self.lock();
        state.plug_after = Some(state.operations + operations);
    }

    /// Whether the plug is pulled already.
    pub(crate) fn is_unplugged(&self) -> bool {
        let state = self.lock();
        state.plug_after.is_some_and(|plug| state.operations > plug)
    }

    /// Only the process was killed: what it wrote is there, synced or not.
    pub(crate) fn survive_kill(&self) {
        self.lock().plug_after = None;
    }

    /// Power is back: what was not synced is gone, or, with a seed above zero, a random part of it.
    pub(crate) fn restart(&self, seed: u64) {
        let mut state = self.lock();
        let mut random = (seed > 0).then(|| SmallRng::seed_from_u64(seed));
        for file in state.files.values_mut() {
            file.lose_power(random.as_mut());
        }
        state.names.lose_power(random.as_mut());
        state.plug_after = None;
        state.faults.clear();
        state.capacity = None;
        state.weather = Weather::default();
    }

    /// Bytes that fit on the disk; `None` for no bound.
    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.lock().capacity = bytes;
    }

    pub(crate) fn used(&self) -> usize {
        self.lock().used()
    }

    /// The most bytes that there were since the last time somebody asked.
    pub(crate) fn take_peak(&self) -> usize {
        let mut state = self.lock();
        let used = state.used();
        std::mem::replace(&mut state.peak, used)
    }

    /// From now on operations fail at random.
    pub(crate) fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// The next operation of this kind on a path with this part fails.
    pub(crate) fn fail_next(&self, kind: Operation, path: &'static str) {
        let damage = false;
        self.lock().faults.push(Fault { kind, path, damage });
    }

    /// The next sync of a path with this part fails, and the file's bytes beyond the first 32 are lost.
    pub(crate) fn fail_and_damage(&self, path: &'static str) {
        let kind = Operation::Sync;
        let damage = true;
        self.lock().faults.push(Fault { kind, path, damage });
    }

    /// The writing operation after so many more waits for [`ForgetfulDisk::open_gate`].
    pub(crate) fn close_gate_after(&self, operations: u64) {
        let mut state = self.lock();
        state.gate = Gate {
            at: Some(state.operations + operations + 1),
            reached: None,
        };
    }

    /// The path of the operation that waits at the gate.
    pub(crate) fn at_gate(&self) -> Option<PathBuf> {
        self.lock().gate.reached.clone()
    }

    pub(crate) fn open_gate(&self) {
        self.lock().gate = Gate::default();
        self.changed.notify_all();
    }

    /// Whether a file has bytes that a failed sync threw away, and that a power cut will take.
    pub(crate) fn has_lost_bytes(&self) -> bool {
        let state = self.lock();
        state.files.values().any(|file| !file.holes.is_empty())
    }

    /// Names of files whose path has this part.
    pub(crate) fn files(&self, part: &str) -> Vec<PathBuf> {
        let state = self.lock();
        let names = state.names.iter().map(|(name, _)| name);
        let found = names.filter(|name| name.to_string_lossy().contains(part));
        found.cloned().collect()
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let id = state.names.get(path)?;
        Some(state.files[&id].bytes.clone())
    }

    /// A bit of the file is another one, as after years on a shelf.
    pub(crate) fn flip_bit(&self, path: &Path, bit: usize) {
        let mut state = self.lock();
        let id = state.names.get(path).unwrap();
        let file = state.files.get_mut(&id).unwrap();
        file.bytes[bit / 8] ^= 1 << (bit % 8);
    }

    /// Counts a writing operation, waits where it has to wait, and says what becomes of it.
    fn operate(&self, kind: Operation, path: &Path) -> (MutexGuard<'_, State>, Outcome) {
        let mut state = self.lock();
        state.operations += 1;
        if state.gate.at == Some(state.operations) {
            state.gate.reached = Some(path.to_owned());
            let mine = state.gate.at;
            while state.gate.at == mine {
                state = self.changed.wait(state).unwrap();
            }
        }
        let outcome = state.outcome(kind, path);
        (state, outcome)
    }

    /// An operation on names.
    fn change_names(
        &self,
        path: &Path,
        change: impl FnOnce(&mut State) -> io::Result<Vec<(PathBuf, Option<u64>)>>,
    ) -> io::Result<()> {
        let (mut state, outcome) = self.operate(Operation::Other, path);
        if outcome.is_done() {
            let names = change(&mut state)?;
            state.names.change(names);
        }
        outcome.result()
    }
}

impl State {
    fn used(&self) -> usize {
        let ids = self.names.iter().map(|(_, id)| id);
        ids.map(|id| self.files[&id].bytes.len()).sum()
    }

    fn outcome(&mut self, kind: Operation, path: &Path) -> Outcome {
        if let Some(plug) = self.plug_after.filter(|plug| self.operations > *plug) {
            let last = self.operations == plug + 1;
            return Outcome::Torn(if last { self.operations } else { 0 });
        }
        let matches =
            |fault: &Fault| fault.kind == kind && path.to_string_lossy().contains(fault.path);
        if let Some(position) = self.faults.iter().position(matches) {
            if self.faults.remove(position).damage {
                let id = self.names.get(path).unwrap();
                let file = self.files.get_mut(&id).unwrap();
                file.bytes[32..].fill(0xee);
            }
            return Outcome::Failed;
        }
        self.weather.outcome(kind, path)
    }

    fn id(&self, path: &Path) -> io::Result<u64> {
        let id = self.names.get(path);
        id.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl File {
    fn lose_power(&mut self, random: Option<&mut SmallRng>) {
        if let Some(random) = random {
            let kept = random.random_range(self.synced..=self.bytes.len());
            // Writes reach the disk in any order.
            let chance = [1.0, 0.9, 0.5][random.random_range(0..3)];
            for start in (self.synced..kept).step_by(SECTOR_BYTES) {
                if !random.random_bool(chance) {
                    self.holes.push(start..(start + SECTOR_BYTES).min(kept));
                }
            }
            self.bytes.truncate(kept);
        } else {
            self.bytes.truncate(self.synced);
        }
        for hole in std::mem::take(&mut self.holes) {
            let end = hole.end.min(self.bytes.len());
            self.bytes[hole.start.min(end)..end].fill(0);
        }
        self.synced = self.bytes.len();
    }

    fn sync(&mut self, outcome: Outcome) {
        if outcome == Outcome::Failed {
            self.holes.push(self.synced..self.bytes.len());
        }
        if !matches!(outcome, Outcome::Torn(_)) {
            self.synced = self.bytes.len();
        }
    }
}

impl Disk for ForgetfulDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.lock().names.create_directories(path);
        Ok(())
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut id = 0;
        self.change_names(path, |state| {
            if state.names.get(path).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            id = state.files.len() as u64;
            state.files.insert(id, File::default());
            Ok(vec![(path.to_owned(), Some(id))])
        })?;
        Ok(Box::new(OpenFile {
            disk: self.clone(),
            path: path.to_owned(),
            id,
        }))
    }

    fn read_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> io::Result<Vec<Vec<u8>>> {
        let mut state = self.lock();
        let id = state.id(path)?;
        state.weather.outcome(Operation::Read, path).result()?;
        let bytes = &state.files[&id].bytes;
        let parts = ranges.iter().map(|range| {
            let part = bytes.get(range.start as usize..range.end as usize);
            part.map(<[u8]>::to_vec)
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        });
        parts.collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.lock();
        let is_dir = state.names.is_directory(path);
        let length = if is_dir {
            0
        } else {
            state.files[&state.id(path)?].bytes.len() as u64
        };
        Ok(stat(length, is_dir))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.lock();
        if !state.names.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.weather.outcome(Operation::Read, path).result()?;
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let directories = state.names.directories_in(path).map(|entry| Entry {
            name: name(entry),
            stat: stat(0, true),
        });
        let files = state.names.files_in(path).map(|(entry, id)| Entry {
            name: name(entry),
            stat: stat(state.files[&id].bytes.len() as u64, false),
        });
        Ok(directories.chain(files).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_names(to, |state| {
            let id = state.id(from)?;
            Ok(vec![(from.to_owned(), None), (to.to_owned(), Some(id))])
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_names(to, |state| {
            let id = state.id(from)?;
            if state.names.get(to).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Ok(vec![(to.to_owned(), Some(id))])
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change_names(path, |state| {
            state.id(path)?;
            Ok(vec![(path.to_owned(), None)])
        })
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let (mut state, outcome) = self.operate(Operation::Truncate, path);
        let id = state.id(path)?;
        let file = state.files.get_mut(&id).unwrap();
        if outcome.is_done() {
            file.bytes.truncate(length as usize);
            file.synced = file.synced.min(file.bytes.len());
            file.sync(outcome);
        }
        outcome.result()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let (mut state, outcome) = self.operate(Operation::SyncDirectory, path);
        if outcome.is_done() {
            state.names.sync(path);
        }
        outcome.result()
    }

    fn lock(&self, _path: &Path, _content: &str) -> io::Result<Lock> {
        Ok(Lock::Held(Box::new(())))
    }
}

fn stat(length: u64, is_dir: bool) -> Stat {
    Stat {
        length,
        modified: SystemTime::UNIX_EPOCH,
        is_dir,
    }
}

struct OpenFile {
    disk: ForgetfulDisk,
    path: PathBuf,
    id: u64,
}

impl DiskFile for OpenFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut state, outcome) = self.disk.operate(Operation::Write, &self.path);
        let used = state.used();
        let room = state
            .capacity
            .map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        let reaches = match outcome {
            Outcome::Done | Outcome::Denied => bytes.len(),
            Outcome::Failed => bytes.len() / 2,
            Outcome::Torn(draw) => draw as usize * 7 % (bytes.len() + 1),
        };
        let file = state.files.get_mut(&self.id).unwrap();
        // As a real disk does: what fits is written.
        file.bytes.extend_from_slice(&bytes[..reaches.min(room)]);
        state.peak = state.peak.max(used + reaches.min(room));
        outcome.result()?;
        if bytes.len() > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, outcome) = self.disk.operate(Operation::Sync, &self.path);
        let file = state.files.get_mut(&self.id).unwrap();
        file.sync(outcome);
        outcome.result()
    }
}

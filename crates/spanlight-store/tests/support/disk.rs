//! A disk in memory that keeps what was synced apart from what was not, and can lose its power.
//!
//! After [`ForgetfulDisk::pull_plug_after`] so many writing operations everything fails; [`ForgetfulDisk::restart`]
//! forgets what was not synced: bytes of files, and names in directories. A seed above zero keeps a random part of it,
//! as a real disk may.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use spanlight_store::disk::{Disk, DiskFile, Entry, Lock, Stat};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct ForgetfulDisk {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for ForgetfulDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ForgetfulDisk")
    }
}

#[derive(Default)]
struct State {
    files: BTreeMap<u64, File>,
    names: BTreeMap<PathBuf, u64>,
    directories: BTreeSet<PathBuf>,
    /// What a power cut leaves for certain.
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that are not synced, in order.
    pending: Vec<NameChange>,
    operations: u64,
    plug_after: Option<u64>,
    capacity: Option<usize>,
    faults: Vec<Fault>,
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
}

struct NameChange {
    directory: PathBuf,
    /// Each name, and the file that it stands for now.
    names: Vec<(PathBuf, Option<u64>)>,
}

/// One operation that fails, once.
struct Fault {
    kind: Operation,
    /// Part of the path.
    path: &'static str,
    damage: bool,
}

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Write,
    Sync,
    SyncDirectory,
    Truncate,
    Other,
}

impl ForgetfulDisk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many writing operations there were.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Everything fails after so many more writing operations.
    pub(crate) fn pull_plug_after(&self, operations: u64) {
        let mut state = self.lock();
        state.plug_after = Some(state.operations + operations);
    }

    /// Only the process was killed: what it wrote is there, synced or not.
    pub(crate) fn survive_kill(&self) {
        self.lock().plug_after = None;
    }

    /// Power is back: what was not synced is gone, or, with a seed above zero, a random part of it.
    pub(crate) fn restart(&self, seed: u64) {
        let mut state = self.lock();
        let mut random = SmallRng::seed_from_u64(seed);
        let mut keep = |length: usize| {
            if seed == 0 {
                0
            } else {
                random.random_range(0..=length)
            }
        };
        for file in state.files.values_mut() {
            let kept = file.synced + keep(file.bytes.len() - file.synced);
            file.bytes.truncate(kept);
        }
        let mut by_directory: BTreeMap<PathBuf, Vec<NameChange>> = BTreeMap::new();
        for change in std::mem::take(&mut state.pending) {
            let changes = by_directory.entry(change.directory.clone()).or_default();
            changes.push(change);
        }
        for changes in by_directory.into_values() {
            let kept = keep(changes.len());
            for change in changes.into_iter().take(kept) {
                state.make_durable(change);
            }
        }
        state.names = state.durable_names.clone();
        state.plug_after = None;
        state.faults.clear();
        state.capacity = None;
    }

    /// Bytes that fit on the disk; `None` for no bound.
    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.lock().capacity = bytes;
    }

    pub(crate) fn used(&self) -> usize {
        self.lock().used()
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

    /// Names of files whose path has this part.
    pub(crate) fn files(&self, part: &str) -> Vec<PathBuf> {
        let state = self.lock();
        let names = state.names.keys();
        let found = names.filter(|name| name.to_string_lossy().contains(part));
        found.cloned().collect()
    }
}

impl State {
    fn used(&self) -> usize {
        self.names
            .values()
            .map(|id| self.files[id].bytes.len())
            .sum()
    }

    /// Counts a writing operation, and fails it if it shall fail.
    fn operate(&mut self, kind: Operation, path: &Path) -> io::Result<()> {
        self.operations += 1;
        if self.plug_after.is_some_and(|plug| self.operations > plug) {
            return Err(io::Error::other("the plug is pulled"));
        }
        let matches =
            |fault: &Fault| fault.kind == kind && path.to_string_lossy().contains(fault.path);
        let Some(position) = self.faults.iter().position(matches) else {
            return Ok(());
        };
        if self.faults.remove(position).damage {
            let id = self.names[path];
            let file = self.files.get_mut(&id).unwrap();
            file.bytes[32..].fill(0xee);
        }
        Err(io::Error::other("input/output error"))
    }

    fn change_names(&mut self, names: Vec<(PathBuf, Option<u64>)>) {
        let directory = names[0].0.parent().unwrap().to_owned();
        for (name, file) in &names {
            match file {
                Some(file) => self.names.insert(name.clone(), *file),
                None => self.names.remove(name),
            };
        }
        self.pending.push(NameChange { directory, names });
    }

    fn make_durable(&mut self, change: NameChange) {
        for (name, file) in change.names {
            match file {
                Some(file) => self.durable_names.insert(name, file),
                None => self.durable_names.remove(&name),
            };
        }
    }

    fn id(&self, path: &Path) -> io::Result<u64> {
        let id = self.names.get(path).copied();
        id.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for ForgetfulDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        // Directories are made once, at the first start; their durability is not what is tested.
        let mut state = self.lock();
        for directory in path.ancestors() {
            state.directories.insert(directory.to_owned());
        }
        Ok(())
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.operate(Operation::Other, path)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.files.len() as u64;
        state.files.insert(id, File::default());
        state.change_names(vec![(path.to_owned(), Some(id))]);
        Ok(Box::new(OpenFile {
            disk: self.clone(),
            path: path.to_owned(),
            id,
        }))
    }

    fn read_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> io::Result<Vec<Vec<u8>>> {
        let state = self.lock();
        let bytes = &state.files[&state.id(path)?].bytes;
        let parts = ranges.iter().map(|range| {
            let part = bytes.get(range.start as usize..range.end as usize);
            part.map(<[u8]>::to_vec)
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        });
        parts.collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.lock();
        let is_dir = state.directories.contains(path);
        let length = if is_dir {
            0
        } else {
            state.files[&state.id(path)?].bytes.len() as u64
        };
        Ok(stat(length, is_dir))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.lock();
        if !state.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let is_inside = |entry: &&PathBuf| entry.parent() == Some(path);
        let directories = state.directories.iter().filter(is_inside);
        let directories = directories.map(|entry| Entry {
            name: name(entry),
            stat: stat(0, true),
        });
        let files = state.names.iter().filter(|(entry, _)| is_inside(entry));
        let files = files.map(|(entry, id)| Entry {
            name: name(entry),
            stat: stat(state.files[id].bytes.len() as u64, false),
        });
        Ok(directories.chain(files).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate(Operation::Other, to)?;
        let id = state.id(from)?;
        state.change_names(vec![(from.to_owned(), None), (to.to_owned(), Some(id))]);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate(Operation::Other, to)?;
        let id = state.id(from)?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change_names(vec![(to.to_owned(), Some(id))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate(Operation::Other, path)?;
        state.id(path)?;
        state.change_names(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.operate(Operation::Truncate, path)?;
        let id = state.id(path)?;
        let file = state.files.get_mut(&id).unwrap();
        file.bytes.truncate(length as usize);
        file.synced = file.bytes.len();
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operate(Operation::SyncDirectory, path)?;
        let pending = std::mem::take(&mut state.pending);
        let (synced, rest) = pending
            .into_iter()
            .partition(|change| change.directory == path);
        state.pending = rest;
        let synced: Vec<NameChange> = synced;
        for change in synced {
            state.make_durable(change);
        }
        Ok(())
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
        let mut state = self.disk.lock();
        state.operate(Operation::Write, &self.path)?;
        let used = state.used();
        let room = state
            .capacity
            .map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        let file = state.files.get_mut(&self.id).unwrap();
        // As a real disk does: what fits is written.
        file.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.operate(Operation::Sync, &self.path)?;
        let file = state.files.get_mut(&self.id).unwrap();
        file.synced = file.bytes.len();
        Ok(())
    }
}

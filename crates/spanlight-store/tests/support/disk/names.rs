//! The names on a disk: those that every process sees, and those that a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rand::Rng as _;
use rand::rngs::SmallRng;

#[derive(Default)]
pub(super) struct Names {
    names: BTreeMap<PathBuf, u64>,
    directories: BTreeSet<PathBuf>,
    /// What a power cut leaves for certain.
    durable: BTreeMap<PathBuf, u64>,
    durable_directories: BTreeSet<PathBuf>,
    /// Changes that are not synced, in order.
    pending: Vec<Change>,
}

/// Each name, and the file that it stands for now: one step for the disk.
type Change = Vec<(PathBuf, Option<u64>)>;

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<u64> {
        self.names.get(path).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, u64)> {
        self.names.iter().map(|(name, id)| (name, *id))
    }

    pub(super) fn files_in(&self, directory: &Path) -> impl Iterator<Item = (&PathBuf, u64)> {
        self.iter()
            .filter(move |(name, _)| name.parent() == Some(directory))
    }

    pub(super) fn directories_in(&self, directory: &Path) -> impl Iterator<Item = &PathBuf> {
        let all = self.directories.iter();
        all.filter(move |name| name.parent() == Some(directory))
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        self.directories.contains(path)
    }

    pub(super) fn create_directories(&mut self, path: &Path) {
        let missing = path.ancestors().map(Path::to_owned);
        self.directories.extend(missing);
    }

    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }

    /// Makes what was done in this directory durable. A file that went from one directory to another is two changes:
    /// a disk that syncs only one of them may keep both names, or none.
    pub(super) fn sync(&mut self, directory: &Path) {
        let is_inside = |path: &Path| path.parent() == Some(directory);
        for change in &mut self.pending {
            let (inside, outside) = std::mem::take(change)
                .into_iter()
                .partition(|(name, _)| is_inside(name));
            apply(&mut self.durable, &inside);
            *change = outside;
        }
        self.pending.retain(|change| !change.is_empty());
        let made = self.directories.iter().filter(|path| is_inside(path));
        self.durable_directories.extend(made.cloned());
    }

    /// Forgets what was not synced; with a source of chance, only some of it.
    pub(super) fn lose_power(&mut self, mut random: Option<&mut SmallRng>) {
        let chance = random.as_mut().map_or(0.0, |random| {
            [0.1, 0.5, 0.9, 1.0][random.random_range(0..4)]
        });
        let mut keeps = || {
            let random = random.as_mut();
            random.is_some_and(|random| random.random_bool(chance))
        };
        let made = std::mem::take(&mut self.directories);
        for directory in made {
            let parent = directory.parent();
            let has_parent = parent.is_none_or(|parent| self.directories.contains(parent));
            let is_durable = parent.is_none() || self.durable_directories.contains(&directory);
            if has_parent && (is_durable || keeps()) {
                self.directories.insert(directory);
            }
        }
        for change in std::mem::take(&mut self.pending) {
            if keeps() {
                apply(&mut self.durable, &change);
            }
        }
        let directories = &self.directories;
        self.durable
            .retain(|name, _| name.parent().is_some_and(|path| directories.contains(path)));
        self.durable_directories = self.directories.clone();
        self.names = self.durable.clone();
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &Change) {
    for (name, file) in change {
        match file {
            Some(file) => names.insert(name.clone(), *file),
            None => names.remove(name),
        };
    }
}

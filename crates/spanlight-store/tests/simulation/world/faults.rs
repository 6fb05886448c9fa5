//! What disks and clocks do to a store: errors, a full disk, changed bits, jumps of time; and their end.

use futures::StreamExt as _;
use rand::Rng as _;
use rand::rngs::SmallRng;
use spanlight_store::{ScanColumns, ScanRequest};
use std::collections::BTreeSet;

use super::super::spans;
use super::{HOUR, SECOND, World};
use crate::support::disk::Weather;

impl World {
    pub(super) fn set_weather(&mut self, random: &mut SmallRng) {
        self.is_disk_bad = true;
        let mut chance = || [0, 0, 20, 100, 500][random.random_range(0..5)];
        let weather = Weather {
            read: chance() / 4,
            write: chance(),
            sync: chance(),
            sync_directory: chance(),
            names: chance(),
            seed: random.random(),
            ..Weather::default()
        };
        self.note(&format!("     {weather:?}"));
        self.disk.set_weather(weather);
    }

    /// The disk works again: so has everything else to.
    pub(super) async fn repair(&mut self, random: &mut SmallRng) {
        self.disk.set_weather(Weather::default());
        self.disk.set_capacity(None);
        self.is_disk_bad = false;
        if self.end.is_some() {
            self.disk.pull_plug_after(0);
            self.crash().await;
        }
        if self.store.is_none() {
            self.open().await;
        }
        self.maintain().await;
        self.flush().await;
        let health = self.store.as_ref().unwrap().health();
        assert!(
            health.unwritable.is_none(),
            "the disk works, and still: {health:?}"
        );
        assert!(
            health.flush_failure.is_none(),
            "the disk works, and still: {health:?}"
        );
        self.append(random).await;
    }

    pub(super) fn move_clock(&mut self, random: &mut SmallRng) {
        let by = match random.random_range(0..6) {
            0 => -random.random_range(0..30 * HOUR),
            1 => random.random_range(0..30 * HOUR),
            2 => HOUR,
            _ => random.random_range(0..120 * SECOND),
        };
        self.clock.move_nano(by);
        self.note(&format!("     the clock moves by {} s", by / SECOND));
    }

    /// A bit changes in a file that nobody writes any more.
    pub(super) async fn flip_bit(&mut self, random: &mut SmallRng) {
        if self.store.is_none() {
            return;
        }
        let draw = random.random_range(0..10);
        if draw < 3 {
            return self.flip_bit_of_commit(random).await;
        }
        let is_log = draw < 8;
        let mut files = self.disk.files(if is_log { ".log" } else { ".parquet" });
        files.retain(|path| !path.to_string_lossy().contains("/_delta_log/"));
        files.retain(|path| self.disk.bytes(path).is_some_and(|bytes| !bytes.is_empty()));
        if files.is_empty() {
            return;
        }
        let path = files[random.random_range(0..files.len())].clone();
        let bit = random.random_range(0..self.disk.bytes(&path).unwrap().len() * 8);
        self.note(&format!("     bit {bit} of {}", path.display()));
        if is_log {
            self.model.flip_in_log();
        } else {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Some(hurt) = self.records_in(&name).await else {
                return;
            };
            self.model.hurt(&hurt);
            self.damaged_files.insert(name);
        }
        self.disk.flip_bit(&path, bit);
        if random.random_bool(0.5) || is_log {
            self.restart().await;
        } else {
            self.check("everything, with a damaged file").await;
        }
    }

    /// A bit of a commit: it must be read as it was written.
    async fn flip_bit_of_commit(&mut self, random: &mut SmallRng) {
        let mut files = self.disk.files("/data/cold/_delta_log/");
        files.retain(|path| path.extension().is_some_and(|end| end == "json"));
        // One changed bit is put right, two are not.
        files.retain(|path| !self.damaged_commits.contains_key(path));
        if files.is_empty() {
            return;
        }
        // Older ones are not read at a start.
        files.sort_unstable();
        let newest = &files[files.len().saturating_sub(30)..];
        let path = newest[random.random_range(0..newest.len())].clone();
        let written = self.disk.bytes(&path).unwrap();
        let bit = random.random_range(0..written.len() * 8);
        self.note(&format!("     bit {bit} of {}", path.display()));
        self.disk.flip_bit(&path, bit);
        self.damaged_commits.insert(path, written);
        self.restart().await;
    }

    /// A start has put right what was damaged.
    pub(super) fn check_commits(&mut self) {
        for (path, written) in std::mem::take(&mut self.damaged_commits) {
            if let Some(found) = self.disk.bytes(&path) {
                let name = path.display();
                assert!(found == written, "{name} was damaged, and still is");
            }
        }
    }

    /// What a file has; `None` when that cannot be known just now.
    pub(super) async fn records_in(&self, name: &str) -> Option<BTreeSet<u64>> {
        let request = ScanRequest {
            columns: ScanColumns::BASE,
            ..ScanRequest::default()
        };
        let store = self.store.as_ref().unwrap();
        let mut numbers = BTreeSet::new();
        for partition in store.snapshot().scan(&request).await.partitions {
            let is_wanted = partition.describe().contains(name);
            let mut stream = partition.stream();
            while let Some(batch) = stream.next().await {
                let batch = batch.ok()?;
                if is_wanted {
                    let spans = (0..batch.num_spans()).map(|row| batch.span(row));
                    numbers.extend(spans.filter_map(|span| spans::number_of(&span)));
                }
            }
        }
        Some(numbers)
    }
}

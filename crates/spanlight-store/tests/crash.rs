//! Power cuts at every step: what was acknowledged is there afterwards, once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use spanlight_store::{Store, StoreOptions};

use crate::support::disk::ForgetfulDisk;
use crate::support::{batch, numbers};

fn options(disk: &ForgetfulDisk) -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    options.disk = Arc::new(disk.clone());
    // Only what the test asks for.
    options.maintenance_interval = Duration::from_secs(3_600);
    options.probe_interval = Duration::from_secs(3_600);
    // A new segment after every few batches.
    options.segment_bytes = 2_000;
    options
}

/// What a user did: the spans sent, and of these the acknowledged ones.
#[derive(Debug, Default)]
struct Done {
    /// Files are joined by copying, not by sorting.
    copies: bool,
    sent: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
}

impl Done {
    async fn append(&mut self, store: &Store) {
        let next = self.sent.len() as u64;
        let new = next..next + 3;
        self.sent.extend(new.clone());
        if store.append(batch(new.clone())).await.is_ok() {
            self.acknowledged.extend(new);
        }
    }

    /// Everything that a store does to its disk.
    async fn live(&mut self, disk: &ForgetfulDisk) {
        let mut options = options(disk);
        if self.copies {
            options.merge_spans = 1;
        }
        let Ok(store) = Store::open(options).await else {
            return;
        };
        for round in 0..3 {
            self.append(&store).await;
            self.append(&store).await;
            if round < 2 {
                store.flush().await.ok();
            }
        }
        store.compact(|_| {}).await.ok();
        store.seal().await.ok();
        self.append(&store).await;
        store.close().await;
    }

    /// Power is back: is everything there?
    async fn check(&self, disk: &ForgetfulDisk, when: &str) {
        let store = Store::open(options(disk)).await;
        let store = store.unwrap_or_else(|error| panic!("{when}: {error}"));
        let found: BTreeSet<u64> = numbers(&store).await.into_iter().collect();
        let lost: Vec<_> = self.acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "{when}: lost {lost:?}");
        let invented: Vec<_> = found.difference(&self.sent).collect();
        assert!(invented.is_empty(), "{when}: invented {invented:?}");
        // And it goes on living.
        store.append(batch([1_000])).await.unwrap();
        store.flush().await.unwrap();
        let after = numbers(&store).await;
        assert_eq!(after.len(), found.len() + 1, "{when}");
        store.close().await;
    }
}

/// How many writing operations a life has.
async fn life_length(copies: bool) -> u64 {
    let disk = ForgetfulDisk::default();
    let mut done = Done {
        copies,
        ..Done::default()
    };
    done.live(&disk).await;
    assert_eq!(done.acknowledged.len(), 21);
    disk.operations()
}

async fn crash_at(operation: u64, seed: u64, copies: bool) {
    let when = format!("power cut after operation {operation}, seed {seed}");
    let disk = ForgetfulDisk::default();
    let mut done = Done {
        copies,
        ..Done::default()
    };
    disk.pull_plug_after(operation);
    done.live(&disk).await;
    disk.restart(seed);
    done.check(&disk, &when).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_at_any_step_loses_nothing_and_repeats_nothing() {
    let length = life_length(false).await;
    assert!(length > 60, "{length} operations");
    for operation in 0..=length {
        crash_at(operation, 0, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_that_keeps_some_of_the_rest_is_no_worse() {
    let length = life_length(true).await;
    for operation in 0..=length {
        crash_at(operation, operation + 1, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_during_recovery_is_no_worse() {
    // After the last appends: a table with two commits, and a log with unsynced bytes.
    let length = life_length(false).await;
    for operation in 0..40 {
        let when = format!("second power cut, after operation {operation}");
        let disk = ForgetfulDisk::default();
        let mut done = Done::default();
        disk.pull_plug_after(length - 1 - operation / 2);
        done.live(&disk).await;
        disk.restart(operation);
        disk.pull_plug_after(operation);
        done.append_after(&disk).await;
        disk.restart(operation);
        done.check(&disk, &when).await;
    }
}

/// A kill leaves the page cache; recovery must not build on what a power cut can still take away.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_visible_after_a_kill_survives_a_power_cut() {
    let length = life_length(false).await;
    for operation in 0..=length {
        let when = format!("kill after operation {operation}, then a power cut");
        let disk = ForgetfulDisk::default();
        let mut done = Done::default();
        disk.pull_plug_after(operation);
        done.live(&disk).await;
        disk.survive_kill();
        let store = Store::open(options(&disk)).await.unwrap();
        done.acknowledged.extend(numbers(&store).await);
        store.close().await;
        disk.restart(0);
        done.check(&disk, &when).await;
    }
}

impl Done {
    /// A second, short life.
    async fn append_after(&mut self, disk: &ForgetfulDisk) {
        if let Ok(store) = Store::open(options(disk)).await {
            self.append(&store).await;
            store.flush().await.ok();
            store.close().await;
        }
    }
}

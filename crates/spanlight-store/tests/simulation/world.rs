//! A store, the disk and the clock below it, its users, and the model that watches them.

mod checks;
mod clients;
mod faults;
mod policy;
mod upkeep;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use spanlight_store::{Clock, ScanRequest, Store, StoreOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::policy::Sometimes;
use super::model::Model;
use super::spans::Record;
use super::steps::{Kind, Step};
use crate::support::clock::HandClock;
use crate::support::disk::{ForgetfulDisk, without_uuids};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// Requests that may be sent again, or added to.
const REMEMBERED: usize = 20;

/// How a life ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Kill,
    PowerCut { seed: u64 },
}

pub(super) struct World {
    seed: u64,
    disk: ForgetfulDisk,
    clock: Arc<HandClock>,
    options: StoreOptions,
    store: Option<Store>,
    model: Model,
    /// The last requests.
    requests: Vec<Vec<Record>>,
    records: u64,
    traces: u64,
    checks: u64,
    /// Whether the model knows what became of the requests before the last start.
    is_settled: bool,
    did_start_fail: bool,
    /// Set while operations of the disk may fail.
    is_disk_bad: bool,
    end: Option<End>,
    /// Names of data files that have a changed bit.
    damaged_files: BTreeSet<String>,
    /// Commits that have one, as they were written.
    damaged_commits: BTreeMap<PathBuf, Vec<u8>>,
    trace: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let disk = ForgetfulDisk::default();
        let clock = Arc::new(HandClock::default());
        clock.set_seconds(1_700_000_000);
        let mut options = StoreOptions::new("/data");
        options.disk = Arc::new(disk.clone());
        options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        // Only what a step asks for.
        options.maintenance_interval = Duration::from_secs(1_000_000);
        options.probe_interval = Duration::from_secs(1_000_000);
        options.segment_bytes = [1_000, 4_000, 1 << 20][random.random_range(0..3)];
        options.hot_window = Duration::from_secs(60);
        let retention = [None, Some(600), Some(7_200)][random.random_range(0..3)];
        options.retention = retention.map(Duration::from_secs);
        options.tombstone_grace = Duration::from_secs(100);
        // Files are joined by copying in every other history.
        options.merge_spans = if seed.is_multiple_of(2) { 1 } else { 1 << 16 };
        options.disk_bytes = [None, None, Some(150_000)][random.random_range(0..3)];
        if random.random_bool(0.3) {
            options.sampling = Arc::new(Sometimes);
        }
        Self {
            seed,
            disk,
            clock,
            options,
            store: None,
            model: Model::default(),
            requests: Vec::new(),
            records: 0,
            traces: 0,
            checks: 0,
            is_settled: false,
            did_start_fail: false,
            is_disk_bad: false,
            end: None,
            damaged_files: BTreeSet::new(),
            damaged_commits: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    pub(super) fn into_trace(self) -> Vec<String> {
        self.trace
    }

    fn note(&mut self, text: &str) {
        self.trace.push(without_uuids(text));
    }

    fn now(&self) -> i64 {
        self.clock.now_unix_nano()
    }

    /// One step, and what follows from it.
    pub(super) async fn live(&mut self, step: &Step) {
        let random = &mut SmallRng::seed_from_u64(step.seed);
        let number = self
            .trace
            .iter()
            .filter(|line| !line.starts_with(' '))
            .count();
        let operations = self.disk.operations();
        self.note(&format!(
            "{number}. {:?} (operation {operations})",
            step.kind
        ));
        if self.store.is_none() && step.kind != Kind::Repair {
            self.open().await;
        }
        self.act(step.kind, random).await;
        self.age();
        if self.disk.is_unplugged() {
            self.crash().await;
        }
    }

    async fn act(&mut self, kind: Kind, random: &mut SmallRng) {
        match kind {
            Kind::Append => self.append(random).await,
            Kind::AppendAndLeave => self.append_and_leave(random).await,
            Kind::Seal => self.seal().await,
            Kind::Flush => self.flush().await,
            Kind::Maintain => self.maintain().await,
            Kind::Join => self.join().await,
            Kind::Query => self.query(random).await,
            Kind::Clock => self.move_clock(random),
            Kind::Restart => self.restart().await,
            Kind::Kill => self.plan_end(End::Kill, random),
            Kind::PowerCut => {
                let seed = if random.random_bool(0.3) {
                    0
                } else {
                    random.random()
                };
                self.plan_end(End::PowerCut { seed }, random);
            }
            Kind::Weather => self.set_weather(random),
            Kind::FullDisk => {
                self.is_disk_bad = true;
                let room = random.random_range(0..20_000);
                self.disk.set_capacity(Some(self.disk.used() + room));
            }
            Kind::Repair => self.repair(random).await,
            Kind::SlowFlush => self.slow_flush(random).await,
            Kind::BitFlip => self.flip_bit(random).await,
            Kind::Delete => self.delete(random).await,
        }
    }

    /// The end of a history: everything heals, everything is there, and in the end everything may go.
    pub(super) async fn end(&mut self) {
        self.note("     end");
        let random = &mut SmallRng::seed_from_u64(self.seed);
        self.repair(random).await;
        self.flush().await;
        self.restart().await;
        self.check_litter();
        self.check_room().await;
        if self.options.retention.is_some() {
            for _ in 0..2 {
                self.clock.move_nano(10_000 * HOUR);
                self.age();
                self.maintain().await;
            }
            let left = self.disk.files(".parquet");
            let left: Vec<_> = left
                .iter()
                .filter(|path| !path.starts_with("/data/cold/_delta_log"))
                // What could not be read is kept for people.
                .filter(|path| !path.starts_with("/data/damaged"))
                .collect();
            assert!(left.is_empty(), "too old, and not deleted: {left:?}");
        }
        if let Some(store) = self.store.take() {
            store.close().await;
        }
    }

    /// Whether the store may fail to do its work.
    fn may_fail(&self) -> bool {
        self.is_disk_bad || self.end.is_some()
    }

    /// Deletion by age, for want of room or by the policy may have happened.
    fn age(&mut self) {
        self.make_room();
        if let Some(retention) = self.options.retention {
            let retention = retention.as_nanos() as i64;
            self.model.expire(self.now() - retention);
        }
    }

    async fn open(&mut self) {
        match Store::open(self.options.clone()).await {
            Ok(store) => {
                self.store = Some(store);
                self.check_commits();
                self.age();
                self.is_settled = false;
                self.model.begin_life();
                let seen = self.look(&ScanRequest::default()).await;
                self.judge("everything, after the start", &|_| true, true, &seen);
            }
            Err(error) => {
                self.note(&format!("     not opened: {error}"));
                assert!(self.may_fail(), "the store does not open: {error}");
                self.did_start_fail = true;
            }
        }
    }

    async fn restart(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        self.open().await;
    }

    fn plan_end(&mut self, end: End, random: &mut SmallRng) {
        if self.end.is_none() {
            let operations = random.random_range(0..40);
            self.note(&format!("     {end:?} after {operations} operations"));
            self.disk.pull_plug_after(operations);
            self.end = Some(end);
        }
    }

    /// The end that was planned.
    async fn crash(&mut self) {
        let Some(end) = self.end.take() else {
            return;
        };
        self.note(&format!("     {end:?}"));
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        match end {
            End::Kill => self.disk.survive_kill(),
            End::PowerCut { seed } => {
                self.disk.restart(seed);
                self.is_disk_bad = false;
            }
        }
        self.open().await;
    }
}

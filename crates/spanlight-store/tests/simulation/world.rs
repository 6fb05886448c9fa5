//! A store, the disk and the clock below it, its users, and the model that watches them.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{join_all, maybe_done};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use spanlight_store::{Clock, ScanColumns, ScanRequest, Store, StoreOptions};

use super::model::{Asked, Model, Seen};
use super::spans::{self, Key, Record};
use super::steps::{Kind, Step};
use crate::support::disk::{ForgetfulDisk, Weather, without_uuids};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// Requests that may be sent again, or added to.
const REMEMBERED: usize = 20;

#[derive(Debug)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now_unix_nano(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

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
    trace: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let disk = ForgetfulDisk::default();
        let clock = Arc::new(HandClock(AtomicI64::new(1_700_000_000 * SECOND)));
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
        if self.options.retention.is_some() {
            for _ in 0..2 {
                self.clock.0.fetch_add(10_000 * HOUR, Ordering::SeqCst);
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

    fn check_litter(&self) {
        let litter = self.disk.files(".tmp");
        assert!(litter.is_empty(), "never removed: {litter:?}");
    }

    /// Whether the store may fail to do its work.
    fn may_fail(&self) -> bool {
        self.is_disk_bad || self.end.is_some()
    }

    /// Deletion by age may have happened.
    fn age(&mut self) {
        if let Some(retention) = self.options.retention {
            let retention = retention.as_nanos() as i64;
            self.model.expire(self.now() - retention);
        }
    }

    async fn open(&mut self) {
        match Store::open(self.options.clone()).await {
            Ok(store) => {
                self.store = Some(store);
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

    /// After a start, the first answer that lacks nothing but damaged files says what became of requests that were never answered.
    fn settle(&mut self, seen: &Seen, is_whole: bool) {
        if self.is_settled || !is_whole {
            return;
        }
        self.is_settled = true;
        let statistics = self.store.as_ref().unwrap().statistics();
        let admits = statistics.damage.records > 0
            || statistics.damage.cut_bytes > 0
            // It was said at a start that came to nothing.
            || std::mem::take(&mut self.did_start_fail)
            || !self.disk.files("/data/damaged/").is_empty();
        let lost = self.disk.has_lost_bytes();
        let settled = self.model.settle(seen, admits, lost);
        settled.unwrap_or_else(|reason| panic!("after a start: {reason}"));
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

    fn set_weather(&mut self, random: &mut SmallRng) {
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
    async fn repair(&mut self, random: &mut SmallRng) {
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

    async fn seal(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        if let Err(error) = store.seal().await {
            self.note(&format!("     {error}"));
            assert!(self.may_fail(), "a seal failed: {error}");
        }
        drop(store);
        self.check("everything, after a seal").await;
    }

    async fn flush(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        if let Err(error) = store.flush().await {
            self.note(&format!("     {error}"));
            assert!(self.may_fail(), "a flush failed: {error}");
        }
        drop(store);
        self.check("everything, after a flush").await;
    }

    async fn maintain(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        self.age();
        store.maintain().await;
        drop(store);
        self.check("everything, after maintenance").await;
    }

    fn move_clock(&mut self, random: &mut SmallRng) {
        let by = match random.random_range(0..6) {
            0 => -random.random_range(0..30 * HOUR),
            1 => random.random_range(0..30 * HOUR),
            2 => HOUR,
            _ => random.random_range(0..120 * SECOND),
        };
        self.clock.0.fetch_add(by, Ordering::SeqCst);
        self.note(&format!("     the clock moves by {} s", by / SECOND));
    }

    /// What a client sends: new spans, spans of an old trace, an old request again, an old span with more in it.
    fn request(&mut self, random: &mut SmallRng) -> Vec<Record> {
        let received = self.now();
        let old = (!self.requests.is_empty()).then(|| {
            let position = random.random_range(0..self.requests.len());
            self.requests[position].clone()
        });
        let kind = random.random_range(0..10);
        let request = match (kind, old) {
            // The very same bytes, received at another time: or not at another.
            (0, Some(old)) if random.random_bool(0.5) => return old,
            (0..=2, Some(old)) => old
                .into_iter()
                .map(|record| {
                    self.records += 1;
                    Record {
                        number: self.records,
                        received,
                        end: record.end + random.random_range(0..2) * SECOND,
                        ..record
                    }
                })
                .collect(),
            (3, Some(old)) => {
                let trace = old[0].key.trace;
                self.new_records(trace, received, random)
            }
            _ => {
                self.traces += 1;
                let trace = self.traces;
                self.new_records(trace, received, random)
            }
        };
        if self.requests.len() == REMEMBERED {
            self.requests.remove(0);
        }
        self.requests.push(request.clone());
        request
    }

    fn new_records(&mut self, trace: u64, received: i64, random: &mut SmallRng) -> Vec<Record> {
        let count = random.random_range(1..6);
        let records = (0..count).map(|_| {
            self.records += 1;
            let start = match random.random_range(0..20) {
                0 => 0,
                1 => received + 1_000 * HOUR,
                _ => received - random.random_range(0..100 * SECOND),
            };
            Record {
                number: self.records,
                key: Key {
                    trace,
                    span: self.records,
                    is_server: random.random_bool(0.5),
                },
                received,
                start,
                end: start + random.random_range(0..10 * SECOND),
            }
        });
        records.collect()
    }

    fn send(&mut self, records: &[Record]) -> spanlight_model::SpanBatch {
        let batch = spans::batch(self.seed, records);
        let texts = (0..batch.num_spans()).map(|row| spans::describe(&batch.span(row)));
        self.model.send(records, texts.collect());
        batch
    }

    async fn append(&mut self, random: &mut SmallRng) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let writers = random.random_range(1..4);
        let requests: Vec<_> = (0..writers).map(|_| self.request(random)).collect();
        let batches: Vec<_> = requests.iter().map(|request| self.send(request)).collect();
        let appends = batches.into_iter().map(|batch| store.append(batch));
        let answers = self.at_once(appends.collect()).await;
        drop(store);
        for (request, answer) in requests.iter().zip(answers) {
            match answer {
                Ok(()) => self.model.acknowledge(request),
                Err(error) => {
                    self.note(&format!("     {error}"));
                    assert!(self.may_fail(), "an append failed: {error}");
                    self.model.refuse(request);
                }
            }
        }
        self.check("everything, after an append").await;
    }

    /// Does these things at once, in an order that is the same in each run: the first goes ahead, the others wait in
    /// the queue until it is on its way to the disk.
    async fn at_once<F: Future>(&self, work: Vec<F>) -> Vec<F::Output> {
        self.disk.close_gate_after(0);
        let mut work: Vec<_> = work
            .into_iter()
            .map(|future| Box::pin(maybe_done(future)))
            .collect();
        for (position, future) in work.iter_mut().enumerate() {
            if position == 0 {
                self.until_gate(future).await;
            } else {
                futures::poll!(future).is_ready();
            }
        }
        self.disk.open_gate();
        join_all(work.iter_mut()).await;
        let outputs = work.iter_mut().map(|future| future.as_mut().take_output());
        outputs.map(Option::unwrap).collect()
    }

    /// Polls until it is done, or waits for the disk.
    async fn until_gate(&self, future: &mut (impl Future + Unpin)) {
        while futures::poll!(&mut *future).is_pending() && self.disk.at_gate().is_none() {
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
    }

    async fn append_and_leave(&mut self, random: &mut SmallRng) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let request = self.request(random);
        let batch = self.send(&request);
        self.disk.close_gate_after(0);
        {
            let mut append = Box::pin(store.append(batch));
            self.until_gate(&mut append).await;
        }
        self.check("everything, while nobody waits for an append")
            .await;
        self.disk.open_gate();
        self.check("everything, after a client that left").await;
    }

    /// A flush that stands still at one of its operations, while others append and ask.
    async fn slow_flush(&mut self, random: &mut SmallRng) {
        let Some(store) = self.store.clone() else {
            return;
        };
        self.disk.close_gate_after(random.random_range(0..16));
        let flush = tokio::spawn({
            let store = store.clone();
            async move { store.flush().await }
        });
        while self.disk.at_gate().is_none() && !flush.is_finished() {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        self.check("everything, during a flush").await;
        let is_log_waiting = match self.disk.at_gate() {
            Some(path) => path.starts_with("/data/log"),
            None => {
                self.disk.open_gate();
                false
            }
        };
        let request = self.request(random);
        let batch = self.send(&request);
        let append = tokio::spawn(async move { store.append(batch).await });
        if !is_log_waiting {
            while !append.is_finished() {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        }
        self.check("everything, during a flush and an append").await;
        let power_goes = random.random_bool(0.2) && self.end.is_none();
        if power_goes {
            let seed = random.random();
            self.end = Some(End::PowerCut { seed });
            self.disk.pull_plug_after(0);
        }
        self.disk.open_gate();
        let flushed = flush.await.unwrap();
        assert!(
            flushed.is_ok() || self.may_fail(),
            "a flush failed: {flushed:?}"
        );
        match append.await.unwrap() {
            Ok(()) => self.model.acknowledge(&request),
            Err(error) => {
                assert!(self.may_fail(), "an append failed: {error}");
                self.model.refuse(&request);
            }
        }
        self.check("everything, after a slow flush").await;
    }

    /// A bit changes in a file that nobody writes any more.
    async fn flip_bit(&mut self, random: &mut SmallRng) {
        if self.store.is_none() {
            return;
        }
        let is_log = random.random_bool(0.6);
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

    /// What a file has; `None` when that cannot be known just now.
    async fn records_in(&self, name: &str) -> Option<BTreeSet<u64>> {
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

    /// Everything, as it is now.
    async fn check(&mut self, what: &str) {
        self.checks += 1;
        // Reading every column takes most of the time.
        let columns = if self.checks.is_multiple_of(4) {
            ScanColumns::ALL
        } else {
            ScanColumns::BASE
        };
        let request = ScanRequest {
            columns,
            ..ScanRequest::default()
        };
        if self.store.is_some() {
            let seen = self.look(&request).await;
            self.judge(what, &|_| true, true, &seen);
        }
    }

    fn judge(
        &mut self,
        what: &str,
        covers: &dyn Fn(&Record) -> bool,
        is_everything: bool,
        seen: &Seen,
    ) {
        let is_explained = |error: &String| {
            let mut damaged = self.damaged_files.iter();
            damaged.any(|name| error.contains(name.as_str()))
        };
        let is_whole = seen.errors.iter().all(is_explained);
        assert!(is_whole || self.may_fail(), "{what}: {:?}", seen.errors);
        if is_everything {
            self.settle(seen, is_whole);
        }
        let asked = Asked {
            what,
            covers,
            is_everything,
            is_whole,
        };
        let judged = self.model.judge(&asked, seen);
        judged.unwrap_or_else(|reason| panic!("{what}: {reason}"));
    }

    async fn query(&mut self, random: &mut SmallRng) {
        if self.store.is_none() {
            return;
        }
        let trace = random.random_range(0..self.traces + 2);
        let ids = BTreeSet::from([spans::trace_id(trace)]);
        let request = ScanRequest {
            trace_ids: Some(Arc::new(ids)),
            ..ScanRequest::default()
        };
        let seen = self.look(&request).await;
        let covers = |record: &Record| record.key.trace == trace;
        self.judge("a trace", &covers, false, &seen);

        let from = self.now() - random.random_range(0..40) * HOUR;
        let to = from + random.random_range(0..20) * HOUR;
        let request = ScanRequest {
            time_range: Some(from..to),
            columns: ScanColumns::BASE,
            ..ScanRequest::default()
        };
        let seen = self.look(&request).await;
        let covers = |record: &Record| record.start <= to && record.end >= from;
        self.judge("a range of time", &covers, false, &seen);
    }

    /// What the store answers.
    async fn look(&self, request: &ScanRequest) -> Seen {
        let mut seen = Seen::default();
        let is_whole = request.columns.events;
        let Some(store) = &self.store else {
            return seen;
        };
        for partition in store.snapshot().scan(request).await.partitions {
            let mut stream = partition.stream();
            while let Some(batch) = stream.next().await {
                match batch {
                    Ok(batch) => {
                        for row in 0..batch.num_spans() {
                            let span = batch.span(row);
                            let number = spans::number_of(&span).unwrap_or(u64::MAX);
                            let text = is_whole.then(|| spans::describe(&span));
                            seen.rows.push((number, text));
                        }
                    }
                    Err(error) => seen.errors.push(error.to_string()),
                }
            }
        }
        seen
    }
}

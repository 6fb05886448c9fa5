//! Ingest while questions are asked, beside ingest alone: windows of both take turns on one server, so that whatever
//! else changes with time changes for both.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};

use super::classes;
use crate::{
    bench::{
        fill,
        options::Options,
        proc,
        report::{Budget, MIB, Report},
        truth::{Load, TRACES_PER_REQUEST},
    },
    http::Client,
    load::SPANS_PER_TRACE,
    server::{Launch, Server},
};

/// In each of them, one question of each class is asked, or none.
const WINDOW: Duration = Duration::from_secs(10);
const ROUNDS: u64 = 3;

/// Ingest with and without questions.
#[derive(Debug, Default)]
struct Mixed {
    alone_spans_per_second: f64,
    asked_spans_per_second: f64,
    memory_max: u64,
    failed: u64,
}

impl Mixed {
    fn say(&self, report: &mut Report) {
        let share = self.asked_spans_per_second / self.alone_spans_per_second * 100.0;
        let mut more = format!(
            "{:.0} of {:.0} spans/s",
            self.asked_spans_per_second, self.alone_spans_per_second
        );
        if self.failed > 0 {
            more.push_str(&format!(", {} questions not answered", self.failed));
        }
        let what = "ingest with queries, % of ingest alone";
        report.line(what, share.round(), Budget::AtLeast(80.0), &more);
        let what = "ingest with queries, VmHWM, MiB";
        let memory = (self.memory_max as f64 / MIB).round();
        report.line(what, memory, Budget::AtMost(512.0), "");
    }
}

pub(super) fn run(
    options: &Options,
    launch: &Launch,
    load: &Load,
    report: &mut Report,
) -> Result<()> {
    let server = launch.start()?;
    // Traces after those of the load, which end now.
    let later = Load::new(
        load.seed ^ 2,
        u64::MAX >> 20,
        load.start_of(load.traces),
        10_000,
    );
    let sending = Sending {
        load: &later,
        next: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
        done: AtomicBool::new(false),
    };
    let mixed = thread::scope(|scope| {
        let senders: Vec<_> = (0..options.connections)
            .map(|_| scope.spawn(|| sending.send(&server)))
            .collect();
        let measured = sending.measure(load, &server);
        sending.done.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().map_err(|_| anyhow!("a sender panicked"))??;
        }
        measured
    })?;
    mixed.say(report);
    server.stop()
}

struct Sending<'a> {
    load: &'a Load,
    next: AtomicU64,
    acknowledged: AtomicU64,
    done: AtomicBool,
}

impl Sending<'_> {
    fn send(&self, server: &Server) -> Result<()> {
        let mut client = Client::new(server.addresses.otlp_http);
        let (mut body, mut busy) = (Vec::new(), 0);
        while !self.done.load(Ordering::Relaxed) {
            let request = self.next.fetch_add(1, Ordering::Relaxed);
            self.load.write(request, &mut body);
            fill::post(&mut client, &body, &mut busy)?;
            self.acknowledged.fetch_add(
                TRACES_PER_REQUEST * SPANS_PER_TRACE as u64,
                Ordering::Relaxed,
            );
        }
        Ok(())
    }

    fn measure(&self, load: &Load, server: &Server) -> Result<Mixed> {
        // Made before: knowing the right answers takes the generator's time.
        let paths: Vec<Vec<String>> = classes::ALL
            .iter()
            .map(|class| {
                let question = |round| class.question(load, 2_000 + round);
                (0..ROUNDS).map(|round| question(round).path).collect()
            })
            .collect();
        // The first flushes and merges come after a while.
        thread::sleep(WINDOW / 2);
        let mut mixed = Mixed::default();
        for round in 0..ROUNDS {
            mixed.alone_spans_per_second += self.window(|| {
                thread::sleep(WINDOW);
                Ok(())
            })?;
            mixed.asked_spans_per_second += self.window(|| {
                mixed.failed += ask_all(&paths, server, round)?;
                Ok(())
            })?;
        }
        mixed.alone_spans_per_second /= ROUNDS as f64;
        mixed.asked_spans_per_second /= ROUNDS as f64;
        mixed.memory_max = proc::resident_memory_max(server.id())?;
        Ok(mixed)
    }

    /// Spans acknowledged a second while `work` runs.
    fn window(&self, work: impl FnOnce() -> Result<()>) -> Result<f64> {
        let (started, before) = (Instant::now(), self.acknowledged.load(Ordering::Relaxed));
        work()?;
        let spans = self.acknowledged.load(Ordering::Relaxed) - before;
        if spans == 0 {
            bail!("nothing was acknowledged for {:?}", started.elapsed());
        }
        Ok(spans as f64 / started.elapsed().as_secs_f64())
    }
}

/// Asks one question of each class, spread over a window; how many were not answered.
fn ask_all(paths: &[Vec<String>], server: &Server, round: u64) -> Result<u64> {
    let mut client = Client::new(server.addresses.http);
    let started = Instant::now();
    let count = paths.len() as u32;
    let mut failed = 0;
    for (turn, paths) in (1_u32..).zip(paths) {
        let answer = client.get(&paths[round as usize])?;
        failed += u64::from(![200, 404].contains(&answer.status));
        let due = WINDOW * turn / count;
        thread::sleep(due.saturating_sub(started.elapsed()));
    }
    Ok(failed)
}

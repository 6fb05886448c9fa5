//! Asking each class of questions, warm and cold.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{
    cache,
    options::Options,
    proc,
    progress::Progress,
    question::{Class, Question},
    report::Report,
    truth::Load,
};
use crate::{
    http::Client,
    server::{Launch, Server},
};

/// Runs before the warm ones, with questions of their own.
const WARM_UPS: u64 = 3;
/// No more runs of a class are begun after this.
const CLASS_TIME_MAX: Duration = Duration::from_secs(20);

/// What asking a class of questions gave.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Sorted; from the first byte of the request to the last of the answer.
    pub(super) times: Vec<Duration>,
    /// CPU time of the server for all of them.
    pub(super) cpu: Duration,
    /// Resident at most beyond what was before, in bytes.
    pub(super) memory: u64,
    pub(super) wrong: u64,
    /// How the first wrong answer was wrong.
    pub(super) first_wrong: Option<String>,
}

pub(super) fn run(
    options: &Options,
    launch: &Launch,
    load: &Load,
    classes: &[&Class],
    report: &mut Report,
) -> Result<()> {
    let server = launch.start()?;
    let mut unanswered = Vec::new();
    for class in classes {
        let asked = warm(&server, load, class, options.runs)?;
        if asked.wrong as usize == asked.times.len() {
            unanswered.push(class.name);
        }
        report.query(class, "warm", class.warm_ms, &asked);
    }
    server.stop()?;
    let mut progress = Progress::new("cold", options.cold_runs * classes.len() as u64);
    for (index, class) in classes.iter().enumerate() {
        if options.cold_runs == 0 || unanswered.contains(&class.name) {
            continue;
        }
        let mut all = Asked::default();
        for run in 0..options.cold_runs {
            progress.at(index as u64 * options.cold_runs + run);
            // Other questions than the warm ones.
            all.add(cold(launch, load, class, 1_000 + run)?);
        }
        all.times.sort();
        let budget = class.cold_ms.unwrap_or(f64::INFINITY);
        report.query(class, "cold", budget, &all);
    }
    progress.end();
    Ok(())
}

/// Asks one class again and again, each time with another question.
pub(super) fn warm(server: &Server, load: &Load, class: &Class, runs: u64) -> Result<Asked> {
    let mut client = Client::new(server.addresses.http);
    let mut all = Asked::default();
    let mut question = class.question(load, 0);
    proc::forget_resident_memory_max(server.id())?;
    let memory = proc::resident_memory_max(server.id())?;
    let started = Instant::now();
    for run in 0..WARM_UPS + runs {
        if started.elapsed() > CLASS_TIME_MAX && run > WARM_UPS {
            break;
        }
        if run > 0 && class.varies() {
            question = class.question(load, run);
        }
        let asked = ask(&mut client, server, load, &question)?;
        if run >= WARM_UPS {
            all.add(asked);
        }
    }
    all.memory = proc::resident_memory_max(server.id())?.saturating_sub(memory);
    all.times.sort();
    Ok(all)
}

/// One question to a server that was just started, with nothing in the page cache.
fn cold(launch: &Launch, load: &Load, class: &Class, run: u64) -> Result<Asked> {
    let question = class.question(load, run);
    cache::evict(&launch.data_dir)?;
    let server = launch.start()?;
    // What the start has read is cold again too.
    cache::evict(&launch.data_dir)?;
    let asked = ask(
        &mut Client::new(server.addresses.http),
        &server,
        load,
        &question,
    )?;
    server.stop()?;
    Ok(asked)
}

fn ask(client: &mut Client, server: &Server, load: &Load, question: &Question) -> Result<Asked> {
    let cpu = proc::CpuClock::of(server.id())?;
    let started = Instant::now();
    let answer = client.get(&question.path)?;
    let elapsed = started.elapsed();
    let cpu = cpu.elapsed()?;
    let outcome = question
        .check(load, &answer)
        .with_context(|| format!("GET {}", question.path));
    Ok(Asked {
        times: vec![elapsed],
        cpu,
        memory: 0,
        wrong: u64::from(outcome.is_err()),
        first_wrong: outcome.err().map(|error| format!("{error:#}")),
    })
}

impl Asked {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.cpu += other.cpu;
        self.wrong += other.wrong;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
    }
}

//! A server that is killed before its spans are in the table: how soon it takes new ones, and shows the old.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    bench::{
        fill,
        options::Options,
        proc,
        report::{Budget, MIB, Report, hundredths},
        truth::{Load, TRACES_PER_REQUEST},
    },
    http::Client,
    random::Random,
    server::{Launch, Scratch},
};

/// Of the spans of the whole load.
const SHARE: u64 = 2;
const VISIBLE_TIME_MAX: Duration = Duration::from_secs(120);
/// Traces that are looked for after the restart, beside the last ones.
const SAMPLE: u64 = 20;

/// What the restart took.
#[derive(Debug)]
struct Restarted {
    /// To the first acknowledged request.
    accepting: Duration,
    ready: Duration,
    /// To every trace that was looked for being there.
    visible: Duration,
    memory_max: u64,
}

impl Restarted {
    fn say(&self, load: &Load, report: &mut Report) {
        let what = format!("restart after a kill, {} spans, accepting, s", load.spans());
        let seconds = |duration: Duration| hundredths(duration.as_secs_f64());
        let accepting = seconds(self.accepting);
        report.line(&what, accepting, Budget::AtMost(1.0), "");
        let more = format!(
            "ready after {}, {:.0} MiB at most",
            seconds(self.ready),
            self.memory_max as f64 / MIB
        );
        let what = "restart after a kill, all visible, s";
        let visible = seconds(self.visible);
        report.line(what, visible, Budget::AtMost(5.0), &more);
    }
}

pub(super) fn run(options: &Options, binary: &Path, report: &mut Report) -> Result<()> {
    let scratch = Scratch::new("bench-restart")?;
    let launch = options
        .launch(binary, &scratch.path().join("data"))
        .set("storage.hot_window=1h");
    let load = options.load(options.spans / SHARE);
    let server = launch.start()?;
    fill::fill(&load, &server, options.connections, false)?;
    server.kill()?;
    let restarted = restart(&launch, &load)?;
    restarted.say(&load, report);
    Ok(())
}

fn restart(launch: &Launch, load: &Load) -> Result<Restarted> {
    let started = Instant::now();
    let listening = launch.start_listening()?;
    // A request that comes after those of the load.
    let later = Load::new(
        load.seed ^ 1,
        1_000,
        load.start_of(load.traces),
        load.step_nano,
    );
    let mut body = Vec::new();
    later.write(0, &mut body);
    fill::post(
        &mut Client::new(listening.addresses.otlp_http),
        &body,
        &mut 0,
    )?;
    let accepting = started.elapsed();
    let server = listening.wait_until_ready(started)?;
    let ready = started.elapsed();
    let mut client = Client::new(server.addresses.http);
    let mut random = Random::at(load.seed, 7);
    let last = load.traces.saturating_sub(TRACES_PER_REQUEST)..load.traces;
    let mut wanted: Vec<u64> = (0..SAMPLE)
        .map(|_| random.below(load.traces))
        .chain(last.step_by(20))
        .collect();
    while !wanted.is_empty() {
        let mut missing = Vec::new();
        for number in wanted {
            if !fill::is_whole(load.seed, number, &mut client)? {
                missing.push(number);
            }
        }
        wanted = missing;
        if started.elapsed() > VISIBLE_TIME_MAX {
            bail!(
                "{} traces are not there after {VISIBLE_TIME_MAX:?}",
                wanted.len()
            );
        }
    }
    let restarted = Restarted {
        accepting,
        ready,
        visible: started.elapsed(),
        memory_max: proc::resident_memory_max(server.id())?,
    };
    server.stop()?;
    Ok(restarted)
}

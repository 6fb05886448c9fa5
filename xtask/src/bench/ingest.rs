//! Durable ingest over OTLP/HTTP: each ack means that the spans are on the disk.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::{milliseconds, percentile, proc};
use crate::{
    http::Client,
    load::{SPANS_PER_TRACE, Starts, Template},
    repository,
    server::{Launch, Scratch, Server},
};

const SEED: u64 = 1;
/// Encoded requests to choose from; more would only push each other out of the processor's cache.
const TEMPLATES: u64 = 16;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// How long to measure
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How long to send before the measurement begins
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// Spans a second to send; without it, as many as are acknowledged
    #[arg(long)]
    rate: Option<u64>,
    /// Traces in one request, of ten spans each
    #[arg(long, default_value_t = 100)]
    traces_per_request: u16,
    /// A setting of the server, `name=value`
    #[arg(long)]
    set: Vec<String>,
    /// Measure the debug build
    #[arg(long)]
    debug: bool,
}

/// What the senders share.
#[derive(Debug)]
struct Run {
    address: SocketAddr,
    templates: Vec<Template>,
    traces_per_request: u64,
    next: AtomicU64,
    measuring: AtomicBool,
    done: AtomicBool,
    /// Between two requests of one connection, for a given rate.
    interval: Option<Duration>,
}

/// What one sender, or all of them, saw during the measurement.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Sorted at the end. Where there is a rate: since the request was due.
    pub(super) acks: Vec<Duration>,
    /// Answers that told the sender to come back later.
    pub(super) busy: u64,
}

impl Options {
    /// A measurement at a given rate, everything else as it is without options.
    pub(super) fn at_rate(rate: u64, seconds: u64) -> Self {
        Self {
            seconds,
            warm_up: 3,
            connections: 4,
            rate: Some(rate),
            traces_per_request: 100,
            set: Vec::new(),
            debug: false,
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = repository::spanlight(!options.debug)?;
    let scratch = Scratch::new("bench-ingest")?;
    let mut launch = Launch::new(&binary, &scratch.path().join("data"));
    for setting in &options.set {
        launch = launch.set(setting);
    }
    let mut server = launch.start()?;
    let (seen, elapsed, cpu) = send(options, &server)?;
    server.check_alive()?;
    let memory = proc::resident_memory_max(server.id())?;
    report(options, &seen, elapsed, cpu, memory);
    server.stop()
}

/// Sends as the options say; what was seen, how long it took, and the CPU time that the server took.
pub(super) fn send(options: &Options, server: &Server) -> Result<(Seen, Duration, Duration)> {
    let run = Run::new(options, server.addresses.otlp_http);
    thread::scope(|scope| -> Result<_> {
        let run = &run;
        let turn = |index| index as f64 / options.connections as f64;
        let senders: Vec<_> = (0..options.connections)
            .map(|index| scope.spawn(move || run.send(turn(index))))
            .collect();
        let measured = measure(options, run, server);
        run.done.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        for sender in senders {
            let Ok(outcome) = sender.join() else {
                bail!("a sender panicked")
            };
            let one = outcome?;
            seen.acks.extend(one.acks);
            seen.busy += one.busy;
        }
        seen.acks.sort();
        let (elapsed, cpu) = measured?;
        Ok((seen, elapsed, cpu))
    })
}

/// Lets the senders warm up, then measures; returns the time and the server's CPU time of the measurement.
fn measure(options: &Options, run: &Run, server: &Server) -> Result<(Duration, Duration)> {
    thread::sleep(Duration::from_secs(options.warm_up));
    let (started, cpu) = (Instant::now(), proc::cpu_time(server.id())?);
    run.measuring.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(options.seconds));
    run.measuring.store(false, Ordering::Relaxed);
    Ok((
        started.elapsed(),
        proc::cpu_time(server.id())?.saturating_sub(cpu),
    ))
}

impl Run {
    fn new(options: &Options, address: SocketAddr) -> Self {
        let spans_per_request = u64::from(options.traces_per_request) * SPANS_PER_TRACE as u64;
        let interval = options.rate.map(|rate| {
            let requests_per_second = rate as f64 / spans_per_request as f64;
            Duration::from_secs_f64(options.connections as f64 / requests_per_second)
        });
        Self {
            address,
            templates: (0..TEMPLATES)
                .map(|variant| Template::new(SEED, variant, options.traces_per_request))
                .collect(),
            traces_per_request: u64::from(options.traces_per_request),
            next: AtomicU64::new(0),
            measuring: AtomicBool::new(false),
            done: AtomicBool::new(false),
            interval,
        }
    }

    /// Sends on one connection until the run is over; `turn` is its place in a round of all, from 0 to 1.
    fn send(&self, turn: f64) -> Result<Seen> {
        let mut client = Client::new(self.address);
        let mut seen = Seen::default();
        let mut body = Vec::new();
        // At a given rate the connections take turns. A late ack delays nothing but itself: what it kept waiting is
        // measured from when it was due.
        let mut due = Instant::now() + self.interval.unwrap_or_default().mul_f64(turn);
        while !self.done.load(Ordering::Relaxed) {
            let started = match self.interval {
                Some(interval) => {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let started = due;
                    due += interval;
                    started
                }
                None => Instant::now(),
            };
            let first = self
                .next
                .fetch_add(self.traces_per_request, Ordering::Relaxed);
            let template = &self.templates[(first / self.traces_per_request % TEMPLATES) as usize];
            template.write(SEED, first, Starts::at(now_unix_nano()), &mut body);
            self.post(&mut client, &body, started, &mut seen)?;
        }
        Ok(seen)
    }

    /// Sends one request until it is acknowledged.
    fn post(
        &self,
        client: &mut Client,
        body: &[u8],
        started: Instant,
        seen: &mut Seen,
    ) -> Result<()> {
        while !self.done.load(Ordering::Relaxed) {
            let answer = client.post(
                "/v1/traces",
                "content-type: application/x-protobuf\r\n",
                body,
            )?;
            let measuring = self.measuring.load(Ordering::Relaxed);
            match answer.status {
                // An empty message: everything was accepted.
                200 if answer.body.is_empty() => {
                    if measuring {
                        seen.acks.push(started.elapsed());
                    }
                    return Ok(());
                }
                429 | 503 => {
                    seen.busy += u64::from(measuring);
                    thread::sleep(Duration::from_secs(answer.retry_after.unwrap_or(1)));
                }
                status => bail!("the server answered {status}: {}", answer.text()),
            }
        }
        Ok(())
    }
}

fn report(options: &Options, seen: &Seen, elapsed: Duration, cpu: Duration, memory: u64) {
    let spans =
        seen.acks.len() as u64 * u64::from(options.traces_per_request) * SPANS_PER_TRACE as u64;
    let rate = (spans as f64 / elapsed.as_secs_f64()).round();
    let per_cpu = (spans as f64 / cpu.as_secs_f64().max(0.01)).round();
    let (p50, p99) = (percentile(&seen.acks, 50), percentile(&seen.acks, 99));
    let memory_mib = memory >> 20;
    println!(
        "durable ingest, OTLP/HTTP protobuf, {} connections, {} spans a request, {:.1} s",
        options.connections,
        usize::from(options.traces_per_request) * SPANS_PER_TRACE,
        elapsed.as_secs_f64()
    );
    println!("  spans/s                      {rate:>10}");
    println!("  spans per server CPU second  {per_cpu:>10}");
    println!(
        "  ack p50                      {:>10} ms",
        milliseconds(p50)
    );
    println!(
        "  ack p99                      {:>10} ms",
        milliseconds(p99)
    );
    println!("  resident memory, most        {memory_mib:>10} MiB");
    println!("  told to come back later      {:>10}", seen.busy);
    println!(
        "{}",
        json!({
            "bench": "ingest", "spans": spans, "seconds": elapsed.as_secs_f64(), "connections": options.connections,
            "rate": options.rate, "spans_per_second": rate, "server_cpu_seconds": cpu.as_secs_f64(),
            "spans_per_cpu_second": per_cpu, "ack_p50_ms": milliseconds(p50), "ack_p99_ms": milliseconds(p99),
            "resident_memory_max_mib": memory_mib, "busy": seen.busy,
        })
    );
}

fn now_unix_nano() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos() as u64
}

//! The promise of an ack, tested: a real server under load is killed at a random moment, started again, and must have
//! each acknowledged trace, with each of its spans once. Again and again.

mod ledger;
mod sender;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use ledger::{Ledger, Verdict};
use serde_json::Value;

use crate::{
    http::Client,
    process,
    random::Random,
    repository,
    server::{Launch, Scratch, Server},
};

/// Small limits, so that a kill often meets a seal, a flush to the table, the joining of small files, a deletion, or the
/// cut of the log.
const SETTINGS: [&str; 4] = [
    "limits.hot_bytes=1MiB",
    "storage.hot_window=1s",
    "storage.retention=60s",
    "storage.vacuum_grace=1s",
];
/// Traces sent longer ago are not asked for: by the time of the answer they may have been deleted.
const CHECKED_AGE: Duration = Duration::from_secs(30);
/// How many traces of earlier rounds are looked at again after each kill; those of the last round all are.
const OLD_TRACES_CHECKED: usize = 40;
/// How many connections check at one time.
const CHECKERS: usize = 4;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// How often to kill
    #[arg(long, default_value_t = 30)]
    rounds: u64,
    /// Draws the same moments and the same traces again; without it, each run draws its own
    #[arg(long)]
    seed: Option<u64>,
    /// Connections that send
    #[arg(long, default_value_t = 3)]
    connections: u64,
    /// Use the release build
    #[arg(long)]
    release: bool,
    /// The longest time between ready and the kill, in milliseconds
    #[arg(long, default_value_t = 1_500)]
    life_ms_max: u64,
}

impl Options {
    /// What continuous integration runs.
    pub(crate) fn with_rounds(rounds: u64) -> Self {
        Self {
            rounds,
            seed: None,
            connections: 3,
            release: false,
            life_ms_max: 1_500,
        }
    }
}

/// Runs the rounds; returns how many there were.
pub(crate) fn run(options: &Options) -> Result<u64> {
    let binary = repository::spanlight(options.release)?;
    let mut scratch = Scratch::new("crash")?;
    let mut launch = Launch::new(&binary, &scratch.path().join("data"));
    for setting in SETTINGS {
        launch = launch.set(setting);
    }
    let seed = options.seed.unwrap_or_else(any_seed);
    println!("killing a server {} times, seed {seed}", options.rounds);
    let outcome = rounds(options, seed, &launch);
    if outcome.is_err() {
        // What the server has on disk is the evidence.
        println!(
            "the server's directory is kept: {}",
            scratch.path().display()
        );
        scratch.keep();
    }
    outcome.map_err(|error| error.context(format!("again with: cargo xtask crash --seed {seed}")))
}

fn rounds(options: &Options, seed: u64, launch: &Launch) -> Result<u64> {
    let mut random = Random::at(seed, u64::MAX);
    let mut ledger = Ledger::new(seed);
    let mut checks = 0;
    let started = Instant::now();
    for round in 1..=options.rounds {
        let (server, checked) = start_and_check(launch, &mut ledger, &mut random)?;
        println!(
            "round {round:>3}: ready after {:>5} ms, {:>6} traces acknowledged so far, {checked} checked",
            server.ready_after.as_millis(),
            ledger.acknowledged()
        );
        checks += checked;
        let life = Duration::from_millis(50 + random.below(options.life_ms_max.max(51) - 50));
        let sent = load(options, server, &ledger, life)?;
        ledger.begin_round(sent);
    }
    // The last kill, then a clean stop: neither may lose anything.
    for _ in 0..2 {
        let (server, checked) = start_and_check(launch, &mut ledger, &mut random)?;
        checks += checked;
        server.stop()?;
    }
    let repeated = verify(launch, &ledger)?;
    println!(
        "every file is whole; {repeated} spans of {} that were sent again are stored twice, and shown once",
        ledger.spans_sent_again
    );
    println!(
        "{} rounds, {} traces acknowledged, {checks} checks, 0 lost, 0 partial, 0 duplicated, {:.0} s",
        options.rounds,
        ledger.acknowledged(),
        started.elapsed().as_secs_f64()
    );
    if ledger.acknowledged() == 0 {
        bail!("nothing was acknowledged, so nothing was tested");
    }
    Ok(options.rounds)
}

/// Looks at every file of the stopped server. Returns how many spans are there twice: no more than were sent twice.
fn verify(launch: &Launch, ledger: &Ledger) -> Result<u64> {
    let mut command = Command::new(&launch.binary);
    command
        .args(["store", "verify", "--output", "json", "--data-dir"])
        .arg(&launch.data_dir);
    let report: Value = serde_json::from_str(&process::output(&mut command)?)?;
    let problems = report["problems"].as_array().map_or(1, Vec::len);
    let repeated = report["repeated_spans"].as_u64().unwrap_or(u64::MAX);
    if problems > 0 || repeated > ledger.spans_sent_again {
        bail!(
            "{} spans were sent again, and the directory is not as it should be: {report:#}",
            ledger.spans_sent_again
        );
    }
    Ok(repeated)
}

/// Starts the server on what the last kill has left. Returns it and how many traces it was asked for; the first that
/// is not there once ends the run, so that its directory is as it was found.
fn start_and_check(
    launch: &Launch,
    ledger: &mut Ledger,
    random: &mut Random,
) -> Result<(Server, usize)> {
    let server = launch.start()?;
    // What was acknowledged before the kill; then what is acknowledged now that it is sent again.
    let since = sender::now_unix_nano().saturating_sub(CHECKED_AGE.as_nanos() as u64);
    let acknowledged = ledger.to_check(random, OLD_TRACES_CHECKED, since);
    let mut verdict = check(ledger, &acknowledged, server.addresses.http)?;
    let again = sender::send_again(ledger, server.addresses.otlp_http)?;
    verdict.add(&check(ledger, &again, server.addresses.http)?);
    if !verdict.is_good() {
        bail!(
            "the server broke its promise: {verdict}; its log ends with\n{}",
            server.log_tail()
        );
    }
    Ok((server, verdict.checked))
}

/// Sends from several connections, kills the server after `life`, and returns what each request came to.
fn load(
    options: &Options,
    server: Server,
    ledger: &Ledger,
    life: Duration,
) -> Result<Vec<sender::Request>> {
    let address = server.addresses.otlp_http;
    let first = ledger.next();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..options.connections)
            .map(|connection| {
                let (seed, count) = (ledger.seed(), options.connections);
                scope.spawn(move || sender::send(seed, first, connection, count, address))
            })
            .collect();
        thread::sleep(life);
        server.kill()?;
        let mut requests = Vec::new();
        for sender in senders {
            requests.extend(sender.join().map_err(|_| anyhow!("a sender panicked"))??);
        }
        Ok(requests)
    })
}

/// Looks for these traces, which must be there.
fn check(ledger: &Ledger, numbers: &BTreeSet<u64>, address: SocketAddr) -> Result<Verdict> {
    let queue = Mutex::new(numbers.iter());
    thread::scope(|scope| {
        let checkers: Vec<_> = (0..CHECKERS)
            .map(|_| {
                scope.spawn(|| -> Result<Verdict> {
                    let mut client = Client::new(address);
                    let mut verdict = Verdict::default();
                    loop {
                        let next = queue
                            .lock()
                            .map_err(|_| anyhow!("a checker panicked"))?
                            .next();
                        let Some(number) = next else {
                            return Ok(verdict);
                        };
                        ledger.check(*number, &mut client, &mut verdict)?;
                    }
                })
            })
            .collect();
        let mut verdict = Verdict::default();
        for checker in checkers {
            verdict.add(
                &checker
                    .join()
                    .map_err(|_| anyhow!("a checker panicked"))??,
            );
        }
        Ok(verdict)
    })
}

fn any_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_nanos() as u64 % 1_000_000
}

//! Histories drawn from a seed: everything that users, time, disks and power do to a store, step by step, against a
//! model that knows what was acknowledged.
//!
//! A history that fails is cut down to the steps that it needs, and printed with the command that repeats it.
//! `cargo xtask simulate` runs more and longer ones. The same seed draws the same steps, and the same
//! faults for each file; what is left to chance is the order in which the log's thread, the sealing and the maintenance
//! take turns at the disk within a step, and with it the very operation at which a planned power cut falls.

mod model;
mod spans;
mod steps;
mod world;

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use self::steps::Step;
use self::world::World;

/// How long a step, and a history, may take: what takes longer hangs, which is a failure like others.
const STEP_LIMIT: Duration = Duration::from_secs(60);
const HISTORY_LIMIT: Duration = Duration::from_secs(300);

/// Runs that are spent on finding out which steps of a failed history matter.
const SHRINKING_RUNS: usize = 300;

/// How much to simulate: from the environment, which is how `cargo xtask simulate` says it.
struct Extent {
    first: u64,
    seeds: u64,
    steps: u64,
}

impl Extent {
    fn from_environment() -> Self {
        let number = |name: &str, default: u64| {
            let text = env::var(name).ok();
            text.map_or(default, |text| text.parse().unwrap())
        };
        Self {
            first: number("SPANLIGHT_SIMULATE_SEED", 1),
            seeds: number("SPANLIGHT_SIMULATE_SEEDS", 60),
            steps: number("SPANLIGHT_SIMULATE_STEPS", 10),
        }
    }
}

/// What went wrong, and when.
struct Failure {
    seed: u64,
    reason: String,
}

#[test]
fn every_history_keeps_what_was_acknowledged() {
    let extent = Extent::from_environment();
    let next = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let hook = panic::take_hook();
    // A panic is told at the end, once, with its history.
    panic::set_hook(Box::new(|_| {}));
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= extent.seeds || !failures.lock().unwrap().is_empty() {
                        return;
                    }
                    let seed = extent.first + number;
                    if let Err(reason) = run(seed, &steps::plan(seed, extent.steps)) {
                        failures.lock().unwrap().push(Failure { seed, reason });
                    }
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    // For the progress bar of `cargo xtask simulate`.
                    println!("simulated {done}");
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let reports: Vec<String> = failures
        .iter()
        .map(|failure| report(failure, extent.steps))
        .collect();
    panic::set_hook(hook);
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

/// Runs a history; the reason when it fails.
fn run(seed: u64, plan: &[Step]) -> Result<(), String> {
    history(seed, plan).1
}

/// What happened, step by step, and how it ended. A history that hangs in a way that no step limit ends is left behind.
fn history(seed: u64, plan: &[Step]) -> (Vec<String>, Result<(), String>) {
    let (sender, receiver) = mpsc::channel();
    let plan = plan.to_vec();
    thread::spawn(move || sender.send(live(seed, &plan)).ok());
    let ended = receiver.recv_timeout(HISTORY_LIMIT);
    ended.unwrap_or_else(|_| {
        let seconds = HISTORY_LIMIT.as_secs();
        (
            Vec::new(),
            Err(format!("it hangs: no end within {seconds} s")),
        )
    })
}

fn live(seed: u64, plan: &[Step]) -> (Vec<String>, Result<(), String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut world = World::new(seed);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            for step in plan {
                in_time(world.live(step)).await;
            }
            in_time(world.end()).await;
        });
    }));
    runtime.shutdown_timeout(Duration::from_millis(100));
    let ended = ran.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "a panic".to_owned())
    });
    (world.into_trace(), ended)
}

async fn in_time(step: impl Future<Output = ()>) {
    let done = tokio::time::timeout(STEP_LIMIT, step).await;
    let seconds = STEP_LIMIT.as_secs();
    done.unwrap_or_else(|_| panic!("it hangs: the step did not end within {seconds} s"));
}

/// The shortest history found that fails as well, and how to run it again.
fn report(failure: &Failure, steps: u64) -> String {
    let Failure { seed, reason } = failure;
    let (plan, trace, last) = shrink(*seed, steps::plan(*seed, steps));
    let again = format!("cargo xtask simulate --seed {seed} --seeds 1 --steps {steps}");
    format!(
        "seed {seed}: {reason}\n\nThe {} steps that it takes, at the end of which: {}\n{}\n\nAgain: {again}\n",
        plan.len(),
        last.unwrap_or_else(|| "nothing; the failure depends on threads".to_owned()),
        trace.join("\n"),
    )
}

/// Leaves out steps as long as the rest still fails.
fn shrink(seed: u64, mut plan: Vec<Step>) -> (Vec<Step>, Vec<String>, Option<String>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut runs = 0;
    let mut chunk = plan.len().div_ceil(2);
    while chunk > 0 && runs < SHRINKING_RUNS && Instant::now() < deadline {
        let mut at = 0;
        let mut shrank = false;
        while at < plan.len() && runs < SHRINKING_RUNS {
            let mut shorter = plan.clone();
            shorter.drain(at..(at + chunk).min(plan.len()));
            runs += 1;
            if run(seed, &shorter).is_err() {
                plan = shorter;
                shrank = true;
            } else {
                at += chunk;
            }
        }
        if chunk > 1 || !shrank {
            chunk /= 2;
        }
    }
    let (trace, ended) = history(seed, &plan);
    (plan, trace, ended.err())
}

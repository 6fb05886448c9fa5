//! All checks in their order, quick ones first: what continuous integration runs is what everybody can run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    browser, clients, crash, deny, layers, objects, process, repository, setup, simulate, table,
    tidy,
};

/// Private items are documented too, but what is public must not lead to them: its readers do not have them.
const RUSTDOC_FLAGS: &str = "-D warnings";

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Leave a step out; may be given several times
    #[arg(long, value_name = "STEP")]
    skip: Vec<Step>,
    /// How often the crash step kills the server
    #[arg(long, default_value_t = 30)]
    rounds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    Format,
    Tidy,
    Layers,
    Deny,
    Clippy,
    Doc,
    Build,
    Test,
    Simulate,
    Setup,
    Clients,
    Table,
    Objects,
    Browser,
    Crash,
}

/// How many tests passed and failed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut count = Count::default();
    let mut times = Vec::new();
    for step in Step::value_variants() {
        if options.skip.contains(step) {
            continue;
        }
        announce(*step);
        let started = Instant::now();
        let outcome = step.run(options, &mut count);
        times.push((*step, started.elapsed()));
        if let Err(error) = outcome {
            summary(&times);
            println!("{} passed, {} failed", count.passed, count.failed.max(1));
            return Err(error.context(format!("step `{}`", name(*step))));
        }
    }
    summary(&times);
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(())
}

/// The steps that take seconds once the workspace is built.
pub(crate) fn check() -> Result<()> {
    let options = Options {
        skip: Vec::new(),
        rounds: 0,
    };
    for step in [Step::Format, Step::Tidy, Step::Layers, Step::Clippy] {
        announce(step);
        step.run(&options, &mut Count::default())?;
    }
    Ok(())
}

impl Step {
    fn run(self, options: &Options, count: &mut Count) -> Result<()> {
        match self {
            Self::Format => cargo(&["fmt", "--all", "--check"]),
            Self::Tidy => tidy::run(),
            Self::Layers => layers::run(),
            Self::Deny => deny::run(&deny::Options::default()),
            Self::Clippy => cargo(&[
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]),
            Self::Doc => {
                let mut command = repository::cargo();
                command
                    .args([
                        "doc",
                        "--quiet",
                        "--workspace",
                        "--no-deps",
                        "--document-private-items",
                        "--locked",
                    ])
                    .env("RUSTDOCFLAGS", RUSTDOC_FLAGS);
                process::run(&mut command)
            }
            Self::Build => cargo(&["build", "--quiet", "--workspace", "--locked"]),
            Self::Test => test(count),
            Self::Simulate => add(count, simulate::run(&simulate::Options::short())),
            Self::Setup => setup::run(),
            Self::Clients => add(count, clients::run(&clients::Options::default())),
            Self::Table => add(count, table::run(&table::Options::default())),
            Self::Objects => add(count, objects::run(&objects::Options::default())),
            Self::Browser => add(count, browser::run(&browser::Options::default())),
            Self::Crash => add(
                count,
                crash::run(&crash::Options::with_rounds(options.rounds)),
            ),
        }
    }
}

fn cargo(arguments: &[&str]) -> Result<()> {
    process::run(repository::cargo().args(arguments))
}

/// Unit tests, integration tests and doc tests.
fn test(count: &mut Count) -> Result<()> {
    let mut command = repository::cargo();
    command.args(["test", "--quiet", "--workspace", "--locked"]);
    // A snapshot that differs is a failure, never a file to look at later.
    command.env("INSTA_UPDATE", "no").env("CI", "true");
    let succeeded = process::watch(&mut command, |line| {
        if let Some(one) = read_result(line) {
            count.passed += one.passed;
            count.failed += one.failed;
        }
    })?;
    if !succeeded {
        bail!("tests failed; the first failure is above");
    }
    Ok(())
}

/// Reads cargo's `test result: ok. 3 passed; 0 failed; …`.
fn read_result(line: &str) -> Option<Count> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |name: &str| {
        counts
            .split(';')
            .find_map(|part| part.trim().strip_suffix(name)?.trim().parse().ok())
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

fn add(count: &mut Count, outcome: Result<u64>) -> Result<()> {
    match outcome {
        Ok(passed) => {
            count.passed += passed;
            Ok(())
        }
        Err(error) => {
            count.failed += 1;
            Err(error)
        }
    }
}

fn announce(step: Step) {
    println!("\n── {} ──", name(step));
}

fn summary(times: &[(Step, Duration)]) {
    println!("\n── times ──");
    for (step, time) in times {
        println!("{:<8} {:>7.1} s", name(*step), time.as_secs_f64());
    }
    let all: Duration = times.iter().map(|(_, time)| *time).sum();
    println!("{:<8} {:>7.1} s\n", "all", all.as_secs_f64());
}

fn name(step: Step) -> String {
    format!("{step:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_cargo_are_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            read_result(line),
            Some(Count {
                passed: 12,
                failed: 0
            })
        );
        let line = "test result: FAILED. 1 passed; 2 failed; 0 ignored";
        assert_eq!(
            read_result(line),
            Some(Count {
                passed: 1,
                failed: 2
            })
        );
        assert_eq!(read_result("running 12 tests"), None);
    }
}

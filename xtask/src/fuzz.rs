//! The fuzz targets in `fuzz/`, built for libFuzzer by a nightly compiler and run one after the other. What fails is kept in
//! `fuzz/artifacts`, with the command that repeats it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{process, repository};

/// What libFuzzer sees the code by: a counter for each edge, and the operands of comparisons.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Ccodegen-units=1";

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Only the targets whose name contains this
    filter: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 1)]
    minutes: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = repository::root().join("fuzz");
    let targets = targets(&folder, options.filter.as_deref())?;
    let build = build(&folder, &targets)?;
    for target in &targets {
        println!("\n── {target} ──");
        fuzz(&folder, &build.join(target), target, options.minutes)?;
    }
    println!(
        "{} targets ran for {} min each and found nothing",
        targets.len(),
        options.minutes
    );
    Ok(())
}

fn targets(folder: &Path, filter: Option<&str>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        names.extend(name.map(str::to_owned));
    }
    names.retain(|name| filter.is_none_or(|filter| name.contains(filter)));
    names.sort();
    if names.is_empty() {
        bail!("there is no such target in fuzz/fuzz_targets");
    }
    Ok(names)
}

/// Builds the targets; returns the folder that they are in.
fn build(folder: &Path, targets: &[String]) -> Result<PathBuf> {
    let host = process::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = host.trim();
    let mut command = Command::new("cargo");
    command
        .current_dir(folder)
        // Not the toolchain that runs us, which its variables would name.
        .args(["+nightly", "build", "--release", "--target", host])
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO_TARGET_DIR")
        .env("RUSTFLAGS", FLAGS);
    for target in targets {
        command.args(["--bin", target]);
    }
    process::run(&mut command)
        .context("fuzzing takes a nightly compiler: rustup toolchain install nightly")?;
    Ok(folder.join("target").join(host).join("release"))
}

fn fuzz(folder: &Path, binary: &Path, target: &str, minutes: u64) -> Result<()> {
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(binary);
    command
        .arg(&corpus)
        .arg(format!("-max_total_time={}", minutes * 60))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // One input that takes longer than this is a failure.
        .args(["-timeout=5", "-max_len=65536", "-print_final_stats=1"]);
    process::run(&mut command).with_context(|| {
        format!(
            "{target} fails on what is in {}; `{} FILE` repeats it",
            artifacts.display(),
            binary.display()
        )
    })
}

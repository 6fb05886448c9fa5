//! The cold table on an object store: a real server of ours, a real server that speaks S3, and a cable between them that
//! is pulled. What happens is in `tests/objects/test_cold.py`.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::{process, repository, server::Scratch, setup};

const FOLDER: &str = "tests/objects";

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Use the release build of the server
    #[arg(long)]
    release: bool,
}

/// Returns how many programs passed: one.
pub(crate) fn run(options: &Options) -> Result<u64> {
    let python = setup::python(FOLDER)?;
    let binary = repository::spanlight(options.release)?;
    let mut scratch = Scratch::new("objects")?;
    let started = Instant::now();
    let mut command = Command::new(python);
    command
        .arg(repository::root().join(FOLDER).join("test_cold.py"))
        .args([&binary, scratch.path()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("no_proxy", "127.0.0.1");
    let done = process::run(&mut command);
    if done.is_err() {
        let path = scratch.path().display().to_string();
        scratch.keep();
        return done
            .map(|()| 0)
            .with_context(|| format!("what was left behind is in {path}"));
    }
    println!("objects: passed, {:.1} s", started.elapsed().as_secs_f64());
    Ok(1)
}

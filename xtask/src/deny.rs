//! cargo-deny: licences, sources and banned crates among the dependencies, by the rules in `deny.toml`.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;
use clap::Args;

use crate::{process, repository};

const VERSION: &str = "0.20.2";

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Also the advisories: fetches the RustSec database from GitHub
    #[arg(long)]
    advisories: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = Command::new(installed()?);
    command
        .current_dir(repository::root())
        .args(["--log-level", "error", "--locked"]);
    command.args(["check", "bans", "licenses", "sources"]);
    if options.advisories {
        command.arg("advisories");
    }
    process::run(&mut command)
}

/// The path of cargo-deny; builds it where it is missing, beside our own build so that caches keep both.
fn installed() -> Result<PathBuf> {
    let folder = repository::target().join("tools");
    let path = folder.join("bin/cargo-deny");
    let is_right = |path: &PathBuf| {
        path.is_file()
            && process::output(Command::new(path).arg("--version"))
                .is_ok_and(|version| version.trim().ends_with(VERSION))
    };
    if !is_right(&path) {
        println!("building cargo-deny {VERSION}, once; it takes two minutes on two cores");
        let build = folder.join("build");
        let mut command = repository::cargo();
        // A debug build: the check takes a second either way, the build half as long.
        command
            .args([
                "install",
                "cargo-deny",
                "--version",
                VERSION,
                "--locked",
                "--debug",
                "--force",
            ])
            .args(["--quiet", "--no-track", "--root"])
            .arg(&folder)
            .arg("--target-dir")
            .arg(&build)
            .env_remove("CARGO_TARGET_DIR");
        process::run(&mut command)?;
        // Hundreds of megabytes that nothing needs again; what remains of them does no harm.
        let _ = fs::remove_dir_all(build);
    }
    Ok(path)
}

//! Where things are in the repository, and which files are its own.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::process;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    // At run time, since a shared target directory may hold a binary that another clone has built.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Cargo itself, the one that runs us where it says so.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The server's binary, of the profile that was asked for; builds it first. `SPANLIGHT_BINARY` names another one.
pub(crate) fn spanlight(release: bool) -> Result<PathBuf> {
    if let Some(binary) = env::var_os("SPANLIGHT_BINARY") {
        return Ok(binary.into());
    }
    let mut command = cargo();
    command.args(["build", "--quiet", "--package", "spanlight"]);
    if release {
        command.arg("--release");
    }
    process::run(&mut command).context("spanlight does not build")?;
    Ok(target()
        .join(if release { "release" } else { "debug" })
        .join("spanlight"))
}

/// Each file that is in the repository or would be with the next commit, relative to its root.
pub(crate) fn files() -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root());
    let listed = process::output(&mut command)?;
    let mut files: Vec<String> = listed
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

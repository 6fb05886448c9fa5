//! What the tests need and cargo does not bring. Doing it twice does nothing the second time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{process, repository};

pub(crate) fn run() -> Result<()> {
    python("tests/clients/python")?;
    python("tests/table")?;
    python("tests/objects")?;
    node("tests/clients/node")?;
    node("tests/browser")?;
    println!("browser: {}", chromium()?.display());
    Ok(())
}

/// The Python of a virtual environment with what one folder's `requirements.txt` lists in it.
pub(crate) fn python(folder: &str) -> Result<PathBuf> {
    let folder = repository::root().join(folder);
    let environment = folder.join(".venv");
    let python = environment.join("bin/python");
    let lock = folder.join("requirements.txt");
    if !is_current(&lock, &environment.join("installed"))? {
        println!(
            "python: installing what {} lists",
            relative(&lock).display()
        );
        require(
            "python3",
            "install Python 3.9 or newer, with its venv module",
        )?;
        process::run(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&environment),
        )
        .context(
            "python3 cannot make a virtual environment (Debian: apt-get install python3-venv)",
        )?;
        process::run(
            Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .args([
                    "--require-hashes",
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                    "-r",
                ])
                .arg(&lock),
        )?;
        fs::copy(&lock, environment.join("installed"))?;
    }
    Ok(python)
}

/// Installs the packages of one folder's `package-lock.json`; returns the folder.
pub(crate) fn node(folder: &str) -> Result<PathBuf> {
    let folder = repository::root().join(folder);
    let lock = folder.join("package-lock.json");
    let stamp = folder.join("node_modules/installed");
    if !is_current(&lock, &stamp)? {
        println!("node: installing what {} lists", relative(&lock).display());
        require("npm", "install Node 20 or newer, with npm")?;
        process::run(
            Command::new("npm")
                .args([
                    "ci",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                ])
                .current_dir(&folder),
        )?;
        fs::copy(&lock, &stamp)?;
    }
    Ok(folder)
}

/// The browser: `SPANLIGHT_CHROMIUM`, or one that is installed, or Debian's if we may install it.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SPANLIGHT_CHROMIUM") {
        return Ok(path.into());
    }
    if let Some(path) = find_chromium() {
        return Ok(path);
    }
    if process::exists("apt-get") {
        println!("browser: installing Debian's chromium");
        let mut installed = process::run(Command::new("apt-get").args(["update", "--quiet"]));
        if installed.is_ok() {
            installed = process::run(
                Command::new("apt-get")
                    .args([
                        "install",
                        "--yes",
                        "--quiet",
                        "--no-install-recommends",
                        "chromium",
                    ])
                    .env("DEBIAN_FRONTEND", "noninteractive"),
            );
        }
        installed.context("cannot install chromium; as root: apt-get install chromium")?;
    }
    find_chromium().context(
        "no browser: install chromium, or name one with SPANLIGHT_CHROMIUM=/path/to/chromium",
    )
}

fn find_chromium() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| ["/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name)))
        .find(|path| path.is_file())
}

/// Whether what the lock file lists is what was installed last.
fn is_current(lock: &Path, stamp: &Path) -> Result<bool> {
    let lock = fs::read(lock).with_context(|| format!("cannot read {}", lock.display()))?;
    Ok(fs::read(stamp).is_ok_and(|installed| installed == lock))
}

fn require(program: &str, advice: &str) -> Result<()> {
    if !process::exists(program) {
        bail!("{program} is missing: {advice}");
    }
    Ok(())
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix(repository::root())
        .unwrap_or(path)
        .to_path_buf()
}

//! The pages in a real browser. The tests are in `tests/browser`, run by Node's own test runner; here they get what
//! they need: the server's binary, a browser, a folder for screenshots.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, bail};
use clap::Args;

use crate::{process, repository, setup};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Only the tests whose name matches this
    filter: Option<String>,
    /// Use the release build of the server
    #[arg(long)]
    release: bool,
    /// Keep the screenshots as those of the documentation, in docs/screenshots
    #[arg(long)]
    update_docs: bool,
}

/// Returns how many tests passed.
pub(crate) fn run(options: &Options) -> Result<u64> {
    let folder = setup::node("tests/browser")?;
    let screenshots = screenshots(options);
    std::fs::create_dir_all(&screenshots)?;
    let mut command = Command::new("node");
    command
        .current_dir(&folder)
        .args(["--test", "--test-reporter=tap", "--test-concurrency=1"])
        .env("SPANLIGHT_BINARY", repository::spanlight(options.release)?)
        .env("SPANLIGHT_CHROMIUM", setup::chromium()?)
        .env("SPANLIGHT_SCREENSHOTS", &screenshots);
    if let Some(filter) = &options.filter {
        command.arg("--test-name-pattern").arg(filter);
    }
    let (mut passed, mut failed) = (0, 0);
    let succeeded = process::watch(command.arg("pages.test.mjs"), |line| {
        let count = |name: &str| {
            line.strip_prefix(name)
                .and_then(|count| count.trim().parse().ok())
        };
        passed = count("# pass ").unwrap_or(passed);
        failed = count("# fail ").unwrap_or(failed);
    })?;
    println!(
        "browser: {passed} passed, {failed} failed; screenshots in {}",
        screenshots.display()
    );
    if !succeeded || failed > 0 || passed == 0 {
        bail!("{failed} browser tests failed");
    }
    Ok(passed)
}

fn screenshots(options: &Options) -> PathBuf {
    if options.update_docs {
        repository::root().join("docs/screenshots")
    } else {
        repository::target().join("screenshots")
    }
}

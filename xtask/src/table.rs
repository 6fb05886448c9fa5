//! The open table: other programs read it while a server writes to it, and run every query of `docs/open-table.md`.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    process, repository,
    server::{Launch, Scratch},
    setup,
};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Use the release build of the server
    #[arg(long)]
    release: bool,
}

/// Returns how many checks passed.
pub(crate) fn run(options: &Options) -> Result<u64> {
    let python = setup::python("tests/table")?;
    let binary = repository::spanlight(options.release)?;
    let scratch = Scratch::new("table")?;
    let data_dir = scratch.path().join("data");
    // Spans reach the table at once instead of after a quarter of an hour.
    let mut server = Launch::new(&binary, &data_dir)
        .set("storage.hot_window=1s")
        .start()?;
    let compared = process::run(
        Command::new(python)
            .arg(repository::root().join("tests/table/table.py"))
            .arg(server.addresses.http.to_string())
            .arg(server.addresses.otlp_http.to_string())
            .arg(data_dir.join("cold"))
            .arg(repository::root().join("docs/open-table.md"))
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    );
    compared.with_context(|| format!("the server's log ends with\n{}", server.log_tail()))?;
    server.check_alive()?;
    server.stop()?;
    Ok(1)
}

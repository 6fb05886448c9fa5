//! A large load in a data directory: made, or as an earlier run has left it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    cache, fill, options::Options, probe, question::Class, report::Report, settle, truth::Load,
};
use crate::{
    repository,
    server::{Launch, Scratch},
};

/// The load, and how to start the server that has it.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) load: Load,
    pub(super) launch: Launch,
    directory: PathBuf,
    /// Removes the directory where it is not to be kept.
    _scratch: Option<Scratch>,
}

impl Large {
    pub(super) fn prepare(options: &Options, report: &mut Report) -> Result<Self> {
        let scratch = match &options.keep {
            Some(_) => None,
            None => Some(Scratch::new("bench")?),
        };
        let directory = options
            .keep
            .as_deref()
            .or(scratch.as_ref().map(Scratch::path))
            .context("no directory")?
            .to_path_buf();
        let binary = repository::spanlight(!options.debug)?;
        let launch = options.launch(&binary, &directory.join("data"));
        let load = match Load::saved(&directory)? {
            Some(load) => {
                println!(
                    "using the {} traces in {}",
                    load.traces,
                    directory.display()
                );
                load
            }
            None => filled(options, &launch, &directory, report)?,
        };
        Ok(Self {
            load,
            launch,
            directory,
            _scratch: scratch,
        })
    }

    pub(super) fn bytes_on_disk(&self) -> Result<u64> {
        cache::bytes_below(&self.launch.data_dir)
    }

    /// Asks the classes, warm and cold.
    pub(super) fn ask(
        &self,
        options: &Options,
        classes: &[&Class],
        report: &mut Report,
    ) -> Result<()> {
        if classes.is_empty() {
            return Ok(());
        }
        probe::run(options, &self.launch, &self.load, classes, report)
    }

    /// There is more in it now than the checks expect: nobody uses it again.
    pub(super) fn forget(&self) -> Result<()> {
        Load::forget(&self.directory)
    }
}

fn filled(
    options: &Options,
    launch: &Launch,
    directory: &Path,
    report: &mut Report,
) -> Result<Load> {
    if launch.data_dir.exists() {
        bail!(
            "{} holds data that no load left whole; remove it",
            directory.display()
        );
    }
    let load = options.load(options.spans);
    let server = launch.start()?;
    let filled = fill::fill(&load, &server, options.connections, true)?;
    let settled = settle::wait(&server, load.spans())?;
    report.ingest(&load, &filled, &settled);
    settle::compact(&server, load.spans())?;
    server.stop()?;
    load.save(directory)?;
    Ok(load)
}

/// The load as it is written beside its data.
impl Load {
    const FILE: &str = "load.json";

    fn saved(directory: &Path) -> Result<Option<Self>> {
        let Ok(text) = fs::read(directory.join(Self::FILE)) else {
            return Ok(None);
        };
        let saved: Value = serde_json::from_slice(&text)?;
        let field = |name: &str| {
            saved[name]
                .as_u64()
                .with_context(|| format!("load.json has no {name}"))
        };
        Ok(Some(Self::new(
            field("seed")?,
            field("traces")?,
            field("start_unix_nano")?,
            field("step_nano")?,
        )))
    }

    fn save(&self, directory: &Path) -> Result<()> {
        let text = json!({
            "seed": self.seed, "traces": self.traces,
            "start_unix_nano": self.start_unix_nano, "step_nano": self.step_nano,
        });
        fs::write(directory.join(Self::FILE), text.to_string())?;
        Ok(())
    }

    fn forget(directory: &Path) -> Result<()> {
        fs::remove_file(directory.join(Self::FILE))?;
        Ok(())
    }
}

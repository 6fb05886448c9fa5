//! `spanlight store compact`.

use clap::ColorChoice;
use serde::Deserialize;
use serde_json::json;
use spanlight::arguments::CompactArguments;
use spanlight::render::{counted, part};

use super::lines::follow;
use super::{count, grouped};
use crate::client::Client;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen;
use crate::target::Target;

pub(super) async fn run(arguments: &CompactArguments, colour: ColorChoice) -> Result<(), Failure> {
    let target = Target::find_to_write(&arguments.target, colour).await?;
    let outcome = compact(target.client()).await;
    target.close().await;
    outcome
}

/// A line of the answer: what was done so far.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    files: u64,
    spans: u64,
    steps: usize,
    files_left: u64,
}

async fn compact(client: &Client) -> Result<(), Failure> {
    let response = client.post("api/v1/store/compact", &json!({})).await?;
    let mut progress = Progress::new();
    let again = "compacting again does no harm";
    let last: Line = follow(response, again, |line: Line| {
        let fraction = line.files as f64 / (line.files + line.files_left).max(1) as f64;
        progress.show(&format!(
            "compacting  {}  {} joined, {} left",
            part(fraction),
            count(line.files, "file"),
            grouped(line.files_left),
        ));
    })
    .await?;
    progress.clear();
    screen::say(&summary(last.files, last.spans, last.steps))
}

fn summary(files: u64, spans: u64, steps: usize) -> String {
    if files == 0 {
        return "nothing to join\n".to_owned();
    }
    format!(
        "{} with {} joined to {}; the old ones leave the disk in some minutes\n",
        count(files, "file"),
        count(spans, "span"),
        counted(steps, "file"),
    )
}

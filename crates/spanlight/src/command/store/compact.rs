//! `spanlight store compact`.

use clap::ColorChoice;
use serde::Deserialize;
use serde_json::json;
use spanlight::arguments::CompactArguments;
use spanlight::render::{bar, counted};

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
    done: bool,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
}

async fn compact(client: &Client) -> Result<(), Failure> {
    let broken = |source: reqwest::Error| Failure::of("the server's answer broke off", &source);
    let mut response = client.post("api/v1/store/compact", &json!({})).await?;
    let mut progress = Progress::new();
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        text.extend_from_slice(&chunk);
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line: Line = serde_json::from_slice(&line)
                .map_err(|source| Failure::of("the server's answer is not understood", &source))?;
            if let Some(problem) = line.error {
                return Err(Failure::failed(&problem.message));
            }
            if line.done {
                progress.clear();
                return screen::say(&summary(line.files, line.spans, line.steps));
            }
            let fraction = line.files as f64 / (line.files + line.files_left).max(1) as f64;
            progress.show(&format!(
                "compacting  {} {:3.0} %  {} joined, {} left",
                bar(fraction),
                fraction * 100.0,
                count(line.files, "file"),
                grouped(line.files_left),
            ));
        }
    }
    Err(Failure::failed(
        "the server's answer broke off; compacting again does no harm",
    ))
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

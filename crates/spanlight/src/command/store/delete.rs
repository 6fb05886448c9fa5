//! `spanlight store delete`.

use std::io::{IsTerminal as _, Write as _};

use clap::ColorChoice;
use serde::Deserialize;
use serde_json::{Value, json};
use spanlight::arguments::DeleteArguments;
use spanlight::render::part;

use super::lines::follow;
use super::{count, grouped};
use crate::client::Client;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen;
use crate::target::Target;

pub(super) async fn run(arguments: &DeleteArguments, colour: ColorChoice) -> Result<(), Failure> {
    let target = Target::find_to_write(&arguments.target, colour).await?;
    let outcome = delete(arguments, target.client()).await;
    target.close().await;
    outcome
}

/// What was deleted, or would be.
#[derive(Debug, Deserialize)]
struct Deleted {
    traces: u64,
    spans: u64,
    files_rewritten: u64,
    files_removed: u64,
    files_unreadable: u64,
    partial: Vec<String>,
}

async fn delete(arguments: &DeleteArguments, client: &Client) -> Result<(), Failure> {
    let found = ask(arguments, client).await?;
    let (traces, spans) = (count(found.traces, "trace"), count(found.spans, "span"));
    if found.traces == 0 {
        incomplete(&found)?;
        return screen::say("no trace matches\n");
    }
    if arguments.dry_run {
        incomplete(&found)?;
        return screen::say(&format!("{traces} with {spans} would be deleted\n"));
    }
    if !arguments.yes && !confirmed(&format!("delete {traces} with {spans} for good?"))? {
        return Err(Failure::failed("nothing was deleted"));
    }
    let deleted = delete_now(arguments, client).await?;
    screen::say(&format!(
        "deleted {} with {}: {} written again without them, {} removed\n",
        count(deleted.traces, "trace"),
        count(deleted.spans, "span"),
        count(deleted.files_rewritten, "file"),
        count(deleted.files_removed, "file"),
    ))?;
    screen::remark("backups made before still have them");
    if deleted.files_unreadable > 0 {
        let files = count(deleted.files_unreadable, "file");
        let message =
            format!("{files} could not be read and may have more: see spanlight store verify");
        return Err(Failure::failed(&message));
    }
    incomplete(&deleted)
}

/// A line of the answer: how far it is.
#[derive(Debug, Deserialize)]
struct Step {
    spans: u64,
    files: u64,
    files_left: u64,
}

async fn delete_now(arguments: &DeleteArguments, client: &Client) -> Result<Deleted, Failure> {
    let body = body(arguments, json!({"progress": true}));
    let response = client.post("api/v1/store/delete", &body).await?;
    let mut progress = Progress::new();
    let again = "deleting again does no harm";
    let deleted = follow(response, again, |step: Step| {
        let files = step.files + step.files_left;
        let fraction = step.files as f64 / files.max(1) as f64;
        progress.show(&format!(
            "deleting  {}  {} of {}, {} gone",
            part(fraction),
            grouped(step.files),
            count(files, "file"),
            count(step.spans, "span"),
        ));
    });
    let deleted = deleted.await;
    progress.clear();
    deleted
}

async fn ask(arguments: &DeleteArguments, client: &Client) -> Result<Deleted, Failure> {
    let body = body(arguments, json!({"dry_run": true}));
    let response = client.post("api/v1/store/delete", &body).await?;
    let answer = response.json().await;
    answer.map_err(|source| Failure::of("the server's answer is not understood", &source))
}

fn body(arguments: &DeleteArguments, mut body: Value) -> Value {
    body["query"] = json!(arguments.query);
    body["start"] = json!(arguments.start);
    body["end"] = json!(arguments.end);
    body
}

/// What was found may not be all.
fn incomplete(found: &Deleted) -> Result<(), Failure> {
    match found.partial.first() {
        None => Ok(()),
        Some(reason) => Err(Failure::failed(&format!(
            "there may be more traces that match, run it again: {reason}"
        ))),
    }
}

fn confirmed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("say --yes to delete without being asked"));
    }
    let mut output = std::io::stderr();
    // A question that cannot be seen is answered by nobody.
    let _ = write!(output, "{question} [yes/no] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|source| Failure::of("cannot read the answer", &source))?;
    Ok(answer.trim() == "yes")
}

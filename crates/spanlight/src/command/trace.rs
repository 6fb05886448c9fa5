//! `spanlight trace`.

use clap::ColorChoice;
use jiff::tz::TimeZone;
use reqwest::StatusCode;
use spanlight::answer::TraceAnswer;
use spanlight::arguments::{Output, TraceArguments};
use spanlight::render;

use super::query::{read, warn_of_partial};
use crate::client::{Client, Refusal};
use crate::failure::Failure;
use crate::screen;
use crate::target::Target;

pub(super) async fn run(arguments: &TraceArguments, colour: ColorChoice) -> Result<(), Failure> {
    let id = arguments.id.trim();
    let plain = |character: char| character.is_ascii_hexdigit() || character == '-';
    // The server reads ids of every spelling; what cannot be one at all must not become a path.
    if id.is_empty() || !id.chars().all(plain) {
        let message = format!("{id:?} is not a trace id: expected 32 hexadecimal digits");
        return Err(Failure::usage(&message));
    }
    let target = Target::find(&arguments.target, colour).await?;
    let outcome = show(arguments, id, target.client(), colour).await;
    target.close().await;
    outcome
}

async fn show(
    arguments: &TraceArguments,
    id: &str,
    client: &Client,
    colour: ColorChoice,
) -> Result<(), Failure> {
    let limit = match arguments.output {
        Output::Table => Some(arguments.limit.unwrap_or(ROWS)),
        Output::Json => arguments.limit,
    };
    let parameters: Vec<_> = limit
        .map(|limit| ("limit", limit.to_string()))
        .into_iter()
        .collect();
    let path = format!("api/v1/traces/{id}");
    let body = match client.ask(&path, &parameters).await? {
        Ok(body) => body,
        Err(refusal) => return Err(refused(&refusal)),
    };
    if arguments.output == Output::Json {
        return screen::say(&format!("{}\n", body.trim_end()));
    }
    let answer: TraceAnswer = read(&body)?;
    warn_of_partial(&answer.partial);
    let terminal = screen::output(colour);
    let zone = TimeZone::system();
    screen::say(&render::waterfall(&answer, terminal, &zone))
}

const ROWS: usize = 200;

fn refused(refusal: &Refusal) -> Failure {
    match refusal.status {
        StatusCode::NOT_FOUND => Failure::not_found(&refusal.message),
        StatusCode::BAD_REQUEST => Failure::usage(&refusal.message),
        _ => Failure::failed(&refusal.message),
    }
}

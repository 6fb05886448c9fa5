//! `spanlight sql`.

use std::io::Read as _;

use clap::ColorChoice;
use reqwest::Response;
use spanlight::answer::SqlAnswer;
use spanlight::arguments::{SqlArguments, SqlOutput};
use spanlight::render;

use super::query::{read, refused, warn_of_partial};
use crate::client::Client;
use crate::failure::Failure;
use crate::screen;
use crate::target::Target;

/// Says why an answer is not complete where its body has no place for it.
const PARTIAL: &str = "spanlight-partial";

pub(super) async fn run(arguments: &SqlArguments, colour: ColorChoice) -> Result<(), Failure> {
    let statement = statement(arguments)?;
    let target = Target::find(&arguments.target, colour).await?;
    let outcome = ask(arguments, &statement, target.client(), colour).await;
    target.close().await;
    outcome
}

fn statement(arguments: &SqlArguments) -> Result<String, Failure> {
    if let Some(file) = &arguments.file {
        let failed = |source| Failure::of(&format!("cannot read {}", file.display()), &source);
        return std::fs::read_to_string(file).map_err(failed);
    }
    match arguments.statement.as_deref() {
        Some("-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|source| Failure::of("cannot read standard input", &source))?;
            Ok(text)
        }
        statement => Ok(statement.unwrap_or_default().to_owned()),
    }
}

async fn ask(
    arguments: &SqlArguments,
    statement: &str,
    client: &Client,
    colour: ColorChoice,
) -> Result<(), Failure> {
    let accept = match arguments.output {
        SqlOutput::Table | SqlOutput::Json => "application/json",
        SqlOutput::Csv => "text/csv",
        SqlOutput::Arrow => "application/vnd.apache.arrow.stream",
    };
    let limit = arguments.limit.map(|limit| ("limit", limit.to_string()));
    let parameters: Vec<_> = limit.into_iter().collect();
    let answer = client.ask_text("api/v1/sql", &parameters, statement, accept);
    let response = match answer.await? {
        Ok(response) => response,
        Err(refusal) => return Err(refused(statement, &refusal, colour)),
    };
    match arguments.output {
        SqlOutput::Csv | SqlOutput::Arrow => pass_on(response).await,
        SqlOutput::Table | SqlOutput::Json => {
            let body = response.text().await.map_err(|source| broken(&source))?;
            let answer: SqlAnswer = read(&body)?;
            warn_of_partial(&answer.partial);
            match arguments.output {
                SqlOutput::Json => screen::say(&format!("{}\n", body.trim_end())),
                _ => screen::say(&render::rows(&answer, screen::output(colour))),
            }
        }
    }
}

/// Writes an answer as it comes.
async fn pass_on(mut response: Response) -> Result<(), Failure> {
    let partial = response.headers().get(PARTIAL).cloned();
    while let Some(part) = response.chunk().await.map_err(|source| broken(&source))? {
        screen::put(&part)?;
    }
    if let Some(partial) = partial {
        let reasons = String::from_utf8_lossy(partial.as_bytes()).into_owned();
        screen::remark(&format!("incomplete: {reasons}; --output json says more"));
    }
    Ok(())
}

fn broken(source: &reqwest::Error) -> Failure {
    Failure::of("the answer broke off", source)
}

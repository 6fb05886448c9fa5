//! `spanlight query`.

use clap::ColorChoice;
use jiff::tz::TimeZone;
use reqwest::StatusCode;
use spanlight::answer::{Partial, SearchAnswer};
use spanlight::arguments::{Output, QueryArguments};
use spanlight::render::{self, Fault};

use crate::client::{Client, Refusal};
use crate::failure::Failure;
use crate::screen;
use crate::target::Target;

pub(super) async fn run(arguments: &QueryArguments, colour: ColorChoice) -> Result<(), Failure> {
    let target = Target::find(&arguments.target, colour).await?;
    let outcome = search(arguments, target.client(), colour).await;
    target.close().await;
    outcome
}

async fn search(
    arguments: &QueryArguments,
    client: &Client,
    colour: ColorChoice,
) -> Result<(), Failure> {
    let mut parameters = vec![
        ("q", arguments.query.clone()),
        ("start", arguments.start.clone()),
        ("end", arguments.end.clone()),
        ("limit", arguments.limit.to_string()),
    ];
    if arguments.explain {
        parameters.push(("explain", "true".to_owned()));
    }
    let body = match client.ask("api/v1/search", &parameters).await? {
        Ok(body) => body,
        Err(refusal) => return Err(refused(&arguments.query, &refusal, colour)),
    };
    let answer: SearchAnswer = read(&body)?;
    warn_of_partial(&answer.partial);
    match arguments.output {
        Output::Json => screen::say(&format!("{}\n", body.trim_end())),
        Output::Table => {
            let terminal = screen::output(colour);
            let mut text = render::traces(&answer, terminal, &TimeZone::system());
            if let Some(explanation) = &answer.explain {
                text.push('\n');
                text.push_str(&explanation.text);
            }
            screen::say(&text)
        }
    }
}

fn refused(query: &str, refusal: &Refusal, colour: ColorChoice) -> Failure {
    if refusal.status != StatusCode::BAD_REQUEST {
        return Failure::failed(&refusal.message);
    }
    let mut terminal = screen::output(colour);
    terminal.colour = screen::errors_coloured(colour);
    let fault = Fault {
        query,
        message: &refusal.message,
        position: refusal.position.as_ref(),
        expected: &refusal.expected,
        hint: refusal.hint.as_deref(),
    };
    Failure::usage_text(render::fault(fault, terminal))
}

/// Reads an answer of the API.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(body: &'a str) -> Result<T, Failure> {
    serde_json::from_str(body).map_err(|source| {
        Failure::of(
            "the server's answer is not understood; is it of the same version?",
            &source,
        )
    })
}

/// An incomplete answer says so, whatever its form.
pub(super) fn warn_of_partial(partial: &[Partial]) {
    for reason in partial {
        screen::remark(&format!("incomplete: {}", reason.message));
    }
}

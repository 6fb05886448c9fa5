//! `spanlight query`.

use clap::ColorChoice;
use jiff::tz::TimeZone;
use reqwest::StatusCode;
use spanlight::answer::{MetricsAnswer, Partial, SearchAnswer};
use spanlight::arguments::{Output, QueryArguments};
use spanlight::render::{self, Fault};
use spanlight_traceql::ast::Root;

use crate::client::{Client, Refusal};
use crate::failure::Failure;
use crate::screen;
use crate::target::Target;

pub(super) async fn run(arguments: &QueryArguments, colour: ColorChoice) -> Result<(), Failure> {
    let target = Target::find(&arguments.target, colour).await?;
    let outcome = ask(arguments, target.client(), colour).await;
    target.close().await;
    outcome
}

async fn ask(
    arguments: &QueryArguments,
    client: &Client,
    colour: ColorChoice,
) -> Result<(), Failure> {
    let mut parameters = vec![
        ("q", arguments.query.clone()),
        ("start", arguments.start.clone()),
        ("end", arguments.end.clone()),
    ];
    if arguments.explain {
        parameters.push(("explain", "true".to_owned()));
    }
    let is_metrics = is_metrics(&arguments.query);
    let path = if is_metrics {
        let step = arguments.step.clone();
        parameters.extend(step.map(|step| ("step", step)));
        "api/v1/metrics"
    } else {
        parameters.push(("limit", arguments.limit.to_string()));
        "api/v1/search"
    };
    let body = match client.ask(path, &parameters).await? {
        Ok(body) => body,
        Err(refusal) => return Err(refused(&arguments.query, &refusal, colour)),
    };
    let (terminal, zone) = (screen::output(colour), TimeZone::system());
    let (mut text, partial, explanation) = if is_metrics {
        let answer: MetricsAnswer = read(&body)?;
        let text = render::series(&answer, terminal, &zone);
        (text, answer.partial, answer.explain)
    } else {
        let answer: SearchAnswer = read(&body)?;
        let text = render::traces(&answer, terminal, &zone);
        (text, answer.partial, answer.explain)
    };
    warn_of_partial(&partial);
    match arguments.output {
        Output::Json => screen::say(&format!("{}\n", body.trim_end())),
        Output::Table => {
            if let Some(explanation) = &explanation {
                text.push('\n');
                text.push_str(&explanation.text);
            }
            screen::say(&text)
        }
    }
}

/// Whether the query asks for series; what is no query is refused as a search.
fn is_metrics(query: &str) -> bool {
    spanlight_traceql::parse(query).is_ok_and(|query| matches!(query.root, Root::Metrics(_)))
}

pub(super) fn refused(query: &str, refusal: &Refusal, colour: ColorChoice) -> Failure {
    if refusal.status != StatusCode::BAD_REQUEST {
        let hint = refusal.hint.iter();
        let hint: String = hint.map(|hint| format!("\nhint: {hint}")).collect();
        return Failure::failed(&format!("{}{hint}", refusal.message));
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

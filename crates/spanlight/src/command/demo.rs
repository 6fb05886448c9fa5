//! `spanlight demo`: a server on a temporary directory, and the example systems sending to it.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ColorChoice;
use reqwest::Url;
use spanlight::arguments::{ConfigurationArguments, DemoArguments};
use spanlight::demo::{Export, Highlight, SendError, Sender, Traffic, World};
use spanlight_server::{Addresses, Override, Settings};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::serve::{Signals, reachable, start};
use crate::failure::Failure;
use crate::{screen, settings};

const SECOND: u64 = 1_000_000_000;
// What is there at once: so much time, or so many requests, whichever is less.
const BACKFILL_SECONDS: f64 = 15.0 * 60.0;
const BACKFILL_REQUESTS: f64 = 6_000.0;
const BACKFILL_STEP: u64 = 5 * SECOND;
const BACKFILL_EXPORTS: usize = 200;
const TICK: Duration = Duration::from_millis(50);
const REQUESTS_MAX: usize = 32;

pub(super) async fn run(arguments: &DemoArguments, colour: ColorChoice) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let directory = tempfile::Builder::new()
        .prefix("spanlight-demo-")
        .tempdir()
        .map_err(|source| Failure::of("cannot make a temporary directory", &source))?;
    let settings = demo_settings(arguments, directory.path())?;
    settings::start_quiet_log(&settings, colour);
    let server = start(settings).await?;
    let addresses = server.addresses().clone();
    let Some(otlp) = addresses.otlp_http else {
        return Err(Failure::usage(
            "the demo sends to receivers.otlp_http, which is off",
        ));
    };
    let sender = Sender::new(&otlp.to_string())
        .map_err(|source| Failure::of("cannot make an HTTP client", &source))?;

    let words = backfill_words(arguments.rate);
    screen::remark(&format!("sending what happened in the last {words} …"));
    let temporary = directory.path();
    let filled = tokio::select! {
        filled = backfill(arguments, &sender) => Some(filled?),
        () = signals.stop(Some(temporary)) => None,
    };
    if let Some((traffic, spans)) = filled {
        screen::say(&banner(&addresses, arguments.rate, spans, &traffic))?;
        let playing = tokio::spawn(play(traffic, sender));
        signals.stop(Some(temporary)).await;
        playing.abort();
    }
    Box::pin(server.run_until(std::future::ready(()))).await;
    directory
        .close()
        .map_err(|source| Failure::of("cannot remove the temporary directory", &source))
}

fn demo_settings(arguments: &DemoArguments, directory: &Path) -> Result<Settings, Failure> {
    let mut more = vec![Override::option(
        "spanlight demo",
        "storage.data_dir",
        &directory.to_string_lossy(),
    )];
    // The usual ports where they are free, so that own programs can send too; else any.
    let usual = [
        ("receivers.otlp_http", "127.0.0.1:4318"),
        ("receivers.otlp_grpc", "127.0.0.1:4317"),
        ("http", "127.0.0.1:7900"),
    ];
    for (name, address) in usual {
        let given = arguments.set.iter().any(|text| text.starts_with(name));
        if !given && TcpListener::bind(address).is_err() {
            more.insert(0, Override::option("spanlight demo", name, "127.0.0.1:0"));
        }
    }
    more.extend(settings::listen(arguments.listen.as_deref()));
    let configuration = ConfigurationArguments {
        set: arguments.set.clone(),
        ..ConfigurationArguments::default()
    };
    settings::load(&configuration, more)
}

/// How far back the traffic begins, in seconds.
fn backfill_seconds(rate: f64) -> u64 {
    (BACKFILL_REQUESTS / rate).min(BACKFILL_SECONDS) as u64
}

fn backfill_words(rate: f64) -> String {
    match backfill_seconds(rate) {
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

/// Sends what happened before the demo started; gives the traffic that goes on from there, and the number of spans.
async fn backfill(arguments: &DemoArguments, sender: &Sender) -> Result<(Traffic, usize), Failure> {
    let started = now();
    let mut at = started - backfill_seconds(arguments.rate) * SECOND;
    let world = World::new(arguments.seed.unwrap_or(started), started);
    let mut traffic = Traffic::new(world, arguments.rate, at);
    let mut spans = 0;
    // In steps, so that a high rate takes time and not memory.
    while at < started {
        at = (at + BACKFILL_STEP).min(started);
        let exports = traffic.due(at);
        spans += exports
            .iter()
            .map(|export| export.spans.len())
            .sum::<usize>();
        for some in exports.chunks(BACKFILL_EXPORTS) {
            let sent = sender.send(some.to_vec()).await;
            sent.map_err(|error| Failure::error(&error))?;
        }
    }
    Ok((traffic, spans))
}

/// Plays the traffic until it is aborted: exports go out when they are due, each in a request of its own.
async fn play(mut traffic: Traffic, sender: Sender) {
    // Requests under way; when the server is slow, the traffic waits.
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        while requests.try_join_next().is_some() {}
        for export in traffic.due(now()) {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            requests.spawn(send(export, sender.clone(), slot));
        }
    }
}

async fn send(export: Export, sender: Sender, slot: OwnedSemaphorePermit) {
    let spans = export.spans.len();
    if let Err(error) = sender.send(vec![export]).await {
        log_lost(&error, spans);
    }
    drop(slot);
}

fn log_lost(error: &SendError, spans: usize) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, spans, "an example system lost spans");
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

fn banner(addresses: &Addresses, rate: f64, spans: usize, traffic: &Traffic) -> String {
    let Some(http) = addresses.http else {
        return format!("Spanlight demo: {spans} spans sent; http is off, so there are no pages\n");
    };
    let base = format!("http://{}", reachable(http));
    let mut text = format!(
        "Spanlight demo\n\n  {base}/\n\nThree things worth looking at:\n\n  \
         functions that started cold\n    {}\n\n  \
         consumers that failed, and were tried again\n    {}\n",
        search_link(&base, "{ span.faas.coldstart = true }"),
        search_link(
            &base,
            "{ span.app.event.consumer.attempt_number > 1 && status = error }"
        ),
    );
    if let Some(highlight) = traffic.world().highlight() {
        let link = trace_link(&base, highlight);
        text.push_str(&format!(
            "\n  one event, delivered only after several attempts\n    {link}\n"
        ));
    }
    let otlp = addresses.otlp_http.map_or_else(String::new, |at| {
        format!("Own programs may send OTLP to http://{}. ", reachable(at))
    });
    text.push_str(&format!(
        "\n{spans} spans of the last {} are there; four example systems go on with {rate} requests a second.\n\
         {otlp}Ctrl-C ends the demo and removes its data.\n",
        backfill_words(rate)
    ));
    text
}

fn search_link(base: &str, query: &str) -> String {
    let parameters = [("q", query), ("start", "now-15m"), ("end", "now")];
    Url::parse_with_params(base, parameters).map_or_else(|_| base.to_owned(), Into::into)
}

fn trace_link(base: &str, highlight: Highlight) -> String {
    let id: String = highlight
        .trace_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{base}/trace/{id}")
}

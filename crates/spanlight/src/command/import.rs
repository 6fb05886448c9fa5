//! `spanlight import`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ColorChoice;
use spanlight::arguments::ImportArguments;
use spanlight::import::{
    Flaw, Input, Item, Read, Request, Requests, SendError, Sender, Sent, split,
};
use spanlight::render::{bytes, clean, counted, duration, grouped, left, part, rate};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen;
use crate::target::Target;

pub(super) async fn run(arguments: &ImportArguments, colour: ColorChoice) -> Result<(), Failure> {
    let target = Target::find_to_write(&arguments.target, colour).await?;
    let outcome = import(arguments, &target).await;
    target.close().await;
    outcome
}

/// Requests that are under way at once: enough that the server is never idle.
const IN_FLIGHT: usize = 6;
/// Requests that are read ahead.
const READ_AHEAD: usize = 4;
/// Flaws that are said one by one.
const FLAWS_SAID: usize = 20;
const REFRESH: Duration = Duration::from_millis(100);

/// What the reading thread has found.
enum Found {
    Request(Request),
    Flaw(Flaw),
    /// A file that cannot be read, or not to its end.
    Unreadable(String),
}

/// How far it is.
struct Tally {
    begin: Instant,
    read: Read,
    /// Unknown where standard input is read.
    total: Option<u64>,
    spans: u64,
    rejected: u64,
    flaws: usize,
    unreadable: usize,
    progress: Progress,
}

async fn import(arguments: &ImportArguments, target: &Target) -> Result<(), Failure> {
    let address = target.otlp_http().await?;
    let sender = Sender::new(&address)
        .map_err(|source| Failure::of("cannot make an HTTP client", &source))?;
    let mut tally = Tally {
        begin: Instant::now(),
        read: Read::default(),
        total: total_bytes(&arguments.files),
        spans: 0,
        rejected: 0,
        flaws: 0,
        unreadable: 0,
        progress: Progress::new(),
    };
    let (found, mut finds) = mpsc::channel(READ_AHEAD);
    let (files, read) = (arguments.files.clone(), tally.read.clone());
    let reader = tokio::task::spawn_blocking(move || read_all(&files, &read, &found));
    let outcome = send_all(&sender, &mut finds, &mut tally).await;
    // Ends the reading too, where it is still going on.
    drop(finds);
    reader.await.ok();
    tally.finish(outcome)
}

fn total_bytes(files: &[PathBuf]) -> Option<u64> {
    let sizes = files.iter().map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        metadata.is_file().then_some(metadata.len())
    });
    sizes.sum()
}

fn read_all(files: &[PathBuf], read: &Read, found: &mpsc::Sender<Found>) {
    let mut requests = Requests::default();
    for file in files {
        let mut sink = |item| match item {
            Item::Unit(unit) => requests
                .add(unit)
                .into_iter()
                .all(|request| found.blocking_send(Found::Request(request)).is_ok()),
            Item::Flaw(flaw) => found.blocking_send(Found::Flaw(flaw)).is_ok(),
        };
        let outcome = Input::open(file, read).and_then(|mut input| split(&mut input, &mut sink));
        if let Err(error) = outcome {
            let message = format!("cannot read {}: {error}", file.display());
            if found.blocking_send(Found::Unreadable(message)).is_err() {
                return;
            }
        }
    }
    if let Some(rest) = requests.finish() {
        // Nobody takes it where the import has failed.
        let _ = found.blocking_send(Found::Request(rest));
    }
}

async fn send_all(
    sender: &Sender,
    finds: &mut mpsc::Receiver<Found>,
    tally: &mut Tally,
) -> Result<(), SendError> {
    let mut under_way: JoinSet<Result<Sent, SendError>> = JoinSet::new();
    let mut refresh = tokio::time::interval(REFRESH);
    let mut is_read = false;
    while !is_read || !under_way.is_empty() {
        tokio::select! {
            find = finds.recv(), if !is_read && under_way.len() < IN_FLIGHT => match find {
                None => is_read = true,
                Some(Found::Request(request)) => {
                    let sender = sender.clone();
                    under_way.spawn(async move { sender.send(request).await });
                }
                Some(Found::Flaw(flaw)) => tally.flaw(&flaw),
                Some(Found::Unreadable(message)) => {
                    tally.unreadable += 1;
                    tally.progress.remark(&format!("error: {message}"));
                }
            },
            Some(sent) = under_way.join_next() => {
                // A task of ours neither panics nor is cancelled.
                if let Ok(sent) = sent {
                    tally.sent(&sent?);
                }
            }
            _ = refresh.tick() => tally.show(),
        }
    }
    Ok(())
}

impl Tally {
    fn sent(&mut self, sent: &Sent) {
        self.spans += sent.spans;
        self.rejected += sent.rejected;
        for flaw in &sent.flaws {
            self.flaw(flaw);
        }
    }

    fn flaw(&mut self, flaw: &Flaw) {
        self.flaws += 1;
        if self.flaws <= FLAWS_SAID {
            let text = format!("{}: {}", flaw.place, flaw.problem);
            self.progress.remark(&clean(&text));
        } else if self.flaws == FLAWS_SAID + 1 {
            self.progress.remark("… and more, which are only counted");
        }
    }

    fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    fn show(&mut self) {
        let read = self.read.bytes();
        let mut parts = Vec::new();
        let fraction = self.total.map(|total| read as f64 / total.max(1) as f64);
        if let (Some(fraction), Some(total)) = (fraction, self.total) {
            parts.push(part(fraction));
            parts.push(format!("{} of {}", bytes(read), bytes(total)));
        } else {
            parts.push(bytes(read));
        }
        let spans = grouped(usize::try_from(self.spans).unwrap_or(usize::MAX));
        parts.push(format!("{spans} spans"));
        parts.push(rate(self.spans, self.seconds()));
        parts.extend(fraction.and_then(|fraction| left(fraction, self.seconds())));
        self.progress.show(&parts.join("  "));
    }

    fn finish(mut self, outcome: Result<(), SendError>) -> Result<(), Failure> {
        self.progress.clear();
        let count =
            |number: u64, noun: &str| counted(usize::try_from(number).unwrap_or(usize::MAX), noun);
        let elapsed = i64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let summary = format!(
            "{} imported from {} in {} ({})\n",
            count(self.spans, "span"),
            bytes(self.read.bytes()),
            duration(elapsed),
            rate(self.spans, self.seconds()),
        );
        screen::say(&summary)?;
        outcome.map_err(|error| {
            let failure = Failure::error(&error);
            screen::remark(
                "the import did not come to its end; importing the same files again does no harm",
            );
            failure
        })?;
        let mut left_out = Vec::new();
        if self.rejected > 0 {
            left_out.push(format!("{} refused", count(self.rejected, "span")));
        }
        if self.flaws > 0 {
            left_out.push(format!(
                "{} with something wrong",
                count(self.flaws as u64, "place")
            ));
        }
        if self.unreadable > 0 {
            left_out.push(format!(
                "{} not read to the end",
                count(self.unreadable as u64, "file")
            ));
        }
        if left_out.is_empty() {
            return Ok(());
        }
        let message = format!("not everything was imported: {}", left_out.join(", "));
        Err(Failure::failed(&message))
    }
}

//! Clients as they are: each sends one request after another, and repeats what was not acknowledged.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::Range,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};

use super::ledger::Ledger;
use crate::{
    http::Client,
    load::{SPANS_PER_TRACE, Starts, Template},
    random::Random,
};

/// Traces in one request, at most.
const TRACES_MAX: u64 = 8;

/// A request and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The numbers of its traces.
    pub(super) traces: Range<u64>,
    /// When its first trace starts; a repeated request has to be the same bytes.
    pub(super) start_time_unix_nano: u64,
    pub(super) acknowledged: bool,
}

/// Sends until the connection breaks. Connection `index` of `count` takes every `count`th block of numbers.
pub(super) fn send(
    seed: u64,
    first: u64,
    index: u64,
    count: u64,
    address: SocketAddr,
) -> Result<Vec<Request>> {
    let mut client = Client::new(address);
    let mut requests = Vec::new();
    for turn in 0.. {
        let start = first + (turn * count + index) * TRACES_MAX;
        let mut random = Random::at(seed ^ 0x5e4d, start);
        let mut request = Request {
            traces: start..start + 1 + random.below(TRACES_MAX),
            start_time_unix_nano: now_unix_nano(),
            acknowledged: false,
        };
        let answer = request.post(seed, &mut client);
        let over = answer.is_err();
        match answer {
            Ok(Some(wait)) => thread::sleep(wait.min(Duration::from_millis(100))),
            Ok(None) => request.acknowledged = true,
            // Killed while it was at work: whether the spans are there, nobody knows.
            Err(error) if error.downcast_ref::<Refused>().is_some() => return Err(error),
            Err(_) => {}
        }
        requests.push(request);
        if over {
            break;
        }
        thread::sleep(Duration::from_millis(random.below(30)));
    }
    Ok(requests)
}

/// Repeats what was not acknowledged before the kill, as clients do. Some of it may have been stored already; from now
/// on it has to be there, once. Returns the numbers of its traces.
pub(super) fn send_again(ledger: &mut Ledger, address: SocketAddr) -> Result<BTreeSet<u64>> {
    let mut client = Client::new(address);
    let seed = ledger.seed();
    let mut again = BTreeSet::new();
    let mut spans = 0;
    for request in ledger.unacknowledged() {
        while let Some(wait) = request.post(seed, &mut client)? {
            thread::sleep(wait);
        }
        request.acknowledged = true;
        again.extend(request.traces.clone());
        spans += (request.traces.end - request.traces.start) * SPANS_PER_TRACE as u64;
    }
    ledger.spans_sent_again += spans;
    Ok(again)
}

/// An answer that the server may not give to these requests.
#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Request {
    /// `None`: acknowledged. Otherwise how long to wait before the next try.
    fn post(&self, seed: u64, client: &mut Client) -> Result<Option<Duration>> {
        let traces = u16::try_from(self.traces.end - self.traces.start)?;
        let mut body = Vec::new();
        Template::new(seed, self.traces.start, traces).write(
            seed,
            self.traces.start,
            Starts::at(self.start_time_unix_nano),
            &mut body,
        );
        let answer = client.post(
            "/v1/traces",
            "content-type: application/x-protobuf\r\n",
            &body,
        )?;
        match answer.status {
            200 if answer.body.is_empty() => Ok(None),
            429 | 503 => Ok(Some(Duration::from_secs(answer.retry_after.unwrap_or(1)))),
            status => bail!(Refused(format!(
                "the server answered {status}: {}",
                answer.text()
            ))),
        }
    }
}

pub(super) fn now_unix_nano() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos() as u64
}

//! Sending a load, as fast as it is acknowledged.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};

use super::truth::{Load, TRACES_PER_REQUEST};
use crate::{
    bench::{proc, progress::Progress},
    http::Client,
    load::{SPANS_PER_TRACE, trace_id},
    server::Server,
};

/// How often the newest acknowledged trace is asked for.
const FRESHNESS_INTERVAL: Duration = Duration::from_millis(250);

/// What was seen while a load was sent.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) elapsed: Duration,
    /// Of the server, from the first request to the last ack.
    pub(super) cpu: Duration,
    pub(super) acks: Vec<Duration>,
    /// Answers that told the sender to come back later.
    pub(super) busy: u64,
    /// How often a trace that was just acknowledged was asked for, and how often it was not whole.
    pub(super) fresh_asked: u64,
    pub(super) fresh_missing: u64,
}

/// Sends every request of the load.
pub(super) fn fill(
    load: &Load,
    server: &Server,
    connections: u64,
    check_freshness: bool,
) -> Result<Filled> {
    let sending = Sending {
        load,
        address: server.addresses.otlp_http,
        next: AtomicU64::new(0),
        end: load.requests(),
        acknowledged: AtomicU64::new(0),
        newest: AtomicU64::new(u64::MAX),
        done: AtomicBool::new(false),
    };
    let (started, cpu) = (Instant::now(), proc::cpu_time(server.id())?);
    let mut filled = thread::scope(|scope| -> Result<Filled> {
        let sending = &sending;
        let senders: Vec<_> = (0..connections)
            .map(|_| scope.spawn(move || sending.send()))
            .collect();
        let fresh = scope.spawn(move || match check_freshness {
            true => sending.check_freshness(server.addresses.http),
            false => Ok((0, 0)),
        });
        let mut progress = Progress::new("loading", load.spans());
        while !senders.iter().all(|sender| sender.is_finished()) {
            thread::sleep(Duration::from_millis(50));
            progress.at(sending.acknowledged.load(Ordering::Relaxed) * SPANS_PER_TRACE as u64);
        }
        progress.end();
        let mut filled = Filled {
            elapsed: started.elapsed(),
            cpu: proc::cpu_time(server.id())?.saturating_sub(cpu),
            ..Filled::default()
        };
        sending.done.store(true, Ordering::Relaxed);
        for sender in senders {
            let (acks, busy) = sender.join().map_err(|_| anyhow!("a sender panicked"))??;
            filled.acks.extend(acks);
            filled.busy += busy;
        }
        let fresh = fresh.join().map_err(|_| anyhow!("a reader panicked"))?;
        (filled.fresh_asked, filled.fresh_missing) = fresh?;
        Ok(filled)
    })?;
    filled.acks.sort();
    Ok(filled)
}

/// What the connections share.
struct Sending<'a> {
    load: &'a Load,
    address: SocketAddr,
    next: AtomicU64,
    end: u64,
    /// Traces.
    acknowledged: AtomicU64,
    /// The request that was acknowledged last.
    newest: AtomicU64,
    done: AtomicBool,
}

impl Sending<'_> {
    /// Sends on one connection until nothing is left; the latencies of the acks and the answers that said "later".
    fn send(&self) -> Result<(Vec<Duration>, u64)> {
        let mut client = Client::new(self.address);
        let (mut body, mut acks, mut busy) = (Vec::new(), Vec::new(), 0);
        loop {
            let request = self.next.fetch_add(1, Ordering::Relaxed);
            if request >= self.end {
                return Ok((acks, busy));
            }
            self.load.write(request, &mut body);
            acks.push(post(&mut client, &body, &mut busy)?);
            self.acknowledged
                .fetch_add(TRACES_PER_REQUEST, Ordering::Relaxed);
            self.newest.store(request, Ordering::Relaxed);
        }
    }

    /// Asks for a trace of the newest acknowledged request, again and again; how often, and how often it was not whole.
    fn check_freshness(&self, address: SocketAddr) -> Result<(u64, u64)> {
        let mut client = Client::new(address);
        let (mut asked, mut missing) = (0, 0);
        while !self.done.load(Ordering::Relaxed) {
            let request = self.newest.load(Ordering::Relaxed);
            if request != u64::MAX {
                let number = request * TRACES_PER_REQUEST + TRACES_PER_REQUEST / 2;
                asked += 1;
                missing += u64::from(!is_whole(self.load.seed, number, &mut client)?);
            }
            thread::sleep(FRESHNESS_INTERVAL);
        }
        Ok((asked, missing))
    }
}

/// Sends one request until it is acknowledged; how long the accepted attempt took.
pub(super) fn post(client: &mut Client, body: &[u8], busy: &mut u64) -> Result<Duration> {
    loop {
        let started = Instant::now();
        let answer = client.post(
            "/v1/traces",
            "content-type: application/x-protobuf\r\n",
            body,
        )?;
        match answer.status {
            // An empty message: everything was accepted.
            200 if answer.body.is_empty() => return Ok(started.elapsed()),
            429 | 503 => {
                *busy += 1;
                thread::sleep(Duration::from_secs(answer.retry_after.unwrap_or(1)));
            }
            status => bail!("the server answered {status}: {}", answer.text()),
        }
    }
}

/// Whether a trace is there with each of its spans.
pub(super) fn is_whole(seed: u64, number: u64, client: &mut Client) -> Result<bool> {
    let id = super::answer::hex(&trace_id(seed, number));
    let answer = client.get(&format!("/api/v1/traces/{id}?format=otlp"))?;
    match answer.status {
        200 => Ok(super::answer::span_ids(&answer.json()?).len() == SPANS_PER_TRACE),
        404 => Ok(false),
        status => bail!(
            "asked for {id}, the server answered {status}: {}",
            answer.text()
        ),
    }
}

//! Waiting until the server has nothing left to do for what it was sent.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    bench::{metrics, proc},
    http::Client,
    server::Server,
};

/// The server is at rest when it takes less than this share of one core for so long: longer than it waits between two
/// looks for files to merge or remove.
const QUIET_SHARE: f64 = 0.04;
const QUIET: Duration = Duration::from_secs(15);
const SETTLE_TIME_MAX: Duration = Duration::from_secs(900);

/// What the server had taken when it was at rest.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) cpu: Duration,
    pub(super) memory_max: u64,
    pub(super) files: u64,
}

/// Waits until the table has every span and the server rests.
pub(super) fn wait(server: &Server, spans: u64) -> Result<Settled> {
    let started = Instant::now();
    let mut cpu = proc::cpu_time(server.id())?;
    let mut busy_at = Instant::now();
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = proc::cpu_time(server.id())?;
        if (now - cpu).as_secs_f64() > QUIET_SHARE * 0.5 {
            busy_at = Instant::now();
        }
        cpu = now;
        if busy_at.elapsed() < QUIET {
            continue;
        }
        let metrics = metrics::read(server.addresses.http)?;
        let cold = metrics
            .get("spanlight_store_cold_spans")
            .copied()
            .unwrap_or(0.0);
        if cold as u64 >= spans {
            return Ok(Settled {
                cpu,
                memory_max: proc::resident_memory_max(server.id())?,
                files: metrics
                    .get("spanlight_store_cold_files")
                    .copied()
                    .unwrap_or(0.0) as u64,
            });
        }
        if started.elapsed() > SETTLE_TIME_MAX {
            bail!("after {SETTLE_TIME_MAX:?} the table has {cold} of {spans} spans");
        }
    }
}

/// Merges what can be merged, and waits until the files that were merged are gone.
pub(super) fn compact(server: &Server, spans: u64) -> Result<()> {
    let json = "content-type: application/json\r\n";
    let answer = Client::new(server.addresses.http).post("/api/v1/store/compact", json, b"{}")?;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status == 404 {
        // An older server, named by SPANLIGHT_BINARY.
        println!("this server cannot be told to merge; its files are as they are");
        return Ok(());
    }
    if answer.status != 200 || text.contains("\"error\"") {
        bail!("/api/v1/store/compact says {}: {text}", answer.status);
    }
    wait(server, spans)?;
    Ok(())
}

//! `spanlight serve`, and what `demo` shares with it: starting, and the signals that stop.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use clap::ColorChoice;
use spanlight::arguments::ServeArguments;
use spanlight_server::{Addresses, Server, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;
use crate::{screen, settings};

pub(super) async fn run(arguments: &ServeArguments, colour: ColorChoice) -> Result<(), Failure> {
    let listen = settings::listen(arguments.listen.as_deref());
    let settings = settings::load(&arguments.configuration, listen)?;
    settings::start_log(&settings, colour);
    // Before the start, so that a signal on the way is not lost.
    let mut signals = Signals::new()?;
    let data_dir = settings.storage.data_dir.clone();
    let warnings = settings.warnings();
    let server = start(settings).await?;
    screen::say(&banner(server.addresses(), &data_dir, &warnings))?;
    Box::pin(server.run_until(signals.stop(None))).await;
    Ok(())
}

/// Starts a server, or says why not.
pub(super) async fn start(settings: Settings) -> Result<Server, Failure> {
    Box::pin(spanlight_server::start(settings))
        .await
        .map_err(|error| Failure::error(&error))
}

/// The signals that ask a process to end.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

// What shells report for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|source| Failure::of("cannot listen for signals", &source));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Returns at the first signal. The second one ends the process where it is, and removes what is `temporary`.
    pub(super) async fn stop(&mut self, temporary: Option<&Path>) {
        self.next().await;
        let temporary = temporary.map(Path::to_owned);
        screen::remark("stopping; a second Ctrl-C ends it at once");
        tokio::spawn(async move {
            if let Ok(mut again) = Self::new() {
                again.next().await;
                end_now(temporary.as_deref());
            }
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[expect(
    clippy::exit,
    reason = "asked for twice, and what was acknowledged is on the disk"
)]
fn end_now(temporary: Option<&Path>) {
    if let Some(directory) = temporary {
        // What cannot be removed stays: there is nobody left to tell.
        let _ = std::fs::remove_dir_all(directory);
    }
    std::process::exit(INTERRUPTED);
}

/// What a person needs to know of a server that has just started.
fn banner(addresses: &Addresses, data_dir: &Path, warnings: &[&str]) -> String {
    let mut text = format!("Spanlight {}\n\n", env!("CARGO_PKG_VERSION"));
    let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let http = addresses.http.map(|at| format!("http://{at}/"));
    let otlp_http = addresses.otlp_http.map(|at| format!("http://{at}"));
    let otlp_grpc = addresses.otlp_grpc.map(|at| format!("http://{at}"));
    let lines = [
        ("pages and queries", http),
        ("OTLP over HTTP", otlp_http),
        ("OTLP over gRPC", otlp_grpc),
        ("data", Some(data_dir.display().to_string())),
    ];
    for (label, value) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {label:17}  {}", value.as_deref().unwrap_or("off"));
    }
    for warning in warnings {
        let _ = writeln!(text, "\nwarning: {warning}");
    }
    if let Some(at) = addresses.otlp_http {
        let endpoint = format!("http://{}", reachable(at));
        let _ = write!(
            text,
            "\nSend spans with any OpenTelemetry SDK:\n  \
             export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n"
        );
    }
    text.push_str("\nCtrl-C stops it.\n");
    text
}

/// Where programs on this machine find a listener: one on all interfaces has no address that they could ask.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

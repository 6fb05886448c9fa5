//! Whom a command asks: a server that runs, or the data directory itself, which it then opens under its lock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use clap::ColorChoice;
use spanlight::arguments::TargetArguments;
use spanlight_server::config::Address;
use spanlight_server::{Addresses, Override, Server, Settings};

use crate::client::Client;
use crate::failure::Failure;
use crate::{screen, settings};

/// Someone who answers.
#[derive(Debug)]
pub(crate) struct Target {
    client: Client,
    /// The server of this very process, where no other runs.
    own: Option<Server>,
}

impl Target {
    /// The server that `--server` names; else the one of the data directory, else the one on the configured port;
    /// else the data directory itself.
    pub(crate) async fn find(
        arguments: &TargetArguments,
        colour: ColorChoice,
    ) -> Result<Self, Failure> {
        Self::find_for(Purpose::Read, arguments, colour).await
    }

    async fn find_for(
        purpose: Purpose,
        arguments: &TargetArguments,
        colour: ColorChoice,
    ) -> Result<Self, Failure> {
        if let Some(address) = &arguments.server {
            return Self::named(address).await;
        }
        let settings = settings::load(&arguments.configuration, Vec::new())?;
        let data_dir = settings.storage.data_dir.clone();
        let running = Addresses::read(&data_dir).and_then(|addresses| addresses.http);
        let running = running.map(|address| address.to_string());
        // A data directory that was named is meant: the server of another one does not know it.
        let configured = match (&arguments.configuration.data_dir, &settings.http) {
            (None, Address::At(address)) => Some(address.clone()),
            _ => None,
        };
        for address in [running, configured].into_iter().flatten() {
            let client = Client::new(&reachable(&address))?;
            if client.probe().await.is_ok() {
                return Ok(Self { client, own: None });
            }
        }
        let may_make = purpose == Purpose::Write && arguments.configuration.data_dir.is_some();
        if !data_dir.is_dir() && !may_make {
            return Err(nobody(&settings, &data_dir));
        }
        Self::open(purpose, arguments, &data_dir, colour).await
    }

    /// The same for a command that brings spans: a data directory that was named is made when it is missing.
    pub(crate) async fn find_to_write(
        arguments: &TargetArguments,
        colour: ColorChoice,
    ) -> Result<Self, Failure> {
        Self::find_for(Purpose::Write, arguments, colour).await
    }

    /// Where the server takes OTLP over HTTP.
    pub(crate) async fn otlp_http(&self) -> Result<String, Failure> {
        let base = self.client.base().clone();
        let addresses = match &self.own {
            Some(server) => server.addresses().clone(),
            None => self.client.status().await?.addresses,
        };
        let Some(mut address) = addresses.otlp_http else {
            let message = format!(
                "the server at {base} does not receive OTLP over HTTP (receivers.otlp_http is off)"
            );
            return Err(Failure::failed(&message));
        };
        if !address.ip().is_unspecified() {
            return Ok(address.to_string());
        }
        // It listens everywhere: so also where it was asked.
        match base.host_str().map(str::parse::<IpAddr>) {
            Some(Ok(ip)) => address.set_ip(ip),
            Some(Err(_)) => {
                let host = base.host_str().unwrap_or_default();
                return Ok(format!("{host}:{}", address.port()));
            }
            None => {}
        }
        Ok(address.to_string())
    }

    /// The one to ask.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Gives the data directory back, if it was opened.
    pub(crate) async fn close(self) {
        if let Some(server) = self.own {
            server.run_until(std::future::ready(())).await;
        }
    }

    async fn named(address: &str) -> Result<Self, Failure> {
        let client = Client::new(address)?;
        match client.probe().await {
            Ok(()) => Ok(Self { client, own: None }),
            Err(source) => {
                let message = format!("no Spanlight server answers at {}", client.base());
                Err(Failure::unreachable(&message, Some(&source)))
            }
        }
    }

    async fn open(
        purpose: Purpose,
        arguments: &TargetArguments,
        data_dir: &Path,
        colour: ColorChoice,
    ) -> Result<Self, Failure> {
        // Nothing is received but from this command, and nothing is old enough to go: what is there must not change.
        let otlp_http = match purpose {
            Purpose::Read => "off",
            Purpose::Write => "127.0.0.1:0",
        };
        let quiet = [
            ("http", "127.0.0.1:0"),
            ("receivers.otlp_http", otlp_http),
            ("receivers.otlp_grpc", "off"),
            ("storage.retention", "off"),
        ];
        let quiet = quiet.map(|(name, value)| Override::option("this command", name, value));
        let settings = settings::load(&arguments.configuration, quiet.into())?;
        settings::start_quiet_log(&settings, colour);
        screen::remark(&format!(
            "no server is running; {} {} directly",
            match purpose {
                Purpose::Read => "reading",
                Purpose::Write => "writing to",
            },
            data_dir.display()
        ));
        let server = Box::pin(spanlight_server::start(settings))
            .await
            .map_err(|error| Failure::error(&error))?;
        let Some(address) = server.addresses().http else {
            return Err(Failure::failed(
                "the data directory was opened without an address",
            ));
        };
        Ok(Self {
            client: Client::new(&address.to_string())?,
            own: Some(server),
        })
    }
}

/// What a command is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
}

fn nobody(settings: &Settings, data_dir: &Path) -> Failure {
    let tried = match &settings.http {
        Address::At(address) => format!("no server answers at {address}"),
        Address::Off => "no server is configured".to_owned(),
    };
    let message = format!(
        "{tried}, and there is no data directory {}: start `spanlight serve`, or name the server with --server or \
         the directory with --data-dir",
        data_dir.display()
    );
    Failure::unreachable(&message, None)
}

/// A server that listens everywhere is reached on loopback.
fn reachable(address: &str) -> String {
    let Ok(mut parsed) = address.parse::<SocketAddr>() else {
        return address.to_owned();
    };
    if parsed.ip().is_unspecified() {
        parsed.set_ip(match parsed.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    parsed.to_string()
}

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
        if !data_dir.is_dir() {
            return Err(nobody(&settings, &data_dir));
        }
        Self::open(arguments, &data_dir, colour).await
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
        arguments: &TargetArguments,
        data_dir: &Path,
        colour: ColorChoice,
    ) -> Result<Self, Failure> {
        // Reading must not change what is there: nothing is received, and nothing is old enough to go.
        let quiet = [
            ("http", "127.0.0.1:0"),
            ("receivers.otlp_http", "off"),
            ("receivers.otlp_grpc", "off"),
            ("storage.retention", "off"),
        ];
        let quiet = quiet.map(|(name, value)| Override::option("this command", name, value));
        let settings = settings::load(&arguments.configuration, quiet.into())?;
        settings::start_quiet_log(&settings, colour);
        screen::remark(&format!(
            "no server is running; reading {} directly",
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

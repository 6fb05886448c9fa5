//! Binding the ports.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::addresses::Addresses;
use crate::config::{Address, Settings};
use crate::error::StartError;

/// The bound ports; `None` for those that are off.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) http: Option<TcpListener>,
    pub(crate) otlp_http: Option<TcpListener>,
    pub(crate) otlp_grpc: Option<TcpListener>,
}

impl Listeners {
    pub(crate) async fn bind(settings: &Settings) -> Result<Self, StartError> {
        let receivers = &settings.receivers;
        Ok(Self {
            http: bind("http", &settings.http).await?,
            otlp_http: bind("receivers.otlp_http", &receivers.otlp_http).await?,
            otlp_grpc: bind("receivers.otlp_grpc", &receivers.otlp_grpc).await?,
        })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        let of = |listener: &Option<TcpListener>| listener.as_ref()?.local_addr().ok();
        Addresses {
            http: of(&self.http),
            otlp_http: of(&self.otlp_http),
            otlp_grpc: of(&self.otlp_grpc),
        }
    }
}

async fn bind(setting: &'static str, address: &Address) -> Result<Option<TcpListener>, StartError> {
    let Address::At(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address.as_str())
        .await
        .map_err(|source| StartError::Listen {
            setting,
            address: address.clone(),
            source,
        })?;
    if let Ok(bound) = listener.local_addr() {
        warn_if_public(setting, bound);
    }
    Ok(Some(listener))
}

fn warn_if_public(setting: &str, address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(
            %setting,
            server.address = %address,
            "listening beyond this machine, and there is no authentication: whoever reaches the address can read \
             and write spans"
        );
    }
}

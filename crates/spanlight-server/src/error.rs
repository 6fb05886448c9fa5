//! Why a server does not start.

use std::path::PathBuf;

use spanlight_store::{LocationError, OpenError};

/// Why a server does not start. The messages say what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be listened on.
    #[error(
        "cannot listen on {address} ({setting}){}: end the program that has it, or set {setting} to another \
         address, to one with port 0 (any free port) or to off",
        taken(source)
    )]
    Listen {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        address: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// `storage.cold_url` or `storage.cold_options` names no place for a table.
    #[error("storage.cold_url: {0}")]
    Cold(#[from] LocationError),
    /// `addresses.json` cannot be written.
    #[error("cannot write {}", path.display())]
    Addresses {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

fn taken(source: &std::io::Error) -> &'static str {
    if source.kind() == std::io::ErrorKind::AddrInUse {
        ", it is taken"
    } else {
        ""
    }
}

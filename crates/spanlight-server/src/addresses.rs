//! What the server listens on, and the file that tells others: `DATA_DIR/addresses.json`.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The addresses of the listeners that exist, named as their settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Pages and queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// OTLP over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_http: Option<SocketAddr>,
    /// OTLP over gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_grpc: Option<SocketAddr>,
}

impl Addresses {
    /// The file, in a data directory.
    #[must_use]
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("addresses.json")
    }

    /// What the server of a data directory listens on; `None` where none runs. A server that was killed leaves its
    /// file behind, so the addresses may be dead.
    #[must_use]
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(data_dir)).ok()?).ok()
    }

    /// Writes the file so that a reader finds all of it or none.
    pub(crate) fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        let path = Self::path(data_dir);
        let unfinished = path.with_extension("json.new");
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.write_all(b"\n")?;
        std::fs::rename(&unfinished, &path)
    }

    pub(crate) fn remove(data_dir: &Path) {
        // Nothing depends on it: readers cope with an address where nobody answers.
        let _ = std::fs::remove_file(Self::path(data_dir));
    }
}

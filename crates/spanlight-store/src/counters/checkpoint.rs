//! The counters on disk: `DATA_DIR/counters.json`, replaced as a whole.
//!
//! A checkpoint says up to which record of the log it counts. What came after it is counted again from the recent
//! segments, which outlive it by far: a crash between a seal and its checkpoint repeats nothing and loses nothing.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Counters;
use crate::disk::{Disk, read_all, write_atomically};

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Checkpoint<C> {
    format: u32,
    counters: C,
}

/// Why there are no counters.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("it cannot be read")]
    Disk(#[from] io::Error),
    #[error("it is damaged, or of a newer version")]
    Damaged(#[from] serde_json::Error),
    #[error("its format is {0}, and this version knows formats up to {FORMAT}")]
    Format(u32),
}

impl Counters {
    /// The counters of this file; `None` where there is none.
    pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, LoadError> {
        let bytes = match read_all(disk, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let checkpoint: Checkpoint<Self> = serde_json::from_slice(&bytes)?;
        if checkpoint.format != FORMAT {
            return Err(LoadError::Format(checkpoint.format));
        }
        Ok(Some(checkpoint.counters))
    }

    /// Replaces the file. Durable when this returns.
    pub(crate) fn save(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let checkpoint = Checkpoint {
            format: FORMAT,
            counters: self,
        };
        let bytes = serde_json::to_vec(&checkpoint).map_err(io::Error::other)?;
        write_atomically(disk, path, &[&bytes], true)
    }
}

//! Decompressors that are used again: making one costs more than most pages take.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use zstd::bulk::Decompressor;

/// As many wait for work as threads are likely to read at once; each has some hundred kilobytes.
const IDLE_MAX: usize = 4;

static IDLE: Mutex<Vec<Decompressor<'static>>> = Mutex::new(Vec::new());

/// The bytes of a page, of which there are to be so many.
pub(super) fn zstd(compressed: &[u8], length: usize) -> Result<Bytes, ParquetError> {
    let external = |error| ParquetError::External(Box::new(Failed(error)));
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut decompressor = match idle {
        Some(idle) => idle,
        None => Decompressor::new().map_err(external)?,
    };
    let mut bytes = Vec::with_capacity(length);
    let found = decompressor.decompress_to_buffer(compressed, &mut bytes);
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if idle.len() < IDLE_MAX {
        idle.push(decompressor);
    }
    drop(idle);
    if found.map_err(external)? == length {
        Ok(bytes.into())
    } else {
        Err(super::damaged("a page has another length than it says"))
    }
}

/// Not an error of the disk, though it is one of IO.
#[derive(Debug, thiserror::Error)]
#[error("a page cannot be decompressed")]
struct Failed(#[source] std::io::Error);

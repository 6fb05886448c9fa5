//! What a data file says about itself, for files that no commit describes.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

use super::footer::{catalogue, column_of, key_value};
use super::schema::{END_TIME_UNIX_NANO, META_TIMES, RECEIVED_AT_UNIX_NANO, START_TIME_UNIX_NANO};
use super::{ColdFile, FileTimes};
use crate::disk::{Disk, read_all};

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentifyError {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error("{0}")]
    Damaged(String),
}

/// Reads a file's footer.
pub(crate) fn identify(disk: &dyn Disk, path: &Path) -> Result<ColdFile, IdentifyError> {
    let damaged = |error: ParquetError| IdentifyError::Damaged(error.to_string());
    let metadata = footer(disk, path, 64 << 10)?.map_err(damaged)?;
    let bytes = disk.stat(path)?.length;
    let name = path.file_name().unwrap_or_default();
    Ok(ColdFile {
        name: name.to_string_lossy().into_owned(),
        path: path.to_owned(),
        bytes,
        spans: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0),
        times: times(&metadata),
        columns: Arc::new(catalogue(&metadata).map_err(damaged)?),
    })
}

/// The footer, from the file's last bytes, or from more of them where they are not enough.
fn footer(
    disk: &dyn Disk,
    path: &Path,
    tail: u64,
) -> io::Result<Result<ParquetMetaData, ParquetError>> {
    let length = disk.stat(path)?.length;
    let start = length.saturating_sub(tail);
    let bytes = if start == 0 {
        read_all(disk, path)?
    } else {
        let tail = start..length;
        let mut parts = disk.read_ranges(path, std::slice::from_ref(&tail))?;
        parts.pop().unwrap_or_default()
    };
    let bytes = bytes::Bytes::from(bytes);
    let mut reader = ParquetMetaDataReader::new();
    match reader.try_parse_sized(&bytes, length) {
        Ok(()) => Ok(reader.finish()),
        Err(ParquetError::NeedMoreData(needed)) if start > 0 => {
            footer(disk, path, (needed as u64).max(tail.saturating_mul(2)))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn times(metadata: &ParquetMetaData) -> FileTimes {
    if let Some(times) = key_value(metadata, META_TIMES).and_then(FileTimes::from_json) {
        return times;
    }
    // A file of the first version.
    let bounds = |name: &str| {
        let mut bounds = (i64::MAX, i64::MIN);
        for group in metadata.row_groups() {
            let found = match group.column(column_of(group, name)?).statistics()? {
                Statistics::Int64(values) => (*values.min_opt()?, *values.max_opt()?),
                _ => return None,
            };
            bounds = (bounds.0.min(found.0), bounds.1.max(found.1));
        }
        Some(bounds)
    };
    let or_any = |bounds: Option<(i64, i64)>| bounds.unwrap_or((i64::MIN, i64::MAX));
    let start = or_any(bounds(START_TIME_UNIX_NANO));
    let end = or_any(bounds(END_TIME_UNIX_NANO));
    let received = or_any(bounds(RECEIVED_AT_UNIX_NANO));
    FileTimes {
        start_min: start.0,
        start_max: start.1,
        end_min: end.0,
        end_max: end.1,
        received_min: received.0,
        received_max: received.1,
        ..FileTimes::ANY
    }
}

//! Where the bytes of data files come from: the one door for readers, whatever the file lies on.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::ColdFile;
use crate::disk::Disk;

/// Reads data files. Every call blocks; callers are on blocking threads.
pub(crate) trait DataSource: Send + Sync + fmt::Debug {
    /// These ranges of a file, in their order. A range beyond the end is an error of kind `UnexpectedEof`.
    fn read_ranges(&self, file: &ColdFile, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>>;
}

/// Files of the data directory.
#[derive(Debug)]
pub(crate) struct LocalFiles(pub(crate) Arc<dyn Disk>);

impl DataSource for LocalFiles {
    fn read_ranges(&self, file: &ColdFile, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let parts = self.0.read_ranges(&file.path, ranges)?;
        Ok(parts.into_iter().map(Bytes::from).collect())
    }
}

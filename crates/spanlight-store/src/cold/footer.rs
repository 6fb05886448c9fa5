//! What readers keep of a data file: its footer, page index and Bloom filters. A bounded number of them, so that a
//! look-up by trace id in many files reads none of them twice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};

use super::catalogue::Catalogue;
use super::read::ParquetFile;
use super::schema::{META_CATALOGUE, TRACE_ID, with_dictionaries};

/// Files whose footers are kept; one takes some tens of kilobytes.
const FILES_MAX: usize = 256;

/// A file's footer.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(crate) metadata: ArrowReaderMetadata,
    /// The attributes that have columns in this file.
    pub(crate) catalogue: Catalogue,
    /// For each row group, the filter of its trace ids.
    pub(crate) trace_filters: Vec<Option<Sbbf>>,
}

/// Footers by file, the least recently used leaving first.
#[derive(Debug, Default)]
pub(crate) struct FooterCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    footers: HashMap<PathBuf, (Arc<Footer>, u64)>,
    uses: u64,
}

impl FooterCache {
    /// The footer of this file, read when it is not there.
    pub(crate) fn get(
        &self,
        path: &Path,
        reader: &ParquetFile,
    ) -> Result<Arc<Footer>, ParquetError> {
        if let Some(footer) = self.find(path) {
            return Ok(footer);
        }
        // Two readers may read it at once; either is right.
        let footer = Arc::new(Footer::read(reader)?);
        self.insert(path, Arc::clone(&footer));
        Ok(footer)
    }

    fn find(&self, path: &Path) -> Option<Arc<Footer>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        let now = state.uses;
        let (footer, used) = state.footers.get_mut(path)?;
        *used = now;
        Some(Arc::clone(footer))
    }

    fn insert(&self, path: &Path, footer: Arc<Footer>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.footers.len() >= FILES_MAX {
            let oldest = state.footers.iter().min_by_key(|(_, (_, used))| *used);
            let oldest = oldest.map(|(path, _)| path.clone());
            oldest.map(|path| state.footers.remove(&path));
        }
        let now = state.uses;
        state.footers.insert(path.to_owned(), (footer, now));
    }
}

impl Footer {
    fn read(reader: &ParquetFile) -> Result<Self, ParquetError> {
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(reader, options.clone())?;
        let schema = with_dictionaries(metadata.schema());
        let metadata = Arc::clone(metadata.metadata());
        let metadata = ArrowReaderMetadata::try_new(metadata, options.with_schema(schema))?;
        let catalogue = catalogue(metadata.metadata())?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(reader.clone(), metadata.clone());
        let groups = metadata.metadata().row_groups().iter().enumerate();
        let trace_filters = groups.map(|(position, group)| match column_of(group, TRACE_ID) {
            Some(column) => builder.get_row_group_column_bloom_filter(position, column),
            None => Ok(None),
        });
        Ok(Self {
            trace_filters: trace_filters.collect::<Result<_, _>>()?,
            metadata,
            catalogue,
        })
    }
}

/// What a file says of its attribute columns; files of the first version have none.
pub(crate) fn catalogue(metadata: &ParquetMetaData) -> Result<Catalogue, ParquetError> {
    let Some(text) = key_value(metadata, META_CATALOGUE) else {
        return Ok(Catalogue::default());
    };
    Catalogue::from_json(text)
        .ok_or_else(|| ParquetError::General(format!("{META_CATALOGUE} makes no sense")))
}

/// What a file says about itself under this name.
pub(crate) fn key_value<'a>(metadata: &'a ParquetMetaData, name: &str) -> Option<&'a str> {
    let entries = metadata.file_metadata().key_value_metadata()?;
    let entry = entries.iter().find(|entry| entry.key == name)?;
    entry.value.as_deref()
}

/// The position of a leaf column.
pub(crate) fn column_of(group: &RowGroupMetaData, name: &str) -> Option<usize> {
    group
        .columns()
        .iter()
        .position(|column| column.column_path().string() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cold::source::LocalFiles;
    use crate::cold::write;
    use crate::disk::LocalDisk;

    #[test]
    fn the_number_of_footers_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let written =
            write::write(&LocalDisk, directory.path(), "file", &[], &Arc::default()).unwrap();
        let reader = ParquetFile::new(
            Arc::new(LocalFiles(Arc::new(LocalDisk))),
            Arc::new(written.file),
        );
        let cache = FooterCache::default();
        for number in 0..FILES_MAX + 10 {
            cache.get(Path::new(&number.to_string()), &reader).unwrap();
            cache.get(Path::new("0"), &reader).unwrap();
        }
        assert_eq!(cache.state.lock().unwrap().footers.len(), FILES_MAX);
        assert!(cache.find(Path::new("0")).is_some());
        assert!(cache.find(Path::new("1")).is_none());
    }
}

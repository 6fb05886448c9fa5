//! Where the bytes are: by level, by column of the data files, by service. Reads footers, dictionaries and service
//! names, not the values; changes nothing, and may run beside a server.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader as _};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::{SerializedFileReader, SerializedPageReader};

use crate::cold::ColdFile;
use crate::cold::fetch::Fetch;
use crate::cold::identify::identify;
use crate::cold::read::FileReader;
use crate::cold::remote::ColdLocation;
use crate::disk::Disk;
use crate::inspect::{COLD, InspectError, LOG, Place, Progress, RECENT, TABLE_LOG};
use crate::scan::{ScanColumns, ScanRequest};

/// What takes how much.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// In the order in which spans pass them: `log`, `recent`, `cold`; then `table log` and `other`.
    pub levels: Vec<LevelUsage>,
    /// The columns of the data files, the largest first.
    pub columns: Vec<ColumnUsage>,
    /// Footers, page indexes and indexes of traces of the data files.
    pub index_bytes: u64,
    /// Spans by service, the most first.
    pub services: Vec<ServiceUsage>,
    /// Files that could not be read.
    pub unreadable: Vec<String>,
}

/// A level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelUsage {
    /// Its name.
    pub name: &'static str,
    /// Files.
    pub files: u64,
    /// Bytes in those files.
    pub bytes: u64,
    /// Spans in those files, where that is known.
    pub spans: Option<u64>,
}

/// A column of the data files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnUsage {
    /// Its name in the table.
    pub name: String,
    /// Bytes on the disk, without the Bloom filter.
    pub bytes: u64,
    /// The same, unpacked.
    pub unpacked_bytes: u64,
    /// Bytes of the Bloom filter.
    pub bloom_bytes: u64,
    /// Values that are not null.
    pub values: u64,
    /// Different values, summed over row groups; `None` where there were too many for a dictionary.
    pub distinct: Option<u64>,
    /// How the values are written.
    pub encodings: Vec<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUsage {
    /// Its name; `None` for spans without one.
    pub name: Option<String>,
    /// Its spans in data files.
    pub spans: u64,
    /// Its part of the bytes, as many as its spans are of all: a file has the spans of many services.
    pub bytes_estimate: u64,
}

/// Looks at a data directory.
///
/// # Errors
/// [`InspectError`] when there is none.
pub async fn usage(
    data_dir: &Path,
    cold: &ColdLocation,
    disk: &Arc<dyn Disk>,
    progress: &Arc<Progress>,
) -> Result<Usage, InspectError> {
    let place = Place::find(data_dir, disk, cold)?;
    let mut usage = Usage::default();
    let log = place.list(LOG)?;
    let recent = place.list(RECENT)?;
    let table = place.table().await?;
    let table_log = place.list(TABLE_LOG)?;
    let cold = table.files.values();
    let cold: Vec<_> = cold.map(|file| (file.name.clone(), file.bytes)).collect();
    let all = place.list(COLD)?;
    progress.expect(recent.iter().chain(&cold).map(|(_, bytes)| bytes).sum());
    let mut columns = BTreeMap::new();
    let mut services = BTreeMap::new();
    let mut spans = [0; 2];
    for (level, (folder, files)) in [(RECENT, &recent), (COLD, &cold)].into_iter().enumerate() {
        for (name, bytes) in files {
            let path = place.path(folder).join(name);
            let looked = look(&place, &path, &mut columns, &mut usage.index_bytes);
            match looked {
                Ok(file) => {
                    spans[level] += file.spans;
                    count_services(&place, file, &mut services).await;
                }
                Err(error) => usage.unreadable.push(format!("{folder}/{name}: {error}")),
            }
            progress.advance(*bytes);
        }
    }
    let removed = all
        .iter()
        .filter(|(name, _)| !table.files.contains_key(name));
    let removed: Vec<_> = removed.cloned().collect();
    usage.levels = vec![
        level(LOG, &log, None),
        level(RECENT, &recent, Some(spans[0])),
        level(COLD, &cold, Some(spans[1])),
        level("table log", &table_log, None),
        level("removed, still on the disk", &removed, None),
    ];
    usage.columns = columns.into_values().collect();
    usage
        .columns
        .sort_by_key(|column: &ColumnUsage| std::cmp::Reverse(column.bytes + column.bloom_bytes));
    let bytes: u64 = recent.iter().chain(&cold).map(|(_, bytes)| bytes).sum();
    usage.services = shares(services, bytes);
    Ok(usage)
}

fn level(name: &'static str, files: &[(String, u64)], spans: Option<u64>) -> LevelUsage {
    LevelUsage {
        name,
        files: files.len() as u64,
        bytes: files.iter().map(|(_, bytes)| bytes).sum(),
        spans,
    }
}

fn shares(services: BTreeMap<Option<String>, u64>, bytes: u64) -> Vec<ServiceUsage> {
    let all: u64 = services.values().sum();
    let mut shares: Vec<ServiceUsage> = services
        .into_iter()
        .map(|(name, spans)| ServiceUsage {
            name,
            spans,
            bytes_estimate: (u128::from(bytes) * u128::from(spans) / u128::from(all.max(1))) as u64,
        })
        .collect();
    shares.sort_by_key(|service| std::cmp::Reverse(service.spans));
    shares
}

/// Adds a file's columns.
fn look(
    place: &Place,
    path: &Path,
    columns: &mut BTreeMap<String, ColumnUsage>,
    index_bytes: &mut u64,
) -> Result<Arc<ColdFile>, ParquetError> {
    let file = identify(place.disk.as_ref(), path);
    let file = Arc::new(file.map_err(|error| ParquetError::General(error.to_string()))?);
    let source = FileReader::local(&place.disk).source;
    let chunks = Arc::new(Fetch::new(source, Arc::clone(&file), Arc::default()));
    let reader = SerializedFileReader::new(chunks.as_ref().clone())?;
    let mut inside = 0;
    for group in reader.metadata().row_groups() {
        for chunk in group.columns() {
            let root = &chunk.column_path().parts()[0];
            let column = columns.entry(root.clone()).or_insert_with(|| ColumnUsage {
                name: root.clone(),
                distinct: Some(0),
                ..ColumnUsage::default()
            });
            inside += add_chunk(column, chunk, group, &chunks);
        }
    }
    *index_bytes += file.bytes.saturating_sub(inside);
    Ok(file)
}

/// Adds a column of a row group; gives its bytes in the file.
fn add_chunk(
    column: &mut ColumnUsage,
    chunk: &ColumnChunkMetaData,
    group: &RowGroupMetaData,
    file: &Arc<Fetch>,
) -> u64 {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let bytes = unsigned(chunk.compressed_size());
    let bloom = unsigned(chunk.bloom_filter_length().unwrap_or(0).into());
    column.bytes += bytes;
    column.unpacked_bytes += unsigned(chunk.uncompressed_size());
    column.bloom_bytes += bloom;
    let nulls = chunk
        .statistics()
        .and_then(|statistics| statistics.null_count_opt());
    column.values += unsigned(chunk.num_values()).saturating_sub(nulls.unwrap_or(0));
    for encoding in chunk.encodings() {
        let name = encoding.to_string();
        if !column.encodings.contains(&name) {
            column.encodings.push(name);
        }
    }
    column.distinct = match (column.distinct, distinct(chunk, group, file)) {
        (Some(before), Some(more)) => Some(before + more),
        _ => None,
    };
    bytes + bloom
}

/// The entries of a chunk's dictionary, where it holds all its values.
fn distinct(
    chunk: &ColumnChunkMetaData,
    group: &RowGroupMetaData,
    file: &Arc<Fetch>,
) -> Option<u64> {
    let encodings = chunk.page_encoding_stats_mask()?;
    if !encodings.is_only(Encoding::RLE_DICTIONARY) {
        return None;
    }
    let rows = usize::try_from(group.num_rows()).ok()?;
    let mut pages = SerializedPageReader::new(Arc::clone(file), chunk, rows, None).ok()?;
    match pages.get_next_page().ok()?? {
        Page::DictionaryPage { num_values, .. } => Some(num_values.into()),
        Page::DataPage { .. } | Page::DataPageV2 { .. } => None,
    }
}

async fn count_services(
    place: &Place,
    file: Arc<ColdFile>,
    services: &mut BTreeMap<Option<String>, u64>,
) {
    let request = ScanRequest {
        columns: ScanColumns {
            service_name: true,
            ..ScanColumns::NONE
        },
        ..ScanRequest::default()
    };
    let mut spans = FileReader::local(&place.disk).stream(file, request);
    // A file that breaks off is `verify`'s to tell.
    while let Some(Ok(batch)) = spans.next().await {
        let columns = batch.columns();
        let mut counts: BTreeMap<Option<&str>, u64> = BTreeMap::new();
        for row in 0..batch.num_spans() {
            *counts.entry(columns.service_name(row)).or_default() += 1;
        }
        for (name, count) in counts {
            *services.entry(name.map(str::to_owned)).or_default() += count;
        }
    }
}

//! A data file in which a bit turned: what comes is what was written, or an error that names the file.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::*;
use crate::cold::source::{DataSource, LocalFiles};
use crate::error::ReadError;
use crate::scan::{Field, Filter, Literal};

async fn try_read(file: &ColdFile, request: &ScanRequest) -> Result<Vec<String>, ReadError> {
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let reader = FileReader::local(&disk);
    let mut spans = reader.stream(Arc::new(file.clone()), request.clone());
    let mut found = Vec::new();
    while let Some(batch) = spans.next().await {
        found.extend(sample::describe(&batch?));
    }
    Ok(sorted(found))
}

fn requests(batch: &SpanBatch) -> Vec<ScanRequest> {
    let name = Filter::equal(Field::Name, Literal::from("a b"));
    let attribute = Filter::equal(
        Field::Attribute("http.route".into()),
        Literal::from("héllo"),
    );
    vec![
        ScanRequest::default(),
        ScanRequest {
            trace_ids: Some(Arc::new([batch.span(3).trace_id()].into())),
            ..ScanRequest::default()
        },
        ScanRequest {
            filter: Some(Arc::new(Filter::Or(vec![name, attribute]))),
            ..ScanRequest::default()
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_turned_is_never_a_wrong_answer() {
    let batch = sample::batch(11, 150);
    let directory = tempfile::tempdir().unwrap();
    let file = write(&LocalDisk, directory.path(), std::slice::from_ref(&batch)).file;
    let bytes = std::fs::read(&file.path).unwrap();
    let requests = requests(&batch);
    let mut expected = Vec::new();
    for request in &requests {
        expected.push(try_read(&file, request).await.unwrap());
    }
    assert_eq!(expected[0].len(), 150);
    let mut errors = 0;
    let step = bytes.len() / 120;
    // Of the end, where everything hangs together, more.
    let near_end = (bytes.len() * 15 / 16..bytes.len()).step_by(7);
    for at in (0..bytes.len()).step_by(step).chain(near_end) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&file.path, &damaged).unwrap();
        for (request, expected) in requests.iter().zip(&expected) {
            match try_read(&file, request).await {
                Ok(found) => assert!(found == *expected, "byte {at} of {}", bytes.len()),
                Err(ReadError::Damaged { file: named, .. }) => {
                    assert!(named.ends_with(&file.name));
                    errors += 1;
                }
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
    // All of a file of one block and an end is read by each request.
    assert!(errors > 300, "{errors} errors");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_harms_only_those_who_need_what_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(&LocalDisk, directory.path(), &[sample::batch(3, 50)]).file;
    let mut bytes = std::fs::read(&file.path).unwrap();
    // The last byte of the page indexes, which lie before the footer, its length and four letters.
    let (rest, _) = bytes.split_last_chunk::<4>().unwrap();
    let footer = u32::from_le_bytes(*rest.last_chunk::<4>().unwrap()) as usize;
    let at = bytes.len() - 8 - footer - 1;
    bytes[at] ^= 1;
    std::fs::write(&file.path, bytes).unwrap();
    let nobody = Filter::equal(Field::Name, Literal::from("nobody is called so"));
    let requests = [
        ScanRequest {
            trace_ids: Some(Arc::new([TraceId([9; 16])].into())),
            ..ScanRequest::default()
        },
        ScanRequest {
            filter: Some(Arc::new(nobody)),
            ..ScanRequest::default()
        },
    ];
    for request in requests {
        assert_eq!(try_read(&file, &request).await.unwrap(), [""; 0]);
    }
    let error = try_read(&file, &ScanRequest::default()).await.unwrap_err();
    let ReadError::Damaged { reason, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(
        reason,
        "Parquet error: the checksum of the page indexes is wrong"
    );
}

/// Files whose readers break off from some time on.
#[derive(Debug)]
struct Breaking {
    files: LocalFiles,
    breaks: AtomicBool,
}

impl DataSource for Breaking {
    fn read_ranges(&self, file: &ColdFile, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        assert!(
            !self.breaks.load(Ordering::Relaxed),
            "broken off on purpose"
        );
        self.files.read_ranges(file, ranges)
    }
}

#[tokio::test]
async fn a_reader_that_breaks_off_does_not_end_as_if_it_were_done() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(&LocalDisk, directory.path(), &[sample::batch(3, 50)]).file;
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let source = Arc::new(Breaking {
        files: LocalFiles(Arc::clone(&disk)),
        breaks: AtomicBool::new(false),
    });
    let reader = FileReader {
        source: Arc::clone(&source) as Arc<dyn DataSource>,
        ..FileReader::local(&disk)
    };
    let (file, request) = (Arc::new(file), Arc::default());
    let files = std::iter::once(&file);
    let partitions = scan::of_files(&reader, files, &request, &Arc::default()).await;
    assert_eq!(partitions.len(), 1);
    source.breaks.store(true, Ordering::Relaxed);
    for partition in partitions {
        let read: Vec<_> = partition.stream().collect().await;
        let [Err(ReadError::Damaged { file: named, .. })] = &read[..] else {
            panic!("{} batches", read.len());
        };
        assert!(named.ends_with(&file.name));
    }
}

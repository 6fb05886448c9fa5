//! Several files to one without decoding them: every span is there, the filters and indexes are, and what is to be left
//! out is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use spanlight_model::{SpanBatch, TraceId};

use super::{read, sorted};
use crate::cold::ColdFile;
use crate::cold::append::{Append, Appended, Without};
use crate::cold::catalogue::Catalogue;
use crate::cold::identify::identify;
use crate::cold::read::FileReader;
use crate::cold::source::{DataSource, LocalFiles};
use crate::cold::write;
use crate::disk::{Disk, LocalDisk};
use crate::sample;
use crate::scan::{self, Field, Filter, Literal, ScanFigures, ScanRequest};

struct Files {
    directory: tempfile::TempDir,
    files: Vec<Arc<ColdFile>>,
    catalogue: Arc<Catalogue>,
}

impl Files {
    fn of(files: &[&[SpanBatch]]) -> Self {
        let mut all = Self {
            directory: tempfile::tempdir().unwrap(),
            files: Vec::new(),
            catalogue: Arc::default(),
        };
        for batches in files {
            let name = format!("{}.parquet", all.files.len());
            let path = all.directory.path();
            let written = write::write(&LocalDisk, path, &name, batches, &all.catalogue).unwrap();
            all.catalogue = written.catalogue;
            all.files.push(Arc::new(written.file));
        }
        all
    }

    fn append_as(&self, name: &str, without: Option<&Without>) -> Appended {
        let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
        let source: Arc<dyn DataSource> = Arc::new(LocalFiles(disk));
        let append = Append {
            source: &source,
            files: &self.files,
            without,
            disk: &LocalDisk,
            directory: self.directory.path(),
            name,
            is_cancelled: &|| false,
        };
        append.run().unwrap()
    }
}

async fn described(file: &ColdFile, request: &ScanRequest) -> Vec<String> {
    // What a file says about itself is what was said when it was written.
    assert_eq!(identify(&LocalDisk, &file.path).unwrap(), *file);
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let (batch, _) = read(&FileReader::local(&disk), file.clone(), request).await;
    sorted(sample::describe(&batch))
}

fn expected(batches: &[SpanBatch]) -> Vec<String> {
    sorted(batches.iter().flat_map(sample::describe).collect())
}

fn filtered(field: Field, value: &str) -> ScanRequest {
    ScanRequest {
        filter: Some(Arc::new(Filter::equal(field, Literal::from(value)))),
        ..ScanRequest::default()
    }
}

fn skipped_by(figures: &ScanFigures) -> u64 {
    let skipped = [&figures.row_groups.skipped, &figures.pages.skipped];
    skipped.into_iter().flatten().map(|(_, count)| count).sum()
}

#[tokio::test]
async fn the_new_file_answers_as_the_old_ones_did() {
    let batches: Vec<SpanBatch> = (0..5).map(|seed| sample::batch(seed, 150)).collect();
    let files = Files::of(&[&batches[..2], &batches[2..3], &batches[3..]]);
    let file = files.append_as("all", None).file.unwrap();
    assert_eq!(file.spans, 750);
    assert_eq!(
        described(&file, &ScanRequest::default()).await,
        expected(&batches)
    );
    let traces = Arc::new([batches[0].span(3).trace_id()].into());
    let requests = [
        ScanRequest {
            trace_ids: Some(traces),
            ..ScanRequest::default()
        },
        filtered(Field::Name, "a b"),
        filtered(Field::ServiceName, "service-1"),
        filtered(Field::Attribute("http.route".into()), "héllo"),
        filtered(Field::SpanAttribute("nobody".into()), "nothing"),
    ];
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let reader = FileReader::local(&disk);
    for request in requests {
        let (mut old, mut skipped) = (Vec::new(), 0);
        for file in &files.files {
            let (batch, figures) = read(&reader, file.as_ref().clone(), &request).await;
            old.extend(sample::describe(&batch));
            skipped += skipped_by(&figures);
        }
        assert_eq!(described(&file, &request).await, sorted(old));
        // Nothing that helped to skip was lost.
        let (_, figures) = read(&reader, file.clone(), &request).await;
        let after = skipped_by(&figures);
        assert!(after >= skipped, "{after} of {skipped}");
    }
}

#[tokio::test]
async fn appended_files_can_be_appended() {
    let batches: Vec<SpanBatch> = (0..4).map(|seed| sample::batch(seed, 100)).collect();
    // The first is in two files: each is sorted, and has each span once.
    let mut files = Files::of(&[&batches[..1], &batches[..2], &batches[2..]]);
    let last = files.files.pop().unwrap();
    let one = files.append_as("one", None).file.unwrap();
    files.files = vec![last, Arc::new(one)];
    let all = files.append_as("all", None).file.unwrap();
    assert_eq!(all.spans, 500);
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let reader = FileReader::local(&disk);
    let file = Arc::new(all);
    let request = Arc::default();
    let parts = scan::of_files(&reader, std::iter::once(&file), &request, &Arc::default()).await;
    let runs: BTreeSet<_> = parts.iter().map(|part| part.run().unwrap()).collect();
    assert_eq!(runs.len(), 3, "{runs:?}");
    let again = [&batches[..], &batches[..1]].concat();
    assert_eq!(
        described(&file, &ScanRequest::default()).await,
        expected(&again)
    );
}

#[tokio::test]
async fn what_is_left_out_is_gone_and_the_rest_is_there() {
    let batches: Vec<SpanBatch> = (0..2).map(|seed| sample::batch(seed, 300)).collect();
    let files = Files::of(&[&batches[..1], &batches[1..]]);
    let gone: BTreeSet<TraceId> = [3, 9].map(|row| batches[0].span(row).trace_id()).into();
    let without = Without::Traces(Arc::new(gone.clone()));
    let appended = files.append_as("traces", Some(&without));
    let kept = select(&batches, |batch, row| {
        !gone.contains(&batch.span(row).trace_id())
    });
    let file = appended.file.unwrap();
    assert_eq!(appended.left_out, 600 - file.spans);
    let found = described(&file, &ScanRequest::default()).await;
    assert_eq!(found, expected(&kept));

    let without = Without::Services(Arc::new([Arc::from("service-1")].into()));
    let appended = files.append_as("services", Some(&without));
    let kept = select(&batches, |batch, row| {
        batch.span(row).resource().service_name() != Some("service-1")
    });
    let file = appended.file.unwrap();
    let found = described(&file, &ScanRequest::default()).await;
    assert_eq!(found, expected(&kept));

    let nothing = Without::Traces(Arc::new([TraceId([255; 16])].into()));
    let appended = files.append_as("nothing", Some(&nothing));
    assert_eq!((appended.file, appended.left_out), (None, 0));
    let traces = batches.iter().flat_map(|batch| {
        let rows = 0..batch.num_spans();
        rows.map(|row| batch.span(row).trace_id())
    });
    let everything = Without::Traces(Arc::new(traces.collect()));
    let appended = files.append_as("everything", Some(&everything));
    assert_eq!((appended.file, appended.left_out), (None, 600));
}

fn select(batches: &[SpanBatch], is_kept: impl Fn(&SpanBatch, usize) -> bool) -> Vec<SpanBatch> {
    let kept = batches.iter().map(|batch| {
        let rows = (0..batch.num_spans()).filter(|&row| is_kept(batch, row));
        let rows: Vec<u32> = rows.map(|row| row as u32).collect();
        batch.take(&rows.into()).unwrap()
    });
    kept.collect()
}

#[tokio::test]
async fn files_of_the_first_version_become_ones_of_this() {
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixture = fixture.join("tests/fixtures/version-1/cold");
    let paths = std::fs::read_dir(fixture).unwrap();
    let mut paths = paths.map(|entry| entry.unwrap().path());
    let old = paths.find(|path| path.extension().is_some_and(|it| it == "parquet"));
    let old = identify(&LocalDisk, &old.unwrap()).unwrap();
    let batch = sample::batch(1, 200);
    let mut files = Files::of(&[std::slice::from_ref(&batch)]);
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let reader = FileReader::local(&disk);
    let (before, _) = read(&reader, old.clone(), &ScanRequest::default()).await;
    files.files.push(Arc::new(old));
    let file = files.append_as("both", None).file.unwrap();
    let found = described(&file, &ScanRequest::default()).await;
    assert_eq!(found, expected(&[batch, before]));
}

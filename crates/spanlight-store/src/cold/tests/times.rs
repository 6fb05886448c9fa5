//! Durations without starts, and starts of which only the step counts.

use spanlight_model::SpanBatch;

use super::*;
use crate::scan::Steps;

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;

/// Traces of ten spans, one every hundred milliseconds, of three seconds each: a page has 41 seconds.
fn spans(count: u64, start: u64) -> SpanBatch {
    let mut builder = SpanBatchBuilder::new(1);
    let resource = builder.begin_resource().commit();
    let scope = builder.begin_scope().commit();
    for number in 0..count {
        let mut span = builder.begin_span(resource, scope);
        let trace = number / 10;
        span.set_trace_id(TraceId(u128::from(trace + 1).to_be_bytes()));
        span.set_span_id(SpanId((number + 1).to_be_bytes()));
        let start = start + trace * 100_000_000 + number % 10 * 300_000_001;
        span.set_start_time_unix_nano(start);
        span.set_end_time_unix_nano(start + number * number % 1_000_003);
        span.commit().unwrap();
    }
    builder.finish().unwrap()
}

/// Of each span its id, the step of its start, and its duration.
fn facts(batch: &SpanBatch, place: impl Fn(i64) -> i64) -> Vec<(SpanId, i64, i64)> {
    let columns = batch.columns();
    let fact = |row: usize| {
        let (start, end) = (columns.start_times.value(row), columns.end_times.value(row));
        let duration = end.saturating_sub(start).max(0);
        (columns.span_id(row), place(start), duration)
    };
    (0..batch.num_spans()).map(fact).collect()
}

#[tokio::test]
async fn starts_stay_in_their_step_and_durations_stay_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let reader = FileReader::local(&disk);
    for (name, batch) in [
        ("plain", spans(30_000, START as u64)),
        ("any", sample::batch(3, 300)),
    ] {
        let batches = std::slice::from_ref(&batch);
        let file = write::write(
            disk.as_ref(),
            directory.path(),
            name,
            batches,
            &Arc::default(),
        );
        let file = file.unwrap().file;
        for (step, pages) in [(SECOND, 5), (60 * SECOND, 4), (1_000 * SECOND, 2)] {
            // A range that begins and ends within a step.
            let range = START + 7 * SECOND..START + 190 * SECOND;
            let first = START.div_euclid(step) * step;
            let place = |start: i64| match start {
                _ if start < range.start => -1,
                _ if start >= range.end => i64::MAX,
                _ => (start - first).div_euclid(step),
            };
            let request = ScanRequest {
                columns: ScanColumns {
                    span_id: true,
                    durations: true,
                    steps: Some(Steps::new(range.clone(), first, step)),
                    ..ScanColumns::NONE
                },
                ..ScanRequest::default()
            };
            let (found, figures) = read(&reader, file.clone(), &request).await;
            let exact = ScanRequest {
                columns: ScanColumns {
                    span_id: true,
                    times: true,
                    ..ScanColumns::NONE
                },
                ..ScanRequest::default()
            };
            let (sought, all) = read(&reader, file.clone(), &exact).await;
            assert_eq!(facts(&found, place), facts(&sought, place), "{name} {step}");
            if name == "plain" {
                let starts = 2 * (8 - pages);
                assert_eq!(all.pages.read - figures.pages.read, starts, "{step}");
            }
        }
        let request = ScanRequest {
            columns: ScanColumns {
                span_id: true,
                durations: true,
                ..ScanColumns::NONE
            },
            ..ScanRequest::default()
        };
        let (found, _) = read(&reader, file, &request).await;
        assert_eq!(
            facts(&found, |_| 0),
            facts(&batch_in_order(&batch, &found), |_| 0)
        );
    }
}

/// The spans of a batch in the order of a file that has them.
fn batch_in_order(batch: &SpanBatch, file: &SpanBatch) -> SpanBatch {
    let (columns, sorted) = (batch.columns(), file.columns());
    let row_of = |row: usize| {
        let id = sorted.span_id(row);
        let found = (0..batch.num_spans()).find(|&row| columns.span_id(row) == id);
        found.unwrap() as u32
    };
    let rows: Vec<u32> = (0..file.num_spans()).map(row_of).collect();
    batch.take(&rows.into()).unwrap()
}

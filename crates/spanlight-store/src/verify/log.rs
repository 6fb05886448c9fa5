//! The log: the checksum of every record, and whether it can be read.

use std::io;

use crate::disk::read_all;
use crate::inspect::{InspectError, LOG, Place, Progress};
use crate::log::codec;
use crate::log::format::{check_segment_header, segment_number};
use crate::log::segment::{Part, parts};

use super::{Problem, VerifyReport};

const AT_START: &str = "the next start sets these bytes aside in damaged/ and goes on with the rest; their spans are \
                        lost unless a backup has them";

pub(super) fn check(
    place: &Place,
    progress: &Progress,
    report: &mut VerifyReport,
) -> Result<(), InspectError> {
    let segments = place.list(LOG)?;
    let segments = segments.into_iter();
    let segments: Vec<_> = segments
        .filter(|(name, _)| segment_number(name).is_some())
        .collect();
    progress.expect(segments.iter().map(|(_, bytes)| bytes).sum());
    let last = segments.len().saturating_sub(1);
    for (position, (name, listed)) in segments.iter().enumerate() {
        let path = place.root.join(LOG).join(name);
        let bytes = match read_all(place.disk.as_ref(), &path) {
            Ok(bytes) => bytes,
            // What was in it is in a data file by now.
            Err(error) if report.is_running && error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(InspectError::Disk { path, source }),
        };
        check_segment(name, &bytes, position == last, report);
        report.log.files += 1;
        report.log.bytes += bytes.len() as u64;
        progress.advance(*listed);
    }
    Ok(())
}

fn check_segment(name: &str, bytes: &[u8], is_last: bool, report: &mut VerifyReport) {
    let mut problems = Vec::new();
    let mut problem = |message: String| {
        problems.push(Problem {
            file: format!("{LOG}/{name}"),
            message,
            advice: AT_START,
        });
    };
    if bytes.is_empty() {
        // Just begun.
        return;
    }
    if let Err(error) = check_segment_header(bytes) {
        problem(error.to_string());
    }
    let mut torn = None;
    for part in parts(bytes) {
        match part {
            Part::Record { header, payload } => match codec::decode(&bytes[payload]) {
                Ok(batch) => report.log.spans += batch.num_spans() as u64,
                Err(error) => problem(format!(
                    "record {} cannot be read: {error}",
                    header.sequence
                )),
            },
            Part::Damage(range) => problem(format!(
                "bytes {} to {} are damaged: their checksum is wrong",
                range.start, range.end
            )),
            Part::Tail(range) if is_last => torn = Some(range),
            Part::Tail(range) => problem(format!(
                "bytes {} to {}, its end, are damaged: their checksum is wrong",
                range.start, range.end
            )),
        }
    }
    report.problems.extend(problems);
    // Beside a running server it is the record that is being written.
    if let Some(range) = torn.filter(|_| !report.is_running) {
        report.remarks.push(Problem {
            file: format!("{LOG}/{name}"),
            message: format!(
                "its last {} bytes are a write that was cut short; it was never acknowledged",
                range.len()
            ),
            advice: "nothing; the next start cuts it off",
        });
    }
}

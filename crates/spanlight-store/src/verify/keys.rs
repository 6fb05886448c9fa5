//! Finding spans that are there more than once, exactly and in bounded memory: the traces are dealt into slices, and
//! the keys of one slice at a time are gathered from all files, sorted and compared.

use std::sync::Arc;

use futures::StreamExt as _;
use spanlight_model::{SpanBatch, SpanKind};

use crate::inspect::{Place, Progress};
use crate::scan::ScanColumns;

use super::files::{Check, spans_of};

/// Trace id, span id, and whether it is a server's span: Zipkin's clients and servers share an id.
pub(super) type Key = [u8; 25];

/// The keys of one slice.
pub(super) struct Keys {
    slices: u64,
    slice: u64,
    keys: Vec<Key>,
}

impl Keys {
    /// For this many spans, in this much memory.
    pub(super) fn new(bytes: usize, spans: u64) -> Self {
        let room = (bytes / size_of::<Key>()).max(1) as u64;
        Self {
            slices: spans.div_ceil(room).max(1),
            slice: 0,
            keys: Vec::new(),
        }
    }

    /// Takes those of a batch that belong to the slice.
    pub(super) fn add(&mut self, batch: &SpanBatch) {
        let columns = batch.columns();
        for row in 0..batch.num_spans() {
            let trace = columns.trace_id(row).0;
            // Not every sender's ids are random in every part.
            if self.slices > 1 && u64::from(crc32c::crc32c(&trace)) % self.slices != self.slice {
                continue;
            }
            let is_server = columns.kinds.value(row) == SpanKind::Server as i8;
            self.keys
                .push(key(trace, columns.span_id(row).0, is_server));
        }
    }

    /// How many spans are there again in another file: those of the slice gathered so far, and those of the others,
    /// for which the files are read again.
    pub(super) async fn repeated(
        mut self,
        place: &Place,
        files: &[Check],
        progress: &Arc<Progress>,
    ) -> u64 {
        let mut repeated = count(&mut self.keys);
        let columns = ScanColumns {
            trace_id: true,
            span_id: true,
            kind: true,
            ..ScanColumns::NONE
        };
        for slice in 1..self.slices {
            self.slice = slice;
            for file in files {
                let Ok(mut spans) = spans_of(place, file, columns.clone()) else {
                    continue;
                };
                // What cannot be read was told before.
                while let Some(Ok(batch)) = spans.next().await {
                    self.add(&batch);
                }
            }
            repeated += count(&mut self.keys);
            progress.advance(0);
        }
        repeated
    }
}

pub(super) fn key(trace: [u8; 16], span: [u8; 8], is_server: bool) -> Key {
    let mut key = [0; 25];
    key[..16].copy_from_slice(&trace);
    key[16..24].copy_from_slice(&span);
    key[24] = u8::from(is_server);
    key
}

fn count(keys: &mut Vec<Key>) -> u64 {
    keys.sort_unstable();
    let repeated = keys.windows(2).filter(|pair| pair[0] == pair[1]).count();
    keys.clear();
    repeated as u64
}

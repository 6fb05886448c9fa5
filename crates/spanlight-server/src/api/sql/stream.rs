//! Rows as a stream of Arrow's IPC format, which other programs read without parsing.

use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use spanlight_query::SqlAnswer;

use super::{Batches, Encode};

/// An answer.
pub(super) struct Rows {
    batches: Batches,
    writer: StreamWriter<Vec<u8>>,
    is_done: bool,
}

impl Rows {
    pub(super) fn new(answer: SqlAnswer) -> Result<Self, ArrowError> {
        Ok(Self {
            writer: StreamWriter::try_new(Vec::new(), &answer.schema)?,
            batches: Batches::new(answer),
            is_done: false,
        })
    }
}

impl Encode for Rows {
    fn next(&mut self) -> Option<Result<Vec<u8>, ArrowError>> {
        if self.is_done {
            return None;
        }
        let written = match self.batches.next() {
            Some(batch) => self.writer.write(&batch),
            None => {
                self.is_done = true;
                self.writer.finish()
            }
        };
        Some(written.map(|()| std::mem::take(self.writer.get_mut())))
    }
}

//! Why a whole body could not be decoded. What concerns single spans is in [`crate::DecodeReport`].

/// A body that is not of its format. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not protobuf, or cut off.
    #[error("{problem} at byte {offset}, in {path}")]
    Protobuf {
        /// What is wrong.
        problem: &'static str,
        /// Where, counted from the beginning of the body.
        offset: usize,
        /// The field that was being read, such as `resource_spans[0].scope_spans[1].spans[7].name`.
        path: String,
    },
    /// Not JSON, cut off, or JSON of another shape.
    #[error("{problem} at line {line}, column {column}")]
    Json {
        /// What is wrong.
        problem: String,
        /// Where; the first line is 1.
        line: usize,
        /// Where; the first column is 1.
        column: usize,
    },
    /// More than a batch can hold; bodies far below 2 GiB always fit.
    #[error("the request is too large for one batch")]
    TooLarge(#[from] arrow_schema::ArrowError),
}

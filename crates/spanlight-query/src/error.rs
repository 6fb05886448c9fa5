//! Why a question has no answer.

use std::ops::Range;

use crate::sql::SqlFault;

/// A query that could not be answered. What can be answered in part is no error; see [`crate::PartialReason`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is no TraceQL.
    #[error(transparent)]
    Syntax(spanlight_traceql::Error),
    /// TraceQL that this version does not execute.
    #[error(transparent)]
    Unsupported(spanlight_traceql::Error),
    /// A statement of SQL that was not answered.
    #[error(transparent)]
    Sql(Box<SqlFault>),
    /// A parameter is beyond what is allowed.
    #[error("{message}")]
    Limit {
        /// Which, and what is allowed.
        message: String,
    },
    /// The cursor is not one that an answer gave, or belongs to another query.
    #[error(
        "the cursor does not belong to this search: repeat the search that returned it, with the same query \
         and time range, or leave the cursor out"
    )]
    Cursor,
    /// The time range ends before it starts.
    #[error("the time range ends before it starts")]
    TimeRange,
    /// The running queries hold all the memory that they may.
    #[error(
        "the running queries hold the {limit_bytes} bytes that they may; try again when they are done"
    )]
    Memory {
        /// The bytes that all running queries may hold.
        limit_bytes: usize,
    },
    /// A fault of Spanlight.
    #[error("the query failed: {0}")]
    Internal(String),
}

impl QueryError {
    /// Whether the text of the query, or of a field, is what is wrong.
    #[must_use]
    pub fn is_about_the_query(&self) -> bool {
        matches!(self, Self::Syntax(_) | Self::Unsupported(_))
    }
}

/// What a plan cannot express; the query's text makes an error of it.
#[derive(Debug)]
pub(crate) struct Unsupported {
    pub(crate) message: &'static str,
    pub(crate) hint: &'static str,
    /// Bytes of the text.
    pub(crate) position: Range<usize>,
}

impl Unsupported {
    /// The error, with its line and column in the query.
    pub(crate) fn locate(self, text: &str) -> QueryError {
        let error = spanlight_traceql::Error::unsupported(text, self.position, self.message);
        QueryError::Unsupported(error.with_hint(self.hint))
    }
}

impl From<SqlFault> for QueryError {
    fn from(fault: SqlFault) -> Self {
        Self::Sql(Box::new(fault))
    }
}

impl From<spanlight_traceql::Error> for QueryError {
    fn from(error: spanlight_traceql::Error) -> Self {
        match error.kind {
            spanlight_traceql::ErrorKind::Unsupported => Self::Unsupported(error),
            _ => Self::Syntax(error),
        }
    }
}

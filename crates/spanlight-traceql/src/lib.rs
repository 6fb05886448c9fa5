//! TraceQL: from text to a validated tree and back.
//!
//! [`parse`] is total: any text gives a [`Query`] or an [`Error`] that says what was found where, what was expected
//! and what was probably meant. Printing a query gives canonical text that parses to the same query. `GRAMMAR.md`
//! beside this crate's manifest gives the language. Knows no span, no store and no plan.

pub mod ast;
mod error;
mod pattern;

pub use ast::Query;
pub use error::{Error, ErrorKind};
pub use pattern::{Pattern, PatternError};

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 128 * 1024;

/// Reads and checks a query.
///
/// # Errors
/// When the text is no query, or one whose types cannot work; see [`Error`].
pub fn parse(text: &str) -> Result<Query, Error> {
    let _ = text;
    Err(error::Fault::syntax(0..0, "the parser is not here yet").locate(text))
}

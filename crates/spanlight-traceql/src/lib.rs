//! TraceQL: from text to a validated tree and back.
//!
//! [`parse`] is total: any text gives a [`Query`] or an [`Error`] that says what was found where, what was expected
//! and what was probably meant. Printing a query gives canonical text that parses to the same query. `GRAMMAR.md`
//! beside this crate's manifest gives the language. Knows no span, no store and no plan.

pub mod ast;
mod error;
mod function;
mod lexer;
mod parser;
mod pattern;
mod print;
mod suggest;
mod tokens;
mod validate;

pub use ast::Query;
pub use error::{Error, ErrorKind};
pub use function::{FUNCTIONS, Function, FunctionKind};
pub use pattern::{Matcher, Pattern, PatternError};
pub use tokens::{Token, TokenKind, tokens};

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 128 * 1024;

/// How many parentheses may be open at once. They leave no trace in the tree.
pub const NESTING_MAX: usize = 4_096;

/// How high a tree may grow, so that what walks it may recurse. A chain of one of `&&` and `||` is one level.
pub const HEIGHT_MAX: usize = 256;

/// How many different attributes a query may name: each is looked up in all that is read.
pub const ATTRIBUTES_MAX: usize = 1_024;

/// How many quantiles one `quantile_over_time` may give: each is a series, and has values kept for it.
pub const QUANTILES_MAX: usize = 64;

/// How many different regular expressions a query may have: each is compiled.
pub const PATTERNS_MAX: usize = 256;

/// How many of them may be large ones, of more than 64 KiB when compiled.
pub const LARGE_PATTERNS_MAX: usize = 16;

/// Reads and checks a query. Takes time in proportion to the text, and no stack.
///
/// ```
/// let query = spanlight_traceql::parse("{span:duration>1500ms&&.region=`eu`}|count()>2")?;
/// assert_eq!(query.to_string(), r#"{ duration > 1.5s && .region = "eu" } | count() > 2"#);
///
/// let error = spanlight_traceql::parse("{ durration > 1s }").unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 3: unknown name `durration`; did you mean `duration`?");
/// # Ok::<(), spanlight_traceql::Error>(())
/// ```
///
/// # Errors
/// When the text is no query, or one whose types cannot work; see [`Error`].
pub fn parse(text: &str) -> Result<Query, Error> {
    let checked =
        parser::query(text).and_then(|query| validate::query(text, &query).map(|()| query));
    checked.map_err(|fault| fault.locate(text))
}

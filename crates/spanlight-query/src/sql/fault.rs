//! What is wrong with a statement, in words for people: the planner's own are for those who know the planner.

use std::ops::Range;

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

use super::text::{place, range_of};

/// A statement that was not answered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SqlFault {
    /// Which sort of fault.
    pub kind: SqlFaultKind,
    /// What is wrong.
    pub message: String,
    /// Where in the statement.
    pub position: Option<SqlPosition>,
    /// What to do.
    pub hint: Option<String>,
}

/// The sorts of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlFaultKind {
    /// The statement is no SQL, names what is not there, or fails on what the spans have.
    Bad,
    /// It would change something, or do something else than read.
    ReadOnly,
    /// It takes longer than it may.
    TimeLimit,
    /// It needs more memory than there is for it.
    MemoryLimit,
    /// A fault of Spanlight.
    Internal,
}

const MISSING: &str = "there is no ";
const FUNCTION: &str = "function";

/// A place in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlPosition {
    /// Bytes of the text.
    pub bytes: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl SqlFault {
    pub(super) fn new(kind: SqlFaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            position: None,
            hint: None,
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(SqlFaultKind::Bad, message)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn at(mut self, text: &str, bytes: Range<usize>) -> Self {
        self.position = Some(SqlPosition::of(text, bytes));
        self
    }

    /// What the planner or the execution says of a statement. `known` are columns and attributes that there are.
    pub(super) fn of(error: &DataFusionError, text: &str, known: &[String]) -> Self {
        let root = root(error);
        if let DataFusionError::External(own) = root
            && let Some(fault) = own.downcast_ref::<Self>()
        {
            return fault.clone();
        }
        let mut fault = Self::of_root(root, text, known);
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        if let (None, Some(span)) = (&fault.position, span) {
            fault = fault.at(text, range_of(text, span.start, span.end));
        }
        fault
    }

    /// Suggests one of these functions, where one is missing.
    pub(super) fn suggest(self, functions: &[String]) -> Self {
        let name = self.message.strip_prefix(MISSING);
        let name = name.and_then(|it| it.strip_prefix(FUNCTION)).map(str::trim);
        let functions = functions.iter().map(String::as_str);
        match name.and_then(|name| nearest(name, functions)) {
            Some(nearest) => {
                let hint = format!("did you mean {nearest}?");
                self.hint(hint)
            }
            None => self,
        }
    }

    fn of_root(error: &DataFusionError, text: &str, known: &[String]) -> Self {
        match error {
            DataFusionError::SQL(error, _) => Self::of_parser(error, text),
            DataFusionError::SchemaError(error, _) => Self::of_schema(error, text, known),
            DataFusionError::ResourcesExhausted(_) => Self::new(
                SqlFaultKind::MemoryLimit,
                "the statement needs more memory than there is for it",
            ),
            DataFusionError::Plan(message)
            | DataFusionError::NotImplemented(message)
            | DataFusionError::Execution(message)
            | DataFusionError::Configuration(message) => planned(message),
            DataFusionError::ArrowError(error, _) => Self::bad(human(&error.to_string())),
            other => Self::new(SqlFaultKind::Internal, other.strip_backtrace()),
        }
    }

    fn of_parser(error: &ParserError, text: &str) -> Self {
        let message = match error {
            ParserError::RecursionLimitExceeded => {
                return Self::bad("the statement is nested too deep");
            }
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        };
        let Some((message, at)) = message.rsplit_once(" at Line: ") else {
            let fault = Self::bad(human(message));
            return match message.contains("found: EOF") {
                true => fault.at(text, text.len()..text.len()),
                false => fault,
            };
        };
        let fault = Self::bad(human(message));
        let at = at.split_once(", Column: ");
        let at =
            at.and_then(|(line, column)| Some((line.parse().ok()?, column.trim().parse().ok()?)));
        match at {
            Some((line, column)) => {
                let start = place(text, line, column);
                let word = text[start..].split(|it: char| !it.is_alphanumeric() && it != '_');
                let length = word.map(str::len).next().unwrap_or(0);
                fault.at(text, start..start + length)
            }
            None => fault,
        }
    }

    fn of_schema(error: &SchemaError, text: &str, known: &[String]) -> Self {
        match error {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => {
                let names = valid_fields.iter().map(|column| column.name.as_str());
                let all = names.chain(known.iter().map(String::as_str));
                let fault = located(Self::bad(not_found(&field.name)), field, text);
                fault.hint(match nearest(&field.name, all) {
                    Some(nearest) if quoted(&field.name) == field.name => format!(
                        "did you mean {}? A text stands in single quotes, '{}'",
                        quoted(nearest),
                        field.name
                    ),
                    Some(nearest) => format!("did you mean {}?", quoted(nearest)),
                    None => "texts stand in single quotes, 'text', and attributes in double ones, \
                             \"span.http.route\"; docs/sql.md lists the columns"
                        .to_owned(),
                })
            }
            SchemaError::AmbiguousReference { field } => {
                let message = format!("{} is in several tables", quoted(&field.name));
                let hint = format!("say which, as in spans.{}", quoted(&field.name));
                located(Self::bad(message), field, text).hint(hint)
            }
            SchemaError::DuplicateQualifiedField { name, .. }
            | SchemaError::DuplicateUnqualifiedField { name } => {
                Self::bad(format!("there are two columns {}", quoted(name)))
                    .hint("give one of them, or its table, another name with AS")
            }
        }
    }
}

fn not_found(name: &str) -> String {
    match super::text::AttributeName::of(name) {
        Some(_) => format!("no stored span has an attribute {}", quoted(name)),
        None => format!("there is no column {}", quoted(name)),
    }
}

fn located(fault: SqlFault, field: &Column, text: &str) -> SqlFault {
    match field.spans().first() {
        Some(span) => fault.at(text, range_of(text, span.start, span.end)),
        None => fault,
    }
}

/// The error below all wrappers; of several the first.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, root),
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => root(inner),
            None => error,
        },
        other => other,
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    match name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Of these names the one that is most like this one, if any is.
fn nearest<'n>(name: &str, all: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    let likeness = |other: &str| strsim::jaro_winkler(&lower, &other.to_lowercase());
    let all = all.map(|other| (likeness(other), other));
    let best = all.max_by(|one, two| one.0.total_cmp(&two.0))?;
    (best.0 > 0.85).then_some(best.1)
}

/// The planner's message without what only its authors understand: names of types and of itself.
fn human(message: &str) -> String {
    let message = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let message = message.trim().trim_end_matches('.');
    let prefixes = [
        "sql parser error: ",
        "SQL error: ",
        "Error during planning: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Arrow error: ",
    ];
    let of = |message, prefix: &&str| str::strip_prefix(message, prefix).unwrap_or(message);
    let message = prefixes.iter().fold(message, of);
    let message = message
        .replace("spanlight.public.", "")
        .replace("found: EOF", "found the end");
    let mut characters = message.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => message,
    }
}

/// The same. What the planner suggests in place of a function is another one each time.
fn planned(message: &str) -> SqlFault {
    let message = human(message.split("Did you mean '").next().unwrap_or(message));
    for (before, what) in [
        ("table '", "table"),
        ("table function '", "table function"),
        ("invalid function '", FUNCTION),
    ] {
        if let Some((name, _)) = message
            .strip_prefix(before)
            .and_then(|it| it.split_once('\''))
        {
            return SqlFault::bad(format!("{MISSING}{what} {name}"));
        }
    }
    SqlFault::bad(message)
}

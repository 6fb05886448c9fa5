//! What is wrong with a query's text, where, and what to write instead.

use std::{fmt, ops::Range};

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What sort of fault it is.
    pub kind: ErrorKind,
    /// What was found, for people: lower-case, no final stop, without the position.
    pub message: String,
    /// The offending bytes of the text, on character boundaries; empty at the end of the text.
    pub position: Range<usize>,
    /// The line of the first of them, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
    /// What could have stood there instead, ready to be joined with commas; may be empty.
    pub expected: Vec<String>,
    /// What was probably meant.
    pub hint: Option<String>,
}

/// The sorts of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The text does not follow the grammar.
    Syntax,
    /// It does, but an operand has the wrong type or an argument the wrong value.
    Invalid,
    /// It is meant by the grammar, but no engine executes it yet.
    Unsupported,
    /// Too long, nested too deeply, or with too many patterns.
    Limit,
}

/// A fault before its line and column are known: they are only worth computing once.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: ErrorKind,
    message: String,
    position: Range<usize>,
    expected: Vec<String>,
    hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(
        kind: ErrorKind,
        position: Range<usize>,
        message: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            kind,
            message: message.into(),
            position,
            expected: Vec::new(),
            hint: None,
        })
    }

    pub(crate) fn syntax(position: Range<usize>, message: impl Into<String>) -> Box<Self> {
        Self::new(ErrorKind::Syntax, position, message)
    }

    pub(crate) fn invalid(position: Range<usize>, message: impl Into<String>) -> Box<Self> {
        Self::new(ErrorKind::Invalid, position, message)
    }

    pub(crate) fn expecting(mut self: Box<Self>, expected: &[&str]) -> Box<Self> {
        self.expected = expected.iter().map(|&it| it.to_owned()).collect();
        self
    }

    pub(crate) fn hint(mut self: Box<Self>, hint: impl Into<String>) -> Box<Self> {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_option(mut self: Box<Self>, hint: Option<String>) -> Box<Self> {
        self.hint = hint;
        self
    }

    /// The error, with the place in `text` counted out.
    pub(crate) fn locate(self, text: &str) -> Error {
        let before = text.get(..self.position.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error {
            kind: self.kind,
            message: self.message,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            position: self.position,
            expected: self.expected,
            hint: self.hint,
        }
    }
}

impl Error {
    /// What an engine does not execute of a query that [`crate::parse`] takes; `position` is bytes of `text`.
    #[must_use]
    pub fn unsupported(text: &str, position: Range<usize>, message: impl Into<String>) -> Self {
        Fault::new(ErrorKind::Unsupported, position, message).locate(text)
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )?;
        match self.expected.as_slice() {
            [] => {}
            [only] => write!(f, ", expected {only}")?,
            [first @ .., last] => write!(f, ", expected {} or {last}", first.join(", "))?,
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

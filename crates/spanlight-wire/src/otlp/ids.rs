//! Ids of a span or a link as they come: bytes in protobuf, hexadecimal digits in JSON.

use std::fmt;

/// Reads ids and remembers one that is wrong, unless the same field is sent again.
#[derive(Debug, Default)]
pub(super) struct Ids {
    wrong: Option<(&'static str, Problem)>,
}

#[derive(Debug, Clone, Copy)]
enum Problem {
    Bytes { found: usize, expected: usize },
    Digits { found: usize, expected: usize },
    Digit { position: usize },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { found, expected } => {
                write!(formatter, "has {found} bytes instead of {expected}")
            }
            Self::Digits { found, expected } => {
                write!(
                    formatter,
                    "has {found} characters instead of {expected} hexadecimal digits"
                )
            }
            Self::Digit { position } => {
                write!(
                    formatter,
                    "has no hexadecimal digit at character {position}"
                )
            }
        }
    }
}

impl Ids {
    /// An id of bytes. None at all are an absent id, as zeros are.
    pub(super) fn bytes<const N: usize>(&mut self, field: &'static str, bytes: &[u8]) -> [u8; N] {
        let id = bytes.try_into().map_err(|_| Problem::Bytes {
            found: bytes.len(),
            expected: N,
        });
        self.keep(field, bytes.is_empty(), id)
    }

    /// An id of digits, of either case.
    pub(super) fn digits<const N: usize>(&mut self, field: &'static str, text: &[u8]) -> [u8; N] {
        self.keep(field, text.is_empty(), from_digits(text))
    }

    fn keep<const N: usize>(
        &mut self,
        field: &'static str,
        is_absent: bool,
        id: Result<[u8; N], Problem>,
    ) -> [u8; N] {
        if self.wrong.is_some_and(|(wrong, _)| wrong == field) {
            self.wrong = None;
        }
        id.unwrap_or_else(|problem| {
            if !is_absent {
                self.wrong = Some((field, problem));
            }
            [0; N]
        })
    }

    /// What is wrong with an id, if one is.
    pub(super) fn problem(&self) -> Option<String> {
        self.wrong
            .map(|(field, problem)| format!("{field} {problem}"))
    }
}

fn from_digits<const N: usize>(text: &[u8]) -> Result<[u8; N], Problem> {
    if text.len() != N * 2 {
        return Err(Problem::Digits {
            found: text.len(),
            expected: N * 2,
        });
    }
    let mut id = [0; N];
    for (position, &character) in text.iter().enumerate() {
        let digit = char::from(character)
            .to_digit(16)
            .ok_or(Problem::Digit { position })?;
        id[position / 2] = id[position / 2] << 4 | digit as u8;
    }
    Ok(id)
}

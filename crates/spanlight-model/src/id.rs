//! Trace and span ids: fixed-size bytes, and the spellings in which people and protocols write them.

use std::fmt;

/// A 128-bit trace id. All zeros is not a valid id, but representable: decoders refuse it with a reason.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId(pub [u8; 16]);

/// A 64-bit span id. All zeros is not a valid id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId(pub [u8; 8]);

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The number of digits fits no spelling of the id.
    #[error("expected {expected}, found {found} characters")]
    Length {
        /// What would have been right, for a message.
        expected: &'static str,
        /// How many characters there were.
        found: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("character {position} is not a hexadecimal digit")]
    Digit {
        /// Zero-based position in the text.
        position: usize,
    },
    /// Every digit is zero.
    #[error("an id of zeros is not valid")]
    Zero,
}

impl TraceId {
    /// The id that stands for "none" on the wire.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is the invalid id of zeros.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == [0; 16]
    }

    /// Reads an id as people paste it: 1 to 32 hexadecimal digits (fewer are padded on the left, as Jaeger and
    /// Zipkin drop leading zeros) or X-Ray's `1-8hex-24hex`.
    ///
    /// # Errors
    /// [`IdError`] says which character or length is wrong; zero is refused.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if let Some(rest) = text.strip_prefix("1-")
            && let Some((epoch, unique)) = rest.split_once('-')
        {
            let expected = "an X-Ray id of the form 1-8hex-24hex";
            if epoch.len() != 8 || unique.len() != 24 {
                return Err(IdError::Length {
                    expected,
                    found: text.len(),
                });
            }
            return Self::from_digits(&[epoch, unique].concat());
        }
        Self::from_digits(text)
    }

    fn from_digits(text: &str) -> Result<Self, IdError> {
        let bytes = parse_hex::<16>(text, "1 to 32 hexadecimal digits")?;
        if bytes == [0; 16] {
            Err(IdError::Zero)
        } else {
            Ok(Self(bytes))
        }
    }
}

impl SpanId {
    /// The id that stands for "none" on the wire.
    pub const ZERO: Self = Self([0; 8]);

    /// Whether this is the invalid id of zeros.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == [0; 8]
    }

    /// Reads 1 to 16 hexadecimal digits, padded on the left.
    ///
    /// # Errors
    /// [`IdError`] says which character or length is wrong; zero is refused.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes = parse_hex::<8>(text, "1 to 16 hexadecimal digits")?;
        if bytes == [0; 8] {
            Err(IdError::Zero)
        } else {
            Ok(Self(bytes))
        }
    }
}

fn parse_hex<const N: usize>(text: &str, expected: &'static str) -> Result<[u8; N], IdError> {
    if text.is_empty() || text.len() > N * 2 {
        return Err(IdError::Length {
            expected,
            found: text.chars().count(),
        });
    }
    let mut bytes = [0; N];
    let padding = N * 2 - text.len();
    for (position, character) in text.bytes().enumerate() {
        let digit = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            b'A'..=b'F' => character - b'A' + 10,
            _ => return Err(IdError::Digit { position }),
        };
        let place = padding + position;
        bytes[place / 2] |= if place.is_multiple_of(2) {
            digit << 4
        } else {
            digit
        };
    }
    Ok(bytes)
}

fn write_hex(bytes: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes
        .iter()
        .try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_trace_id_meet() {
        let id = TraceId::parse("66312e29264cecca790badd378afa449").unwrap();
        assert_eq!(
            TraceId::parse("1-66312e29-264cecca790badd378afa449"),
            Ok(id)
        );
        assert_eq!(TraceId::parse("66312E29264CECCA790BADD378AFA449"), Ok(id));
        assert_eq!(
            TraceId::parse("a1").unwrap().to_string(),
            format!("{:0>32}", "a1")
        );
    }

    #[test]
    fn what_is_no_id_is_refused_with_its_place() {
        assert_eq!(TraceId::parse("0000"), Err(IdError::Zero));
        assert_eq!(SpanId::parse("12g4"), Err(IdError::Digit { position: 2 }));
        assert!(matches!(SpanId::parse(""), Err(IdError::Length { .. })));
        assert!(matches!(
            SpanId::parse("0123456789abcdef0"),
            Err(IdError::Length { .. })
        ));
        assert!(matches!(
            TraceId::parse("1-66-33"),
            Err(IdError::Length { .. })
        ));
        assert_eq!(TraceId::parse("é"), Err(IdError::Digit { position: 0 }));
    }
}

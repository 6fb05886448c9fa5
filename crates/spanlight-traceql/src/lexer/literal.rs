//! Strings, numbers and durations.

use crate::error::Fault;

use super::{Lexer, Token, is_word, is_word_start};

/// Nanoseconds of each unit of time. The micro sign is U+00B5.
const UNITS: [(&str, u128); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
    ("y", 31_536_000_000_000_000),
];

/// 2⁶³: what the least 64-bit number is without its sign.
const MAGNITUDE_MAX: u64 = i64::MIN.unsigned_abs();

impl<'a> Lexer<'a> {
    /// A string in double quotes, at the first one. Reads to the closing quote also after a bad escape.
    pub(super) fn quoted(&mut self) -> Result<String, Box<Fault>> {
        let start = self.offset;
        self.offset += 1;
        let mut bytes = Vec::new();
        let mut fault = None;
        loop {
            bytes.extend_from_slice(
                self.take_while(|c| !matches!(c, '"' | '\\' | '\n'))
                    .as_bytes(),
            );
            if self.take("\"") {
                break;
            }
            if !self.take("\\") {
                return Err(fault.unwrap_or_else(|| {
                    Fault::syntax(start..self.offset, "the string is not closed")
                        .expecting(&["`\"` on the same line"])
                }));
            }
            if let Err(found) = self.escape(&mut bytes) {
                fault.get_or_insert(found);
            }
        }
        match (fault, String::from_utf8(bytes)) {
            (Some(fault), _) => Err(fault),
            (None, Ok(text)) => Ok(text),
            (None, Err(_)) => Err(Fault::syntax(
                start..self.offset,
                "the escapes in this string make no valid UTF-8",
            )
            .hint("write characters as themselves or as \\u and four digits")),
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let start = self.offset - 1;
        let Some(letter) = self.rest().chars().next() else {
            return Ok(()); // The string is not closed, which is the better message.
        };
        self.offset += letter.len_utf8();
        let plain = match letter {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            '"' => b'"',
            'x' => return self.code(start, 2, 16, bytes),
            'u' => return self.code(start, 4, 16, bytes),
            'U' => return self.code(start, 8, 16, bytes),
            '0'..='7' => {
                self.offset -= 1;
                return self.code(start, 3, 8, bytes);
            }
            _ => {
                return Err(Fault::syntax(
                    start..self.offset,
                    format!("`\\{}` is no escape", letter.escape_debug()),
                )
                .hint("write `\\\\` for a backslash, or put the string in backquotes"));
            }
        };
        bytes.push(plain);
        Ok(())
    }

    /// A number of exactly `digits` digits: a byte for `\x` and octal, a character for `\u` and `\U`.
    fn code(
        &mut self,
        start: usize,
        digits: usize,
        radix: u32,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Box<Fault>> {
        let rest = self.rest();
        let length = rest
            .bytes()
            .take(digits)
            .take_while(|&byte| char::from(byte).is_digit(radix))
            .count();
        self.offset += length;
        let number = (length == digits)
            .then(|| u32::from_str_radix(&rest[..length], radix).ok())
            .flatten();
        let pushed = match number {
            Some(number) if digits <= 3 => u8::try_from(number).ok().map(|byte| bytes.push(byte)),
            Some(number) => char::from_u32(number)
                .map(|c| bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes())),
            None => None,
        };
        pushed.ok_or_else(|| {
            Fault::syntax(
                start..self.offset,
                format!("`{}` is no escape", &self.text[start..self.offset]),
            )
            .expecting(&[
                "`\\xHH`",
                "`\\uHHHH`",
                "`\\UHHHHHHHH`",
                "`\\` and three octal digits",
            ])
        })
    }

    /// A string in backquotes: no escapes, may hold newlines.
    pub(super) fn raw_string(&mut self) -> Result<Token<'a>, Box<Fault>> {
        let start = self.offset;
        self.offset += 1;
        let text = self.take_while(|c| c != '`');
        if self.take("`") {
            Ok(Token::Text(text.to_owned()))
        } else {
            Err(Fault::syntax(start..start + 1, "the string is not closed")
                .expecting(&["a backquote"]))
        }
    }

    /// `'…'`, which is no string.
    pub(super) fn single_quoted(&mut self) -> Box<Fault> {
        let start = self.offset;
        self.offset += 1;
        let text = self.take_while(|c| c != '\'' && c != '\n');
        self.take("'");
        Fault::syntax(
            start..self.offset,
            "strings are not written in single quotes",
        )
        .hint(format!(
            "write \"{}\"",
            crate::suggest::shorten(&text.escape_debug().to_string())
        ))
    }

    /// A number or a duration, at its first digit or point.
    pub(super) fn number(&mut self) -> Result<Token<'a>, Box<Fault>> {
        let start = self.offset;
        let (whole, fraction) = self.decimal();
        if self.rest().starts_with(is_word_start) && !self.is_exponent_next() {
            return self.duration(start, whole, fraction);
        }
        if self.is_exponent_next() {
            self.offset += 2;
            self.take_while(|c| c.is_ascii_digit());
        } else if fraction.is_none() {
            return match whole.parse() {
                Ok(number) if number <= MAGNITUDE_MAX => Ok(Token::Int(number)),
                _ => Err(self.too_large(start, &format!("whole number ({})", i64::MAX))),
            };
        }
        if self.rest().starts_with(is_word) {
            return Err(self.bad_suffix(start, self.offset));
        }
        match self.text[start..self.offset].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Token::Float(number)),
            _ => Err(self.too_large(start, "number (about 1.8e308)")),
        }
    }

    /// Digits, and what follows a point if there is one.
    fn decimal(&mut self) -> (&'a str, Option<&'a str>) {
        let whole = self.take_while(|c| c.is_ascii_digit());
        let fraction = self
            .take(".")
            .then(|| self.take_while(|c| c.is_ascii_digit()));
        (whole, fraction)
    }

    fn is_exponent_next(&self) -> bool {
        let mut rest = self.rest().chars();
        matches!(rest.next(), Some('e' | 'E'))
            && match rest.next() {
                Some('+' | '-') => rest.next().is_some_and(|c| c.is_ascii_digit()),
                next => next.is_some_and(|c| c.is_ascii_digit()),
            }
    }

    /// The units and further parts of a duration, after its first number.
    fn duration(
        &mut self,
        start: usize,
        mut whole: &'a str,
        mut fraction: Option<&'a str>,
    ) -> Result<Token<'a>, Box<Fault>> {
        let mut total = Some(0_u128);
        loop {
            let suffix = self.offset;
            let letters = self.take_while(is_word_start);
            let Some((_, unit)) = UNITS.into_iter().find(|(name, _)| *name == letters) else {
                return Err(self.bad_suffix(start, suffix));
            };
            total = total
                .zip(nanoseconds(whole, fraction.unwrap_or(""), unit))
                .and_then(|(total, part)| total.checked_add(part));
            let rest = self.rest();
            if !rest
                .strip_prefix('.')
                .unwrap_or(rest)
                .starts_with(|c: char| c.is_ascii_digit())
            {
                break;
            }
            (whole, fraction) = self.decimal();
        }
        total
            .and_then(|total| u64::try_from(total).ok())
            .filter(|&total| total <= MAGNITUDE_MAX)
            .map(Token::Duration)
            .ok_or_else(|| self.too_large(start, "duration (about 292y)"))
    }

    fn too_large(&self, start: usize, greatest: &str) -> Box<Fault> {
        Fault::syntax(
            start..self.offset,
            format!("the number is larger than the greatest {greatest}"),
        )
    }

    /// Something hangs on the number that is no unit of time; `suffix` is where it begins.
    fn bad_suffix(&mut self, start: usize, suffix: usize) -> Box<Fault> {
        self.take_while(is_word);
        let letters = &self.text[suffix..self.offset];
        let number = &self.text[start..suffix];
        let fault = Fault::syntax(
            start..self.offset,
            match letters.chars().next() {
                Some(_) => format!("`{}` is no unit of time", crate::suggest::shorten(letters)),
                None => format!("the last part of the duration `{number}` has no unit"),
            },
        )
        .expecting(&["ns", "us", "ms", "s", "m", "h", "d", "w", "y"]);
        let lower = letters.to_lowercase();
        let hint = match lower.as_str() {
            "b" | "kb" | "mb" | "gb" | "tb" | "kib" | "mib" | "gib" | "tib" => {
                "there are no sizes: write the number of bytes".to_owned()
            }
            "μs" => "write µs with the micro sign U+00B5, or us".to_owned(),
            "sec" | "secs" | "second" | "seconds" => format!("write {number}s"),
            "min" | "mins" | "minute" | "minutes" => format!("write {number}m"),
            "hour" | "hours" | "hr" | "hrs" => format!("write {number}h"),
            "day" | "days" => format!("write {number}d"),
            "msec" | "millis" => format!("write {number}ms"),
            _ if number.starts_with('.') => {
                let name = crate::suggest::shorten(&self.text[start + 1..self.offset]);
                format!("a name that begins with a digit is quoted: .\"{name}\"")
            }
            _ if number == "0" && lower.starts_with(['x', 'b', 'o']) => {
                "numbers are decimal".to_owned()
            }
            _ if letters.starts_with('_') => "write the digits without `_`".to_owned(),
            _ if UNITS.iter().any(|(unit, _)| *unit == lower) => format!("write {number}{lower}"),
            _ => return fault,
        };
        fault.hint(hint)
    }
}

/// Exact below 18 digits after the point, cut off at a nanosecond; nothing when it is far too much.
fn nanoseconds(whole: &str, fraction: &str, unit: u128) -> Option<u128> {
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction = &fraction[..fraction.len().min(18)];
    let part: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_mul(unit)?.checked_add(part * unit / scale)
}

//! What is known of the terminal, and text that fits it.
//!
//! Names and messages come from whoever sends spans: control characters and the marks that turn the direction of
//! text never reach the terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The terminal that an answer is shown on.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Columns.
    pub width: usize,
    /// Whether it takes colours.
    pub colour: bool,
}

// Colours of the 256-colour palette that are readable on black and on white, red left out: it means an error.
const COLOURS: [u8; 14] = [33, 37, 64, 99, 130, 132, 136, 166, 169, 30, 61, 29, 97, 67];

impl Terminal {
    /// Text that stands back.
    pub(crate) fn dim(self, text: &str) -> String {
        self.styled("2", text)
    }

    /// Text that stands out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.styled("1", text)
    }

    /// Text that tells of an error.
    pub(crate) fn error(self, text: &str) -> String {
        self.styled("1;31", text)
    }

    /// Text that tells of a cold start.
    pub(crate) fn cold(self, text: &str) -> String {
        self.styled("36", text)
    }

    /// Text in the colour of a service, the same everywhere.
    pub(crate) fn service(self, service: &str, text: &str) -> String {
        // FNV-1a: a colour that stays, whatever the standard library hashes with.
        let hash = service.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let colour = COLOURS[hash as usize % COLOURS.len()];
        self.styled(&format!("38;5;{colour}"), text)
    }

    fn styled(self, style: &str, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        format!("\u{1b}[{style}m{text}\u{1b}[0m")
    }
}

/// The columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Text that cannot steer the terminal, on one line.
#[must_use]
pub fn clean(text: &str) -> String {
    let harmful = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|character| if harmful(character) { '·' } else { character })
        .collect()
}

/// The text cut to `columns`, with an ellipsis where something is missing.
#[must_use]
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        kept.push(character);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The text in exactly `columns`, cut or filled up on the right.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let mut text = cut(text, columns);
    let missing = columns.saturating_sub(width(&text));
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// The text in exactly `columns`, cut or filled up on the left.
pub(crate) fn fit_right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let missing = columns.saturating_sub(width(&text));
    format!("{}{text}", " ".repeat(missing))
}

/// A count with its noun.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

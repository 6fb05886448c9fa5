//! Where a page of a search ended: text that any later version of the process can read.
//!
//! Holds the last trace's start and id, and the time range of the first page, so that `now-1h` means the same on
//! every page; a fingerprint of the query keeps it from continuing another one.

use std::ops::Range;

use spanlight_model::TraceId;

use crate::error::QueryError;

/// Newest first: a larger key comes earlier.
pub(crate) type Key = (i64, TraceId);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last trace of the page; the next is smaller.
    pub(crate) after: Key,
    pub(crate) time_range: Range<i64>,
}

const VERSION: &str = "1";

impl Cursor {
    pub(crate) fn to_text(&self, query: &str) -> String {
        let (start, id) = self.after;
        format!(
            "{VERSION}_{start}_{id}_{}_{}_{:016x}",
            self.time_range.start,
            self.time_range.end,
            fingerprint(query)
        )
    }

    pub(crate) fn of_text(text: &str, query: &str) -> Result<Self, QueryError> {
        let parts: Vec<&str> = text.split('_').collect();
        let [VERSION, start, id, from, to, print] = parts[..] else {
            return Err(QueryError::Cursor);
        };
        if print != format!("{:016x}", fingerprint(query)) {
            return Err(QueryError::Cursor);
        }
        let number = |text: &str| text.parse::<i64>().map_err(|_| QueryError::Cursor);
        Ok(Self {
            after: (
                number(start)?,
                TraceId::parse(id).map_err(|_| QueryError::Cursor)?,
            ),
            time_range: number(from)?..number(to)?,
        })
    }
}

/// FNV-1a, which no version of a library changes.
fn fingerprint(query: &str) -> u64 {
    query.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_as_text_and_belongs_to_its_query() {
        let cursor = Cursor {
            after: (-5, TraceId([7; 16])),
            time_range: i64::MIN..i64::MAX,
        };
        let text = cursor.to_text("{ }");
        assert_eq!(Cursor::of_text(&text, "{ }").unwrap(), cursor);
        for (text, query) in [
            (text.as_str(), "{ true }"),
            ("", "{ }"),
            ("1_x", "{ }"),
            (&text.replacen('1', "2", 1), "{ }"),
            (&text.replace("07", "zz"), "{ }"),
        ] {
            assert!(matches!(
                Cursor::of_text(text, query),
                Err(QueryError::Cursor)
            ));
        }
    }
}

//! Whether lists have anything at some rows: told by the levels of one leaf, so that the others need not be read.

use std::ops::Range;

use parquet::errors::ParquetError;

use super::ColumnPages;
use super::encodings::{Validity, split_levels};

/// Whether a list has elements at any of these rows. The column is the first leaf of lists that are never null, nor are
/// their elements: of its levels one says whether a slot begins a row, the other whether there is an element.
pub(crate) fn any_elements(
    pages: &ColumnPages,
    chosen: &[Range<usize>],
) -> Result<bool, ParquetError> {
    let places = &pages.places;
    let mut chosen = chosen.iter().peekable();
    for number in 0..places.len() {
        let rows = places.rows(number);
        while chosen.next_if(|range| range.end <= rows.start).is_some() {}
        if chosen.peek().is_none_or(|range| range.start >= rows.end) {
            continue;
        }
        let page = pages.data(number)?;
        let (continued, bytes) = split_levels(&page.bytes, 0..page.slots)?;
        let (present, _) = split_levels(&bytes, 0..page.slots)?;
        let present = match present.validity {
            Validity::None => continue,
            Validity::All => return Ok(true),
            Validity::Some(present) => present,
        };
        let mut chosen = chosen.clone();
        let (mut counted, mut repeated) = (0, 0);
        for slot in present.set_indices() {
            if let Validity::Some(continued) = &continued.validity {
                let more = continued.slice(counted, slot + 1 - counted);
                repeated += more.count_set_bits();
                counted = slot + 1;
            }
            let row = rows.start + slot - repeated;
            while chosen.next_if(|range| range.end <= row).is_some() {}
            match chosen.peek() {
                Some(range) if range.contains(&row) => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }
    Ok(false)
}

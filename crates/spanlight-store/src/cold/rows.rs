//! A choice of the rows of a row group.

use std::ops::Range;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use parquet::arrow::arrow_reader::RowSelection;

/// Rows of a row group: those of a mask, or all.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    mask: Option<BooleanBuffer>,
    total: usize,
    count: usize,
    /// No row beyond is chosen: of few rows most pages are told by it.
    hull: Range<usize>,
}

impl Rows {
    pub(crate) fn all(total: usize) -> Self {
        Self {
            mask: None,
            total,
            count: total,
            hull: 0..total,
        }
    }

    pub(crate) fn none(total: usize) -> Self {
        Self::of_mask(BooleanBuffer::new_unset(total))
    }

    pub(crate) fn of_mask(mask: BooleanBuffer) -> Self {
        let (total, count) = (mask.len(), mask.count_set_bits());
        Self {
            hull: hull(&mask),
            mask: (count < total).then_some(mask),
            total,
            count,
        }
    }

    /// The rows of some ranges.
    pub(crate) fn of_ranges(total: usize, ranges: &[Range<usize>]) -> Self {
        let mut mask = BooleanBufferBuilder::new(total);
        mask.append_n(total, false);
        for row in ranges.iter().cloned().flatten() {
            mask.set_bit(row, true);
        }
        Self::of_mask(mask.finish())
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_all(&self) -> bool {
        self.mask.is_none()
    }

    /// Whether any row of this range is chosen.
    pub(crate) fn any_within(&self, from: usize, to: usize) -> bool {
        self.count_within(from, to) > 0
    }

    /// How many rows of this range are chosen.
    pub(crate) fn count_within(&self, from: usize, to: usize) -> usize {
        let from = from.max(self.hull.start);
        let length = to.min(self.hull.end).saturating_sub(from);
        match &self.mask {
            Some(mask) if length > 0 => mask.slice(from, length).count_set_bits(),
            _ => length,
        }
    }

    /// Of the rows chosen here those that pass: one bit for each of them, in their order.
    pub(crate) fn narrowed(&self, passed: &BooleanBuffer) -> Self {
        let Some(mask) = &self.mask else {
            return Self::of_mask(passed.clone());
        };
        let mut narrowed = BooleanBufferBuilder::new(self.total);
        narrowed.append_n(self.total, false);
        for (row, passes) in mask.set_indices().zip(passed.iter()) {
            if passes {
                narrowed.set_bit(row, true);
            }
        }
        Self::of_mask(narrowed.finish())
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        match (&self.mask, &other.mask) {
            (Some(mask), Some(others)) => Self::of_mask(mask | others),
            _ => Self::all(self.total),
        }
    }

    /// The rows chosen here and there.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        match (&self.mask, &other.mask) {
            (Some(mask), Some(others)) => Self::of_mask(mask & others),
            (None, _) => other.clone(),
            (_, None) => self.clone(),
        }
    }

    /// The rows chosen here and not there.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let Some(others) = &other.mask else {
            return Self::none(self.total);
        };
        let left = match &self.mask {
            Some(mask) => mask & &!others,
            None => !others,
        };
        Self::of_mask(left)
    }

    /// The chosen rows as stretches of neighbours.
    pub(crate) fn ranges(&self) -> Vec<Range<usize>> {
        match &self.mask {
            Some(mask) => mask.set_slices().map(|(from, to)| from..to).collect(),
            None if self.total == 0 => Vec::new(),
            None => std::iter::once(0..self.total).collect(),
        }
    }

    /// For the `parquet` crate; `None` for all rows.
    pub(crate) fn selection(&self) -> Option<RowSelection> {
        let mask = self.mask.as_ref()?;
        let ranges = mask.set_slices().map(|(from, to)| from..to);
        Some(RowSelection::from_consecutive_ranges(ranges, self.total))
    }
}

/// A range that has all rows of a mask, to the byte.
fn hull(mask: &BooleanBuffer) -> Range<usize> {
    if mask.offset() != 0 {
        return 0..mask.len();
    }
    let bytes = mask.values();
    let first = bytes.iter().position(|byte| *byte != 0);
    let last = bytes.iter().rposition(|byte| *byte != 0);
    match (first, last) {
        (Some(first), Some(last)) => 8 * first..mask.len().min(8 * last + 8),
        _ => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bits: &[bool]) -> Rows {
        Rows::of_mask(BooleanBuffer::from(bits))
    }

    fn bits(rows: &Rows) -> Vec<bool> {
        let mask = rows.mask.clone();
        mask.map_or_else(|| vec![true; rows.total], |mask| mask.iter().collect())
    }

    #[test]
    fn choices_narrow_and_join() {
        let some = rows(&[true, false, true, true]);
        assert_eq!((some.count(), some.is_all()), (3, false));
        let narrowed = some.narrowed(&BooleanBuffer::from(&[false, true, true][..]));
        assert_eq!(bits(&narrowed), [false, false, true, true]);
        assert_eq!(bits(&some.without(&narrowed)), [true, false, false, false]);
        assert_eq!(
            bits(&Rows::all(4).without(&some)),
            [false, true, false, false]
        );
        assert!(some.without(&Rows::all(4)).is_empty());
        let joined = narrowed.union(&rows(&[true, true, false, false]));
        assert!(joined.is_all() && joined.selection().is_none());
        assert_eq!(
            bits(&some.intersection(&rows(&[true, true, true, false]))),
            [true, false, true, false]
        );
        assert_eq!(bits(&Rows::all(4).intersection(&some)), bits(&some));
        assert_eq!(bits(&some.intersection(&Rows::all(4))), bits(&some));
        let ranges = Rows::of_ranges(100, &[20..22, 40..41]);
        assert_eq!(ranges.ranges(), [20..22, 40..41]);
        let counts = [(0, 100), (0, 21), (21, 40), (41, 100)];
        let counts = counts.map(|(from, to)| ranges.count_within(from, to));
        assert_eq!(counts, [3, 1, 1, 0]);
        assert_eq!(Rows::none(100).count_within(0, 100), 0);
        assert!(some.any_within(1, 3) && !some.any_within(1, 2) && !some.any_within(4, 9));
    }
}

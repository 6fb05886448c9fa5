//! The least and greatest value of pages and chunks, in the bytes that Parquet's statistics have.

use std::cmp::Ordering;

/// Longer texts are not kept whole.
const BYTES_MAX: usize = 64;

/// A value that bounds are taken of.
pub(super) trait Bounded: Copy + std::fmt::Debug {
    /// The order; `None` where there is none, which makes the whole page unordered.
    fn order(self, other: Self) -> Option<Ordering>;
    /// What a page's statistics have for a lower bound.
    fn lower(self) -> Vec<u8>;
    /// The same for an upper bound; `None` when there is no short one.
    fn upper(self) -> Option<Vec<u8>> {
        Some(self.lower())
    }
}

impl Bounded for i64 {
    fn order(self, other: Self) -> Option<Ordering> {
        Some(self.cmp(&other))
    }

    fn lower(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Bounded for i32 {
    fn order(self, other: Self) -> Option<Ordering> {
        Some(self.cmp(&other))
    }

    fn lower(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Bounded for f64 {
    fn order(self, other: Self) -> Option<Ordering> {
        self.partial_cmp(&other)
    }

    // Zeros are equal, whatever their sign: bounds include both.
    fn lower(self) -> Vec<u8> {
        let number = if self == 0.0 { -0.0 } else { self };
        number.to_le_bytes().to_vec()
    }

    fn upper(self) -> Option<Vec<u8>> {
        let number = if self == 0.0 { 0.0 } else { self };
        Some(number.to_le_bytes().to_vec())
    }
}

impl Bounded for bool {
    fn order(self, other: Self) -> Option<Ordering> {
        Some(self.cmp(&other))
    }

    fn lower(self) -> Vec<u8> {
        vec![u8::from(self)]
    }
}

impl Bounded for &[u8] {
    fn order(self, other: Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    fn lower(self) -> Vec<u8> {
        self.to_vec()
    }

    fn upper(self) -> Option<Vec<u8>> {
        (self.len() <= BYTES_MAX).then(|| self.to_vec())
    }
}

/// Bounds of the values so far.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bounds<T> {
    Nothing,
    Between(T, T),
    /// Not a number is among them.
    Unordered,
}

impl<T: Bounded> Bounds<T> {
    pub(super) fn include(&mut self, value: T) {
        *self = match *self {
            Self::Nothing if value.order(value).is_some() => Self::Between(value, value),
            Self::Between(min, max) => match (value.order(min), value.order(max)) {
                (Some(to_min), Some(to_max)) => Self::Between(
                    if to_min.is_lt() { value } else { min },
                    if to_max.is_gt() { value } else { max },
                ),
                _ => Self::Unordered,
            },
            Self::Nothing | Self::Unordered => Self::Unordered,
        };
    }

    /// The bounds of these and of others.
    pub(super) fn include_all(&mut self, others: Self) {
        match others {
            Self::Nothing => {}
            Self::Between(min, max) => {
                self.include(min);
                self.include(max);
            }
            Self::Unordered => *self = Self::Unordered,
        }
    }

    /// The bounds, if there are any.
    pub(super) fn pair(self) -> (Option<T>, Option<T>) {
        match self {
            Self::Between(min, max) => (Some(min), Some(max)),
            Self::Nothing | Self::Unordered => (None, None),
        }
    }

    /// In bytes; `None` when they are not to be had.
    pub(super) fn bytes(self) -> Option<(Vec<u8>, Vec<u8>)> {
        match self {
            Self::Between(min, max) => {
                min.upper()?;
                Some((min.lower(), max.upper()?))
            }
            Self::Nothing | Self::Unordered => None,
        }
    }
}

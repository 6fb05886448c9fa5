//! How many values are in each bucket, and what that says of a rank. The values are not here.

use std::ops::RangeInclusive;

/// Buckets that lie together: those of durations up to twice as long, of numbers up to four times as large.
const PAGE: usize = 32;
/// What stands for a page without values.
const NOWHERE: u16 = u16::MAX;
/// The part of all values beside a rank that is kept at least: those that come later may differ a little.
const MARGIN: f64 = 0.015;
/// How many standard deviations of what a sample says are kept.
const DEVIATIONS: f64 = 5.0;

/// How many values are in each bucket. Values of very different sizes are as usual as values alike: between zero and
/// one lie sixteen thousand buckets. So only pages that have values take room.
#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    /// The number of the first page.
    first: u32,
    /// Which of the pages in the list is that of this number, from the first on.
    places: Vec<u16>,
    /// Page after page, in the order in which they came.
    list: Vec<f64>,
}

impl Counts {
    /// The least room that counts take.
    pub(super) const BYTES_MIN: usize = PAGE * size_of::<f64>();

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn byte_size(&self) -> usize {
        self.places.capacity() * size_of::<u16>() + self.list.capacity() * size_of::<f64>()
    }

    pub(super) fn add(&mut self, bucket: u32, count: f64) {
        let page = bucket / PAGE as u32;
        let at = page.wrapping_sub(self.first) as usize;
        let place = match self.places.get(at) {
            Some(&place) if place != NOWHERE => place,
            _ => self.add_page(page),
        };
        self.list[usize::from(place) * PAGE + bucket as usize % PAGE] += count;
    }

    #[cold]
    fn add_page(&mut self, page: u32) -> u16 {
        if self.places.is_empty() {
            self.first = page;
        }
        if page < self.first {
            let missing = (self.first - page) as usize;
            let missing = std::iter::repeat_n(NOWHERE, missing);
            self.places.splice(0..0, missing);
            self.first = page;
        }
        let at = (page - self.first) as usize;
        if at >= self.places.len() {
            self.places.resize(at + 1, NOWHERE);
        }
        // Buckets are no more than 2¹⁶.
        let place = (self.list.len() / PAGE) as u16;
        self.list.resize(self.list.len() + PAGE, 0.0);
        self.places[at] = place;
        place
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let pages = (self.first..).zip(&self.places);
        let pages = pages.filter(|(_, place)| **place != NOWHERE);
        let counts = pages.flat_map(|(page, &place)| {
            let counts = &self.list[usize::from(place) * PAGE..][..PAGE];
            (page * PAGE as u32..).zip(counts.iter().copied())
        });
        counts.filter(|(_, count)| *count > 0.0)
    }

    fn all(&self) -> f64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// The bucket of a quantile, and how many values are left to reach it there.
    pub(super) fn find(&self, quantile: f64) -> Option<(u32, f64)> {
        reached(self.iter(), quantile * self.all())
    }

    /// The buckets that a quantile of more values like these is in.
    pub(super) fn near(&self, quantile: f64) -> Option<RangeInclusive<u32>> {
        let deviation = (quantile * (1.0 - quantile) / self.all()).sqrt();
        let margin = MARGIN.max(DEVIATIONS * deviation);
        let (from, _) = self.find((quantile - margin).max(0.0))?;
        let (to, _) = self.find((quantile + margin).min(1.0))?;
        // What is greater, or less, than everything so far may still come.
        let to = if quantile + margin >= 1.0 {
            u32::MAX
        } else {
            to
        };
        let from = if quantile - margin <= 0.0 { 0 } else { from };
        Some(from..=to)
    }
}

/// Greater keys are in the same bucket or in greater ones.
pub(super) fn bucket_of(key: u64, is_number: bool) -> u32 {
    /// Leading bits of a duration, behind the first, that tell buckets apart.
    const BITS: u32 = 5;
    if is_number {
        // Sign, exponent and four bits more.
        return (key >> 48) as u32;
    }
    match key.checked_ilog2() {
        Some(log) if log >= BITS => {
            let shift = log - BITS;
            (shift << BITS) + (key >> shift) as u32
        }
        _ => key as u32,
    }
}

/// Of pairs in order, the first with which so many are reached, and how many are left to reach before it.
pub(super) fn reached<T>(
    pairs: impl IntoIterator<Item = (T, f64)>,
    wanted: f64,
) -> Option<(T, f64)> {
    let (mut before, mut last) = (0.0, None);
    for (item, count) in pairs {
        let found = (item, wanted - before);
        before += count;
        if before >= wanted {
            return Some(found);
        }
        // Sums of fractions may fall short of the whole.
        last = Some(found);
    }
    last
}

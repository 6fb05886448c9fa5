//! The values of one attribute, and how many spans have each.

use spanlight_model::AnyValue;

use super::super::groups::Values;

/// Values of an attribute, at most.
const VALUES_MAX: usize = 10_000;

/// The values of an attribute that were met, and how many spans have each.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) values: Values,
    /// By value, side and interval.
    pub(super) counts: Vec<f64>,
    /// By side and interval: the spans that have any.
    pub(super) totals: Vec<f64>,
    /// The values are not kept any more.
    pub(super) has_too_many: bool,
}

impl Tally {
    pub(super) fn add(&mut self, code: u32, place: u32, weight: f64, places: usize) {
        self.totals.resize(places, 0.0);
        self.totals[place as usize] += weight;
        if self.has_too_many {
            return;
        }
        let at = code as usize * places + place as usize;
        if self.counts.len() <= at {
            self.counts.resize((code as usize + 1) * places, 0.0);
        }
        self.counts[at] += weight;
    }

    pub(super) fn give_up(&mut self) {
        self.has_too_many = true;
        self.values = Values::default();
        self.counts = Vec::new();
    }

    pub(super) fn bound(&mut self) {
        if self.values.len() > VALUES_MAX {
            self.give_up();
        }
    }

    pub(super) fn merge(&mut self, other: &Self, places: usize) {
        self.totals.resize(places, 0.0);
        for (all, one) in self.totals.iter_mut().zip(&other.totals) {
            *all += one;
        }
        if self.has_too_many || other.has_too_many {
            return self.give_up();
        }
        let values = other.values.list().iter();
        for (value, counts) in values.zip(other.counts.chunks(places)) {
            let at = self.values.number(value) as usize * places;
            let end = self.counts.len().max(at + places);
            self.counts.resize(end, 0.0);
            let all = self.counts[at..].iter_mut();
            all.zip(counts).for_each(|(all, one)| *all += one);
        }
        self.bound();
    }

    /// The values that the most spans of a side have, with their counts by interval; of equal ones always the same.
    pub(super) fn greatest(
        &self,
        side: usize,
        intervals: usize,
        top: usize,
    ) -> Vec<(Option<AnyValue>, Vec<f64>)> {
        let values = self.values.list().iter();
        let mut found: Vec<_> = values
            .zip(self.counts.chunks(2 * intervals))
            .filter_map(|(value, counts)| {
                let counts = &counts[side * intervals..][..intervals];
                let sum: f64 = counts.iter().sum();
                (sum > 0.0).then_some((sum, value, counts))
            })
            .collect();
        found.sort_by(|one, two| {
            let by_value = || format!("{:?}", one.1).cmp(&format!("{:?}", two.1));
            two.0.total_cmp(&one.0).then_with(by_value)
        });
        let found = found.into_iter().take(top);
        found
            .map(|(_, value, counts)| (value.to_any(), counts.to_vec()))
            .collect()
    }
}

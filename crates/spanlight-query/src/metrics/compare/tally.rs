//! The values of one attribute, and how many spans have each.

use rustc_hash::FxHashMap;
use spanlight_model::AnyValue;

use super::super::groups::{GroupValue, Values};
use super::chosen::Chosen;

/// Values of an attribute, at most.
const VALUES_MAX: usize = 10_000;

/// Not looked up yet.
const UNKNOWN: u32 = u32::MAX;

/// The values of an attribute that were met, and how many spans have each.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) values: Values,
    /// By value, side and interval.
    pub(super) counts: Vec<f64>,
    /// By side and interval: the spans whose values are not kept.
    rest: Vec<f64>,
    /// The values are not kept any more.
    pub(super) has_too_many: bool,
}

impl Tally {
    pub(super) fn add(&mut self, code: u32, place: u32, weight: f64, places: usize) {
        if self.has_too_many {
            self.rest[place as usize] += weight;
            return;
        }
        let at = code as usize * places + place as usize;
        if self.counts.len() <= at {
            self.counts.resize((code as usize + 1) * places, 0.0);
        }
        self.counts[at] += weight;
    }

    /// Adds a value, if it is one, and tells its code, if it is kept.
    pub(super) fn add_value(
        &mut self,
        value: impl FnOnce() -> Option<GroupValue>,
        place: u32,
        weight: f64,
        places: usize,
    ) -> Option<u32> {
        if self.has_too_many {
            self.rest[place as usize] += weight;
            return None;
        }
        let code = self.values.number(&value()?);
        self.add(code, place, weight, places);
        self.bound(places);
        (!self.has_too_many).then_some(code)
    }

    /// Adds the spans of all places; without a value where values are not kept.
    pub(super) fn add_sums(&mut self, value: Option<&GroupValue>, sums: &[f64], places: usize) {
        match value {
            Some(value) if !self.has_too_many => {
                let at = self.values.number(value) as usize * places;
                let end = self.counts.len().max(at + places);
                self.counts.resize(end, 0.0);
                add(&mut self.counts[at..], sums);
                self.bound(places);
            }
            _ => {
                self.rest.resize(places, 0.0);
                add(&mut self.rest, sums);
            }
        }
    }

    /// Adds all rows: each has this value, or one that is not kept.
    pub(super) fn add_all(&mut self, value: Option<&GroupValue>, chosen: &Chosen) {
        self.add_sums(value, &chosen.sums, chosen.places_in_all());
    }

    /// The same of the rows that have a value.
    pub(super) fn same(
        &mut self,
        value: Option<&GroupValue>,
        chosen: &Chosen,
        has: impl Fn(usize) -> bool,
    ) {
        let places = chosen.places_in_all();
        let mut sums = vec![0.0; places];
        let with_value = chosen.each().filter(|(row, ..)| has(*row));
        with_value.for_each(|(_, place, weight)| sums[place as usize] += weight);
        if sums.iter().any(|sum| *sum > 0.0) {
            self.add_sums(value, &sums, places);
        }
    }

    /// Adds the values of a dictionary of so many, each looked up once.
    pub(super) fn coded(
        &mut self,
        chosen: &Chosen,
        count: usize,
        code: impl Fn(usize) -> Option<usize>,
        value: impl Fn(usize) -> Option<GroupValue>,
    ) {
        let places = chosen.places_in_all();
        let mut known = vec![UNKNOWN; count];
        for (row, place, weight) in chosen.each() {
            let Some(index) = code(row) else { continue };
            match known[index] {
                UNKNOWN => {
                    let code = self.add_value(|| value(index), place, weight, places);
                    known[index] = code.unwrap_or(UNKNOWN);
                }
                code => self.add(code, place, weight, places),
            }
        }
    }

    /// Adds numbers, of which one is often that of the row before.
    pub(super) fn numbers(
        &mut self,
        chosen: &Chosen,
        number: impl Fn(usize) -> Option<i64>,
        value: impl Fn(i64) -> GroupValue,
    ) {
        let places = chosen.places_in_all();
        let mut known: FxHashMap<i64, u32> = FxHashMap::default();
        let mut last = None;
        for (row, place, weight) in chosen.each() {
            let Some(number) = number(row) else { continue };
            let code = match last {
                Some((it, code)) if it == number => Some(code),
                _ => known.get(&number).copied(),
            };
            let code = match code {
                Some(code) => {
                    self.add(code, place, weight, places);
                    Some(code)
                }
                None => {
                    let code = self.add_value(|| Some(value(number)), place, weight, places);
                    code.inspect(|code| _ = known.insert(number, *code))
                }
            };
            last = code.map(|code| (number, code));
        }
    }

    /// The values are not kept any more.
    pub(super) fn give_up(&mut self, places: usize) {
        self.rest = self.totals(places);
        self.has_too_many = true;
        self.values = Values::default();
        self.counts = Vec::new();
    }

    /// By side and interval: the spans that have any value.
    pub(super) fn totals(&self, places: usize) -> Vec<f64> {
        let mut totals = self.rest.clone();
        totals.resize(places, 0.0);
        for counts in self.counts.chunks(places) {
            add(&mut totals, counts);
        }
        totals
    }

    pub(super) fn bound(&mut self, places: usize) {
        if self.values.len() > VALUES_MAX {
            self.give_up(places);
        }
    }

    pub(super) fn merge(&mut self, other: &Self, places: usize) {
        if self.has_too_many || other.has_too_many {
            if !self.has_too_many {
                self.give_up(places);
            }
            return add(&mut self.rest, &other.totals(places));
        }
        let values = other.values.list().iter();
        for (value, counts) in values.zip(other.counts.chunks(places)) {
            self.add_sums(Some(value), counts, places);
        }
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

fn add(all: &mut [f64], more: &[f64]) {
    all.iter_mut().zip(more).for_each(|(all, one)| *all += one);
}

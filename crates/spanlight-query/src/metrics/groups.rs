//! Which cell of the answer a span falls into: its group, by the values of some fields, and its interval.
//!
//! A value of a dictionary is looked up once a batch; the rest is arithmetic on small numbers.

mod buckets;

use std::ops::Range;

use arrow_array::Array as _;
use rustc_hash::FxHashMap;
use spanlight_model::{AnyValue, AttributeType};
use spanlight_store::Steps;
use spanlight_traceql::ast::Intrinsic;

use super::plan::By;
use crate::predicate::{Accessor, Bound, Scalar, entry};
use buckets::buckets;

/// The cell of spans outside the time range.
pub(crate) const NO_CELL: u32 = u32::MAX;

/// Groups of several values that are told by a table of all that could be.
const DENSE_PAIRS: usize = 4 << 10;

/// Cells of one answer, at most, whatever the memory.
const CELLS_MAX: usize = 4 << 20;

/// The intervals of an answer, in unix nanoseconds. The first and the last may be cut by the time range.
#[derive(Debug, Clone)]
pub(crate) struct Intervals {
    time_range: Range<i64>,
    /// The start of the first interval: a multiple of the step.
    first: i64,
    step: i64,
    count: usize,
}

impl Intervals {
    /// Intervals that begin at multiples of the step from `origin` on; `None` when they are more than `max`.
    pub(crate) fn new(time_range: Range<i64>, step: i64, origin: i64, max: usize) -> Option<Self> {
        let (start, step_wide) = (i128::from(time_range.start), i128::from(step));
        let first = start - (start - i128::from(origin)).rem_euclid(step_wide);
        let length = (i128::from(time_range.end) - first).max(1);
        let count = (length + i128::from(step) - 1) / i128::from(step);
        Some(Self {
            // Intervals before the first time that there is have no start of their own.
            first: i64::try_from(first).unwrap_or(i64::MIN),
            step,
            count: usize::try_from(count).ok().filter(|&count| count <= max)?,
            time_range,
        })
    }

    /// The whole range as one interval.
    pub(crate) fn one(time_range: Range<i64>) -> Self {
        Self {
            first: time_range.start,
            step: time_range.end.saturating_sub(time_range.start).max(1),
            count: 1,
            time_range,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn time_range(&self) -> Range<i64> {
        self.time_range.clone()
    }

    /// What tells starts apart.
    pub(crate) fn steps(&self) -> Steps {
        Steps::new(self.time_range.clone(), self.first, self.step)
    }

    pub(crate) fn step_seconds(&self) -> f64 {
        self.step as f64 / 1e9
    }

    pub(crate) fn start_of(&self, interval: usize) -> i64 {
        let offset = self.step.saturating_mul(interval as i64);
        self.first.saturating_add(offset)
    }

    /// The interval of a start in the time range.
    pub(crate) fn interval_of(&self, start: i64) -> usize {
        (start.saturating_sub(self.first) / self.step) as usize
    }

    /// Those of the rows that start in the time range.
    pub(crate) fn within(&self, starts: &[i64]) -> Vec<u32> {
        let rows = 0..starts.len() as u32;
        let range = &self.time_range;
        if starts.iter().all(|start| range.contains(start)) {
            return rows.collect();
        }
        rows.filter(|&row| range.contains(&starts[row as usize]))
            .collect()
    }
}

/// A value that tells groups apart. Values of different types differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum GroupValue {
    Nil,
    Bool(bool),
    Int(i64),
    /// Bits.
    Float(u64),
    Text(Box<str>),
    /// What is shown as text, but is none; in its debug form.
    Other(Box<str>, Box<str>),
}

impl GroupValue {
    pub(crate) fn of(value: &Scalar<'_>) -> Self {
        match value {
            Scalar::Nil => Self::Nil,
            Scalar::Bool(truth) => Self::Bool(*truth),
            Scalar::Int(number) => Self::Int(*number),
            Scalar::Float(number) => Self::Float(number.to_bits()),
            Scalar::Text(text) => Self::Text(text.as_ref().into()),
            other => {
                let shown = match other.to_any() {
                    Some(AnyValue::String(text)) => text,
                    Some(value) => value.to_json(),
                    None => String::new(),
                };
                Self::Other(format!("{other:?}").into(), shown.into())
            }
        }
    }

    /// As answers show it; `None` where the spans have none.
    pub(crate) fn to_any(&self) -> Option<AnyValue> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(truth) => AnyValue::Bool(*truth),
            Self::Int(number) => AnyValue::Int(*number),
            Self::Float(bits) => AnyValue::Double(f64::from_bits(*bits)),
            Self::Text(text) | Self::Other(_, text) => AnyValue::String(text.to_string()),
        })
    }

    fn byte_size(&self) -> usize {
        size_of::<Self>() * 3
            + match self {
                Self::Text(text) => text.len() * 2,
                Self::Other(one, two) => (one.len() + two.len()) * 2,
                _ => 0,
            }
    }
}

/// The distinct values of a field, numbered.
#[derive(Debug, Default)]
pub(crate) struct Values {
    codes: FxHashMap<GroupValue, u32>,
    list: Vec<GroupValue>,
}

impl Values {
    fn code(&mut self, value: &Scalar<'_>) -> u32 {
        self.number(&GroupValue::of(value))
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// By their numbers.
    pub(crate) fn list(&self) -> &[GroupValue] {
        &self.list
    }

    pub(crate) fn byte_size(&self) -> usize {
        self.list.iter().map(GroupValue::byte_size).sum()
    }

    pub(crate) fn number(&mut self, value: &GroupValue) -> u32 {
        match self.codes.get(value) {
            Some(&code) => code,
            None => {
                let code = self.list.len() as u32;
                self.list.push(value.clone());
                self.codes.insert(value.clone(), code);
                code
            }
        }
    }
}

/// The groups that one worker has met.
#[derive(Debug)]
pub(crate) struct Groups {
    /// Whose values, and whether they are dealt to buckets.
    slots: Vec<(usize, bool)>,
    values: Vec<Values>,
    /// By the codes of the values.
    known: FxHashMap<Box<[u32]>, u32>,
    groups: Vec<Box<[u32]>>,
    intervals: Intervals,
    /// More groups than an answer may have cells for.
    pub(crate) overflow: bool,
}

impl Groups {
    pub(crate) fn new(by: &[By], intervals: Intervals) -> Self {
        let mut groups = Self {
            slots: by.iter().map(|by| (by.slot, by.is_bucket)).collect(),
            values: by.iter().map(|_| Values::default()).collect(),
            known: FxHashMap::default(),
            groups: Vec::new(),
            intervals,
            overflow: false,
        };
        if by.is_empty() {
            groups.group(&[]);
        }
        groups
    }

    /// With these groups, numbered in their order.
    pub(crate) fn of(by: &[By], intervals: Intervals, labels: &[Vec<GroupValue>]) -> Self {
        let mut groups = Self::new(by, intervals);
        for labels in labels {
            let codes = labels.iter().zip(&mut groups.values);
            let codes: Vec<u32> = codes.map(|(value, values)| values.number(value)).collect();
            groups.group(&codes);
        }
        groups
    }

    pub(crate) fn intervals(&self) -> &Intervals {
        &self.intervals
    }

    /// Cells of the groups so far.
    pub(crate) fn cell_count(&self) -> usize {
        self.groups.len() * self.intervals.count
    }

    /// The values of each group.
    pub(crate) fn labels(&self) -> impl Iterator<Item = Vec<GroupValue>> + '_ {
        self.groups.iter().map(|codes| {
            let values = codes.iter().zip(&self.values);
            let values = values.map(|(&code, values)| values.list[code as usize].clone());
            values.collect()
        })
    }

    pub(crate) fn byte_size(&self) -> usize {
        let values: usize = self.values.iter().map(Values::byte_size).sum();
        values + self.groups.len() * (64 + 8 * self.slots.len())
    }

    /// The cells of these rows of a batch.
    pub(crate) fn cells(&mut self, bound: &Bound<'_>, rows: &[u32]) -> Vec<u32> {
        let mut groups = self.groups_of(bound, rows);
        let starts = bound.columns.start_times.values();
        let Intervals {
            time_range,
            first,
            step,
            count,
        } = self.intervals.clone();
        if count == 1 {
            for (group, &row) in groups.iter_mut().zip(rows) {
                if *group != NO_CELL && !time_range.contains(&starts[row as usize]) {
                    *group = NO_CELL;
                }
            }
            return groups;
        }
        // Rows come nearly by time, so the interval of the last one is usually that of the next.
        let (mut known, mut interval) = (0..0_i64, 0);
        for (cell, &row) in groups.iter_mut().zip(rows) {
            let start = starts[row as usize];
            if !known.contains(&start) {
                if !time_range.contains(&start) {
                    *cell = NO_CELL;
                    continue;
                }
                interval = (start.saturating_sub(first) / step) as u32;
                let from = first.saturating_add(i64::from(interval).saturating_mul(step));
                known = from.max(time_range.start)..from.saturating_add(step).min(time_range.end);
            }
            if *cell != NO_CELL {
                *cell = *cell * count as u32 + interval;
            }
        }
        groups
    }

    fn groups_of(&mut self, bound: &Bound<'_>, rows: &[u32]) -> Vec<u32> {
        let slots = self.slots.clone();
        let mut codes = slots
            .iter()
            .zip(&mut self.values)
            .map(|(&(slot, is_bucket), values)| match is_bucket {
                true => buckets(values, bound, slot, rows),
                false => codes(values, bound, slot, rows),
            })
            .collect::<Vec<_>>();
        match codes.len() {
            0 => vec![0; rows.len()],
            1 => {
                let mut of_code: Vec<u32> = vec![NO_CELL; self.values[0].list.len()];
                let mut codes = codes.swap_remove(0);
                for code in codes.iter_mut().filter(|code| **code != UNKNOWN) {
                    let group = &mut of_code[*code as usize];
                    if *group == NO_CELL {
                        *group = self.group(&[*code]);
                    }
                    *code = *group;
                }
                codes
            }
            _ if self.pairs() <= DENSE_PAIRS => {
                // Of few values each, a table of all pairs is faster than looking up what comes.
                let mut of_pair: Vec<u32> = vec![NO_CELL; self.pairs()];
                let widths: Vec<usize> = self.values.iter().map(Values::len).collect();
                (0..rows.len())
                    .map(|at| {
                        if codes.iter().any(|codes| codes[at] == UNKNOWN) {
                            return NO_CELL;
                        }
                        let both = codes.iter().zip(&widths);
                        let pair =
                            both.fold(0, |pair, (codes, width)| pair * width + codes[at] as usize);
                        if of_pair[pair] == NO_CELL {
                            let codes: Vec<u32> = codes.iter().map(|codes| codes[at]).collect();
                            of_pair[pair] = self.group(&codes);
                        }
                        of_pair[pair]
                    })
                    .collect()
            }
            _ => {
                let (mut last, mut last_group) = (Vec::new(), NO_CELL);
                let mut now = Vec::with_capacity(codes.len());
                (0..rows.len())
                    .map(|at| {
                        now.clear();
                        now.extend(codes.iter().map(|codes| codes[at]));
                        if now != last {
                            last_group = match now.contains(&UNKNOWN) {
                                true => NO_CELL,
                                false => self.group(&now),
                            };
                            last.clone_from(&now);
                        }
                        last_group
                    })
                    .collect()
            }
        }
    }

    /// How many groups the values could make.
    fn pairs(&self) -> usize {
        let widths = self.values.iter().map(Values::len);
        widths.fold(1, usize::saturating_mul)
    }

    fn group(&mut self, codes: &[u32]) -> u32 {
        if let Some(&group) = self.known.get(codes) {
            return group;
        }
        if (self.groups.len() + 1) * self.intervals.count > CELLS_MAX {
            self.overflow = true;
            return NO_CELL;
        }
        let group = self.groups.len() as u32;
        self.groups.push(codes.into());
        self.known.insert(codes.into(), group);
        group
    }
}

/// Not known yet; or no value that makes a group, for which no cell is known. The same number as [`NO_CELL`].
const UNKNOWN: u32 = NO_CELL;

/// The number of each row's value.
pub(crate) fn codes(values: &mut Values, bound: &Bound<'_>, slot: usize, rows: &[u32]) -> Vec<u32> {
    let columns = &bound.columns;
    // Values of a dictionary, or of few states: the memo is by their index.
    match bound.accessor(slot) {
        Accessor::Resource(of_resource) => {
            let resources = columns.resources.values();
            let index = |row: usize| resources[row] as usize;
            by_index(values, bound, slot, rows, of_resource.len(), index)
        }
        Accessor::Scope(of_scope) => {
            let scopes = columns.scopes.values();
            let index = |row: usize| scopes[row] as usize;
            by_index(values, bound, slot, rows, of_scope.len(), index)
        }
        Accessor::Intrinsic(Intrinsic::Name) => {
            let names = columns.names.values();
            let index = |row: usize| names[row] as usize;
            by_index(values, bound, slot, rows, columns.name_values.len(), index)
        }
        Accessor::Intrinsic(Intrinsic::Kind) => {
            let kinds = columns.kinds.values();
            let index = |row: usize| usize::from(kinds[row] as u8);
            by_index(values, bound, slot, rows, 256, index)
        }
        Accessor::Intrinsic(Intrinsic::Status) => {
            let codes = columns.status_codes.values();
            let index = |row: usize| usize::from(codes[row] as u8);
            by_index(values, bound, slot, rows, 256, index)
        }
        Accessor::Span(keys) => of_attribute(values, bound, keys, rows),
        _ => rows
            .iter()
            .map(|&row| values.code(&bound.first_value(slot, row as usize)))
            .collect(),
    }
}

fn by_index(
    values: &mut Values,
    bound: &Bound<'_>,
    slot: usize,
    rows: &[u32],
    len: usize,
    index: impl Fn(usize) -> usize,
) -> Vec<u32> {
    let mut memo = vec![UNKNOWN; len];
    let code = |&row: &u32| {
        let code = &mut memo[index(row as usize)];
        if *code == UNKNOWN {
            *code = values.code(&bound.first_value(slot, row as usize));
        }
        *code
    };
    rows.iter().map(code).collect()
}

fn of_attribute(values: &mut Values, bound: &Bound<'_>, keys: &[i32], rows: &[u32]) -> Vec<u32> {
    let attributes = &bound.columns.attributes;
    let mut memo = vec![UNKNOWN; attributes.texts().len()];
    let mut nil = UNKNOWN;
    let mut code = |row: usize| {
        let Some(entry) = entry(attributes, keys, row) else {
            if nil == UNKNOWN {
                nil = values.code(&Scalar::Nil);
            }
            return nil;
        };
        let value = || Scalar::of_attribute(attributes.value(entry));
        if attributes.types()[entry] != AttributeType::String as i8 {
            return values.code(&value());
        }
        let known = &mut memo[attributes.text_indices()[entry] as usize];
        if *known == UNKNOWN {
            *known = values.code(&value());
        }
        *known
    };
    rows.iter().map(|&row| code(row as usize)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_begin_at_multiples_of_the_step_and_cover_the_range() {
        let intervals = Intervals::new(-5..25, 10, 0, 100).unwrap();
        let starts: Vec<i64> = (0..intervals.count())
            .map(|interval| intervals.start_of(interval))
            .collect();
        assert_eq!(starts, [-10, 0, 10, 20]);
        assert_eq!(intervals.within(&[-6, -5, 24, 25]), [1, 2]);
        assert_eq!(Intervals::new(0..20, 10, 0, 100).unwrap().count(), 2);
        assert_eq!(Intervals::new(3..3, 10, 0, 100).unwrap().count(), 1);
        assert!(Intervals::new(0..1_001, 10, 0, 100).is_none());
        let all = Intervals::new(i64::MIN..i64::MAX, i64::MAX, 0, 100).unwrap();
        assert_eq!(all.count(), 3);
        let ends_count = Intervals::new(1..21, 10, 1, 100).unwrap();
        assert_eq!((ends_count.count(), ends_count.start_of(1)), (2, 11));
        let one = Intervals::one(3..24);
        assert_eq!((one.count(), one.start_of(0), one.step), (1, 3, 21));
    }
}

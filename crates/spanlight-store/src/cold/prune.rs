//! Leaving out row groups without reading their rows: by times, bounds, null counts, Bloom filters and small
//! dictionaries. What is left out here certainly has no span that is asked for.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use parquet::basic::Type;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use serde_json::Value as Json;
use spanlight_model::{AnyValue, TraceId, Value};

use super::condition::{ColumnTest, Condition, TailLanes, TestKind, ValueTest};
use super::dictionary;
use super::fetch::Fetch;
use super::footer::Footer;
use super::schema as table;
use super::tail_filter;
use crate::hot::TimeBounds;
use crate::scan::{Literal, Predicate, SkipReason};

/// Bounds of end minus start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Durations {
    min: i64,
    max: i64,
}

impl Durations {
    const ANY: Self = Self {
        min: i64::MIN,
        max: i64::MAX,
    };

    pub(crate) fn are_within(self, min: i64, max: i64) -> bool {
        self.min > min && self.max < max
    }
}

/// Between which times the spans of a row group lie.
pub(crate) fn times(
    group: &RowGroupMetaData,
    leaves: &HashMap<String, (usize, usize)>,
) -> (TimeBounds, Durations) {
    let ints = |name: &str| {
        let (leaf, _) = leaves.get(name)?;
        match group.column(*leaf).statistics()? {
            Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
            _ => None,
        }
    };
    let old = (
        ints(table::START_TIME_UNIX_NANO),
        ints(table::END_TIME_UNIX_NANO),
    );
    if let (Some(starts), Some(ends)) = old {
        let times = TimeBounds {
            start_min: starts.0.min(ends.0),
            start_max: starts.1,
            end_max: starts.1.max(ends.1),
        };
        return (times, Durations::ANY);
    }
    let (Some(starts), Some(durations)) = (ints(table::START_TIME), ints(table::DURATION_NANO))
    else {
        return (TimeBounds::ANY, Durations::ANY);
    };
    let durations = Durations {
        min: durations.0,
        max: durations.1,
    };
    (within(starts.0, starts.1, durations), durations)
}

/// Bounds of what starts at these whole microseconds; the nanoseconds beside them are fewer than a thousand.
pub(crate) fn within(micros_min: i64, micros_max: i64, durations: Durations) -> TimeBounds {
    let first = micros_min.saturating_mul(1_000);
    let last = micros_max.saturating_mul(1_000).saturating_add(999);
    TimeBounds {
        start_min: first.saturating_add(durations.min.min(0)),
        start_max: last,
        end_max: last.saturating_add(durations.max.max(0)),
    }
}

/// A page of starts: its first row, and between which whole microseconds its starts lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartPage {
    pub(crate) row: usize,
    pub(crate) micros: Option<(i64, i64)>,
}

impl StartPage {
    /// No start is earlier, and none later; in nanoseconds.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let (min, max) = self.micros?;
        let last = max.saturating_mul(1_000).saturating_add(999);
        Some((min.saturating_mul(1_000), last))
    }
}

/// Why no row of the group can pass, judged by the footer alone; `None` when some may.
pub(crate) fn by_statistics(condition: &Condition, group: &RowGroupMetaData) -> Option<SkipReason> {
    judge(condition, &mut |test| Ok(test_statistics(test, group))).unwrap_or(None)
}

/// Why no row of the group can pass, judged by what else is known of its columns.
///
/// # Errors
/// When that cannot be read.
pub(crate) fn by_index(
    condition: &Condition,
    footer: &Footer,
    fetch: &Fetch,
    group: usize,
) -> Result<Option<SkipReason>, ParquetError> {
    judge(condition, &mut |test| {
        test_index(test, footer, fetch, group)
    })
}

type Verdict = Result<Option<SkipReason>, ParquetError>;

fn judge(condition: &Condition, test: &mut dyn FnMut(&ColumnTest) -> Verdict) -> Verdict {
    match condition {
        Condition::Test(column) => test(column),
        Condition::All(conditions) => {
            for condition in conditions {
                if let Some(reason) = judge(condition, test)? {
                    return Ok(Some(reason));
                }
            }
            Ok(None)
        }
        Condition::Any(conditions) => {
            let mut reason = SkipReason::KeyAbsent;
            for condition in conditions {
                match judge(condition, test)? {
                    None => return Ok(None),
                    // Of several, the one that took most to find out.
                    Some(found) => reason = if found > reason { found } else { reason },
                }
            }
            Ok(Some(reason))
        }
    }
}

fn test_statistics(test: &ColumnTest, group: &RowGroupMetaData) -> Option<SkipReason> {
    let column = group.column(test.leaf);
    let statistics = column.statistics();
    let may_pass = match &test.kind {
        TestKind::Traces(ids) => {
            let bounds = statistics
                .map(|statistics| (statistics.min_bytes_opt(), statistics.max_bytes_opt()));
            let (min, max) = bounds.unwrap_or_default();
            ids_within(ids, min, max).next().is_some()
        }
        TestKind::Value(value) => {
            if value.null_passes && statistics.is_none_or(|it| it.null_count_opt() != Some(0)) {
                return None;
            }
            if dictionary::is_empty(column) {
                return Some(SkipReason::KeyAbsent);
            }
            statistics.is_none_or(|statistics| may_pass(value, statistics))
        }
        TestKind::Tail { key, .. } => {
            // A list without entries counts as a null.
            if dictionary::is_empty(column) {
                return Some(SkipReason::KeyAbsent);
            }
            let bounds = statistics.and_then(|statistics| {
                Some((statistics.min_bytes_opt()?, statistics.max_bytes_opt()?))
            });
            let key = key.as_bytes();
            return match bounds {
                Some((min, max)) if key < min || key > max => Some(SkipReason::KeyAbsent),
                _ => None,
            };
        }
        TestKind::Resource { .. } => true,
    };
    (!may_pass).then_some(SkipReason::Statistics)
}

/// Whether a value between the bounds may pass. Bounds of long texts are cut, so that they enclose more.
fn may_pass(test: &ValueTest, statistics: &Statistics) -> bool {
    let predicate = &test.predicate;
    match statistics {
        Statistics::Int64(bounds) => match (bounds.min_opt(), bounds.max_opt()) {
            (Some(&min), Some(&max)) if test.clamped => {
                predicate.may_pass_ints(min.max(0), max.max(0))
            }
            (Some(&min), Some(&max)) => predicate.may_pass_ints(min, max),
            _ => true,
        },
        Statistics::Double(bounds) => match (bounds.min_opt(), bounds.max_opt()) {
            (Some(&min), Some(&max)) => predicate.may_pass_doubles(min, max),
            _ => true,
        },
        Statistics::Boolean(bounds) => match (bounds.min_opt(), bounds.max_opt()) {
            (Some(&min), Some(&max)) => predicate.passes_bool(min) || predicate.passes_bool(max),
            _ => true,
        },
        Statistics::ByteArray(bounds) => match (bounds.min_bytes_opt(), bounds.max_bytes_opt()) {
            (Some(min), Some(max)) => predicate.may_pass_texts(min, max),
            _ => true,
        },
        Statistics::Int32(_)
        | Statistics::Int96(_)
        | Statistics::Float(_)
        | Statistics::FixedLenByteArray(_) => true,
    }
}

fn test_index(test: &ColumnTest, footer: &Footer, fetch: &Fetch, group: usize) -> Verdict {
    let bloom = || footer.bloom(fetch, group, test.leaf);
    let dictionary = || footer.small_dictionary(fetch, group, test.leaf);
    match &test.kind {
        // Who asks for traces has asked the index of the file, which knows better.
        TestKind::Traces(_) if footer.traces().is_some() => Ok(None),
        TestKind::Traces(ids) => {
            let found = bloom()?.is_none_or(|bloom| ids.iter().any(|id| bloom.check(&id.0[..])));
            Ok((!found).then_some(SkipReason::Bloom))
        }
        TestKind::Value(value) if value.null_passes => Ok(None),
        TestKind::Value(value) => {
            if let Some(values) = dictionary()? {
                let mut values = values.iter().flatten();
                let found = values.any(|text| value.predicate.passes_text(text));
                return Ok((!found).then_some(SkipReason::Dictionary));
            }
            let Some(literals) = value.predicate.literals() else {
                return Ok(None);
            };
            let column = footer.metadata.row_group(group).column(test.leaf);
            let is_text = column.column_type() == Type::BYTE_ARRAY;
            if !is_text {
                return Ok(None);
            }
            let found = bloom()?.is_none_or(|bloom| may_have_any(&bloom, literals));
            Ok((!found).then_some(SkipReason::Bloom))
        }
        TestKind::Tail {
            key,
            predicate,
            lanes,
        } => {
            let keys = dictionary()?;
            if keys.is_some_and(|keys| !keys.iter().flatten().any(|known| known == &**key)) {
                return Ok(Some(SkipReason::KeyAbsent));
            }
            if let Some(bloom) = bloom()? {
                if !bloom.check(&**key) {
                    return Ok(Some(SkipReason::KeyAbsent));
                }
                // Of arrays the filter has only the key.
                let arrays = footer.metadata.row_group(group).column(lanes.jsons);
                if dictionary::is_empty(arrays)
                    && let Some(literals) = predicate.literals()
                    && !literals
                        .iter()
                        .any(|literal| has_pair(&bloom, key, literal))
                {
                    return Ok(Some(SkipReason::Bloom));
                }
            }
            tail_may_pass(*lanes, predicate, footer, fetch, group)
        }
        TestKind::Resource { key, predicate } => {
            let values = dictionary()?;
            let found = values.is_none_or(|resources| {
                let mut resources = resources.iter().flatten();
                resources.any(|json| resource_may_pass(json, key, predicate))
            });
            Ok((!found).then_some(SkipReason::Dictionary))
        }
    }
}

/// Whether a filter of the tail may have a value that equals this one, of whichever type.
fn has_pair(bloom: &Sbbf, key: &str, literal: &Literal) -> bool {
    let has = |value: Value<'_>| {
        tail_filter::pair(key, &value).is_none_or(|pair| bloom.check(pair.as_slice()))
    };
    // The two zeros are equal.
    let has_double =
        |number: f64| has(Value::Double(number)) || (number == 0.0 && has(Value::Double(-number)));
    match literal {
        Literal::String(text) => has(Value::String(text)),
        Literal::Bool(truth) => has(Value::Bool(*truth)),
        Literal::Int(number) => has(Value::Int(*number)) || has_double(*number as f64),
        Literal::Double(number) => has_double(*number) || has(Value::Int(*number as i64)),
    }
}

/// Whether any value in the lists may pass, of whatever key.
fn tail_may_pass(
    lanes: TailLanes,
    predicate: &Predicate,
    footer: &Footer,
    fetch: &Fetch,
    group: usize,
) -> Verdict {
    let metadata = footer.metadata.row_group(group);
    let has_values = |leaf: usize| !dictionary::is_empty(metadata.column(leaf));
    let by_bounds = |leaf: usize| {
        let test = ValueTest {
            predicate: predicate.clone(),
            null_passes: false,
            clamped: false,
        };
        let statistics = metadata.column(leaf).statistics();
        has_values(leaf) && statistics.is_none_or(|statistics| may_pass(&test, statistics))
    };
    let numbers = [lanes.ints, lanes.doubles, lanes.bools];
    if matches!(predicate, Predicate::Exists)
        || has_values(lanes.jsons)
        || numbers.into_iter().any(by_bounds)
    {
        return Ok(None);
    }
    if !by_bounds(lanes.strings) {
        return Ok(Some(SkipReason::Statistics));
    }
    if let Some(texts) = footer.small_dictionary(fetch, group, lanes.strings)? {
        let found = texts
            .iter()
            .flatten()
            .any(|text| predicate.passes_text(text));
        return Ok((!found).then_some(SkipReason::Dictionary));
    }
    let (Some(literals), Some(bloom)) = (
        predicate.literals(),
        footer.bloom(fetch, group, lanes.strings)?,
    ) else {
        return Ok(None);
    };
    Ok((!may_have_any(&bloom, literals)).then_some(SkipReason::Bloom))
}

fn may_have_any(bloom: &Sbbf, literals: &[Literal]) -> bool {
    literals.iter().any(|literal| match literal {
        Literal::String(text) => bloom.check(&**text),
        Literal::Int(_) | Literal::Double(_) | Literal::Bool(_) => false,
    })
}

/// Whether the resource of this JSON may have an attribute that passes.
pub(crate) fn resource_may_pass(json: &str, key: &str, predicate: &Predicate) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if key.bytes().all(is_plain) && !json.contains(key) {
        return false;
    }
    let Ok(resource) = serde_json::from_str::<Json>(json) else {
        // Damage is told by those who read the resource.
        return true;
    };
    let entries = resource["attributes"].as_array();
    let mut entries = entries.into_iter().flatten();
    entries.any(|entry| {
        let value = || AnyValue::from_json(&entry["value"].to_string());
        entry["key"] == key && value().is_ok_and(|value| value_may_pass(&value, predicate))
    })
}

/// Whether an attribute's value may pass; of an array it is not asked which.
fn value_may_pass(value: &AnyValue, predicate: &Predicate) -> bool {
    use AnyValue as V;
    match value {
        V::String(text) => predicate.passes_text(text),
        V::Int(number) => predicate.passes_int(*number),
        V::Double(number) => predicate.passes_double(*number),
        V::Bool(truth) => predicate.passes_bool(*truth),
        V::Array(_) => true,
        V::Empty | V::Bytes(_) | V::KeyValueList(_) => matches!(predicate, Predicate::Exists),
    }
}

/// The ids between two bounds, which are included; a bound that is not known excludes nothing.
fn ids_within<'a>(
    ids: &'a BTreeSet<TraceId>,
    min: Option<&[u8]>,
    max: Option<&[u8]>,
) -> impl Iterator<Item = &'a TraceId> {
    let exact = |bound: &[u8]| <[u8; 16]>::try_from(bound).ok().map(TraceId);
    let min = min
        .and_then(exact)
        .map_or(Bound::Unbounded, Bound::Included);
    let max = max
        .and_then(exact)
        .map_or(Bound::Unbounded, Bound::Included);
    let is_empty = matches!((min, max), (Bound::Included(min), Bound::Included(max)) if min > max);
    let range = (!is_empty).then(|| ids.range((min, max)));
    range.into_iter().flatten()
}

//! Which rows of a row group pass a condition: each test reads its one column, the cheapest first, and only for rows
//! that are still chosen. A text is tested once for each distinct value.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, StringArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use arrow_schema::DataType;
use parquet::errors::ParquetError;
use spanlight_model::TraceId;

use super::condition::{ColumnTest, Condition, TestKind, ValueTest};
use super::dictionary;
use super::group::GroupReader;
use super::pages::Distinct;
use super::prune::{self, resource_may_pass};
use super::rows::Rows;
use super::tail;
use crate::scan::{Literal, Predicate, SkipReason};

/// So many traces are looked up one by one: of more, reading all of their rows' codes costs no more.
const FEW_TRACES: usize = 16;

/// The rows that pass, of those chosen; and why there are none.
pub(crate) fn select(
    group: &GroupReader<'_>,
    condition: &Condition,
    rows: &Rows,
) -> Result<(Rows, SkipReason), ParquetError> {
    let mut selector = Selector {
        group,
        reason: SkipReason::NoRows,
    };
    let rows = selector.narrow(condition, rows)?;
    Ok((rows, selector.reason))
}

struct Selector<'a, 'g> {
    group: &'a GroupReader<'g>,
    reason: SkipReason,
}

impl Selector<'_, '_> {
    fn narrow(&mut self, condition: &Condition, rows: &Rows) -> Result<Rows, ParquetError> {
        match condition {
            Condition::Test(test) => self.test(test, rows),
            Condition::All(conditions) => {
                let mut conditions: Vec<_> = conditions.iter().collect();
                conditions.sort_by_cached_key(|condition| self.cost(condition));
                let mut rows = rows.clone();
                for condition in conditions {
                    if rows.is_empty() {
                        break;
                    }
                    rows = self.narrow(condition, &rows)?;
                }
                Ok(rows)
            }
            Condition::Any(conditions) => {
                let total = self.group.spans();
                let mut found = Rows::none(total);
                for condition in conditions {
                    let left = rows.without(&found);
                    if left.is_empty() {
                        break;
                    }
                    if !self.is_excluded(condition)? {
                        found = found.union(&self.narrow(condition, &left)?);
                    }
                }
                Ok(found)
            }
        }
    }

    /// Whether the condition fails on the whole row group.
    fn is_excluded(&self, condition: &Condition) -> Result<bool, ParquetError> {
        let group = self.group;
        let metadata = group.footer.metadata.row_group(group.number);
        Ok(prune::by_statistics(condition, metadata).is_some()
            || prune::by_index(condition, group.footer, &group.fetch, group.number)?.is_some())
    }

    /// Bytes to read; what names its values is likely to leave fewer rows to the others.
    fn cost(&self, condition: &Condition) -> u64 {
        match condition {
            Condition::All(conditions) => {
                let costs = conditions.iter().map(|condition| self.cost(condition));
                costs.min().unwrap_or(0)
            }
            Condition::Any(conditions) => conditions.iter().map(|it| self.cost(it)).sum(),
            Condition::Test(test) => {
                let bytes = self.group.column_bytes(test.leaf);
                match &test.kind {
                    TestKind::Traces(_) => 0,
                    TestKind::Value(value) if value.predicate.literals().is_some() => bytes / 8,
                    TestKind::Value(_) => bytes,
                    TestKind::Resource { .. } => bytes.saturating_mul(2),
                    TestKind::Tail { .. } => bytes.saturating_mul(8),
                }
            }
        }
    }

    fn test(&mut self, test: &ColumnTest, rows: &Rows) -> Result<Rows, ParquetError> {
        let column = self.group.column(test.leaf);
        let passed = match &test.kind {
            TestKind::Tail { key, predicate, .. } => {
                self.read(test, rows, |array| tail::passed(array, key, predicate))?
            }
            TestKind::Traces(_) | TestKind::Value(_) | TestKind::Resource { .. }
                if dictionary::is_whole(column) && is_bytes(column) =>
            {
                return self.test_codes(test, rows);
            }
            TestKind::Traces(ids) => self.read(test, rows, |array| {
                let array = array.as_binary_opt::<i32>()?;
                let is_one =
                    |id: &[u8]| <[u8; 16]>::try_from(id).map(|id| ids.contains(&TraceId(id)));
                Some(by_neighbour(
                    array.len(),
                    |row| array.value(row),
                    |id| is_one(id).unwrap_or(false),
                ))
            })?,
            TestKind::Resource { key, predicate } => self.read(test, rows, |array| {
                let array = array.as_string_opt::<i32>()?;
                Some(by_neighbour(
                    array.len(),
                    |row| array.value(row),
                    |json| resource_may_pass(json, key, predicate),
                ))
            })?,
            TestKind::Value(value) => self.read(test, rows, |array| values(array, value))?,
        };
        Ok(rows.narrowed(&passed))
    }

    /// Reads the column of a test and tests what it has.
    fn read(
        &self,
        test: &ColumnTest,
        rows: &Rows,
        passed: impl Fn(&ArrayRef) -> Option<BooleanBuffer>,
    ) -> Result<BooleanBuffer, ParquetError> {
        let mut bits = BooleanBufferBuilder::new(rows.count());
        for batch in self.group.tested(test.root, rows)? {
            let batch = batch?;
            let passed = passed(batch.column(0));
            let passed = passed.ok_or_else(|| {
                ParquetError::General(format!("column {} is of another type", test.root))
            })?;
            bits.append_buffer(&passed);
        }
        if bits.len() == rows.count() {
            return Ok(bits.finish());
        }
        Err(ParquetError::General("a column ends too early".to_owned()))
    }

    /// Tests the distinct values, then the rows by their codes.
    fn test_codes(&mut self, test: &ColumnTest, rows: &Rows) -> Result<Rows, ParquetError> {
        let group = self.group;
        let null_passes = matches!(&test.kind, TestKind::Value(value) if value.null_passes);
        if let TestKind::Traces(ids) = &test.kind
            && group.traces_at.len() <= FEW_TRACES
            && let Some(found) = group.rows_of_traces(test.root, test.leaf, ids)?
        {
            return Ok(rows.intersection(&found));
        }
        let verdicts = verdicts(group, test)?;
        if verdicts.count_set_bits() == 0 && !null_passes {
            self.reason = SkipReason::Dictionary;
            return Ok(Rows::none(group.spans()));
        }
        if matches!(test.kind, TestKind::Traces(_)) && verdicts.count_set_bits() <= FEW_TRACES {
            let codes = verdicts.set_indices();
            if let Some(found) = group.rows_of_codes(test.root, test.leaf, codes)? {
                return Ok(rows.intersection(&found));
            }
        }
        if verdicts.count_set_bits() == 1
            && !null_passes
            && let Some(code) = verdicts.set_indices().next()
            && let Some(found) = group.rows_of_code(test.root, test.leaf, code, rows)?
        {
            return Ok(found);
        }
        let passed = match group.codes(test.root, test.leaf, rows)? {
            Some(codes) => by_code(&codes, &verdicts, null_passes),
            None => self.read(test, rows, |array| {
                let array = array.as_dictionary_opt::<Int32Type>()?;
                let fits = array.values().len() == verdicts.len();
                fits.then(|| by_code(array.keys(), &verdicts, null_passes))
            })?,
        };
        Ok(rows.narrowed(&passed))
    }
}

fn is_bytes(column: &parquet::file::metadata::ColumnChunkMetaData) -> bool {
    column.column_type() == parquet::basic::Type::BYTE_ARRAY
}

/// One bit a row, from one verdict a code.
fn by_code(codes: &Int32Array, verdicts: &BooleanBuffer, null_passes: bool) -> BooleanBuffer {
    let keys = codes.values();
    let passed = match (verdicts.count_set_bits(), verdicts.set_indices().next()) {
        (1, Some(code)) => {
            let code = code as i32;
            BooleanBuffer::collect_bool(keys.len(), |row| keys[row] == code)
        }
        _ => {
            let verdicts: Vec<bool> = verdicts.iter().collect();
            BooleanBuffer::collect_bool(keys.len(), |row| {
                verdicts.get(keys[row] as usize).copied().unwrap_or(false)
            })
        }
    };
    with_nulls(passed, codes.nulls(), null_passes)
}

fn with_nulls(
    passed: BooleanBuffer,
    nulls: Option<&NullBuffer>,
    null_passes: bool,
) -> BooleanBuffer {
    match nulls {
        Some(nulls) if null_passes => &passed | &!nulls.inner(),
        Some(nulls) => &passed & nulls.inner(),
        None => passed,
    }
}

/// Neighbours are often equal: what was said of one is said of the next.
fn by_neighbour<'a, T: ?Sized + PartialEq + 'a>(
    rows: usize,
    value: impl Fn(usize) -> &'a T,
    test: impl Fn(&T) -> bool,
) -> BooleanBuffer {
    let mut last: Option<(&T, bool)> = None;
    BooleanBuffer::collect_bool(rows, |row| {
        let value = value(row);
        match last {
            Some((same, verdict)) if same == value => verdict,
            _ => {
                let verdict = test(value);
                last = Some((value, verdict));
                verdict
            }
        }
    })
}

/// One bit for each value; `None` for a column of a type that has no tests.
fn values(array: &ArrayRef, test: &ValueTest) -> Option<BooleanBuffer> {
    let predicate = &test.predicate;
    let passed = match array.data_type() {
        DataType::Utf8 => {
            let texts: &StringArray = array.as_string_opt()?;
            match predicate {
                // Without a dictionary, a text hardly ever is that of its neighbour.
                Predicate::Matches(_) => predicate.passes_texts(texts),
                _ => by_neighbour(
                    texts.len(),
                    |row| texts.value(row),
                    |text| predicate.passes_text(text),
                ),
            }
        }
        DataType::Int64 => {
            let numbers = array.as_primitive_opt::<Int64Type>()?.values();
            BooleanBuffer::collect_bool(numbers.len(), |row| {
                let number = numbers[row];
                predicate.passes_int(if test.clamped { number.max(0) } else { number })
            })
        }
        DataType::Float64 => {
            let numbers = array.as_primitive_opt::<Float64Type>()?.values();
            BooleanBuffer::collect_bool(numbers.len(), |row| predicate.passes_double(numbers[row]))
        }
        DataType::Boolean => {
            let truths: &BooleanArray = array.as_boolean_opt()?;
            let (yes, no) = (predicate.passes_bool(true), predicate.passes_bool(false));
            match (yes, no) {
                (true, true) => BooleanBuffer::new_set(truths.len()),
                (true, false) => truths.values().clone(),
                (false, true) => !truths.values(),
                (false, false) => BooleanBuffer::new_unset(truths.len()),
            }
        }
        DataType::Dictionary(..) => {
            // Made while reading: the file has no dictionary for all of the column.
            let array = array.as_dictionary_opt::<Int32Type>()?;
            let texts: &StringArray = array.values().as_string_opt()?;
            let verdicts = predicate.passes_texts(texts);
            return Some(by_code(array.keys(), &verdicts, test.null_passes));
        }
        _ => return None,
    };
    Some(with_nulls(passed, array.nulls(), test.null_passes))
}

/// What a test says of each of a column's distinct values.
fn verdicts(group: &GroupReader<'_>, test: &ColumnTest) -> Result<BooleanBuffer, ParquetError> {
    let small = match &test.kind {
        TestKind::Traces(_) => None,
        _ => group
            .footer
            .small_dictionary(&group.fetch, group.number, test.leaf)?,
    };
    if let Some(texts) = small {
        return Ok(texts_pass(test, &texts));
    }
    let Some(distinct) = group.distinct(test.leaf)? else {
        return Ok(BooleanBuffer::new_unset(0));
    };
    let Distinct::Texts(values) = &*distinct else {
        return Err(ParquetError::General("a dictionary of numbers".to_owned()));
    };
    if let TestKind::Traces(ids) = &test.kind {
        let bloom = group.footer.bloom(&group.fetch, group.number, test.leaf)?;
        let may_be_there = |id: &&TraceId| bloom.as_ref().is_none_or(|it| it.check(&id.0[..]));
        let wanted = Wanted::new(ids.iter().filter(may_be_there).copied());
        return Ok(BooleanBuffer::collect_bool(values.len(), |code| {
            wanted.contains(values.get(code))
        }));
    }
    if let TestKind::Value(value) = &test.kind
        && let Some(literals) = value.predicate.literals()
    {
        let is_one = |value: &[u8]| {
            let mut literals = literals.iter();
            literals.any(|it| matches!(it, Literal::String(text) if text.as_bytes() == value))
        };
        let passes = |code| is_one(values.get(code));
        return Ok(BooleanBuffer::collect_bool(values.len(), passes));
    }
    Ok(texts_pass(test, &values.to_texts()?))
}

fn texts_pass(test: &ColumnTest, texts: &StringArray) -> BooleanBuffer {
    match &test.kind {
        TestKind::Value(value) => value.predicate.passes_texts(texts),
        TestKind::Resource { key, predicate } => BooleanBuffer::collect_bool(texts.len(), |at| {
            resource_may_pass(texts.value(at), key, predicate)
        }),
        TestKind::Traces(_) | TestKind::Tail { .. } => BooleanBuffer::new_set(texts.len()),
    }
}

/// Some ids, few of which are met: most others are told by their last bits, which are random in every id format.
struct Wanted {
    /// Sorted.
    ids: Vec<TraceId>,
    last_bits: [u64; 64],
}

impl Wanted {
    /// `ids` are sorted.
    fn new(ids: impl Iterator<Item = TraceId>) -> Self {
        let ids: Vec<TraceId> = ids.collect();
        let mut last_bits = [0; 64];
        for id in &ids {
            let (word, bit) = Self::place(&id.0);
            last_bits[word] |= 1 << bit;
        }
        Self { ids, last_bits }
    }

    fn place(id: &[u8; 16]) -> (usize, u8) {
        (usize::from(id[14] & 63), id[15] & 63)
    }

    fn contains(&self, id: &[u8]) -> bool {
        let Ok(id) = <&[u8; 16]>::try_from(id) else {
            return false;
        };
        let (word, bit) = Self::place(id);
        self.last_bits[word] >> bit & 1 == 1 && self.ids.binary_search(&TraceId(*id)).is_ok()
    }
}

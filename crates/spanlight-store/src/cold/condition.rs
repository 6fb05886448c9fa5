//! A request's conditions in terms of one file's columns. Owns where a field lives; what to do with it is said by
//! `cold/prune.rs` (without rows) and `cold/select.rs` (with them).

use std::collections::BTreeSet;
use std::sync::Arc;

use spanlight_model::TraceId;

use super::catalogue::AttributeScope;
use super::footer::Footer;
use super::schema as table;
use crate::scan::{Field, Filter, Predicate, ScanRequest, Test};

/// The keys of the attributes that have no column of their own.
pub(crate) const TAIL_KEYS: &str = "attributes.list.element.key";

/// A tree of tests on columns. `All` of nothing is true, `Any` of nothing is false.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Test(ColumnTest),
}

/// A test on one column of a file.
#[derive(Debug, Clone)]
pub(crate) struct ColumnTest {
    /// The leaf that is tested: of a list, its keys.
    pub(crate) leaf: usize,
    /// The column that the leaf belongs to.
    pub(crate) root: usize,
    pub(crate) kind: TestKind,
}

#[derive(Debug, Clone)]
pub(crate) enum TestKind {
    /// The trace is one of these.
    Traces(Arc<BTreeSet<TraceId>>),
    /// The value passes.
    Value(ValueTest),
    /// An entry of the list of attributes has this key and passes.
    Tail {
        key: Arc<str>,
        predicate: Predicate,
        lanes: TailLanes,
    },
    /// The resource has an attribute of this key that passes.
    Resource { key: Arc<str>, predicate: Predicate },
}

/// The leaves of the values in a list of attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TailLanes {
    pub(crate) strings: usize,
    pub(crate) ints: usize,
    pub(crate) doubles: usize,
    pub(crate) bools: usize,
    pub(crate) jsons: usize,
}

impl TailLanes {
    fn of(footer: &Footer) -> Option<Self> {
        let leaf = |lane: &str| {
            let leaf = footer.leaf(&format!("attributes.list.element.{lane}"));
            leaf.map(|(leaf, _)| leaf)
        };
        Some(Self {
            strings: leaf("string")?,
            ints: leaf("int")?,
            doubles: leaf("double")?,
            bools: leaf("bool")?,
            jsons: leaf("json")?,
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ValueTest {
    pub(crate) predicate: Predicate,
    /// What a null says.
    pub(crate) null_passes: bool,
    /// Negative numbers count as zero.
    pub(crate) clamped: bool,
}

impl Condition {
    const FALSE: Self = Self::Any(Vec::new());

    /// What a request asks of the spans of a file, times aside. `None` when it asks nothing.
    pub(crate) fn of(request: &ScanRequest, footer: &Footer) -> Option<Self> {
        let traces = request.trace_ids.as_ref().map(|ids| {
            let leaf = footer.leaf(table::TRACE_ID);
            leaf.map_or(Self::FALSE, |(leaf, root)| {
                let kind = TestKind::Traces(Arc::clone(ids));
                Self::Test(ColumnTest { leaf, root, kind })
            })
        });
        let filter = request.filter.as_ref();
        let filter = filter.map(|filter| Self::of_filter(filter, footer));
        let all: Vec<Self> = traces.into_iter().chain(filter).collect();
        (!all.is_empty()).then_some(Self::All(all))
    }

    fn of_filter(filter: &Filter, footer: &Footer) -> Self {
        let each = |filters: &[Filter]| {
            let conditions = filters.iter();
            let conditions = conditions.map(|filter| Self::of_filter(filter, footer));
            conditions.collect()
        };
        match filter {
            Filter::And(filters) => Self::All(each(filters)),
            Filter::Or(filters) => Self::Any(each(filters)),
            Filter::Test(test) => Self::of_test(test, footer),
        }
    }

    fn of_test(test: &Test, footer: &Footer) -> Self {
        let predicate = &test.predicate;
        match &test.field {
            Field::Name => Self::value(footer, table::NAME, predicate),
            Field::Kind => Self::value(footer, table::KIND, predicate),
            Field::Status => Self::value(footer, table::STATUS_CODE, predicate),
            Field::StatusMessage => {
                // The table has null where the message is empty.
                Self::value_or(
                    footer,
                    table::STATUS_MESSAGE,
                    predicate,
                    predicate.passes_text(""),
                )
            }
            Field::Duration => Self::duration(footer, predicate),
            Field::ServiceName => Self::value(footer, table::SERVICE_NAME, predicate),
            Field::SpanAttribute(key) => Self::span(footer, key, predicate),
            Field::ResourceAttribute(key) => Self::resource(footer, key, predicate),
            Field::Attribute(key) => Self::Any(vec![
                Self::span(footer, key, predicate),
                Self::resource(footer, key, predicate),
            ]),
        }
    }

    fn value(footer: &Footer, column: &str, predicate: &Predicate) -> Self {
        Self::value_or(footer, column, predicate, false)
    }

    fn value_or(footer: &Footer, column: &str, predicate: &Predicate, null_passes: bool) -> Self {
        let test = ValueTest {
            predicate: predicate.clone(),
            null_passes,
            clamped: false,
        };
        Self::of_value(footer, column, test)
    }

    fn duration(footer: &Footer, predicate: &Predicate) -> Self {
        let test = ValueTest {
            predicate: predicate.clone(),
            null_passes: false,
            clamped: true,
        };
        Self::of_value(footer, table::DURATION_NANO, test)
    }

    fn of_value(footer: &Footer, column: &str, test: ValueTest) -> Self {
        match footer.leaf(column) {
            Some((leaf, root)) => Self::Test(ColumnTest {
                leaf,
                root,
                kind: TestKind::Value(test),
            }),
            // A column that is not there has nulls only.
            None if test.null_passes => Self::All(Vec::new()),
            None => Self::FALSE,
        }
    }

    /// The key's columns, one for each type, and the tail, where other types and repeated keys are.
    fn span(footer: &Footer, key: &Arc<str>, predicate: &Predicate) -> Self {
        let columns = footer.catalogue.of_key(AttributeScope::Span, key);
        let columns = columns.map(|column| Self::value(footer, &column.name, predicate));
        let lanes = TailLanes::of(footer);
        let tail = footer.leaf(TAIL_KEYS).zip(lanes);
        let tail = tail.map(|((leaf, root), lanes)| {
            let kind = TestKind::Tail {
                key: Arc::clone(key),
                predicate: predicate.clone(),
                lanes,
            };
            Self::Test(ColumnTest { leaf, root, kind })
        });
        Self::Any(columns.chain(tail).collect())
    }

    /// The JSON of the resource has all of its attributes, those with columns too.
    fn resource(footer: &Footer, key: &Arc<str>, predicate: &Predicate) -> Self {
        match footer.leaf(table::RESOURCE) {
            Some((leaf, root)) => {
                let (key, predicate) = (Arc::clone(key), predicate.clone());
                let kind = TestKind::Resource { key, predicate };
                Self::Test(ColumnTest { leaf, root, kind })
            }
            None => Self::All(Vec::new()),
        }
    }
}

//! Evaluation: a filter narrows a selection of rows, condition by condition, so that what a cheap condition has
//! refused costs the next one nothing.
//!
//! A condition on a dictionary column is evaluated once for each distinct value that is met.

use arrow_array::Array as _;
use spanlight_model::AttributeType;
use spanlight_traceql::Pattern;
use spanlight_traceql::ast::{Comparison, Intrinsic};

use super::bind::{Accessor, Bound, Position, entry};
use super::program::{Filter, Node};
use super::scalar::{Scalar, calculate, compare, matches};

/// A condition on the value of a field.
#[derive(Debug, Clone, Copy)]
enum Test<'n> {
    Compare(Comparison, &'n Scalar<'static>),
    Match(&'n Pattern, bool),
    Nil,
    NotNil,
    True,
}

impl Test<'_> {
    fn passes(self, value: &Scalar<'_>) -> bool {
        match self {
            Self::Compare(operator, constant) => compare(operator, value, constant),
            Self::Match(pattern, negated) => matches(value, pattern, negated),
            Self::Nil => value.is_nil(),
            Self::NotNil => !value.is_nil(),
            Self::True => value.is_true(),
        }
    }
}

/// What selections are made of: rows, or rows with their events and links.
#[derive(Debug)]
enum Domain {
    Rows,
    Positions(Vec<Position>),
}

impl Domain {
    fn at(&self, item: u32) -> Position {
        match self {
            Self::Rows => Position {
                row: item as usize,
                event: None,
                link: None,
            },
            Self::Positions(positions) => positions[item as usize],
        }
    }
}

impl Bound<'_> {
    /// Those of the rows (ascending) that the filter selects, ascending.
    pub(crate) fn select(&self, filter: &Filter, rows: Vec<u32>) -> Vec<u32> {
        if !filter.events && !filter.links {
            return self.narrow(&filter.root, &Domain::Rows, rows);
        }
        let mut positions = Vec::with_capacity(rows.len());
        for row in rows {
            self.expand(filter, row as usize, &mut positions);
        }
        let items = (0..positions.len() as u32).collect();
        let domain = Domain::Positions(positions);
        let selected = self.narrow(&filter.root, &domain, items);
        let mut rows: Vec<u32> = selected
            .into_iter()
            .map(|item| domain.at(item).row as u32)
            .collect();
        rows.dedup();
        rows
    }

    /// The span with each of its events and links that the filter looks at; alone where it has none.
    fn expand(&self, filter: &Filter, row: usize, positions: &mut Vec<Position>) {
        let all = |wanted: bool, range: std::ops::Range<usize>| {
            let some: Vec<_> = range.filter(|_| wanted).map(Some).collect();
            if some.is_empty() { vec![None] } else { some }
        };
        let links = all(filter.links, self.columns.links.range(row));
        for event in all(filter.events, self.columns.events.range(row)) {
            let with = |&link: &Option<usize>| Position { row, event, link };
            positions.extend(links.iter().map(with));
        }
    }

    fn narrow(&self, node: &Node, domain: &Domain, items: Vec<u32>) -> Vec<u32> {
        if items.is_empty() {
            return items;
        }
        match node {
            Node::Constant(value) if value.is_true() => items,
            Node::Constant(_) => Vec::new(),
            Node::And(operands) => operands
                .iter()
                .fold(items, |items, operand| self.narrow(operand, domain, items)),
            Node::Or(operands) => self.any_of(operands, domain, items),
            Node::Not(operand) if operand.is_truth() => {
                let selected = self.narrow(operand, domain, items.clone());
                without(&items, &selected)
            }
            Node::Compare(operator, left, right) => match (&**left, &**right) {
                (Node::Field(slot), Node::Constant(constant)) => {
                    self.test(*slot, Test::Compare(*operator, constant), domain, items)
                }
                _ => self.each(node, domain, items),
            },
            Node::Match {
                operand,
                pattern,
                negated,
            } => match **operand {
                Node::Field(slot) => self.test(slot, Test::Match(pattern, *negated), domain, items),
                _ => self.each(node, domain, items),
            },
            Node::IsNil { operand, negated } => match **operand {
                Node::Field(slot) if *negated => self.test(slot, Test::NotNil, domain, items),
                Node::Field(slot) => self.test(slot, Test::Nil, domain, items),
                _ => self.each(node, domain, items),
            },
            Node::Field(slot) => self.test(*slot, Test::True, domain, items),
            Node::Not(_) | Node::Negate(_) | Node::Calculate(..) => self.each(node, domain, items),
        }
    }

    fn any_of(&self, operands: &[Node], domain: &Domain, items: Vec<u32>) -> Vec<u32> {
        let mut left = items;
        let mut found = Vec::new();
        for operand in operands {
            let selected = self.narrow(operand, domain, left.clone());
            left = without(&left, &selected);
            found.extend(selected);
        }
        found.sort_unstable();
        found
    }

    /// The general way: the whole expression, item by item.
    fn each(&self, node: &Node, domain: &Domain, mut items: Vec<u32>) -> Vec<u32> {
        items.retain(|&item| self.evaluate(node, domain.at(item)).is_true());
        items
    }

    /// The value of an expression.
    pub(crate) fn evaluate(&self, node: &Node, at: Position) -> Scalar<'_> {
        match node {
            Node::Constant(value) => value.clone(),
            Node::Field(slot) => self.value(*slot, at),
            Node::Not(operand) if operand.is_truth() => {
                Scalar::Bool(!self.evaluate(operand, at).is_true())
            }
            Node::Not(operand) => self.evaluate(operand, at).not(),
            Node::Negate(operand) => self.evaluate(operand, at).negate(),
            Node::Calculate(operator, left, right) => calculate(
                *operator,
                &self.evaluate(left, at),
                &self.evaluate(right, at),
            ),
            Node::Compare(operator, left, right) => Scalar::Bool(compare(
                *operator,
                &self.evaluate(left, at),
                &self.evaluate(right, at),
            )),
            Node::Match {
                operand,
                pattern,
                negated,
            } => Scalar::Bool(matches(&self.evaluate(operand, at), pattern, *negated)),
            Node::IsNil { operand, negated } => {
                let absent =
                    matches!(**operand, Node::Field(slot) if !negated && self.is_absent(slot, at));
                Scalar::Bool(!absent && self.evaluate(operand, at).is_nil() != *negated)
            }
            Node::And(operands) => Scalar::Bool(
                operands
                    .iter()
                    .all(|operand| self.evaluate(operand, at).is_true()),
            ),
            Node::Or(operands) => Scalar::Bool(
                operands
                    .iter()
                    .any(|operand| self.evaluate(operand, at).is_true()),
            ),
        }
    }

    /// The items whose field passes.
    fn test(&self, slot: usize, test: Test<'_>, domain: &Domain, mut items: Vec<u32>) -> Vec<u32> {
        let row = |item: u32| domain.at(item).row;
        match self.accessor(slot) {
            Accessor::Resource(values) => {
                let passes: Vec<bool> = values.iter().map(|value| test.passes(value)).collect();
                items.retain(|&item| passes[self.columns.resources.value(row(item)) as usize]);
            }
            Accessor::Scope(values) => {
                let passes: Vec<bool> = values.iter().map(|value| test.passes(value)).collect();
                items.retain(|&item| passes[self.columns.scopes.value(row(item)) as usize]);
            }
            Accessor::Intrinsic(Intrinsic::Name) => {
                let mut known = Memo::new(self.columns.name_values.len());
                items.retain(|&item| {
                    let name = self.columns.names.value(row(item)) as usize;
                    known.get(name, || test.passes(&self.value(slot, domain.at(item))))
                });
            }
            Accessor::Intrinsic(word @ (Intrinsic::Status | Intrinsic::Kind)) => {
                let codes = match word {
                    Intrinsic::Status => self.columns.status_codes.values(),
                    _ => self.columns.kinds.values(),
                };
                let mut known = Memo::new(1 << u8::BITS);
                items.retain(|&item| {
                    let code = usize::from(codes[row(item)] as u8);
                    known.get(code, || test.passes(&self.value(slot, domain.at(item))))
                });
            }
            Accessor::Span(keys) if keys.is_empty() && !test.passes(&Scalar::Nil) => items.clear(),
            Accessor::Span(keys) => {
                let mut attribute = AttributeTest::new(self, keys, test);
                items.retain(|&item| attribute.passes(row(item)));
            }
            Accessor::Any(keys, resources) => {
                let resources: Vec<bool> =
                    resources.iter().map(|value| test.passes(value)).collect();
                if keys.is_empty() && !resources.contains(&true) {
                    return Vec::new();
                }
                let mut attribute = AttributeTest::new(self, keys, test);
                items.retain(|&item| {
                    let resource = || resources[self.columns.resources.value(row(item)) as usize];
                    match attribute.found(row(item)) {
                        Some(passes) => passes,
                        None => resource(),
                    }
                });
            }
            Accessor::Event(_) | Accessor::Link(_) | Accessor::Intrinsic(_) | Accessor::Parent => {
                items.retain(|&item| {
                    let at = domain.at(item);
                    let absent = matches!(test, Test::Nil) && self.is_absent(slot, at);
                    !absent && test.passes(&self.value(slot, at))
                });
            }
        }
        items
    }
}

/// A condition on an attribute of spans.
struct AttributeTest<'b, 'n> {
    bound: &'b Bound<'b>,
    keys: &'b [i32],
    test: Test<'n>,
    texts: Memo,
}

impl<'b, 'n> AttributeTest<'b, 'n> {
    fn new(bound: &'b Bound<'b>, keys: &'b [i32], test: Test<'n>) -> Self {
        Self {
            bound,
            keys,
            test,
            texts: Memo::new(bound.columns.attributes.texts().len()),
        }
    }

    /// Whether the row's value passes.
    fn passes(&mut self, row: usize) -> bool {
        self.found(row)
            .unwrap_or_else(|| self.test.passes(&Scalar::Nil))
    }

    /// Whether the row's value passes; `None` where it has none.
    fn found(&mut self, row: usize) -> Option<bool> {
        let attributes = &self.bound.columns.attributes;
        let entry = entry(attributes, self.keys, row)?;
        if attributes.types()[entry] == AttributeType::String as i8 {
            let text = attributes.text_indices()[entry] as usize;
            let value = || Scalar::of_attribute(attributes.value(entry));
            return Some(self.texts.get(text, || self.test.passes(&value())));
        }
        match Scalar::of_attribute(attributes.value(entry)) {
            Scalar::Nil => None,
            value => Some(self.test.passes(&value)),
        }
    }
}

/// Answers for the values of a dictionary, each found out when it is first asked for.
struct Memo {
    answers: Vec<u8>,
}

impl Memo {
    const UNKNOWN: u8 = 2;

    fn new(len: usize) -> Self {
        Self {
            answers: vec![Self::UNKNOWN; len],
        }
    }

    fn get(&mut self, index: usize, find: impl FnOnce() -> bool) -> bool {
        let answer = &mut self.answers[index];
        if *answer == Self::UNKNOWN {
            *answer = u8::from(find());
        }
        *answer == 1
    }
}

/// The items of an ascending list that are not in the other, ascending, part of it.
fn without(items: &[u32], other: &[u32]) -> Vec<u32> {
    let mut other = other.iter().peekable();
    let keep = |item: &&u32| match other.peek() {
        Some(&found) if found == *item => {
            other.next();
            false
        }
        _ => true,
    };
    items.iter().filter(keep).copied().collect()
}

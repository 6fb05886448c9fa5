//! Filters and relations over one trace whose spans are at hand as a few facts each: what a query selects of it.
//!
//! For passes over millions of traces: nothing is allocated for a trace of up to 64 spans. Traces with repeats or
//! cycles are left to [`crate::spanset`], which means the same.

use rustc_hash::FxHashMap;
use spanlight_traceql::ast::{Relation, StructuralForm, StructuralOperator};

use super::measure::Sample;
use crate::plan::{Needs, Plan, Spansets, Stage, filter_bit};

/// What is known of a span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) span_id: u64,
    /// Zero, which is no id, for roots.
    pub(crate) parent: u64,
    /// The filters that select it; see [`filter_bit`].
    pub(crate) hits: u64,
    pub(crate) cell: u32,
    pub(crate) sample: Sample,
    /// How many spans it stands for.
    pub(crate) weight: f64,
}

/// The spans share an id, or their parents lead back to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Odd;

const NONE: u32 = u32::MAX;

/// Below this, comparing all ids is faster than a table.
const FEW: usize = 32;

/// Evaluates traces, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    parents: Vec<u32>,
    /// Parents before their children.
    order: Vec<u32>,
    by_id: FxHashMap<u64, u32>,
    count: usize,
}

/// A set of positions in a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Spans {
    /// The first 64.
    first: u64,
    rest: Vec<u64>,
}

impl Spans {
    fn none(count: usize) -> Self {
        let rest = vec![0; count.saturating_sub(1) / 64];
        Self { first: 0, rest }
    }

    fn has(&self, at: usize) -> bool {
        match at / 64 {
            0 => self.first >> at & 1 == 1,
            word => self.rest[word - 1] >> (at % 64) & 1 == 1,
        }
    }

    fn insert(&mut self, at: usize) {
        match at / 64 {
            0 => self.first |= 1 << at,
            word => self.rest[word - 1] |= 1 << (at % 64),
        }
    }

    fn is_empty(&self) -> bool {
        self.first == 0 && self.rest.iter().all(|&word| word == 0)
    }

    fn add(&mut self, other: &Self) {
        self.first |= other.first;
        for (word, other) in self.rest.iter_mut().zip(&other.rest) {
            *word |= other;
        }
    }

    /// Those that are, or are not, in the other set.
    fn keep(&mut self, other: &Self, wanted: bool) {
        let flip = if wanted { 0 } else { u64::MAX };
        self.first &= other.first ^ flip;
        for (word, other) in self.rest.iter_mut().zip(&other.rest) {
            *word &= other ^ flip;
        }
    }
}

impl Relations {
    /// Calls `selected` with the position of each span that the query selects of a trace.
    pub(crate) fn select(
        &mut self,
        plan: &Plan,
        facts: &[Fact],
        mut selected: impl FnMut(usize),
    ) -> Result<(), Odd> {
        let found = facts.iter().fold(0, |found, fact| found | fact.hits);
        // Whoever needs other spans reads the tree.
        if !plan.needs.met_by(found) {
            return Ok(());
        }
        self.link(facts)?;
        let mut spans = Spans::none(facts.len());
        (0..facts.len()).for_each(|at| spans.insert(at));
        for stage in &plan.stages {
            if let Stage::Spansets(expression) = stage {
                spans = self.expression(expression, facts, &spans);
            }
        }
        if !spans.is_empty() {
            let members = (0..facts.len()).filter(|&at| spans.has(at));
            members.for_each(&mut selected);
        }
        Ok(())
    }

    /// Finds each span's parent.
    fn link(&mut self, facts: &[Fact]) -> Result<(), Odd> {
        self.count = facts.len();
        self.parents.clear();
        let mut in_order = true;
        if facts.len() <= FEW {
            for (at, fact) in facts.iter().enumerate() {
                let mut parent = NONE;
                for (other, it) in facts.iter().enumerate() {
                    if it.span_id == fact.span_id && other != at {
                        return Err(Odd);
                    }
                    if it.span_id == fact.parent {
                        parent = other as u32;
                    }
                }
                in_order &= parent == NONE || (parent as usize) < at;
                self.parents.push(parent);
            }
        } else {
            self.by_id.clear();
            for (at, fact) in facts.iter().enumerate() {
                if self.by_id.insert(fact.span_id, at as u32).is_some() {
                    return Err(Odd);
                }
            }
            for (at, fact) in facts.iter().enumerate() {
                let parent = self.by_id.get(&fact.parent).copied().unwrap_or(NONE);
                in_order &= parent == NONE || (parent as usize) < at;
                self.parents.push(parent);
            }
        }
        self.order.clear();
        if in_order {
            self.order.extend(0..facts.len() as u32);
            return Ok(());
        }
        self.sort()
    }

    /// Puts parents before their children.
    fn sort(&mut self) -> Result<(), Odd> {
        let mut placed = Spans::none(self.count);
        let mut above = Vec::new();
        for first in 0..self.count {
            let mut at = first;
            while !placed.has(at) {
                above.push(at as u32);
                if above.len() > self.count {
                    return Err(Odd);
                }
                match self.parents[at] {
                    NONE => break,
                    parent => at = parent as usize,
                }
            }
            while let Some(at) = above.pop() {
                placed.insert(at as usize);
                self.order.push(at);
            }
        }
        Ok(())
    }

    fn expression(&self, expression: &Spansets, facts: &[Fact], incoming: &Spans) -> Spans {
        match expression {
            Spansets::Filter(filter) => {
                let bit = filter_bit(*filter);
                let mut spans = Spans::none(self.count);
                for (at, fact) in facts.iter().enumerate() {
                    if fact.hits & bit != 0 && incoming.has(at) {
                        spans.insert(at);
                    }
                }
                spans
            }
            // Not compiled into plans of metrics.
            Spansets::Pipeline(_) => Spans::none(self.count),
            Spansets::And(operands) => {
                let mut all = Spans::none(self.count);
                for operand in operands {
                    let spans = self.expression(operand, facts, incoming);
                    if spans.is_empty() {
                        return spans;
                    }
                    all.add(&spans);
                }
                all
            }
            Spansets::Or(operands) => {
                let mut all = Spans::none(self.count);
                for operand in operands {
                    all.add(&self.expression(operand, facts, incoming));
                }
                all
            }
            Spansets::Structural(operator, left, right) => {
                let left = self.expression(left, facts, incoming);
                let right = self.expression(right, facts, incoming);
                self.structural(*operator, facts, left, right)
            }
        }
    }

    fn structural(
        &self,
        operator: StructuralOperator,
        facts: &[Fact],
        mut left: Spans,
        mut right: Spans,
    ) -> Spans {
        use Relation as R;
        let related = self.related(operator.relation, facts, &left);
        match operator.form {
            StructuralForm::Plain => right.keep(&related, true),
            StructuralForm::Negated => right.keep(&related, false),
            StructuralForm::Union => {
                let inverse = match operator.relation {
                    R::Child => R::Parent,
                    R::Parent => R::Child,
                    R::Descendant => R::Ancestor,
                    R::Ancestor => R::Descendant,
                    R::Sibling => R::Sibling,
                };
                left.keep(&self.related(inverse, facts, &right), true);
                right.keep(&related, true);
                right.add(&left);
            }
        }
        right
    }

    /// The spans that have one of `others` in the relation.
    fn related(&self, relation: Relation, facts: &[Fact], others: &Spans) -> Spans {
        let mut marks = Spans::none(self.count);
        if others.is_empty() {
            return marks;
        }
        match relation {
            Relation::Child | Relation::Descendant => {
                let deep = relation == Relation::Descendant;
                for &at in &self.order {
                    let parent = self.parents[at as usize] as usize;
                    if parent != NONE as usize && (others.has(parent) || deep && marks.has(parent))
                    {
                        marks.insert(at as usize);
                    }
                }
            }
            Relation::Parent | Relation::Ancestor => {
                let deep = relation == Relation::Ancestor;
                for &at in self.order.iter().rev() {
                    let (at, parent) = (at as usize, self.parents[at as usize] as usize);
                    if parent != NONE as usize && (others.has(at) || deep && marks.has(at)) {
                        marks.insert(parent);
                    }
                }
            }
            Relation::Sibling => {
                // Siblings name the same parent, there or not; no span is its own sibling.
                let mut counts: FxHashMap<u64, u32> = FxHashMap::default();
                for (_, fact) in facts.iter().enumerate().filter(|(at, _)| others.has(*at)) {
                    *counts.entry(fact.parent).or_default() += 1;
                }
                for (at, fact) in facts.iter().enumerate() {
                    let count = counts.get(&fact.parent).copied().unwrap_or(0);
                    if count > u32::from(others.has(at)) {
                        marks.insert(at);
                    }
                }
            }
        }
        marks
    }
}

/// Whether a trace with these spans can be an answer, as far as filters tell.
pub(crate) fn may_match(needs: &Needs, hits: &[u64]) -> bool {
    needs.met_by(hits.iter().fold(0, |found, hits| found | hits))
}

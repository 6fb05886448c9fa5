//! The compiled form of an expression: fields resolved to slots, and what of it can be decided without the trace.

use spanlight_store::{AttributeKeys, ScanColumns};
use spanlight_traceql::Pattern;
use spanlight_traceql::ast::{
    Arithmetic, Attribute, AttributeScope, Comparison, Field, FieldExpression, FieldNode, Intrinsic,
};

use super::scalar::Scalar;

/// The fields that a query names, each once. A slot is a position in the list.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields {
    list: Vec<Field>,
}

/// An expression over a span.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Constant(Scalar<'static>),
    /// A slot of [`Fields`].
    Field(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    Calculate(Arithmetic, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Match {
        operand: Box<Node>,
        pattern: Pattern,
        negated: bool,
    },
    IsNil {
        operand: Box<Node>,
        negated: bool,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// A spanset filter: selects a span when the expression is true for it with one of its events and one of its links.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) root: Node,
    pub(crate) events: bool,
    pub(crate) links: bool,
}

impl Fields {
    /// The slot of a field.
    pub(crate) fn slot(&mut self, field: &Field) -> usize {
        match self.list.iter().position(|known| known == field) {
            Some(slot) => slot,
            None => {
                self.list.push(field.clone());
                self.list.len() - 1
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list.iter()
    }

    pub(crate) fn get(&self, slot: usize) -> &Field {
        &self.list[slot]
    }

    /// The fields with those of the parent made the span's own, slot by slot; `None` when there are none.
    pub(crate) fn of_parents(&self) -> Option<Self> {
        let is_of_parent = |it: &Field| matches!(it, Field::Attribute(it) if it.of_parent);
        if !self.list.iter().any(is_of_parent) {
            return None;
        }
        let own = |field: &Field| match field {
            Field::Attribute(attribute) => Field::Attribute(Attribute {
                of_parent: false,
                ..attribute.clone()
            }),
            field @ Field::Intrinsic(_) => field.clone(),
        };
        let list = self.list.iter().map(own).collect();
        Some(Self { list })
    }

    /// The columns that hold the fields.
    pub(crate) fn columns(&self) -> ScanColumns {
        self.list.iter().fold(ScanColumns::NONE, |columns, field| {
            columns.union(&columns_of(field))
        })
    }

    /// The columns that hold the fields of these filters.
    pub(crate) fn columns_of(&self, filters: &[Filter]) -> ScanColumns {
        let used = |slot: usize| filters.iter().any(|it| it.root.any_field(&|at| at == slot));
        (0..self.list.len())
            .filter(|&slot| used(slot))
            .fold(ScanColumns::NONE, |columns, slot| {
                columns.union(&columns_of(&self.list[slot]))
            })
    }
}

fn columns_of(field: &Field) -> ScanColumns {
    let none = ScanColumns::NONE;
    match field {
        Field::Intrinsic(intrinsic) => columns_of_intrinsic(*intrinsic),
        Field::Attribute(attribute) => {
            let keys = AttributeKeys::of([attribute.name.as_str()]);
            let resource = match is_service_name(field) {
                true => AttributeKeys::None,
                false => keys.clone(),
            };
            match attribute.scope {
                AttributeScope::Any => ScanColumns {
                    attributes: keys,
                    service_name: is_service_name(field),
                    resource,
                    ..none
                },
                AttributeScope::Span => ScanColumns {
                    attributes: keys,
                    ..none
                },
                AttributeScope::Resource => ScanColumns {
                    service_name: is_service_name(field),
                    resource,
                    ..none
                },
                AttributeScope::Event => ScanColumns {
                    events: true,
                    ..none
                },
                AttributeScope::Link => ScanColumns {
                    links: true,
                    ..none
                },
                AttributeScope::Instrumentation => ScanColumns {
                    scope: true,
                    ..none
                },
            }
        }
    }
}

fn columns_of_intrinsic(intrinsic: Intrinsic) -> ScanColumns {
    use Intrinsic as I;
    let mut columns = ScanColumns::NONE;
    let wanted = match intrinsic {
        I::Name => &mut columns.name,
        I::Duration => &mut columns.durations,
        I::Status => &mut columns.status,
        I::StatusMessage => &mut columns.status_message,
        I::Kind => &mut columns.kind,
        I::SpanId => &mut columns.span_id,
        I::SpanParentId => &mut columns.parent_span_id,
        I::TraceId => &mut columns.trace_id,
        I::EventName => &mut columns.events,
        I::EventTimeSinceStart => {
            columns.times = true;
            &mut columns.events
        }
        I::LinkTraceId | I::LinkSpanId => &mut columns.links,
        I::InstrumentationName | I::InstrumentationVersion => &mut columns.scope,
        // Whoever decides by them assembles the trace, and reads what that takes.
        I::TraceDuration
        | I::RootName
        | I::RootServiceName
        | I::SpanChildCount
        | I::NestedSetLeft
        | I::NestedSetRight
        | I::NestedSetParent => return columns,
    };
    *wanted = true;
    columns
}

/// The resource's service name has a column of its own, which is always read.
pub(crate) fn is_service_name(field: &Field) -> bool {
    matches!(field, Field::Attribute(attribute)
        if attribute.name == spanlight_model::convention::SERVICE_NAME)
}

/// Where a field lives beyond the span's own columns.
fn scope(field: &Field) -> Option<AttributeScope> {
    match field {
        Field::Attribute(attribute) => Some(attribute.scope),
        Field::Intrinsic(Intrinsic::EventName | Intrinsic::EventTimeSinceStart) => {
            Some(AttributeScope::Event)
        }
        Field::Intrinsic(Intrinsic::LinkTraceId | Intrinsic::LinkSpanId) => {
            Some(AttributeScope::Link)
        }
        Field::Intrinsic(Intrinsic::InstrumentationName | Intrinsic::InstrumentationVersion) => {
            Some(AttributeScope::Instrumentation)
        }
        Field::Intrinsic(_) => None,
    }
}

/// Whether a field needs the whole trace.
pub(crate) fn is_trace_level(field: &Field) -> bool {
    match field {
        Field::Attribute(attribute) => attribute.of_parent,
        Field::Intrinsic(intrinsic) => matches!(
            intrinsic,
            Intrinsic::TraceDuration
                | Intrinsic::RootName
                | Intrinsic::RootServiceName
                | Intrinsic::SpanChildCount
                | Intrinsic::NestedSetLeft
                | Intrinsic::NestedSetRight
                | Intrinsic::NestedSetParent
        ),
    }
}

impl Filter {
    /// Compiles what stands between braces; nothing selects every span.
    pub(crate) fn compile(expression: Option<&FieldExpression>, fields: &mut Fields) -> Self {
        let root = match expression {
            Some(expression) => Node::compile(expression, fields),
            None => Node::truth(true),
        };
        Self::of(root, fields)
    }

    /// The filter that selects every span.
    pub(crate) fn anything() -> Self {
        Self {
            root: Node::truth(true),
            events: false,
            links: false,
        }
    }

    fn of(root: Node, fields: &Fields) -> Self {
        let uses = |wanted| root.any_field(&|slot| scope(fields.get(slot)) == Some(wanted));
        Self {
            events: uses(AttributeScope::Event),
            links: uses(AttributeScope::Link),
            root,
        }
    }

    /// The filter that selects what each of these selects; `None` when they look at events or links, of which each
    /// filter may take another.
    pub(crate) fn all(mut filters: Vec<Self>) -> Option<Self> {
        if filters.len() == 1 {
            return filters.pop();
        }
        if filters.iter().any(|filter| filter.events || filter.links) {
            return None;
        }
        Some(Self {
            root: Node::And(filters.into_iter().map(|filter| filter.root).collect()),
            events: false,
            links: false,
        })
    }

    /// The filter without what needs the whole trace: it selects each span that the filter may select.
    pub(crate) fn relaxed(&self, fields: &Fields) -> Self {
        Self::of(self.root.bounded(fields, true), fields)
    }
}

impl Node {
    pub(crate) fn truth(truth: bool) -> Self {
        Self::Constant(Scalar::Bool(truth))
    }

    pub(crate) fn compile(expression: &FieldExpression, fields: &mut Fields) -> Self {
        let mut boxed = |operand: &FieldExpression| Box::new(Self::compile(operand, fields));
        match &expression.node {
            FieldNode::Static(value) => Self::Constant(Scalar::of_static(value)),
            FieldNode::Field(field) => Self::Field(fields.slot(field)),
            FieldNode::Not(operand) => Self::Not(boxed(operand)),
            FieldNode::Negate(operand) => Self::Negate(boxed(operand)),
            FieldNode::Arithmetic {
                operator,
                left,
                right,
            } => Self::Calculate(*operator, boxed(left), boxed(right)),
            FieldNode::Comparison {
                operator,
                left,
                right,
            } => match &left.node {
                // A constant stands on the right, where the fast ways look for it.
                FieldNode::Static(_) => {
                    Self::Compare(operator.mirrored(), boxed(right), boxed(left))
                }
                _ => Self::Compare(*operator, boxed(left), boxed(right)),
            },
            FieldNode::Match {
                operand,
                negated,
                pattern,
            } => Self::Match {
                operand: boxed(operand),
                pattern: pattern.node.clone(),
                negated: *negated,
            },
            FieldNode::NilTest { operand, negated } => Self::IsNil {
                operand: boxed(operand),
                negated: *negated,
            },
            FieldNode::And(operands) => Self::And(Self::compile_all(operands, fields)),
            FieldNode::Or(operands) => Self::Or(Self::compile_all(operands, fields)),
        }
    }

    fn compile_all(operands: &[FieldExpression], fields: &mut Fields) -> Vec<Self> {
        operands
            .iter()
            .map(|operand| Self::compile(operand, fields))
            .collect()
    }

    /// Whether the value is always a truth value, so that `!` has two sides.
    pub(crate) fn is_truth(&self) -> bool {
        match self {
            Self::Compare(..)
            | Self::Match { .. }
            | Self::IsNil { .. }
            | Self::And(_)
            | Self::Or(_)
            | Self::Constant(Scalar::Bool(_)) => true,
            Self::Not(operand) => operand.is_truth(),
            Self::Constant(_) | Self::Field(_) | Self::Negate(_) | Self::Calculate(..) => false,
        }
    }

    /// Whether a field below passes the test.
    pub(crate) fn any_field(&self, test: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Field(slot) => test(*slot),
            Self::Not(operand)
            | Self::Negate(operand)
            | Self::Match { operand, .. }
            | Self::IsNil { operand, .. } => operand.any_field(test),
            Self::Calculate(_, left, right) | Self::Compare(_, left, right) => {
                left.any_field(test) || right.any_field(test)
            }
            Self::And(operands) | Self::Or(operands) => {
                operands.iter().any(|operand| operand.any_field(test))
            }
        }
    }

    /// The expression with what needs the trace taken for `assumed`: true gives an upper bound, false a lower one.
    fn bounded(&self, fields: &Fields, assumed: bool) -> Self {
        if !self.any_field(&|slot| is_trace_level(fields.get(slot))) {
            return self.clone();
        }
        let all = |operands: &[Self]| {
            operands
                .iter()
                .map(|operand| operand.bounded(fields, assumed))
                .collect()
        };
        match self {
            Self::And(operands) => Self::And(all(operands)),
            Self::Or(operands) => Self::Or(all(operands)),
            Self::Not(operand) if operand.is_truth() => {
                Self::Not(Box::new(operand.bounded(fields, !assumed)))
            }
            _ => Self::truth(assumed),
        }
    }
}

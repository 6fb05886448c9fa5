//! What stands inside `{ }`: expressions over one span, its fields, and the literals they are compared with.

use crate::pattern::Pattern;

use super::{Arithmetic, Comparison, Located, Static};

/// An expression that has a value for each span.
pub type FieldExpression = Located<FieldNode>;

/// The forms of an expression over one span.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldNode {
    /// A literal.
    Static(Static),
    /// An attribute or an intrinsic.
    Field(Field),
    /// `!x`: the other truth value; a comparison with an absent value is false, so its negation is true.
    Not(Box<FieldExpression>),
    /// `-x`; never of a number literal, which carries its own sign.
    Negate(Box<FieldExpression>),
    /// `x + y` and so on: nil when an operand is missing or not a number.
    Arithmetic {
        /// What is done.
        operator: Arithmetic,
        /// The left operand.
        left: Box<FieldExpression>,
        /// The right operand.
        right: Box<FieldExpression>,
    },
    /// `x < y` and so on, operands as written; false when either is missing or the types do not meet. Neither is nil.
    Comparison {
        /// How they are compared.
        operator: Comparison,
        /// The left operand.
        left: Box<FieldExpression>,
        /// The right operand.
        right: Box<FieldExpression>,
    },
    /// `x =~ "…"` and `x !~ "…"`: both false when x is missing or no string.
    Match {
        /// What is matched.
        operand: Box<FieldExpression>,
        /// `!~`.
        negated: bool,
        /// Anchored at both ends.
        pattern: Located<Pattern>,
    },
    /// `x = nil` and `nil = x`, or `x != nil` when `negated`. Never of nil itself: `nil = nil` reads as `false`.
    NilTest {
        /// What may be missing.
        operand: Box<FieldExpression>,
        /// `!= nil`: true when there is a value.
        negated: bool,
    },
    /// `a && b && …`: at least two operands, none of them an `And`.
    And(Vec<FieldExpression>),
    /// `a || b || …`: at least two operands, none of them an `Or`.
    Or(Vec<FieldExpression>),
}

/// Something a span can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// A part of every span, with a fixed type.
    Intrinsic(Intrinsic),
    /// A key that some spans have, with a value of any type.
    Attribute(Attribute),
}

/// An attribute's key and where to look for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attribute {
    /// `parent.…`: look at the span's parent instead of the span.
    pub of_parent: bool,
    /// Where to look.
    pub scope: AttributeScope,
    /// The key, unquoted.
    pub name: String,
}

/// Where an attribute is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttributeScope {
    /// `.x`: the span, then the resource; nothing else. A span's value hides the resource's.
    Any,
    /// `span.x`.
    Span,
    /// `resource.x`.
    Resource,
    /// `event.x`: all conditions of one filter hold on one event.
    Event,
    /// `link.x`: all conditions of one filter hold on one link.
    Link,
    /// `instrumentation.x`.
    Instrumentation,
}

/// The parts that every span has. Their names are those that printing uses; both spellings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Intrinsic {
    /// `name`, `span:name`.
    Name,
    /// `duration`, `span:duration`.
    Duration,
    /// `status`, `span:status`.
    Status,
    /// `statusMessage`, `span:statusMessage`; empty when there is none.
    StatusMessage,
    /// `kind`, `span:kind`.
    Kind,
    /// `span:id`: 16 lower-case hexadecimal digits.
    SpanId,
    /// `span:parentID`: as `span:id`, zeros for a root.
    SpanParentId,
    /// `span:childCount`: direct children.
    SpanChildCount,
    /// `trace:id`: lower-case hexadecimal, leading zeros optional.
    TraceId,
    /// `traceDuration`, `trace:duration`: from the earliest start to the latest end.
    TraceDuration,
    /// `rootName`, `trace:rootName`; empty when the root is not there.
    RootName,
    /// `rootServiceName`, `trace:rootService`; empty when the root is not there.
    RootServiceName,
    /// `nestedSetLeft`: the span's number in a walk over its trace, depth first.
    NestedSetLeft,
    /// `nestedSetRight`: the number after its last descendant's.
    NestedSetRight,
    /// `nestedSetParent`: the parent's `nestedSetLeft`; −1 for a root.
    NestedSetParent,
    /// `event:name`.
    EventName,
    /// `event:timeSinceStart`: from the span's start.
    EventTimeSinceStart,
    /// `link:traceID`, as `trace:id`.
    LinkTraceId,
    /// `link:spanID`, as `span:id`.
    LinkSpanId,
    /// `instrumentation:name`; empty when there is none.
    InstrumentationName,
    /// `instrumentation:version`; empty when there is none.
    InstrumentationVersion,
}

impl FieldNode {
    /// The conjunction of `operands`: nested conjunctions are flattened, one operand stays itself.
    #[must_use]
    pub fn and(operands: Vec<FieldExpression>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand.node {
                Self::And(inner) => append(&mut flat, inner),
                node => flat.push(Located::new(node, operand.position)),
            }
        }
        single_or(flat, Self::And)
    }

    /// The disjunction of `operands`: nested disjunctions are flattened, one operand stays itself.
    #[must_use]
    pub fn or(operands: Vec<FieldExpression>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand.node {
                Self::Or(inner) => append(&mut flat, inner),
                node => flat.push(Located::new(node, operand.position)),
            }
        }
        single_or(flat, Self::Or)
    }

    /// Calls `visit` with each attribute and intrinsic below.
    pub fn for_each_field<'a>(&'a self, visit: &mut dyn FnMut(&'a Field)) {
        match self {
            Self::Static(_) => {}
            Self::Field(field) => visit(field),
            Self::Not(operand)
            | Self::Negate(operand)
            | Self::Match { operand, .. }
            | Self::NilTest { operand, .. } => operand.node.for_each_field(visit),
            Self::Arithmetic { left, right, .. } | Self::Comparison { left, right, .. } => {
                left.node.for_each_field(visit);
                right.node.for_each_field(visit);
            }
            Self::And(operands) | Self::Or(operands) => {
                for operand in operands {
                    operand.node.for_each_field(visit);
                }
            }
        }
    }
}

/// Puts a chain behind another. The first is taken as it is: chains are built from the left, and copying them at each
/// step would be quadratic.
pub(super) fn append<T>(chain: &mut Vec<T>, other: Vec<T>) {
    if chain.is_empty() {
        *chain = other;
    } else {
        chain.extend(other);
    }
}

fn single_or(
    mut operands: Vec<FieldExpression>,
    many: fn(Vec<FieldExpression>) -> FieldNode,
) -> FieldNode {
    match operands.pop() {
        Some(only) if operands.is_empty() => only.node,
        last => {
            operands.extend(last);
            many(operands)
        }
    }
}

impl AttributeScope {
    /// What is written before the dot.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
        }
    }
}

impl Intrinsic {
    /// Every intrinsic.
    pub const ALL: [Self; 21] = [
        Self::Name,
        Self::Duration,
        Self::Status,
        Self::StatusMessage,
        Self::Kind,
        Self::SpanId,
        Self::SpanParentId,
        Self::SpanChildCount,
        Self::TraceId,
        Self::TraceDuration,
        Self::RootName,
        Self::RootServiceName,
        Self::NestedSetLeft,
        Self::NestedSetRight,
        Self::NestedSetParent,
        Self::EventName,
        Self::EventTimeSinceStart,
        Self::LinkTraceId,
        Self::LinkSpanId,
        Self::InstrumentationName,
        Self::InstrumentationVersion,
    ];

    /// The canonical spelling: the short one where there are two, since answers are keyed by it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Duration => "duration",
            Self::Status => "status",
            Self::StatusMessage => "statusMessage",
            Self::Kind => "kind",
            Self::SpanId => "span:id",
            Self::SpanParentId => "span:parentID",
            Self::SpanChildCount => "span:childCount",
            Self::TraceId => "trace:id",
            Self::TraceDuration => "traceDuration",
            Self::RootName => "rootName",
            Self::RootServiceName => "rootServiceName",
            Self::NestedSetLeft => "nestedSetLeft",
            Self::NestedSetRight => "nestedSetRight",
            Self::NestedSetParent => "nestedSetParent",
            Self::EventName => "event:name",
            Self::EventTimeSinceStart => "event:timeSinceStart",
            Self::LinkTraceId => "link:traceID",
            Self::LinkSpanId => "link:spanID",
            Self::InstrumentationName => "instrumentation:name",
            Self::InstrumentationVersion => "instrumentation:version",
        }
    }

    /// The second spelling, with a scope and a colon, where there is one.
    #[must_use]
    pub fn alias(self) -> Option<&'static str> {
        match self {
            Self::Name => Some("span:name"),
            Self::Duration => Some("span:duration"),
            Self::Status => Some("span:status"),
            Self::StatusMessage => Some("span:statusMessage"),
            Self::Kind => Some("span:kind"),
            Self::TraceDuration => Some("trace:duration"),
            Self::RootName => Some("trace:rootName"),
            Self::RootServiceName => Some("trace:rootService"),
            _ => None,
        }
    }

    /// The intrinsic of either spelling.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == word || it.alias() == Some(word))
    }
}

//! What is known about a value before there is a span, and what to write instead of a literal that does not fit.

use std::fmt;

use crate::{
    ast::{Arithmetic, FieldExpression, FieldNode, Intrinsic, Kind, Static, Status},
    lexer::{Lexer, Token},
    suggest,
};

/// What is known about a value before there is a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// An attribute: any type.
    Any,
    /// Arithmetic with an attribute.
    Number,
    Int,
    Float,
    Duration,
    String,
    Bool,
    Status,
    Kind,
    Nil,
}

impl Type {
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Any | Self::Number | Self::Int | Self::Float | Self::Duration
        )
    }

    pub(super) fn is_condition(self) -> bool {
        matches!(self, Self::Any | Self::Bool)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self == Self::Any
            || other == Self::Any
            || self == other
            || (self.is_number() && other.is_number())
    }

    pub(super) fn has_order(self) -> bool {
        self.is_number() || self == Self::String
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "of any type",
            Self::Number => "a number",
            Self::Int => "a whole number",
            Self::Float => "a decimal number",
            Self::Duration => "a duration",
            Self::String => "a string",
            Self::Bool => "a boolean",
            Self::Status => "a status",
            Self::Kind => "a kind",
            Self::Nil => "no value",
        })
    }
}

pub(super) fn type_of(literal: &Static) -> Type {
    match literal {
        Static::Nil => Type::Nil,
        Static::Int(_) => Type::Int,
        Static::Float(_) => Type::Float,
        Static::String(_) => Type::String,
        Static::Bool(_) => Type::Bool,
        Static::Duration(_) => Type::Duration,
        Static::Status(_) => Type::Status,
        Static::Kind(_) => Type::Kind,
    }
}

pub(super) fn type_of_intrinsic(intrinsic: Intrinsic) -> Type {
    match intrinsic {
        Intrinsic::Duration | Intrinsic::TraceDuration | Intrinsic::EventTimeSinceStart => {
            Type::Duration
        }
        Intrinsic::Status => Type::Status,
        Intrinsic::Kind => Type::Kind,
        Intrinsic::SpanChildCount
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent => Type::Int,
        Intrinsic::Name
        | Intrinsic::StatusMessage
        | Intrinsic::SpanId
        | Intrinsic::SpanParentId
        | Intrinsic::TraceId
        | Intrinsic::RootName
        | Intrinsic::RootServiceName
        | Intrinsic::EventName
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId
        | Intrinsic::InstrumentationName
        | Intrinsic::InstrumentationVersion => Type::String,
    }
}

/// The type of arithmetic between numbers and durations.
pub(super) fn result_of(operator: Arithmetic, left: Type, right: Type) -> Type {
    match (left, right) {
        (Type::Any | Type::Number, _) | (_, Type::Any | Type::Number) => Type::Number,
        (Type::Duration, Type::Duration) if operator == Arithmetic::Divide => Type::Float,
        (Type::Duration, _) | (_, Type::Duration) => Type::Duration,
        (Type::Float, _) | (_, Type::Float) => Type::Float,
        _ => Type::Int,
    }
}

/// A literal of this type for a hint.
pub(super) fn example(wanted: Type) -> &'static str {
    match wanted {
        Type::String => "\"…\"",
        Type::Duration => "1s",
        Type::Status => "error",
        Type::Kind => "server",
        Type::Bool => "true",
        _ => "1",
    }
}

/// What to write instead of `literal` beside something of the type `wanted`.
pub(super) fn mismatch_hint(
    wanted: Type,
    other: &FieldExpression,
    literal: &FieldExpression,
) -> Option<String> {
    if !matches!(other.node, FieldNode::Field(_)) {
        return None;
    }
    let FieldNode::Static(value) = &literal.node else {
        return None;
    };
    let words = |words: &[&str]| Some(format!("write one of {}", words.join(", ")));
    match (wanted, value) {
        (Type::Status, Static::String(text))
            if is_one_of(text, &Status::ALL.map(Status::as_str)) =>
        {
            Some(format!("write {} without quotes", text.to_lowercase()))
        }
        (Type::Kind, Static::String(text)) if is_one_of(text, &Kind::ALL.map(Kind::as_str)) => {
            Some(format!("write {} without quotes", text.to_lowercase()))
        }
        (Type::Kind, Static::Status(status)) => Some(format!("write status = {}", status.as_str())),
        (Type::Status, Static::Kind(kind)) => Some(format!("write kind = {}", kind.as_str())),
        (Type::Status, _) => words(&Status::ALL.map(Status::as_str)),
        (Type::Kind, _) => words(&Kind::ALL.map(Kind::as_str)),
        (Type::String, Static::String(_)) => None,
        (Type::String, value) => Some(format!("write it in quotes: \"{value}\"")),
        (wanted, Static::String(text)) if wanted.is_number() => {
            let is_number = matches!(
                Lexer::new(text).next().token,
                Ok(Token::Int(_) | Token::Float(_) | Token::Duration(_))
            );
            is_number.then(|| format!("write {} without quotes", suggest::shorten(text)))
        }
        _ => None,
    }
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

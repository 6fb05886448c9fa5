//! What of a filter the store may use to leave out spans: a condition that each span the filter selects meets.
//!
//! There are two truth values, and what is missing fails every comparison but passes its negation. The store's tests
//! fail what is missing, so a negation becomes a test only where it says the opposite of one; all else is `true`.

use std::sync::Arc;

use spanlight_store::{Comparison as StoreComparison, Field as StoreField, Literal, TextTest};
use spanlight_traceql::Pattern;
use spanlight_traceql::ast::{
    Attribute, AttributeScope, Comparison, Field, Intrinsic, Kind, Status,
};

use super::program::{Fields, Filter, Node, is_service_name};
use super::scalar::Scalar;
use super::texts::PatternTest;

type Condition = spanlight_store::Filter;

/// The union of the conditions of all filters; `None` when one of them may select any span.
pub(crate) fn condition(filters: &[Filter], fields: &Fields) -> Option<Arc<Condition>> {
    let all = filters.iter().map(|filter| must(&filter.root, fields));
    let condition = any(all.collect());
    (!is_true(&condition)).then(|| Arc::new(condition))
}

/// Whether the condition of a filter says nearly all of it: a span that meets the one is likely selected by the other.
pub(crate) fn is_told(filter: &Filter, fields: &Fields) -> bool {
    fn is_told(node: &Node, fields: &Fields) -> bool {
        let is_field = |node: &Node| matches!(node, Node::Field(_));
        match node {
            Node::Constant(_) => true,
            Node::And(operands) | Node::Or(operands) => {
                operands.iter().all(|operand| is_told(operand, fields))
            }
            Node::Compare(_, left, right) => {
                is_field(left)
                    && matches!(**right, Node::Constant(_))
                    && !is_true(&must(node, fields))
            }
            Node::Match { operand, .. }
            | Node::IsNil {
                operand,
                negated: true,
            } => is_field(operand) && !is_true(&must(node, fields)),
            Node::Field(_) => !is_true(&must(node, fields)),
            _ => false,
        }
    }
    !filter.events && !filter.links && is_told(&filter.root, fields)
}

fn anything() -> Condition {
    Condition::And(Vec::new())
}

fn nothing() -> Condition {
    Condition::Or(Vec::new())
}

fn is_true(condition: &Condition) -> bool {
    matches!(condition, Condition::And(parts) if parts.is_empty())
}

fn is_false(condition: &Condition) -> bool {
    matches!(condition, Condition::Or(parts) if parts.is_empty())
}

fn every(mut conditions: Vec<Condition>) -> Condition {
    conditions.retain(|condition| !is_true(condition));
    if conditions.iter().any(is_false) {
        return nothing();
    }
    match conditions.len() {
        1 => conditions.swap_remove(0),
        _ => Condition::And(conditions),
    }
}

fn any(mut conditions: Vec<Condition>) -> Condition {
    conditions.retain(|condition| !is_false(condition));
    if conditions.iter().any(is_true) {
        return anything();
    }
    match conditions.len() {
        1 => conditions.swap_remove(0),
        _ => Condition::Or(conditions),
    }
}

/// What holds for a span wherever the expression is true.
fn must(node: &Node, fields: &Fields) -> Condition {
    let each = |operands: &[Node]| operands.iter().map(|it| must(it, fields)).collect();
    match node {
        Node::Constant(value) if value.is_true() => anything(),
        Node::Constant(_) => nothing(),
        Node::And(operands) => every(each(operands)),
        Node::Or(operands) => any(each(operands)),
        Node::Not(operand) if operand.is_truth() => must_not(operand, fields),
        Node::Not(operand) => values(operand, fields),
        Node::Field(slot) => test(fields.get(*slot), |field| {
            Some(Condition::equal(field, Literal::Bool(true)))
        }),
        Node::Compare(operator, left, right) => match (&**left, &**right) {
            (Node::Field(slot), Node::Constant(value)) => {
                compare(fields.get(*slot), *operator, value)
            }
            _ => every(vec![values(left, fields), values(right, fields)]),
        },
        Node::Match {
            operand,
            pattern,
            negated,
        } => match **operand {
            Node::Field(slot) => matches(fields.get(slot), pattern, *negated),
            _ => values(operand, fields),
        },
        Node::IsNil {
            operand,
            negated: true,
        } => values(operand, fields),
        Node::IsNil { .. } | Node::Negate(_) | Node::Calculate(..) => anything(),
    }
}

/// What holds for a span wherever the expression, a truth value, is false.
fn must_not(node: &Node, fields: &Fields) -> Condition {
    let each = |operands: &[Node]| operands.iter().map(|it| must_not(it, fields)).collect();
    match node {
        Node::Constant(value) if value.is_true() => nothing(),
        Node::And(operands) => any(each(operands)),
        Node::Or(operands) => every(each(operands)),
        Node::Not(operand) if operand.is_truth() => must(operand, fields),
        // False also for an event or link that is not there.
        Node::IsNil {
            operand,
            negated: false,
        } => values(operand, fields),
        _ => anything(),
    }
}

/// What holds for a span wherever the expression has a value: what it is made of is there.
fn values(node: &Node, fields: &Fields) -> Condition {
    match node {
        Node::Field(slot) => match fields.get(*slot) {
            // Every span has them, or nothing is known of them.
            Field::Intrinsic(_) => anything(),
            field @ Field::Attribute(_) => test(field, |field| Some(Condition::exists(field))),
        },
        Node::Constant(Scalar::Nil) => nothing(),
        Node::Negate(operand) => values(operand, fields),
        Node::Not(operand) if !operand.is_truth() => values(operand, fields),
        Node::Calculate(_, left, right) => every(vec![values(left, fields), values(right, fields)]),
        _ => anything(),
    }
}

/// The condition on the store's field of this field; `true` where there is none.
fn test(field: &Field, condition: impl FnOnce(StoreField) -> Option<Condition>) -> Condition {
    store_field(field)
        .and_then(condition)
        .unwrap_or_else(anything)
}

fn store_field(field: &Field) -> Option<StoreField> {
    let attribute = match field {
        Field::Attribute(attribute) if attribute.of_parent => return None,
        Field::Attribute(attribute) => attribute,
        Field::Intrinsic(intrinsic) => {
            return Some(match intrinsic {
                Intrinsic::Name => StoreField::Name,
                Intrinsic::Duration => StoreField::Duration,
                Intrinsic::Status => StoreField::Status,
                Intrinsic::StatusMessage => StoreField::StatusMessage,
                Intrinsic::Kind => StoreField::Kind,
                _ => return None,
            });
        }
    };
    let Attribute { scope, name, .. } = attribute;
    let key = || Arc::from(name.as_str());
    match scope {
        AttributeScope::Resource if is_service_name(field) => Some(StoreField::ServiceName),
        AttributeScope::Resource => Some(StoreField::ResourceAttribute(key())),
        AttributeScope::Span => Some(StoreField::SpanAttribute(key())),
        AttributeScope::Any => Some(StoreField::Attribute(key())),
        AttributeScope::Event | AttributeScope::Link | AttributeScope::Instrumentation => None,
    }
}

fn compare(field: &Field, operator: Comparison, value: &Scalar<'static>) -> Condition {
    let literal = match (field, value) {
        (Field::Intrinsic(Intrinsic::Status), Scalar::Status(status)) => {
            return state(field, operator, status_text(*status));
        }
        (Field::Intrinsic(Intrinsic::Kind), Scalar::Kind(kind)) => {
            return state(field, operator, kind_text(*kind));
        }
        (_, Scalar::Bool(truth)) => Literal::Bool(*truth),
        (_, Scalar::Int(number) | Scalar::Duration(number)) => Literal::Int(*number),
        (_, Scalar::Float(number)) => Literal::Double(*number),
        (_, Scalar::Text(text)) => Literal::from(text.as_ref()),
        _ => return anything(),
    };
    test(field, |field| {
        Some(Condition::compare(
            field,
            store_comparison(operator),
            literal,
        ))
    })
}

/// States have no order: `<=` and `>=` are true of what is equal.
fn state(field: &Field, operator: Comparison, text: &'static str) -> Condition {
    let operator = match operator {
        Comparison::NotEqual => StoreComparison::NotEqual,
        Comparison::Equal | Comparison::LessOrEqual | Comparison::GreaterOrEqual => {
            StoreComparison::Equal
        }
        Comparison::Less | Comparison::Greater => return nothing(),
    };
    test(field, |field| {
        Some(Condition::compare(field, operator, Literal::from(text)))
    })
}

fn status_text(status: Status) -> &'static str {
    use spanlight_model::StatusCode as S;
    match status {
        Status::Unset => S::Unset,
        Status::Ok => S::Ok,
        Status::Error => S::Error,
    }
    .as_str()
}

fn kind_text(kind: Kind) -> &'static str {
    use spanlight_model::SpanKind as S;
    match kind {
        Kind::Unspecified => S::Unspecified,
        Kind::Internal => S::Internal,
        Kind::Server => S::Server,
        Kind::Client => S::Client,
        Kind::Producer => S::Producer,
        Kind::Consumer => S::Consumer,
    }
    .as_str()
}

fn store_comparison(operator: Comparison) -> StoreComparison {
    match operator {
        Comparison::Equal => StoreComparison::Equal,
        Comparison::NotEqual => StoreComparison::NotEqual,
        Comparison::Less => StoreComparison::Less,
        Comparison::LessOrEqual => StoreComparison::LessOrEqual,
        Comparison::Greater => StoreComparison::Greater,
        Comparison::GreaterOrEqual => StoreComparison::GreaterOrEqual,
    }
}

fn matches(field: &Field, pattern: &Pattern, negated: bool) -> Condition {
    let symbol = if negated { "!~" } else { "=~" };
    let pattern = pattern.clone();
    let description = format!("{symbol} {:?}", pattern.as_str());
    let text = TextTest::of(description, PatternTest { pattern, negated });
    test(field, |field| match field {
        StoreField::Duration | StoreField::Status | StoreField::Kind => None,
        field => Some(Condition::matches(field, text)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use spanlight_traceql::ast::Root;

    fn pushed(query: &str) -> String {
        let Root::Search(pipeline) = spanlight_traceql::parse(query).unwrap().root else {
            panic!("{query}");
        };
        let plan = Plan::of_pipeline(&pipeline).unwrap();
        let filters: Vec<Filter> = plan
            .filters
            .iter()
            .map(|filter| filter.relaxed(&plan.fields))
            .collect();
        match condition(&filters, &plan.fields) {
            Some(condition) => condition.to_string(),
            None => "true".to_owned(),
        }
    }

    #[test]
    fn what_the_store_is_told_of_a_filter_is_all_of_it_or_not() {
        for (query, expected) in [
            ("{ }", true),
            ("{ span.a = 1 && (name =~ \"x.*\" || .b) }", true),
            ("{ span.a != nil }", true),
            ("{ span.a = nil }", false),
            ("{ !(span.a = 1) }", false),
            ("{ span.a = span.b }", false),
            ("{ span.a = 1 && event:name = \"e\" }", false),
            ("{ span.a = 1 && span:id = \"1\" }", false),
        ] {
            let Root::Search(pipeline) = spanlight_traceql::parse(query).unwrap().root else {
                panic!("{query}");
            };
            let plan = Plan::of_pipeline(&pipeline).unwrap();
            let filter = plan.filters[0].relaxed(&plan.fields);
            assert_eq!(is_told(&filter, &plan.fields), expected, "{query}");
        }
    }

    #[test]
    fn a_condition_holds_for_all_that_the_filter_selects() {
        for (query, expected) in [
            ("{ }", "true"),
            ("{ false }", "false"),
            ("{ span.a = 1 }", "span.a = 1"),
            ("{ 1 < .a }", ".a > 1"),
            ("{ span.a != \"x\" }", "span.a != \"x\""),
            ("{ !(span.a = 1) }", "true"),
            ("{ !(span.a != nil) }", "true"),
            ("{ !(span.a = nil) }", "span.a exists"),
            ("{ span.a = nil }", "true"),
            ("{ span.a }", "span.a = true"),
            ("{ !span.a }", "span.a exists"),
            ("{ span.a + 1 = span.b }", "span.a exists && span.b exists"),
            (
                "{ resource.service.name = \"x\" && duration > 1ms }",
                "resource.service.name = \"x\" && duration > 1000000",
            ),
            (
                "{ status = error || kind = server }",
                "status = \"error\" || kind = \"server\"",
            ),
            (
                "{ name =~ \"a.*\" && statusMessage !~ \"b\" }",
                "name =~ \"a.*\" && statusMessage !~ \"b\"",
            ),
            ("{ event:name = \"e\" && span.a > 1.5 }", "span.a > 1.5"),
            ("{ rootName = \"r\" }", "true"),
            ("{ rootName = \"r\" && span.a = 1 }", "span.a = 1"),
            ("{ rootName = \"r\" || span.a = 1 }", "true"),
            (
                "{ span.a = 1 } >> { span.b = 2 }",
                "span.a = 1 || span.b = 2",
            ),
            ("{ span.a = 1 } && { }", "true"),
            ("{ trace:id = \"1\" }", "true"),
            ("{ (span.a = 1) = false }", "true"),
            ("{ !(span.a = 1 || span.b = nil) }", "span.b exists"),
            ("{ span.a = 1s }", "span.a = 1000000000"),
        ] {
            assert_eq!(pushed(query), expected, "{query}");
        }
    }
}

//! `nestedSetParent < 0`, which asks for spans without a parent, as a relation between spans: `{ } !> { … }`.
//!
//! It is what Grafana asks first, over everything, and relations are decided as traces go by, without the walk over the
//! whole trace that its numbers are made of.

use spanlight_traceql::ast::{
    Comparison, Field, FieldExpression, FieldNode, Intrinsic, Located, Pipeline, Relation,
    SpansetExpression, SpansetNode, StageNode, Static, StructuralForm, StructuralOperator,
};

/// The pipeline with its first stage in relations. Later stages see only some spans of a trace, whose parents may not be
/// among them.
pub(crate) fn as_relations(pipeline: &Pipeline) -> Pipeline {
    let mut pipeline = pipeline.clone();
    if let Some(Located {
        node: StageNode::Spansets(expression),
        ..
    }) = pipeline.stages.first_mut()
    {
        rewrite(expression);
    }
    pipeline
}

fn rewrite(expression: &mut SpansetExpression) {
    match &mut expression.node {
        SpansetNode::Filter(Some(condition)) => {
            if let Some(rest) = without_test_for_root(condition) {
                let filter = |condition| {
                    let node = SpansetNode::Filter(condition);
                    Box::new(Located::new(node, expression.position.clone()))
                };
                expression.node = SpansetNode::Structural {
                    operator: StructuralOperator {
                        relation: Relation::Child,
                        form: StructuralForm::Negated,
                    },
                    left: filter(None),
                    right: filter(rest),
                };
            }
        }
        SpansetNode::And(operands) | SpansetNode::Or(operands) => {
            operands.iter_mut().for_each(rewrite);
        }
        SpansetNode::Structural { left, right, .. } => {
            rewrite(left);
            rewrite(right);
        }
        SpansetNode::Filter(None) | SpansetNode::Pipeline(_) => {}
    }
}

/// What else the condition asks for, if it asks for that at all.
fn without_test_for_root(condition: &FieldExpression) -> Option<Option<FieldExpression>> {
    if is_test_for_root(&condition.node) {
        return Some(None);
    }
    let FieldNode::And(operands) = &condition.node else {
        return None;
    };
    let tests = |it: &FieldExpression| is_test_for_root(&it.node);
    if !operands.iter().any(tests) {
        return None;
    }
    let rest = operands.iter().filter(|it| !tests(it)).cloned().collect();
    let rest = FieldNode::and(rest);
    Some(Some(Located::new(rest, condition.position.clone())))
}

/// `nestedSetParent < 0` and `nestedSetParent = -1`; a number that it has is otherwise at least 1.
fn is_test_for_root(node: &FieldNode) -> bool {
    let FieldNode::Comparison {
        operator,
        left,
        right,
    } = node
    else {
        return false;
    };
    let is_parent = left.node == FieldNode::Field(Field::Intrinsic(Intrinsic::NestedSetParent));
    let FieldNode::Static(Static::Int(number)) = right.node else {
        return false;
    };
    is_parent
        && matches!(
            (operator, number),
            (Comparison::Less, 0) | (Comparison::Equal, -1)
        )
}

//! The tree as its readers use it.

use std::collections::BTreeSet;

use spanlight_traceql::{
    ast::{
        AggregateFunction, Comparison, FieldNode, MetricsNode, Query, Relation, Root, SecondStage,
        SpansetNode, StageNode, Static, StructuralForm,
    },
    parse,
};

fn search(query: &Query) -> &[spanlight_traceql::ast::Stage] {
    match &query.root {
        Root::Search(pipeline) => &pipeline.stages,
        Root::Metrics(_) => panic!("{query} is metrics"),
    }
}

#[test]
fn every_field_is_visited() {
    let fields = |text: &str| {
        let query = parse(text).unwrap();
        let mut fields = BTreeSet::new();
        query.for_each_field(&mut |field| {
            fields.insert(field.to_string());
        });
        fields.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        fields(
            "({ .a = 1 && !(.b =~ \"x\") } | by(.c) | max(-.d) > 1) && { .e != nil } > { name = \"x\" } | select(.f, kind)"
        ),
        ".a .b .c .d .e .f kind name"
    );
    assert_eq!(
        fields(
            "({ .a } | quantile_over_time(duration, .5) by(.b) | topk(1)) / ({ } | sum_over_time(.c))"
        ),
        ".a .b .c duration"
    );
    assert_eq!(fields("{ } | compare({ .c = 1 })"), ".c");
    assert_eq!(fields("{ }"), "");
}

#[test]
fn nodes_know_where_they_were_written() {
    let text = "{ .a } && { (.b + 1) > 2 } | count() > 3";
    let query = parse(text).unwrap();
    let stages = search(&query);
    assert_eq!(
        &text[stages[0].position.clone()],
        "{ .a } && { (.b + 1) > 2 }"
    );
    assert_eq!(&text[stages[1].position.clone()], "count() > 3");
    let StageNode::Spansets(expression) = &stages[0].node else {
        panic!("{query:?}");
    };
    let SpansetNode::And(operands) = &expression.node else {
        panic!("{query:?}");
    };
    assert_eq!(&text[operands[1].position.clone()], "{ (.b + 1) > 2 }");
    let SpansetNode::Filter(Some(condition)) = &operands[1].node else {
        panic!("{query:?}");
    };
    let FieldNode::Comparison { left, right, .. } = &condition.node else {
        panic!("{query:?}");
    };
    assert_eq!(&text[left.position.clone()], "(.b + 1)");
    assert_eq!(&text[right.position.clone()], "2");
}

#[test]
fn equality_is_of_meaning_not_of_places() {
    assert_eq!(
        parse("{ .a=1 }").unwrap(),
        parse("({ (.a = 01) })").unwrap()
    );
    assert_ne!(parse("{ .a=1 }").unwrap(), parse("{ .a=1.0 }").unwrap());
}

#[test]
fn a_scalar_filter_is_an_aggregate_and_a_literal() {
    let query = parse("{ } | avg(duration) >= 200ms").unwrap();
    let StageNode::Filter(filter) = &search(&query)[1].node else {
        panic!("{query:?}");
    };
    let (aggregate, operator, value) = filter.parts().unwrap();
    assert_eq!(aggregate.function, AggregateFunction::Avg);
    assert_eq!(aggregate.to_string(), "avg(duration)");
    assert_eq!(operator, Comparison::GreaterOrEqual);
    assert_eq!(value, &Static::Duration(200_000_000));
}

#[test]
fn structural_operators_have_a_relation_and_a_form() {
    for (symbol, relation, form) in [
        (">", Relation::Child, StructuralForm::Plain),
        ("!<", Relation::Parent, StructuralForm::Negated),
        ("&>>", Relation::Descendant, StructuralForm::Union),
        ("!<<", Relation::Ancestor, StructuralForm::Negated),
        ("~", Relation::Sibling, StructuralForm::Plain),
    ] {
        let query = parse(&format!("{{ .a }} {symbol} {{ .b }}")).unwrap();
        let StageNode::Spansets(expression) = &search(&query)[0].node else {
            panic!("{query:?}");
        };
        let SpansetNode::Structural { operator, .. } = &expression.node else {
            panic!("{query:?}");
        };
        assert_eq!(
            (operator.relation, operator.form),
            (relation, form),
            "{symbol}"
        );
    }
}

#[test]
fn metrics_keep_their_stages_in_order() {
    let query = parse("rate() by(name) > 1 | topk(3) < 9 with(exemplars = 5)").unwrap();
    assert_eq!(query.hint("exemplars"), Some(&Static::Int(5)));
    assert_eq!(query.hint("other"), None);
    let Root::Metrics(metrics) = &query.root else {
        panic!("{query:?}");
    };
    let MetricsNode::Staged { input, stages } = &metrics.node else {
        panic!("{query:?}");
    };
    assert!(matches!(input.node, MetricsNode::Series { .. }));
    let stages: Vec<_> = stages.iter().map(|stage| &stage.node).collect();
    assert!(matches!(
        stages[..],
        [
            SecondStage::Compare { .. },
            SecondStage::Rank { count: 3, .. },
            SecondStage::Compare { .. }
        ]
    ));
}

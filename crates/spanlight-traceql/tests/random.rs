//! Random queries in the form that parsing gives them: trees that a text can have.

use proptest::{collection::vec, option, prelude::*, sample::select};
use spanlight_traceql::{
    Pattern,
    ast::{
        Aggregate, AggregateFunction, Arithmetic, Attribute, AttributeScope, Comparison, End,
        Field, FieldExpression, FieldNode, Hint, Intrinsic, Kind, Located, MetricsExpression,
        MetricsFunction, MetricsNode, Order, OrderKey, OverTimeFunction, Pipeline, Query,
        RankFunction, Relation, Root, ScalarFilter, ScalarNode, SecondStage, SpansetExpression,
        SpansetNode, Stage, StageNode, Static, Status, StructuralForm, StructuralOperator,
    },
};

fn at<T>(node: T) -> Located<T> {
    Located::new(node, 0..0)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z][a-z0-9_.]{0,8}",
        1 => "(span|resource|event)\\.[a-z]{1,3}",
        1 => "\\PC{0,6}",
        1 => any::<String>(),
    ]
}

fn attribute() -> impl Strategy<Value = Field> {
    let scope = prop_oneof![
        Just((false, AttributeScope::Any)),
        Just((false, AttributeScope::Span)),
        Just((false, AttributeScope::Resource)),
        Just((false, AttributeScope::Event)),
        Just((false, AttributeScope::Link)),
        Just((false, AttributeScope::Instrumentation)),
        Just((true, AttributeScope::Any)),
        Just((true, AttributeScope::Span)),
        Just((true, AttributeScope::Resource)),
    ];
    (scope, name()).prop_map(|((of_parent, scope), name)| {
        Field::Attribute(Attribute {
            of_parent,
            scope,
            name,
        })
    })
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        3 => attribute(),
        1 => select(Intrinsic::ALL.to_vec()).prop_map(Field::Intrinsic),
    ]
}

/// A field that may be a number.
fn numeric_field() -> impl Strategy<Value = Field> {
    prop_oneof![
        3 => attribute(),
        1 => select(vec![
            Intrinsic::Duration,
            Intrinsic::TraceDuration,
            Intrinsic::SpanChildCount,
            Intrinsic::NestedSetParent,
            Intrinsic::EventTimeSinceStart,
        ])
        .prop_map(Field::Intrinsic),
    ]
}

fn whole() -> impl Strategy<Value = i64> {
    prop_oneof![-20_i64..20, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn decimal() -> impl Strategy<Value = f64> {
    prop_oneof![
        -2.0..2.0,
        any::<f64>().prop_filter("literals are finite", |number| number.is_finite())
    ]
}

fn number() -> impl Strategy<Value = Static> {
    prop_oneof![
        whole().prop_map(Static::Int),
        decimal().prop_map(Static::Float),
        prop_oneof![whole(), (-99_i64..99).prop_map(|it| it * 500_000_000)]
            .prop_map(Static::Duration),
    ]
}

fn literal() -> impl Strategy<Value = Static> {
    prop_oneof![
        number(),
        any::<String>().prop_map(Static::String),
        any::<bool>().prop_map(Static::Bool),
        select(Status::ALL.to_vec()).prop_map(Static::Status),
        select(Kind::ALL.to_vec()).prop_map(Static::Kind),
    ]
}

fn arithmetic() -> impl Strategy<Value = Arithmetic> {
    select(vec![
        Arithmetic::Add,
        Arithmetic::Subtract,
        Arithmetic::Multiply,
        Arithmetic::Divide,
        Arithmetic::Remainder,
        Arithmetic::Power,
    ])
}

fn comparison() -> impl Strategy<Value = Comparison> {
    select(vec![
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ])
}

fn equality() -> impl Strategy<Value = Comparison> {
    select(vec![Comparison::Equal, Comparison::NotEqual])
}

/// An expression whose value is a number.
fn numeric() -> impl Strategy<Value = FieldExpression> {
    let leaf = prop_oneof![
        numeric_field().prop_map(FieldNode::Field),
        number().prop_map(FieldNode::Static),
    ]
    .prop_map(at);
    leaf.prop_recursive(4, 16, 2, |inner| {
        let negated = inner.clone().prop_map(|it| match &it.node {
            // A sign before a literal belongs to the literal.
            FieldNode::Static(literal) if literal.negated().is_some() => it,
            _ => at(FieldNode::Negate(Box::new(it))),
        });
        let joined = (arithmetic(), inner.clone(), inner).prop_map(|(operator, left, right)| {
            at(FieldNode::Arithmetic {
                operator,
                left: Box::new(left),
                right: Box::new(right),
            })
        });
        prop_oneof![negated, joined]
    })
}

fn compared(
    operator: Comparison,
    left: FieldExpression,
    right: FieldExpression,
) -> FieldExpression {
    at(FieldNode::Comparison {
        operator,
        left: Box::new(left),
        right: Box::new(right),
    })
}

/// An expression whose value is true or false.
pub(crate) fn condition() -> impl Strategy<Value = FieldExpression> {
    let leaf = prop_oneof![
        attribute().prop_map(|it| at(FieldNode::Field(it))),
        any::<bool>().prop_map(|it| at(FieldNode::Static(Static::Bool(it)))),
        (comparison(), numeric(), numeric()).prop_map(|(it, l, r)| compared(it, l, r)),
        (equality(), attribute(), literal()).prop_map(|(it, l, r)| compared(
            it,
            at(FieldNode::Field(l)),
            at(FieldNode::Static(r))
        )),
        (attribute(), any::<bool>(), "[a-z.*|\"\\\\d ]{0,5}").prop_filter_map(
            "patterns compile",
            |(field, negated, pattern)| {
                Some(at(FieldNode::Match {
                    operand: Box::new(at(FieldNode::Field(field))),
                    negated,
                    pattern: at(Pattern::new(&pattern).ok()?),
                }))
            }
        ),
        (numeric(), any::<bool>()).prop_filter_map("intrinsics are never nil", |(it, negated)| {
            (negated || !matches!(it.node, FieldNode::Field(Field::Intrinsic(_)))).then(|| {
                at(FieldNode::NilTest {
                    operand: Box::new(it),
                    negated,
                })
            })
        }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|it| at(FieldNode::Not(Box::new(it)))),
            vec(inner.clone(), 2..4).prop_map(|it| at(FieldNode::and(it))),
            vec(inner.clone(), 2..4).prop_map(|it| at(FieldNode::or(it))),
            (equality(), inner.clone(), inner).prop_map(|(it, l, r)| compared(it, l, r)),
        ]
    })
}

fn structural() -> impl Strategy<Value = StructuralOperator> {
    let relation = select(vec![
        Relation::Child,
        Relation::Parent,
        Relation::Descendant,
        Relation::Ancestor,
        Relation::Sibling,
    ]);
    let form = select(vec![
        StructuralForm::Plain,
        StructuralForm::Negated,
        StructuralForm::Union,
    ]);
    (relation, form).prop_map(|(relation, form)| StructuralOperator { relation, form })
}

fn plain_stage() -> impl Strategy<Value = Stage> {
    let filter = (aggregate(), comparison(), number()).prop_map(|(aggregate, operator, value)| {
        StageNode::Filter(ScalarFilter {
            left: at(ScalarNode::Aggregate(aggregate)),
            operator,
            right: at(ScalarNode::Static(value)),
        })
    });
    let key = prop_oneof![
        numeric_over_fields().prop_map(OrderKey::Spans),
        aggregate().prop_map(|it| OrderKey::Spansets(at(it))),
    ];
    let order = (key, any::<bool>(), option::of(1_u64..99)).prop_map(|(key, descending, limit)| {
        StageNode::Order(Order {
            key,
            descending,
            limit,
        })
    });
    let end = select(vec![End::First, End::Last]);
    prop_oneof![
        filter,
        order,
        (end, 1_u64..99).prop_map(|(end, count)| StageNode::Keep { end, count }),
        numeric_over_fields().prop_map(StageNode::GroupBy),
        Just(StageNode::Coalesce),
        vec(field().prop_map(at), 1..4).prop_map(StageNode::Select),
    ]
    .prop_map(at)
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    let over = select(AggregateFunction::ALL[1..].to_vec());
    prop_oneof![
        Just(Aggregate {
            function: AggregateFunction::Count,
            argument: None,
            quantile: None,
        }),
        (over, numeric_over_fields(), 0.0..=1.0).prop_map(|(function, argument, quantile)| {
            Aggregate {
                function,
                argument: Some(Box::new(argument)),
                quantile: (function == AggregateFunction::Quantile).then_some(quantile),
            }
        }),
    ]
}

fn numeric_over_fields() -> impl Strategy<Value = FieldExpression> {
    (numeric_field(), numeric()).prop_map(|(field, right)| {
        at(FieldNode::Arithmetic {
            operator: Arithmetic::Multiply,
            left: Box::new(at(FieldNode::Field(field))),
            right: Box::new(right),
        })
    })
}

fn spansets() -> impl Strategy<Value = SpansetExpression> {
    let leaf = option::weighted(0.9, condition()).prop_map(|it| at(SpansetNode::Filter(it)));
    leaf.prop_recursive(3, 8, 3, |inner| {
        let related =
            (structural(), inner.clone(), inner.clone()).prop_map(|(operator, left, right)| {
                at(SpansetNode::Structural {
                    operator,
                    left: Box::new(left),
                    right: Box::new(right),
                })
            });
        let pipeline = (inner.clone(), vec(plain_stage(), 1..3)).prop_map(|(first, mut stages)| {
            stages.insert(0, at(StageNode::Spansets(first)));
            at(SpansetNode::Pipeline(Pipeline::new(stages)))
        });
        prop_oneof![
            related,
            pipeline,
            vec(inner.clone(), 2..4).prop_map(|it| at(SpansetNode::and(it))),
            vec(inner, 2..4).prop_map(|it| at(SpansetNode::or(it))),
        ]
    })
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let stage = prop_oneof![
        plain_stage(),
        spansets().prop_map(|it| at(StageNode::Spansets(it)))
    ];
    vec(stage, 1..4).prop_map(Pipeline::new)
}

fn metrics_function() -> impl Strategy<Value = MetricsFunction> {
    let over_time = select(vec![
        OverTimeFunction::Min,
        OverTimeFunction::Max,
        OverTimeFunction::Avg,
        OverTimeFunction::Sum,
    ]);
    let numeric_field = || numeric_field().prop_map(at);
    prop_oneof![
        Just(MetricsFunction::Rate),
        Just(MetricsFunction::CountOverTime),
        (over_time, numeric_field())
            .prop_map(|(function, field)| MetricsFunction::OverTime { function, field }),
        (numeric_field(), vec(0.0..=1.0, 1..3))
            .prop_map(|(field, quantiles)| MetricsFunction::QuantileOverTime { field, quantiles }),
        numeric_field().prop_map(|field| MetricsFunction::HistogramOverTime { field }),
    ]
}

fn second_stage() -> impl Strategy<Value = SecondStage> {
    let function = select(vec![RankFunction::Top, RankFunction::Bottom]);
    prop_oneof![
        (function, 1_u64..99).prop_map(|(function, count)| SecondStage::Rank { function, count }),
        (comparison(), number())
            .prop_map(|(operator, value)| SecondStage::Compare { operator, value }),
    ]
}

fn metrics() -> impl Strategy<Value = MetricsExpression> {
    let series = (
        pipeline(),
        metrics_function(),
        vec(field().prop_map(at), 0..3),
    )
        .prop_map(|(pipeline, function, by)| {
            at(MetricsNode::Series {
                pipeline,
                function: at(function),
                by,
            })
        })
        .boxed();
    let number = prop_oneof![
        whole().prop_map(Static::Int),
        decimal().prop_map(Static::Float)
    ]
    .prop_map(|it| at(MetricsNode::Number(it)));
    series.prop_recursive(3, 4, 2, move |inner| {
        let staged = (inner.clone(), vec(second_stage().prop_map(at), 1..3))
            .prop_map(|(input, stages)| stages.into_iter().fold(input, MetricsExpression::staged));
        let operator = select(vec![
            Arithmetic::Add,
            Arithmetic::Subtract,
            Arithmetic::Multiply,
            Arithmetic::Divide,
        ]);
        let right = prop_oneof![inner.clone(), number.clone()];
        let joined = (operator, inner, right, any::<bool>()).prop_map(
            |(operator, left, right, are_swapped)| {
                let (left, right) = if are_swapped {
                    (right, left)
                } else {
                    (left, right)
                };
                at(MetricsNode::Arithmetic {
                    operator,
                    left: Box::new(left),
                    right: Box::new(right),
                })
            },
        );
        prop_oneof![staged, joined]
    })
}

fn compare() -> impl Strategy<Value = MetricsExpression> {
    let arguments = prop_oneof![
        Just((None, None)),
        (1_u32..=1_000).prop_map(|it| (Some(it), None)),
        (1_u32..=1_000, whole(), whole()).prop_map(|(top, l, r)| (Some(top), Some((l, r)))),
    ];
    (pipeline(), option::of(condition()), arguments).prop_map(
        |(pipeline, selection, (top, window))| {
            at(MetricsNode::Series {
                pipeline,
                function: at(MetricsFunction::Compare {
                    selection: selection.map(Box::new),
                    top,
                    window,
                }),
                by: Vec::new(),
            })
        },
    )
}

/// A whole query.
pub(crate) fn query() -> impl Strategy<Value = Query> {
    let root = prop_oneof![
        3 => pipeline().prop_map(Root::Search),
        2 => metrics().prop_map(Root::Metrics),
        1 => compare().prop_map(Root::Metrics),
    ];
    let hint = ("[a-z_]{1,9}", literal()).prop_map(|(name, value)| Hint {
        name: at(name),
        value,
    });
    (root, vec(hint, 0..3)).prop_map(|(root, hints)| Query { root, hints })
}

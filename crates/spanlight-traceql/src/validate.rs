//! The type rules of a query that follows the grammar.
//!
//! Attributes may hold any type, so only what can never work is an error: literals and intrinsics of types that do
//! not meet, conditions that are no conditions, aggregates of what is no number. Numbers and durations compare with
//! one another, everything else with its own type only.

mod types;

use std::ops::Range;

use crate::{
    ErrorKind,
    ast::{
        Aggregate, Comparison, Field, FieldExpression, FieldNode, MetricsExpression,
        MetricsFunction, MetricsNode, OrderKey, Pipeline, Query, Root, ScalarFilter, ScalarNode,
        SpansetExpression, SpansetNode, StageNode, Static,
    },
    error::Fault,
    suggest,
};

use types::{Type, example, mismatch_hint, result_of, type_of, type_of_intrinsic};

type Checked<T = ()> = Result<T, Box<Fault>>;

/// Checks the types of a query that was read from `text`.
pub(crate) fn query(text: &str, query: &Query) -> Checked {
    let validator = Validator { text };
    match &query.root {
        Root::Search(pipeline) => validator.pipeline(pipeline),
        Root::Metrics(metrics) => validator.metrics(metrics),
    }
}

#[derive(Debug)]
struct Validator<'a> {
    text: &'a str,
}

impl Validator<'_> {
    fn pipeline(&self, pipeline: &Pipeline) -> Checked {
        for stage in &pipeline.stages {
            match &stage.node {
                StageNode::Spansets(expression) => self.spansets(expression)?,
                StageNode::Filter(filter) => self.scalar_filter(filter, &stage.position)?,
                StageNode::GroupBy(expression) => {
                    self.field(expression)?;
                    self.names_a_field(expression, "`by`")?;
                }
                StageNode::Order(order) => match &order.key {
                    OrderKey::Spans(expression) => {
                        self.field(expression)?;
                        self.names_a_field(expression, "`order by`")?;
                    }
                    OrderKey::Spansets(aggregate) => self.aggregate(&aggregate.node)?,
                },
                StageNode::Coalesce | StageNode::Select(_) | StageNode::Keep { .. } => {}
            }
        }
        Ok(())
    }

    fn spansets(&self, expression: &SpansetExpression) -> Checked {
        match &expression.node {
            SpansetNode::Filter(None) => Ok(()),
            SpansetNode::Filter(Some(condition)) => self.filter(condition),
            SpansetNode::Pipeline(pipeline) => self.pipeline(pipeline),
            SpansetNode::And(operands) | SpansetNode::Or(operands) => operands
                .iter()
                .try_for_each(|operand| self.spansets(operand)),
            SpansetNode::Structural { left, right, .. } => {
                self.spansets(left)?;
                self.spansets(right)
            }
        }
    }

    /// What stands in `{ }`.
    fn filter(&self, condition: &FieldExpression) -> Checked {
        let found = self.field(condition)?;
        if found.is_condition() {
            return Ok(());
        }
        let fault = Fault::invalid(
            condition.position.clone(),
            format!(
                "a filter must be true or false, {} is {found}",
                self.quote(&condition.position)
            ),
        );
        Err(match &condition.node {
            FieldNode::Field(Field::Intrinsic(intrinsic)) => fault.hint(format!(
                "compare it, for example {} = {}",
                intrinsic.as_str(),
                example(found)
            )),
            FieldNode::Static(Static::String(text)) => fault.hint(format!(
                "for spans of this name write name = {}",
                Static::String(suggest::shorten(text))
            )),
            _ => fault,
        })
    }

    /// The type of an expression.
    fn field(&self, expression: &FieldExpression) -> Checked<Type> {
        match &expression.node {
            FieldNode::Static(literal) => Ok(type_of(literal)),
            FieldNode::Field(Field::Attribute(_)) => Ok(Type::Any),
            FieldNode::Field(Field::Intrinsic(intrinsic)) => Ok(type_of_intrinsic(*intrinsic)),
            FieldNode::Not(operand) => {
                self.condition(operand, "!")?;
                Ok(Type::Bool)
            }
            FieldNode::Negate(operand) => match self.number(operand, "-")? {
                Type::Any => Ok(Type::Number),
                number => Ok(number),
            },
            FieldNode::Arithmetic {
                operator,
                left,
                right,
            } => {
                let left = self.number(left, operator.as_str())?;
                let right = self.number(right, operator.as_str())?;
                Ok(result_of(*operator, left, right))
            }
            FieldNode::Comparison {
                operator,
                left,
                right,
            } => {
                self.comparison(expression, *operator, left, right)?;
                Ok(Type::Bool)
            }
            FieldNode::Match {
                operand, negated, ..
            } => {
                let found = self.field(operand)?;
                if !found.meets(Type::String) {
                    let sign = if *negated { "!~" } else { "=~" };
                    return Err(self.wrong(operand, found, sign, "strings"));
                }
                Ok(Type::Bool)
            }
            FieldNode::NilTest { operand, negated } => {
                self.nil_test(expression, operand, *negated)?;
                Ok(Type::Bool)
            }
            FieldNode::And(operands) => self.conditions(operands, "&&"),
            FieldNode::Or(operands) => self.conditions(operands, "||"),
        }
    }

    fn conditions(&self, operands: &[FieldExpression], sign: &str) -> Checked<Type> {
        for operand in operands {
            self.condition(operand, sign)?;
        }
        Ok(Type::Bool)
    }

    fn condition(&self, operand: &FieldExpression, sign: &str) -> Checked {
        let found = self.field(operand)?;
        if found.is_condition() {
            return Ok(());
        }
        Err(self.wrong(operand, found, sign, "conditions"))
    }

    fn number(&self, operand: &FieldExpression, sign: &str) -> Checked<Type> {
        let found = self.field(operand)?;
        if found.is_number() {
            return Ok(found);
        }
        Err(self.wrong(operand, found, sign, "numbers and durations"))
    }

    fn wrong(&self, operand: &FieldExpression, found: Type, sign: &str, wants: &str) -> Box<Fault> {
        Fault::invalid(
            operand.position.clone(),
            format!(
                "`{sign}` works on {wants}, {} is {found}",
                self.quote(&operand.position)
            ),
        )
    }

    fn nil_test(
        &self,
        expression: &FieldExpression,
        operand: &FieldExpression,
        negated: bool,
    ) -> Checked {
        self.field(operand)?;
        match &operand.node {
            FieldNode::Field(Field::Intrinsic(intrinsic)) if !negated => Err(Fault::invalid(
                expression.position.clone(),
                format!("every span has `{}`: it is never nil", intrinsic.as_str()),
            )
            .hint(match type_of_intrinsic(*intrinsic) {
                Type::String => format!("an empty one is {} = \"\"", intrinsic.as_str()),
                _ => format!(
                    "an attribute of that name is written `.{}`",
                    intrinsic.as_str()
                ),
            })),
            _ => Ok(()),
        }
    }

    fn comparison(
        &self,
        whole: &FieldExpression,
        operator: Comparison,
        left: &FieldExpression,
        right: &FieldExpression,
    ) -> Checked {
        let (left_type, right_type) = (self.field(left)?, self.field(right)?);
        if !left_type.meets(right_type) {
            let is_literal = |it: &FieldExpression| matches!(it.node, FieldNode::Static(_));
            let place = match (is_literal(left), is_literal(right)) {
                (_, true) => right,
                (true, false) => left,
                (false, false) => whole,
            };
            return Err(Fault::invalid(
                place.position.clone(),
                format!(
                    "{} is {left_type} and {} is {right_type}: they never compare",
                    self.quote(&left.position),
                    self.quote(&right.position)
                ),
            )
            .hint_option(
                mismatch_hint(left_type, left, right)
                    .or_else(|| mismatch_hint(right_type, right, left)),
            ));
        }
        let unordered = [(left, left_type), (right, right_type)]
            .into_iter()
            .find(|(_, found)| !found.has_order());
        match unordered {
            Some((_, found)) if !operator.is_equality() => Err(Fault::invalid(
                whole.position.clone(),
                format!(
                    "{found} has no order: it does not go with `{}`",
                    operator.as_str()
                ),
            )
            .expecting(&["`=`", "`!=`"])),
            _ => Ok(()),
        }
    }

    fn scalar_filter(&self, filter: &ScalarFilter, position: &Range<usize>) -> Checked {
        self.scalar(&filter.left.node)?;
        self.scalar(&filter.right.node)?;
        let Some((aggregate, _, value)) = filter.parts() else {
            let fault = Fault::new(
                ErrorKind::Unsupported,
                position.clone(),
                format!("{} is not supported", self.quote(position)),
            )
            .expecting(&["an aggregate, a comparison and a constant"]);
            return Err(match (&filter.left.node, &filter.right.node) {
                (ScalarNode::Static(value), ScalarNode::Aggregate(_)) => fault.hint(format!(
                    "write {} {} {value}",
                    &self.text[filter.right.position.clone()],
                    filter.operator.mirrored().as_str(),
                )),
                _ => fault,
            });
        };
        let found = type_of(value);
        if found.is_number() {
            return Ok(());
        }
        Err(Fault::invalid(
            filter.right.position.clone(),
            format!(
                "`{}` gives a number, {} is {found}",
                aggregate.function.as_str(),
                self.quote(&filter.right.position)
            ),
        )
        .expecting(&["a number", "a duration"]))
    }

    fn scalar(&self, scalar: &ScalarNode) -> Checked {
        match scalar {
            ScalarNode::Static(_) => Ok(()),
            ScalarNode::Aggregate(aggregate) => self.aggregate(aggregate),
            ScalarNode::Arithmetic { left, right, .. } => {
                self.scalar(&left.node)?;
                self.scalar(&right.node)
            }
            ScalarNode::Pipeline { pipeline, value } => {
                self.pipeline(pipeline)?;
                self.scalar(&value.node)
            }
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Checked {
        match &aggregate.argument {
            Some(argument) => {
                let name = aggregate.function.as_str();
                self.number(argument, name)?;
                self.names_a_field(argument, &format!("`{name}`"))
            }
            None => Ok(()),
        }
    }

    /// Constants are the same for each span, which is no way to group or sum spans.
    fn names_a_field(&self, expression: &FieldExpression, what: &str) -> Checked {
        let mut names = false;
        expression.node.for_each_field(&mut |_| names = true);
        if names {
            return Ok(());
        }
        Err(Fault::invalid(
            expression.position.clone(),
            format!(
                "{what} needs something of the span, {} is the same for all",
                self.quote(&expression.position)
            ),
        )
        .expecting(&["an attribute", "an intrinsic"]))
    }

    fn metrics(&self, metrics: &MetricsExpression) -> Checked {
        match &metrics.node {
            MetricsNode::Number(_) => Ok(()),
            MetricsNode::Series {
                pipeline,
                function,
                by,
            } => {
                self.pipeline(pipeline)?;
                self.metrics_function(&function.node)?;
                match (&function.node, by.first()) {
                    (MetricsFunction::Compare { .. }, Some(field)) => Err(Fault::invalid(
                        field.position.clone(),
                        "`compare` groups by every attribute itself",
                    )
                    .hint("leave out `by(…)`")),
                    _ => Ok(()),
                }
            }
            MetricsNode::Arithmetic { left, right, .. } => {
                self.metrics(left)?;
                self.metrics(right)?;
                self.not_of_compare(left, &metrics.position)?;
                self.not_of_compare(right, &metrics.position)
            }
            MetricsNode::Staged { input, stages } => {
                self.metrics(input)?;
                let place = stages.first().map_or(&metrics.position, |it| &it.position);
                self.not_of_compare(input, place)
            }
        }
    }

    fn not_of_compare(&self, input: &MetricsExpression, place: &Range<usize>) -> Checked {
        match &input.node {
            MetricsNode::Series { function, .. }
                if matches!(function.node, MetricsFunction::Compare { .. }) =>
            {
                Err(Fault::invalid(
                    place.clone(),
                    "nothing can be done with the series of `compare`",
                ))
            }
            _ => Ok(()),
        }
    }

    fn metrics_function(&self, function: &MetricsFunction) -> Checked {
        let field = match function {
            MetricsFunction::Rate | MetricsFunction::CountOverTime => return Ok(()),
            MetricsFunction::Compare { selection, .. } => {
                return selection.as_ref().map_or(Ok(()), |it| self.filter(it));
            }
            MetricsFunction::OverTime { field, .. }
            | MetricsFunction::QuantileOverTime { field, .. }
            | MetricsFunction::HistogramOverTime { field } => field,
        };
        let Field::Intrinsic(intrinsic) = field.node else {
            return Ok(());
        };
        let found = type_of_intrinsic(intrinsic);
        if found.is_number() {
            return Ok(());
        }
        Err(Fault::invalid(
            field.position.clone(),
            format!(
                "`{}` works on numbers and durations, `{}` is {found}",
                function.as_str(),
                intrinsic.as_str()
            ),
        ))
    }

    fn quote(&self, position: &Range<usize>) -> String {
        format!("`{}`", suggest::shorten(&self.text[position.clone()]))
    }
}

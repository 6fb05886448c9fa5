//! Single values outside `{ }`: filters, literals, and the functions that are stages or parts of them.

use std::ops::Range;

use crate::{
    ErrorKind, QUANTILES_MAX,
    ast::{
        Aggregate, AggregateFunction, End, Field, FieldExpression, Intrinsic, Located,
        MetricsFunction, Order, OrderKey, OverTimeFunction, RankFunction, ScalarNode, SecondStage,
        SpansetNode, StageNode, Static,
    },
    error::Fault,
    lexer::Token,
    suggest,
};

use super::{
    Parsed, Parser, above,
    field::static_word,
    node::{Node, Series, Value},
};

/// What may begin a stage.
const STAGE: [&str; 4] = [
    "`{`",
    "`(`",
    "an aggregate such as `count()`",
    "a function such as `by(…)` or `rate()`",
];

/// Values of `compare` for each attribute.
const COMPARE_TOP_MAX: i64 = 1_000;

impl<'a> Parser<'a> {
    /// One value that is no parenthesis and has no sign.
    pub(super) fn value(&mut self) -> Parsed<Value> {
        let start = self.position.start;
        let (node, height) = match self.token {
            Token::Symbol("{") => {
                let (node, height) = self.spanset_filter()?;
                (Node::Spansets(node), height)
            }
            Token::Word(word) => self.function(word)?,
            _ => match self.literal() {
                Some(literal) => {
                    self.advance()?;
                    (Node::literal(literal), 1)
                }
                None if self.least_number().is_some() => return Err(self.beyond_greatest()),
                None => return Err(self.no_stage()),
            },
        };
        Ok(Value::new(node, start..self.previous_end, height))
    }

    /// A function, at its name, or a literal's word.
    fn function(&mut self, name: &str) -> Parsed<(Node, usize)> {
        let position = self.position.clone();
        if let Some(function) = self.aggregate_function() {
            let (aggregate, height) = self.aggregate(function)?;
            return Ok((Node::Scalar(ScalarNode::Aggregate(aggregate)), height));
        }
        let (node, height) = match name {
            "by" => {
                let (expression, height) = self.group_by()?;
                (Node::Stage(StageNode::GroupBy(expression)), height)
            }
            "coalesce" => {
                self.no_arguments()?;
                (Node::Stage(StageNode::Coalesce), 1)
            }
            "select" => {
                self.advance()?;
                let fields = self.fields()?;
                (Node::Stage(StageNode::Select(fields)), 1)
            }
            "order" => {
                let (order, height) = self.order()?;
                (Node::Stage(StageNode::Order(order)), height)
            }
            "first" => (self.keep(End::First)?, 1),
            "last" => (self.keep(End::Last)?, 1),
            "topk" => (self.rank(RankFunction::Top)?, 1),
            "bottomk" => (self.rank(RankFunction::Bottom)?, 1),
            _ => match self.metrics_function(name)? {
                Some((function, height)) => {
                    let function = Located::new(function, position.start..self.previous_end);
                    let by = if self.is_word("by") {
                        self.advance()?;
                        self.fields()?
                    } else {
                        Vec::new()
                    };
                    (Node::Series(Series::new(function, by)), height)
                }
                None => match static_word(name) {
                    Some(literal) => {
                        self.advance()?;
                        (Node::literal(literal), 1)
                    }
                    None => return Err(self.no_stage()),
                },
            },
        };
        Ok((node, above(height, &position)?))
    }

    /// `count()`, `avg(expression)`, `quantile(expression, q)`, at the name.
    fn aggregate(&mut self, function: AggregateFunction) -> Parsed<(Aggregate, usize)> {
        let position = self.position.clone();
        let (mut argument, mut height, mut quantile) = (None, 1, None);
        if function == AggregateFunction::Count {
            self.no_arguments()?;
        } else {
            self.advance()?;
            self.expect("(")?;
            let expression = self.field_expression()?;
            argument = Some(Box::new(expression.0));
            height = expression.1;
            if function == AggregateFunction::Quantile {
                if !self.is_symbol(",") {
                    return Err(self
                        .unexpected(&["`,`"])
                        .hint("say which one, for example quantile(duration, 0.99)"));
                }
                self.advance()?;
                quantile = Some(self.quantile()?);
            }
            self.expect(")")?;
        }
        let aggregate = Aggregate {
            function,
            argument,
            quantile,
        };
        Ok((aggregate, above(height, &position)?))
    }

    /// The aggregate that the present word names.
    fn aggregate_function(&self) -> Option<AggregateFunction> {
        let is_named = |it: &AggregateFunction| self.is_word(it.as_str());
        AggregateFunction::ALL.into_iter().find(is_named)
    }

    /// `order by(key) desc limit n`, at the first word.
    fn order(&mut self) -> Parsed<(Order, usize)> {
        self.advance()?;
        if !self.is_word("by") {
            return Err(self
                .unexpected(&["`by`"])
                .hint("write for example `| order by(duration) desc limit 10`"));
        }
        self.advance()?;
        self.expect("(")?;
        let start = self.position.start;
        let (key, height) = match self.aggregate_function() {
            Some(function) => {
                let (aggregate, height) = self.aggregate(function)?;
                let aggregate = Located::new(aggregate, start..self.previous_end);
                (OrderKey::Spansets(aggregate), height)
            }
            None => {
                let (expression, height) = self.field_expression()?;
                (OrderKey::Spans(expression), height)
            }
        };
        if self.is_symbol(",") {
            return Err(self
                .unexpected(&["`)`"])
                .hint("one expression gives the order"));
        }
        self.expect(")")?;
        let descending = self.is_word("desc");
        if descending || self.is_word("asc") {
            self.advance()?;
        }
        let limit = match self.is_word("limit") {
            true => {
                self.advance()?;
                Some(self.count("limit 0")?)
            }
            false => None,
        };
        let order = Order {
            key,
            descending,
            limit,
        };
        Ok((order, height))
    }

    /// `first(n)` and `last(n)`, at the name.
    fn keep(&mut self, end: End) -> Parsed<Node> {
        self.advance()?;
        self.expect("(")?;
        let count = self.count(&format!("{}(0)", end.as_str()))?;
        self.expect(")")?;
        Ok(Node::Stage(StageNode::Keep { end, count }))
    }

    /// How many are kept; `nothing` is how it reads when that is none.
    fn count(&mut self, nothing: &str) -> Parsed<u64> {
        let position = self.position.clone();
        let Token::Int(count) = self.token else {
            return Err(self.unexpected(&["a whole number"]));
        };
        self.advance()?;
        if count == 0 {
            return Err(
                Fault::invalid(position, format!("`{nothing}` keeps nothing"))
                    .expecting(&["a whole number from 1"]),
            );
        }
        Ok(count)
    }

    /// `by(expression)`, at the name.
    fn group_by(&mut self) -> Parsed<(FieldExpression, usize)> {
        self.advance()?;
        self.expect("(")?;
        let expression = self.field_expression()?;
        if self.is_symbol(",") {
            return Err(self
                .unexpected(&["`)`"])
                .hint("a search groups by one expression at a time: `| by(a) | by(b)`"));
        }
        self.expect(")")?;
        Ok(expression)
    }

    /// `name()`, at the name.
    fn no_arguments(&mut self) -> Parsed<()> {
        let name = self.found();
        self.advance()?;
        if !self.is_symbol("(") {
            return Err(self
                .unexpected(&["`(`"])
                .hint(format!("write {}()", name.trim_matches('`'))));
        }
        self.advance()?;
        if self.is_symbol(")") {
            self.advance()?;
            return Ok(());
        }
        Err(self
            .unexpected(&["`)`"])
            .hint(format!("{name} takes no arguments")))
    }

    /// `topk(n)`, at the name.
    fn rank(&mut self, function: RankFunction) -> Parsed<Node> {
        let start = self.position.start;
        self.advance()?;
        self.expect("(")?;
        let count = self.count(&format!("{}(0)", function.as_str()))?;
        self.expect(")")?;
        let stage = SecondStage::Rank { function, count };
        let stage = Located::new(stage, start..self.previous_end);
        Ok(Node::SecondStages(vec![stage]))
    }

    /// `rate()` and so on with its arguments, at the name; nothing for other names.
    fn metrics_function(&mut self, name: &str) -> Parsed<Option<(MetricsFunction, usize)>> {
        let over_time = [
            OverTimeFunction::Min,
            OverTimeFunction::Max,
            OverTimeFunction::Avg,
            OverTimeFunction::Sum,
        ];
        let function = match name {
            "rate" => {
                self.no_arguments()?;
                MetricsFunction::Rate
            }
            "count_over_time" => {
                self.no_arguments()?;
                MetricsFunction::CountOverTime
            }
            "quantile_over_time" => self.quantiles()?,
            "histogram_over_time" => MetricsFunction::HistogramOverTime {
                field: self.field_argument()?,
            },
            "compare" => return self.compare().map(Some),
            _ => match over_time.into_iter().find(|it| it.as_str() == name) {
                Some(function) => MetricsFunction::OverTime {
                    function,
                    field: self.field_argument()?,
                },
                None => return Ok(None),
            },
        };
        Ok(Some((function, 1)))
    }

    /// `name(field)`, at the name.
    fn field_argument(&mut self) -> Parsed<Located<Field>> {
        self.advance()?;
        self.expect("(")?;
        let field = self.field()?;
        self.expect(")")?;
        Ok(field)
    }

    /// `quantile_over_time(field, q, …)`, at the name.
    fn quantiles(&mut self) -> Parsed<MetricsFunction> {
        self.advance()?;
        self.expect("(")?;
        let field = self.field()?;
        let mut quantiles = Vec::new();
        while quantiles.is_empty() || self.is_symbol(",") {
            self.expect(",")?;
            if quantiles.len() >= QUANTILES_MAX {
                return Err(Fault::new(
                    ErrorKind::Limit,
                    self.position.clone(),
                    format!("more than {QUANTILES_MAX} quantiles"),
                ));
            }
            quantiles.push(self.quantile()?);
        }
        self.expect(")")?;
        Ok(MetricsFunction::QuantileOverTime { field, quantiles })
    }

    /// A number from 0 to 1.
    fn quantile(&mut self) -> Parsed<f64> {
        let position = self.position.clone();
        let quantile = match self.signed_literal()? {
            Static::Float(number) => number,
            #[expect(clippy::cast_precision_loss, reason = "only 0 and 1 are allowed")]
            Static::Int(number) => number as f64,
            _ => f64::NAN,
        };
        if (0.0..=1.0).contains(&quantile) {
            return Ok(quantile);
        }
        let position = position.start..self.previous_end;
        Err(
            Fault::invalid(position, "a quantile must be a number from 0 to 1")
                .hint("the 99th percentile is 0.99"),
        )
    }

    /// `compare({ … }, top, start, end)`, at the name.
    fn compare(&mut self) -> Parsed<(MetricsFunction, usize)> {
        self.advance()?;
        self.expect("(")?;
        if !self.is_symbol("{") {
            return Err(self.unexpected(&["`{`, the filter of the selection"]));
        }
        let (filter, height) = self.spanset_filter()?;
        let mut numbers = Vec::new();
        while self.take(",")? {
            let position = self.position.clone();
            let Static::Int(number) = self.signed_literal()? else {
                return Err(
                    Fault::invalid(position, "no whole number").expecting(&["a whole number"])
                );
            };
            numbers.push((number, position.start..self.previous_end));
        }
        let (top, window) = match numbers.as_slice() {
            [] => (None, None),
            [top] => (Some(top), None),
            [top, (start, _), (end, _)] => (Some(top), Some((*start, *end))),
            _ => {
                return Err(self.unexpected(&[]).hint(
                    "compare takes a filter, then how many values, then the start and end of the selection",
                ));
            }
        };
        self.expect(")")?;
        let selection = match filter {
            SpansetNode::Filter(Some(expression)) => Some(Box::new(expression)),
            _ => None,
        };
        let top = top.map(compare_top).transpose()?;
        Ok((
            MetricsFunction::Compare {
                selection,
                top,
                window,
            },
            height,
        ))
    }

    /// `(field, …)`.
    fn fields(&mut self) -> Parsed<Vec<Located<Field>>> {
        self.expect("(")?;
        let mut fields = vec![self.field()?];
        while self.take(",")? {
            fields.push(self.field()?);
        }
        if !self.is_symbol(")") {
            return Err(self
                .unexpected(&["`,`", "`)`"])
                .hint("only attributes and intrinsics stand here, no expressions"));
        }
        self.advance()?;
        Ok(fields)
    }

    /// An attribute or an intrinsic.
    fn field(&mut self) -> Parsed<Located<Field>> {
        let field = match &self.token {
            Token::Field(field) => Some(field.clone()),
            Token::Word(word) => Intrinsic::from_word(word).map(Field::Intrinsic),
            _ => None,
        };
        let Some(field) = field else {
            let fault = self.unexpected(&["an attribute", "an intrinsic"]);
            return Err(match self.token {
                Token::Word(word) => fault.hint(suggest::word(word)),
                _ => fault,
            });
        };
        let position = self.position.clone();
        self.advance()?;
        Ok(Located::new(field, position))
    }

    /// The fault that the present token begins no stage.
    pub(super) fn no_stage(&self) -> Box<Fault> {
        let fault = self.unexpected(&STAGE);
        match &self.token {
            Token::Field(_) => fault.hint("conditions stand in braces: { … }"),
            Token::Symbol("!") => fault.hint(
                "negate inside the braces, `{ !(…) }`, or use a negated operator such as `!>>`",
            ),
            Token::Word(word) if Intrinsic::from_word(word).is_some() => {
                fault.hint("conditions stand in braces: { … }")
            }
            Token::Word(word) => fault.hint_option(suggest::stage(word)),
            _ => fault,
        }
    }
}

fn compare_top((number, position): &(i64, Range<usize>)) -> Parsed<u32> {
    u32::try_from(*number)
        .ok()
        .filter(|_| (1..=COMPARE_TOP_MAX).contains(number))
        .ok_or_else(|| {
            Fault::invalid(
                position.clone(),
                format!("compare shows 1 to {COMPARE_TOP_MAX} values, not {number}"),
            )
        })
}

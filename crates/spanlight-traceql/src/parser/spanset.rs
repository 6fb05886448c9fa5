//! What stands outside `{ }`: pipelines, their stages and the operators between their values.
//!
//! One loop serves searches, scalars and metrics, since a parenthesis does not say which of them it opens. Each open
//! parenthesis is a [`Frame`]; a frame collects stages between `|`, and within a stage operands and operators. What
//! may be joined with what is in `node`. From loose to tight: `|`, `&& ||`, structural operators and comparisons,
//! `+ -`, `* /`; all from the left.

use std::ops::Range;

use crate::{
    ast::{
        Arithmetic, Hint, Located, MetricsExpression, Pipeline, Query, Root, ScalarNode,
        SpansetNode, Stage, StageNode, Static,
    },
    error::Fault,
    lexer::Token,
};

use super::{
    Parsed, Parser, above,
    field::static_word,
    node::{self, Node, Value},
};

/// What may follow a complete stage.
const AFTER_STAGE: [&str; 5] = [
    "`|`",
    "`&&`",
    "`||`",
    "a structural operator such as `>>`",
    "the end of the query",
];

/// An open parenthesis, or the query itself.
#[derive(Debug, Default)]
struct Frame {
    /// The parenthesis.
    open: Option<Range<usize>>,
    /// Where the first stage begins.
    start: usize,
    /// The stages before the present one.
    stages: Vec<Stage>,
    /// The series that the stages before the present one end in.
    metrics: Option<MetricsExpression>,
    /// The greatest height among those.
    height: usize,
    /// The operands of the present stage.
    values: Vec<Value>,
    /// The operators that wait for their right operand, and where they stand.
    operators: Vec<(&'static str, Range<usize>)>,
}

impl<'a> Parser<'a> {
    /// The whole query.
    pub(super) fn query(mut self) -> Parsed<Query> {
        if self.token == Token::End {
            return Err(Fault::syntax(0..0, "the query is empty").hint("`{ }` finds every span"));
        }
        let mut frames = vec![Frame::default()];
        let frame = loop {
            self.stage_operand(&mut frames)?;
            if let Some(frame) = self.stage_operator(&mut frames)? {
                break frame;
            }
        };
        let root = match frame.metrics {
            Some(metrics) => Root::Metrics(metrics),
            None => Root::Search(Pipeline::new(frame.stages)),
        };
        let mut hints = Vec::new();
        while self.is_word("with") {
            self.hints(&mut hints)?;
        }
        if self.token != Token::End {
            return Err(self.unexpected(&["`with(…)`", "the end of the query"]));
        }
        Ok(Query { root, hints })
    }

    /// Opening parentheses, signs and one value.
    fn stage_operand(&mut self, frames: &mut Vec<Frame>) -> Parsed<()> {
        loop {
            let position = self.position.clone();
            match self.token {
                Token::Symbol("(") => {
                    self.open()?;
                    self.advance()?;
                    frames.push(Frame {
                        open: Some(position),
                        start: self.position.start,
                        ..Frame::default()
                    });
                }
                Token::Symbol("-") => {
                    self.advance()?;
                    let literal = match self.literal() {
                        Some(literal) => literal.negated(),
                        None => self.least_number(),
                    };
                    let Some(literal) = literal else {
                        return Err(Fault::syntax(
                            position,
                            "a sign stands only before a number here",
                        ));
                    };
                    self.advance()?;
                    let position = position.start..self.previous_end;
                    return self.push(frames, Value::new(Node::literal(literal), position, 1));
                }
                _ => {
                    let value = self.value()?;
                    return self.push(frames, value);
                }
            }
        }
    }

    fn push(&self, frames: &mut [Frame], value: Value) -> Parsed<()> {
        let frame = frames.last_mut().ok_or_else(|| self.no_stage())?;
        frame.values.push(value);
        Ok(())
    }

    /// `{ … }`, at the brace.
    pub(super) fn spanset_filter(&mut self) -> Parsed<(SpansetNode, usize)> {
        self.expect("{")?;
        if self.take("}")? {
            return Ok((SpansetNode::Filter(None), 1));
        }
        let (expression, height) = self.field_expression()?;
        if !self.is_symbol("}") {
            return Err(match self.token {
                Token::Symbol("|") => self.unexpected(&["`||`", "`}`"]),
                Token::Symbol(",") => self.unexpected(&["`&&`", "`||`", "`}`"]),
                Token::Word(unit @ ("ns" | "us" | "ms" | "s" | "m" | "h" | "d" | "w" | "y")) => {
                    self.unexpected(&["an operator", "`}`"])
                        .hint(format!("write the unit right after the number: 1{unit}"))
                }
                _ => self.unexpected(&["an operator", "`}`"]),
            });
        }
        let height = above(height, &self.position)?;
        self.advance()?;
        Ok((SpansetNode::Filter(Some(expression)), height))
    }

    /// Closing parentheses, `|`, or an operator between values. The outermost frame when the query ends here.
    fn stage_operator(&mut self, frames: &mut Vec<Frame>) -> Parsed<Option<Frame>> {
        loop {
            let Some(frame) = frames.last_mut() else {
                return Err(self.no_stage());
            };
            match self.token {
                Token::Symbol(")") if frame.open.is_some() => {
                    let closed = self.close(frame)?;
                    frames.pop();
                    self.push(frames, closed)?;
                    self.nesting -= 1;
                    self.advance()?;
                }
                Token::Symbol("|") => {
                    self.end_stage(frame)?;
                    self.advance()?;
                    return Ok(None);
                }
                Token::Symbol(symbol) if node::binding(symbol).is_some() => {
                    // A power goes from the right: an equal one on the stack waits.
                    let binding = node::binding(symbol).unwrap_or_default();
                    self.reduce_values(frame, binding + u8::from(symbol == "^"))?;
                    frame.operators.push((symbol, self.position.clone()));
                    self.advance()?;
                    return Ok(None);
                }
                Token::End | Token::Word("with") => {
                    if let Some(open) = frame.open.clone() {
                        return Err(Fault::syntax(open, "the parenthesis is never closed")
                            .expecting(&["`)` after what belongs to it"]));
                    }
                    self.end_stage(frame)?;
                    return Ok(frames.pop());
                }
                _ => return Err(self.after_stage()),
            }
        }
    }

    fn after_stage(&self) -> Box<Fault> {
        let fault = self.unexpected(&AFTER_STAGE);
        match self.token {
            Token::Symbol("{") => {
                fault.hint("join filters with `&&` or `||`, or with `|` to filter again")
            }
            Token::Symbol("=~") => fault.hint("regular expressions stand inside `{ }`"),
            Token::Word("by") => fault.hint("write `| by(…)`"),
            Token::Word("asc" | "desc" | "limit") => {
                fault.hint("write `| order by(…) desc limit 10`")
            }
            _ => fault,
        }
    }

    /// Applies the waiting operators that bind at least as tightly.
    fn reduce_values(&self, frame: &mut Frame, binding: u8) -> Parsed<()> {
        while let Some((symbol, position)) = frame
            .operators
            .pop_if(|(symbol, _)| node::binding(symbol).is_some_and(|it| it >= binding))
        {
            let (Some(right), Some(left)) = (frame.values.pop(), frame.values.pop()) else {
                return Err(self.no_stage());
            };
            frame
                .values
                .push(node::join(self.text, symbol, &position, left, right)?);
        }
        Ok(())
    }

    /// The one value that is left of a stage.
    fn stage_value(&self, frame: &mut Frame) -> Parsed<Value> {
        self.reduce_values(frame, 0)?;
        frame.values.pop().ok_or_else(|| self.no_stage())
    }

    /// Puts the present stage to those before it.
    fn end_stage(&self, frame: &mut Frame) -> Parsed<()> {
        let value = self.stage_value(frame)?;
        self.attach(frame, value)
    }

    fn attach(&self, frame: &mut Frame, value: Value) -> Parsed<()> {
        // A pipeline in parentheses that is a whole stage is taken out of them.
        let is_pipeline = matches!(value.node, Node::Spansets(SpansetNode::Pipeline(_)));
        let height = value.height - usize::from(is_pipeline);
        frame.height = frame.height.max(height);
        let position = value.position;
        if let Some(mut metrics) = frame.metrics.take() {
            let Node::SecondStages(stages) = value.node else {
                return Err(node::after_metrics(&value.node, position));
            };
            for stage in stages {
                metrics = metrics.staged(stage);
            }
            frame.metrics = Some(metrics);
            return Ok(());
        }
        let stage = match value.node {
            Node::Spansets(node) => StageNode::Spansets(Located::new(node, position.clone())),
            Node::Filter(filter) => StageNode::Filter(filter),
            Node::Stage(stage) => stage,
            Node::Series(series) => {
                let mut stages = std::mem::take(&mut frame.stages);
                if stages.is_empty() {
                    let all = Located::new(SpansetNode::Filter(None), position.clone());
                    stages.push(Located::new(StageNode::Spansets(all), position.clone()));
                }
                frame.height = above(frame.height, &position)?;
                frame.metrics = Some(series.over(Pipeline::new(stages), frame.start..position.end));
                return Ok(());
            }
            Node::Metrics(node) if frame.stages.is_empty() => {
                frame.metrics = Some(Located::new(node, position));
                return Ok(());
            }
            node => return Err(node::no_stage(self.text, &node, position)),
        };
        frame.stages.push(Located::new(stage, position));
        Ok(())
    }

    /// The value of a frame at its closing parenthesis.
    fn close(&self, frame: &mut Frame) -> Parsed<Value> {
        let start = frame.open.as_ref().map_or(0, |open| open.start);
        let position = start..self.position.end;
        let value = self.stage_value(frame)?;
        let value = match (value.node, frame.metrics.is_none()) {
            (Node::Scalar(scalar), true) if frame.stages.is_empty() => {
                return Ok(Value::new(Node::Scalar(scalar), position, value.height));
            }
            (Node::Scalar(scalar), true) => {
                let height = above(frame.height.max(value.height), &position)?;
                let pipeline = Pipeline::new(std::mem::take(&mut frame.stages));
                let node = ScalarNode::Pipeline {
                    pipeline,
                    value: Box::new(Located::new(scalar, value.position)),
                };
                return Ok(Value::new(Node::Scalar(node), position, height));
            }
            (node, _) => Value { node, ..value },
        };
        self.attach(frame, value)?;
        let (node, height) = match frame.metrics.take() {
            Some(metrics) => (Node::Metrics(metrics.node), frame.height),
            None => match Pipeline::new(std::mem::take(&mut frame.stages)).single_spansets() {
                Ok(node) => (Node::Spansets(node), frame.height),
                Err(pipeline) => (
                    Node::Spansets(SpansetNode::Pipeline(pipeline)),
                    above(frame.height, &position)?,
                ),
            },
        };
        Ok(Value::new(node, position, height))
    }

    /// `with(name = value, …)`, at the word.
    fn hints(&mut self, hints: &mut Vec<Hint>) -> Parsed<()> {
        self.advance()?;
        self.expect("(")?;
        loop {
            let position = self.position.clone();
            let Token::Word(name) = self.token else {
                return Err(self.unexpected(&["the name of a hint"]));
            };
            self.advance()?;
            self.expect("=")?;
            let value = self.signed_literal()?;
            hints.push(Hint {
                name: Located::new(name.to_owned(), position),
                value,
            });
            if !self.take(",")? {
                break;
            }
        }
        self.expect(")")
    }

    /// A literal with an optional sign.
    pub(super) fn signed_literal(&mut self) -> Parsed<Static> {
        let is_negative = self.take("-")?;
        let literal = match (&self.token, self.literal()) {
            (Token::Word(word), _) if !is_negative => static_word(word),
            (_, Some(literal)) if is_negative => literal.negated(),
            (_, Some(literal)) => Some(literal),
            (_, None) if is_negative => self.least_number(),
            _ => None,
        };
        let literal = literal.ok_or_else(|| self.unexpected(&["a value"]))?;
        self.advance()?;
        Ok(literal)
    }
}

/// The arithmetic that metrics know.
pub(super) fn is_metrics_arithmetic(operator: Arithmetic) -> bool {
    matches!(
        operator,
        Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply | Arithmetic::Divide
    )
}

//! Expressions over one span: what stands inside `{ }`, `by( )` and the aggregates.
//!
//! Operators from loose to tight: `&&` and `||` (one level, as elsewhere in the field), comparisons, `+ -`, `* / %`,
//! unary `-` and `!`, `^` (from the right). All others go from the left.

use std::ops::Range;

use crate::{
    ast::{
        Arithmetic, Comparison, Field, FieldExpression, FieldNode, Intrinsic, Kind, Located,
        Static, Status,
    },
    error::Fault,
    function::Function,
    lexer::Token,
    suggest,
};

use super::{Parsed, Parser, above};

/// What may begin an operand.
const OPERAND: [&str; 4] = ["an attribute", "an intrinsic", "a value", "`(`"];

/// An operator that waits for its right operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Open,
    Not,
    Negate,
    Or,
    And,
    Comparison(Comparison),
    Match { negated: bool },
    Arithmetic(Arithmetic),
}

/// The stacks of one expression.
#[derive(Debug, Default)]
struct Stacks {
    operators: Vec<(Operator, Range<usize>)>,
    /// Expressions and their heights.
    operands: Vec<(FieldExpression, usize)>,
    open: usize,
}

impl<'a> Parser<'a> {
    /// An expression and its height, up to the first token that cannot go on with it.
    pub(super) fn field_expression(&mut self) -> Parsed<(FieldExpression, usize)> {
        let mut stacks = Stacks::default();
        loop {
            self.operand(&mut stacks)?;
            if !self.operator(&mut stacks)? {
                break;
            }
        }
        if stacks.open > 0 {
            let expected: &[&str] = &["`)`", "an operator"];
            return Err(self.unexpected(expected));
        }
        self.reduce(&mut stacks, 0)?;
        self.pop(&mut stacks)
    }

    /// Prefixes, opening parentheses and one value.
    fn operand(&mut self, stacks: &mut Stacks) -> Parsed<()> {
        loop {
            let prefix = match self.token {
                Token::Symbol("(") => {
                    self.open()?;
                    stacks.open += 1;
                    Operator::Open
                }
                Token::Symbol("!") => Operator::Not,
                Token::Symbol("-") => Operator::Negate,
                _ => break,
            };
            stacks.operators.push((prefix, self.position.clone()));
            self.advance()?;
        }
        let position = self.position.clone();
        let node = match &self.token {
            Token::Field(field) => FieldNode::Field(field.clone()),
            Token::Word(word) => self.field_word(word)?,
            _ => match self.literal() {
                Some(literal) => FieldNode::Static(literal),
                // The sign of the least number belongs to it: without, there is no such number.
                None => match (self.least_number(), stacks.operators.last()) {
                    (Some(least), Some((Operator::Negate, sign))) => {
                        let position = sign.start..position.end;
                        stacks.operators.pop();
                        self.advance()?;
                        let literal = Located::new(FieldNode::Static(least), position);
                        stacks.operands.push((literal, 1));
                        return Ok(());
                    }
                    (Some(_), _) => return Err(self.beyond_greatest()),
                    (None, _) => return Err(self.no_operand()),
                },
            },
        };
        self.advance()?;
        stacks.operands.push((Located::new(node, position), 1));
        Ok(())
    }

    /// Closing parentheses and one operator between operands; false when the expression ends before it.
    fn operator(&mut self, stacks: &mut Stacks) -> Parsed<bool> {
        loop {
            if self.is_symbol(")") && stacks.open > 0 {
                self.reduce(stacks, 0)?;
                let Some((_, open)) = stacks.operators.pop() else {
                    return Ok(false);
                };
                if let Some((operand, _)) = stacks.operands.last_mut() {
                    operand.position = open.start..self.position.end;
                }
                stacks.open -= 1;
                self.nesting -= 1;
                self.advance()?;
                continue;
            }
            let Token::Symbol(symbol) = self.token else {
                return Ok(false);
            };
            let Some(operator) = Operator::from_symbol(symbol) else {
                return Ok(false);
            };
            // From the right: an equal one on the stack waits.
            let binding = operator.binding() + u8::from(operator.is_from_right());
            self.reduce(stacks, binding)?;
            stacks.operators.push((operator, self.position.clone()));
            self.advance()?;
            return Ok(true);
        }
    }

    /// Applies the operators on the stack that bind at least as tightly, down to the next open parenthesis.
    fn reduce(&mut self, stacks: &mut Stacks, binding: u8) -> Parsed<()> {
        while let Some((operator, position)) = stacks
            .operators
            .pop_if(|(it, _)| *it != Operator::Open && it.binding() >= binding)
        {
            let (right, right_height) = self.pop(stacks)?;
            let reduced = match operator {
                Operator::Not | Operator::Negate => {
                    let whole = position.start..right.position.end;
                    prefixed(operator, right, right_height, whole)?
                }
                _ => {
                    let (left, left_height) = self.pop(stacks)?;
                    self.joined(
                        operator,
                        &position,
                        (left, left_height),
                        (right, right_height),
                    )?
                }
            };
            stacks.operands.push(reduced);
        }
        Ok(())
    }

    fn pop(&self, stacks: &mut Stacks) -> Parsed<(FieldExpression, usize)> {
        // Each operator is pushed after its left operand and reduced after its right one.
        stacks.operands.pop().ok_or_else(|| self.no_operand())
    }

    fn joined(
        &mut self,
        operator: Operator,
        sign: &Range<usize>,
        (left, left_height): (FieldExpression, usize),
        (right, right_height): (FieldExpression, usize),
    ) -> Parsed<(FieldExpression, usize)> {
        let position = left.position.start..right.position.end;
        let is_chain = |node: &FieldNode| match operator {
            Operator::And => matches!(node, FieldNode::And(_)),
            Operator::Or => matches!(node, FieldNode::Or(_)),
            _ => false,
        };
        // A chain's own level is the level of what is made of it.
        let left_height = left_height - usize::from(is_chain(&left.node));
        let right_height = right_height - usize::from(is_chain(&right.node));
        let height = above(left_height.max(right_height), &position)?;
        let node = match operator {
            Operator::And => FieldNode::and(vec![left, right]),
            Operator::Or => FieldNode::or(vec![left, right]),
            Operator::Match { negated } => self.matched(left, negated, right, sign)?,
            Operator::Comparison(comparison) => compared(comparison, left, right, sign)?,
            Operator::Arithmetic(operator) => FieldNode::Arithmetic {
                operator,
                left: Box::new(left),
                right: Box::new(right),
            },
            Operator::Open | Operator::Not | Operator::Negate => return Err(self.no_operand()),
        };
        Ok((Located::new(node, position), height))
    }

    fn matched(
        &mut self,
        operand: FieldExpression,
        negated: bool,
        right: FieldExpression,
        sign: &Range<usize>,
    ) -> Parsed<FieldNode> {
        let sign = &self.text[sign.clone()];
        let FieldNode::Static(Static::String(text)) = &right.node else {
            return Err(Fault::invalid(
                right.position,
                format!("the right side of `{sign}` is no string"),
            )
            .expecting(&["a regular expression in quotes"]));
        };
        let pattern = self.pattern(text, &right.position)?;
        Ok(FieldNode::Match {
            operand: Box::new(operand),
            negated,
            pattern: Located::new(pattern, right.position),
        })
    }

    /// A bare word inside an expression.
    fn field_word(&self, word: &str) -> Parsed<FieldNode> {
        if let Some(literal) = static_word(word) {
            return Ok(FieldNode::Static(literal));
        }
        if let Some(intrinsic) = Intrinsic::from_word(word) {
            return Ok(FieldNode::Field(Field::Intrinsic(intrinsic)));
        }
        let fault = Fault::syntax(
            self.position.clone(),
            format!("unknown name `{}`", suggest::shorten(word)),
        );
        let after = &self.text[self.position.end..];
        Err(
            if Function::named(word).is_some() && after.trim_start().starts_with('(') {
                fault.hint(format!(
                    "`{word}( )` stands after a `|`: {{ … }} | {word}(…)"
                ))
            } else if suggest::SCOPES.contains(&word) && after.trim_start().starts_with('.') {
                fault.hint(format!("write `{word}.` and the name without blanks"))
            } else {
                fault.hint(suggest::word(word))
            },
        )
    }

    /// The literal that the present token is, without moving; not for words.
    pub(super) fn literal(&self) -> Option<Static> {
        match &self.token {
            Token::Text(text) => Some(Static::String(text.clone())),
            Token::Float(number) => Some(Static::Float(*number)),
            Token::Int(number) => i64::try_from(*number).ok().map(Static::Int),
            Token::Duration(nanos) => i64::try_from(*nanos).ok().map(Static::Duration),
            _ => None,
        }
    }

    /// The least number or duration, if the present token is it but for the sign.
    pub(super) fn least_number(&self) -> Option<Static> {
        match self.token {
            Token::Int(_) if self.literal().is_none() => Some(Static::Int(i64::MIN)),
            Token::Duration(_) if self.literal().is_none() => Some(Static::Duration(i64::MIN)),
            _ => None,
        }
    }

    pub(super) fn beyond_greatest(&self) -> Box<Fault> {
        Fault::syntax(
            self.position.clone(),
            format!("the number is larger than the greatest, {}", i64::MAX),
        )
    }

    fn no_operand(&self) -> Box<Fault> {
        let fault = self.unexpected(&OPERAND);
        match self.token {
            Token::Symbol("{") => fault.hint("filters are not nested: close this one first"),
            Token::Symbol("+") => fault.hint("write the number without a sign"),
            _ => fault,
        }
    }
}

/// `!x` and `-x`. A number literal takes the sign in.
fn prefixed(
    operator: Operator,
    operand: FieldExpression,
    height: usize,
    position: Range<usize>,
) -> Parsed<(FieldExpression, usize)> {
    let signed = match (&operand.node, operator) {
        (FieldNode::Static(literal), Operator::Negate) => literal.negated(),
        _ => None,
    };
    if let Some(literal) = signed {
        return Ok((Located::new(FieldNode::Static(literal), position), height));
    }
    let height = above(height, &position)?;
    let operand = Box::new(operand);
    let node = match operator {
        Operator::Not => FieldNode::Not(operand),
        _ => FieldNode::Negate(operand),
    };
    Ok((Located::new(node, position), height))
}

/// A comparison; with nil it is a test, and between two nils it is false.
fn compared(
    operator: Comparison,
    left: FieldExpression,
    right: FieldExpression,
    sign: &Range<usize>,
) -> Parsed<FieldNode> {
    let is_nil = |it: &FieldExpression| it.node == FieldNode::Static(Static::Nil);
    let (left_nil, right_nil) = (is_nil(&left), is_nil(&right));
    if !left_nil && !right_nil {
        return Ok(FieldNode::Comparison {
            operator,
            left: Box::new(left),
            right: Box::new(right),
        });
    }
    if !operator.is_equality() {
        return Err(Fault::invalid(
            sign.clone(),
            format!(
                "nil has no order: it does not go with `{}`",
                operator.as_str()
            ),
        )
        .expecting(&["`=`", "`!=`"]));
    }
    if left_nil && right_nil {
        return Ok(FieldNode::Static(Static::Bool(false)));
    }
    Ok(FieldNode::NilTest {
        operand: Box::new(if left_nil { right } else { left }),
        negated: operator == Comparison::NotEqual,
    })
}

/// The literals that are words.
pub(crate) fn static_word(word: &str) -> Option<Static> {
    Some(match word {
        "true" => Static::Bool(true),
        "false" => Static::Bool(false),
        "nil" => Static::Nil,
        "minInt" => Static::Int(i64::MIN),
        "maxInt" => Static::Int(i64::MAX),
        word => match Status::ALL.into_iter().find(|it| it.as_str() == word) {
            Some(status) => Static::Status(status),
            None => Static::Kind(Kind::ALL.into_iter().find(|it| it.as_str() == word)?),
        },
    })
}

impl Operator {
    fn from_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "&&" => Self::And,
            "||" => Self::Or,
            "=~" => Self::Match { negated: false },
            "!~" => Self::Match { negated: true },
            symbol => match Comparison::from_symbol(symbol) {
                Some(comparison) => Self::Comparison(comparison),
                None => Self::Arithmetic(Arithmetic::from_symbol(symbol)?),
            },
        })
    }

    fn binding(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::And | Self::Or => 1,
            Self::Comparison(_) | Self::Match { .. } => 2,
            Self::Not | Self::Negate => Arithmetic::PREFIX_BINDING,
            Self::Arithmetic(operator) => operator.binding(),
        }
    }

    fn is_from_right(self) -> bool {
        self == Self::Arithmetic(Arithmetic::Power)
    }
}

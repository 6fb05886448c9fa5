//! The text of a statement: its bounds, the attributes that it names, and places in it.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use datafusion::common::Location;
use datafusion::sql::parser::{DFParserBuilder, Statement as ParsedStatement};
use datafusion::sql::sqlparser::ast::{self, Spanned as _, Visit as _, visit_relations};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{self, Token, Tokenizer};

use super::fault::{SqlFault, SqlFaultKind, SqlPosition};
use crate::attributes::AttributeScope;

/// The longest statement.
const BYTES_MAX: usize = 64 << 10;
/// Words, names and operators, lists of values not counted: what is chained is a tree as deep as it is long, and the
/// planner takes time by the square of that.
const PARTS_MAX: usize = 1_000;
/// Levels of parentheses and subqueries.
const DEPTH_MAX: usize = 50;
/// Tables that may be named, each mention counted: what is joined with itself through names grows exponentially.
const TABLES_MAX: usize = 16;

/// Expressions of a `CUBE`: it groups by every choice of them.
const CUBE_MAX: usize = 6;
/// Sets that a `GROUP BY` may group by: those of all its parts are multiplied, and the planner writes each out.
const GROUPS_MAX: usize = 64;

/// A statement that was read, not yet planned.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) parsed: ParsedStatement,
    /// What is quoted and begins like an attribute: where it is first.
    pub(super) names: BTreeMap<AttributeName, Range<usize>>,
    /// Whether the view may be named in it, or all views be listed: most statements need not have it planned.
    pub(super) may_name_services: bool,
}

/// A name such as `span.http.route`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AttributeName {
    pub(super) scope: AttributeScope,
    /// All behind the first dot.
    pub(super) key: String,
}

impl AttributeName {
    /// The name in a text such as `span.http.route`.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (scope, key) = text.split_once('.')?;
        let scope = AttributeScope::ALL
            .into_iter()
            .find(|it| it.as_str() == scope)?;
        (!key.is_empty()).then(|| Self {
            scope,
            key: key.to_owned(),
        })
    }

    /// What SQL calls it, without the quotes.
    pub(super) fn column(&self) -> String {
        format!("{}.{}", self.scope.as_str(), self.key)
    }
}

impl Statement {
    /// Reads a text.
    pub(super) fn read(text: &str) -> Result<Self, SqlFault> {
        if text.len() > BYTES_MAX {
            return Err(SqlFault::bad(format!(
                "the statement is longer than {BYTES_MAX} bytes"
            )));
        }
        let tokens = Tokenizer::new(&GenericDialect {}, text)
            .tokenize_with_location()
            .map_err(|error| {
                let at = place(text, error.location.line, error.location.column);
                SqlFault::bad(error.message).at(text, at..at)
            })?;
        let is_part = |token: &&tokenizer::TokenWithSpan| {
            !matches!(
                token.token,
                Token::Whitespace(_)
                    | Token::Comma
                    | Token::Number(..)
                    | Token::SingleQuotedString(_)
            )
        };
        if let Some(last) = tokens.iter().filter(is_part).nth(PARTS_MAX) {
            let fault = format!("the statement has more than {PARTS_MAX} words and operators");
            return Err(SqlFault::bad(fault).at(text, range(text, last.span)).hint(
                "compare with a list of values, x IN (…), instead of a chain of conditions",
            ));
        }
        let mut names = BTreeMap::new();
        let mut may_name_services = false;
        for token in &tokens {
            let Token::Word(word) = &token.token else {
                continue;
            };
            let is = |name: &&str| word.value.eq_ignore_ascii_case(name);
            may_name_services |= ["services", "tables", "information_schema"].iter().any(is);
            if word.quote_style.is_some()
                && let Some(name) = AttributeName::of(&word.value)
            {
                names.entry(name).or_insert_with(|| range(text, token.span));
            }
        }
        Ok(Self {
            parsed: parse(text)?,
            names,
            may_name_services,
        })
    }
}

fn parse(text: &str) -> Result<ParsedStatement, SqlFault> {
    let dialect = GenericDialect {};
    let parser = DFParserBuilder::new(text)
        .with_dialect(&dialect)
        .with_recursion_limit(DEPTH_MAX);
    let statements = parser.build().and_then(|mut it| it.parse_statements());
    let mut statements = statements.map_err(|error| SqlFault::of(&error, text, &[]))?;
    if statements.len() > 1 {
        return Err(SqlFault::bad("there is more than one statement".to_owned())
            .hint("send one at a time; WITH gives names to parts of one"));
    }
    let statement = statements.pop_front();
    let statement = statement.ok_or_else(|| SqlFault::bad("there is no statement".to_owned()))?;
    let mut tables = 0;
    let mut of = &statement;
    while let ParsedStatement::Explain(explain) = of {
        of = &explain.statement;
    }
    let reads = match of {
        ParsedStatement::Statement(query) => {
            // Every mention goes on.
            let _ = visit_relations(query, |_| {
                tables += 1;
                ControlFlow::<()>::Continue(())
            });
            if let ControlFlow::Break(fault) = query.visit(&mut Groups { text }) {
                return Err(fault);
            }
            reads(query)
        }
        _ => false,
    };
    if !reads {
        let word = of.to_string();
        let word = word.split_whitespace().next().unwrap_or_default();
        let message = format!(
            "{} is not allowed: statements only read",
            word.to_uppercase()
        );
        return Err(SqlFault::new(SqlFaultKind::ReadOnly, message)
            .hint("begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW"));
    }
    if tables > TABLES_MAX {
        let fault =
            format!("the statement names tables {tables} times, and {TABLES_MAX} is the most");
        return Err(SqlFault::bad(fault));
    }
    Ok(statement)
}

/// Refuses what groups by too many sets.
struct Groups<'t> {
    text: &'t str,
}

impl ast::Visitor for Groups<'_> {
    type Break = SqlFault;

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<SqlFault> {
        let ast::GroupByExpr::Expressions(parts, _) = &select.group_by else {
            return ControlFlow::Continue(());
        };
        let mut sets = 1_usize;
        for part in parts {
            let message = match part {
                ast::Expr::Cube(of) if of.len() > CUBE_MAX => {
                    format!(
                        "CUBE has {} expressions, and {CUBE_MAX} is the most",
                        of.len()
                    )
                }
                part => {
                    sets = sets.saturating_mul(match part {
                        ast::Expr::Cube(of) => 1 << of.len(),
                        ast::Expr::Rollup(of) => of.len() + 1,
                        ast::Expr::GroupingSets(of) => of.len(),
                        _ => 1,
                    });
                    if sets <= GROUPS_MAX {
                        continue;
                    }
                    format!("GROUP BY has {sets} sets and more, and {GROUPS_MAX} is the most")
                }
            };
            let at = range(self.text, part.span());
            return ControlFlow::Break(SqlFault::bad(message).at(self.text, at));
        }
        ControlFlow::Continue(())
    }
}

/// Whether it only reads.
fn reads(statement: &ast::Statement) -> bool {
    use ast::Statement as S;
    match statement {
        S::Explain { statement, .. } => reads(statement),
        S::Query(_)
        | S::ExplainTable { .. }
        | S::ShowTables { .. }
        | S::ShowColumns { .. }
        | S::ShowFunctions { .. }
        | S::ShowVariable { .. } => true,
        _ => false,
    }
}

/// Bytes of the text.
pub(super) fn range(text: &str, span: tokenizer::Span) -> Range<usize> {
    let start = place(text, span.start.line, span.start.column);
    let end = place(text, span.end.line, span.end.column);
    start..end.max(start)
}

/// The same of a span that plans have.
pub(super) fn range_of(text: &str, start: Location, end: Location) -> Range<usize> {
    let start = place(text, start.line, start.column);
    start..place(text, end.line, end.column).max(start)
}

/// The byte at which a character of a line begins; both count from 1.
pub(super) fn place(text: &str, line: u64, column: u64) -> usize {
    let line = usize::try_from(line)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let column = usize::try_from(column)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let mut start = 0;
    for _ in 0..line {
        match text[start..].find('\n') {
            Some(at) => start += at + 1,
            None => return text.len(),
        }
    }
    let mut characters = text[start..].char_indices();
    characters
        .nth(column)
        .map_or(text.len(), |(at, _)| start + at)
}

impl SqlPosition {
    /// Where bytes of a text are for people.
    pub(super) fn of(text: &str, bytes: Range<usize>) -> Self {
        let before = &text[..bytes.start.min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            bytes,
        }
    }
}

//! Tokens to a tree: the cursor over the tokens and the limits; the grammar is in the modules below.
//!
//! Both expression grammars are parsed with stacks of their own instead of recursion, so that no text can exhaust the
//! thread's. Parentheses leave no trace in the tree, whose height is limited apart from them: everything that walks
//! a tree may recurse.

mod field;
mod node;
mod spanset;
mod stage;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

pub(crate) use field::static_word;

use crate::{
    ATTRIBUTES_MAX, ErrorKind, HEIGHT_MAX, LARGE_PATTERNS_MAX, NESTING_MAX, PATTERNS_MAX, Pattern,
    TEXT_BYTES_MAX,
    ast::{Field, Query},
    error::Fault,
    lexer::{Lexer, Token},
    suggest,
};

/// The result of reading something.
type Parsed<T> = Result<T, Box<Fault>>;

/// Reads the whole of `text`. Types are not checked yet.
pub(crate) fn query(text: &str) -> Parsed<Query> {
    if text.len() > TEXT_BYTES_MAX {
        // Not worth counting lines for, and the place is where the text should have ended.
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        return Err(Fault::new(
            ErrorKind::Limit,
            end..end,
            format!(
                "the query has {} bytes, more than the limit of {TEXT_BYTES_MAX}",
                text.len()
            ),
        ));
    }
    Parser::new(text)?.query()
}

/// A cursor over the tokens of a text.
#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    token: Token<'a>,
    position: Range<usize>,
    /// Where the token before ended.
    previous_end: usize,
    /// Parentheses that are open.
    nesting: usize,
    attributes: HashSet<Field>,
    patterns: HashMap<String, Pattern>,
    large_patterns: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parsed<Self> {
        let mut parser = Self {
            text,
            lexer: Lexer::new(text),
            token: Token::End,
            position: 0..0,
            previous_end: 0,
            nesting: 0,
            attributes: HashSet::new(),
            patterns: HashMap::new(),
            large_patterns: 0,
        };
        parser.advance()?;
        parser.previous_end = 0;
        Ok(parser)
    }

    /// Moves to the next token that is no comment and returns the one before.
    fn advance(&mut self) -> Parsed<Token<'a>> {
        self.previous_end = self.position.end;
        loop {
            let lexeme = self.lexer.next();
            let token = lexeme.token?;
            if token != Token::Comment {
                self.position = lexeme.position;
                if let Token::Field(field) = &token {
                    self.count_attribute(field)?;
                }
                return Ok(std::mem::replace(&mut self.token, token));
            }
        }
    }

    /// Counts a field of the present position, if it is new.
    fn count_attribute(&mut self, field: &Field) -> Parsed<()> {
        if self.attributes.contains(field) {
            return Ok(());
        }
        if self.attributes.len() >= ATTRIBUTES_MAX {
            return Err(Fault::new(
                ErrorKind::Limit,
                self.position.clone(),
                format!("more than {ATTRIBUTES_MAX} different attributes"),
            ));
        }
        self.attributes.insert(field.clone());
        Ok(())
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(it) if it == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(it) if it == word)
    }

    /// Moves over the symbol if it is next.
    fn take(&mut self, symbol: &str) -> Parsed<bool> {
        let is_next = self.is_symbol(symbol);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    /// Moves over the symbol, which must be next.
    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.take(symbol)? {
            return Ok(());
        }
        Err(self.unexpected(&[&format!("`{symbol}`")]))
    }

    /// The fault that the present token should not be here.
    fn unexpected(&self, expected: &[&str]) -> Box<Fault> {
        let message = match self.token {
            Token::End => "the query ends too early".to_owned(),
            _ => format!("unexpected {}", self.found()),
        };
        let hint = match self.token {
            Token::Word(word) => suggest::foreign_word(word),
            _ => None,
        };
        Fault::syntax(self.position.clone(), message)
            .expecting(expected)
            .hint_option(hint)
    }

    /// The present token for a message.
    fn found(&self) -> String {
        quote(self.text, &self.position)
    }

    /// Counts an opening parenthesis, which is the present token.
    fn open(&mut self) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(Fault::new(
                ErrorKind::Limit,
                self.position.clone(),
                format!("parentheses are nested too deeply, the limit is {NESTING_MAX}"),
            ));
        }
        Ok(())
    }

    /// The pattern of a string, compiled once for each text.
    fn pattern(&mut self, text: &str, position: &Range<usize>) -> Parsed<Pattern> {
        if let Some(pattern) = self.patterns.get(text) {
            return Ok(pattern.clone());
        }
        if self.patterns.len() >= PATTERNS_MAX {
            return Err(Fault::new(
                ErrorKind::Limit,
                position.clone(),
                format!("more than {PATTERNS_MAX} different regular expressions"),
            )
            .hint("join some with `|` inside one expression"));
        }
        let pattern = Pattern::new(text).map_err(|error| {
            Fault::invalid(
                position.clone(),
                format!("the regular expression does not compile: {error}"),
            )
        })?;
        self.large_patterns += usize::from(pattern.is_large());
        if self.large_patterns > LARGE_PATTERNS_MAX {
            return Err(Fault::new(
                ErrorKind::Limit,
                position.clone(),
                format!("more than {LARGE_PATTERNS_MAX} large regular expressions"),
            )
            .hint(
                "counted repetitions such as `{1,500}` and classes such as `\\pL` make them large",
            ));
        }
        self.patterns.insert(text.to_owned(), pattern.clone());
        Ok(pattern)
    }
}

/// A part of the text for a message.
fn quote(text: &str, position: &Range<usize>) -> String {
    format!("`{}`", suggest::shorten(&text[position.clone()]))
}

/// The height of a node over children of this height, if it is allowed.
fn above(height: usize, position: &Range<usize>) -> Parsed<usize> {
    if height >= HEIGHT_MAX {
        return Err(Fault::new(
            ErrorKind::Limit,
            position.clone(),
            format!("the expression is nested too deeply, the limit is {HEIGHT_MAX} levels"),
        )
        .hint("long chains of one of `&&` and `||` count as one level"));
    }
    Ok(height + 1)
}

//! Text to tokens: total, linear, and one token at a time.
//!
//! Owns what a token is and where it ends. Each call of [`Lexer::next`] moves on, also over a fault, so that an editor
//! can colour what is still being typed. What a word means where it stands is the parser's business.

mod literal;
mod name;

use std::ops::Range;

use crate::{ast::Field, error::Fault};

/// A piece of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// A bare word: a keyword, an intrinsic, a literal's word, or none of them.
    Word(&'a str),
    /// An attribute, or an intrinsic with a colon.
    Field(Field),
    /// A string literal's value.
    Text(String),
    /// A whole number without its sign: at most 2⁶³.
    Int(u64),
    /// A number with a point or an exponent, without its sign; finite.
    Float(f64),
    /// Nanoseconds without their sign: at most 2⁶³.
    Duration(u64),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// A comment.
    Comment,
    /// After everything else.
    End,
}

/// A token or a fault, and its bytes.
#[derive(Debug)]
pub(crate) struct Lexeme<'a> {
    pub(crate) token: Result<Token<'a>, Box<Fault>>,
    pub(crate) position: Range<usize>,
}

/// Longer ones before their beginnings.
const SYMBOLS: [&str; 35] = [
    "!>>", "!<<", "&>>", "&<<", "&&", "||", "!=", "!~", "!>", "!<", "&>", "&<", "&~", "=~", "<=",
    ">=", "<<", ">>", "{", "}", "(", ")", ",", "|", "=", "!", "<", ">", "~", "+", "-", "*", "/",
    "%", "^",
];

/// What other languages write, and what it is here. None of them can stand in a query.
const FOREIGN_SYMBOLS: [(&str, &str); 10] = [
    ("===", "`=`"),
    ("==", "`=`"),
    ("!==", "`!=`"),
    ("<>", "`!=`"),
    ("=>", "`>=`"),
    ("=<", "`<=`"),
    ("~=", "`=~`"),
    ("#", "`//` to begin a comment"),
    ("&", "`&&`"),
    (";", "`&&` between conditions and `|` between stages"),
];

/// Reads tokens off a text.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, offset: 0 }
    }

    /// The next token or fault; `End` again and again after the last.
    pub(crate) fn next(&mut self) -> Lexeme<'a> {
        let blank = self
            .rest()
            .find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r'))
            .unwrap_or(self.rest().len());
        self.offset += blank;
        let start = self.offset;
        let token = self.token();
        Lexeme {
            token,
            position: start..self.offset,
        }
    }

    fn token(&mut self) -> Result<Token<'a>, Box<Fault>> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        let second = rest[first.len_utf8()..].chars().next();
        match (first, second) {
            ('/', Some('/')) => Ok(self.line_comment()),
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.quoted().map(Token::Text),
            ('`', _) => self.raw_string(),
            ('\'', _) => Err(self.single_quoted()),
            ('0'..='9', _) | ('.', Some('0'..='9')) => self.number(),
            ('.', _) => self.unscoped_attribute(),
            (letter, _) if is_word_start(letter) => self.word(),
            _ => self.symbol(first),
        }
    }

    fn line_comment(&mut self) -> Token<'a> {
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        self.offset += length;
        Token::Comment
    }

    fn block_comment(&mut self) -> Result<Token<'a>, Box<Fault>> {
        let start = self.offset;
        match self.rest()[2..].find("*/") {
            Some(length) => {
                self.offset += length + 4;
                Ok(Token::Comment)
            }
            None => {
                self.offset = self.text.len();
                Err(
                    Fault::syntax(start..start + 2, "the comment is never closed")
                        .expecting(&["`*/`"]),
                )
            }
        }
    }

    fn symbol(&mut self, first: char) -> Result<Token<'a>, Box<Fault>> {
        let rest = self.rest();
        let start = self.offset;
        let native = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
        let foreign = FOREIGN_SYMBOLS
            .into_iter()
            .find(|(symbol, _)| rest.starts_with(symbol))
            .filter(|(symbol, _)| symbol.len() > native.map_or(0, str::len));
        if let Some((symbol, meant)) = foreign {
            self.offset += symbol.len();
            return Err(
                Fault::syntax(start..self.offset, format!("`{symbol}` is no operator"))
                    .hint(format!("write {meant}")),
            );
        }
        if let Some(symbol) = native {
            self.offset += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        self.offset += first.len_utf8();
        let fault = Fault::syntax(
            start..self.offset,
            format!("the character {} has no meaning here", describe(first)),
        );
        Err(match first {
            '[' => fault.hint("there are no lists: write one comparison for each value"),
            '“' | '”' | '„' | '‘' | '’' => {
                fault.hint("write strings in plain quotes: \"")
            }
            blank if blank.is_whitespace() => fault.hint("write an ordinary blank"),
            _ => fault,
        })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    /// Moves over the characters that pass and returns them.
    fn take_while(&mut self, passes: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !passes(c)).unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    /// Moves over `prefix` if it is next.
    fn take(&mut self, prefix: &str) -> bool {
        let is_next = self.rest().starts_with(prefix);
        if is_next {
            self.offset += prefix.len();
        }
        is_next
    }
}

/// A character for a message: itself when one can see it, and its code point when not.
fn describe(c: char) -> String {
    if c.is_control() || c.is_whitespace() || !c.is_ascii() {
        format!("{c:?} (U+{:04X})", u32::from(c))
    } else {
        format!("`{c}`")
    }
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

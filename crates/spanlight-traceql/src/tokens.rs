//! A query's text in coloured pieces, for editors: also while it is being typed.

use std::ops::Range;

use crate::{
    TEXT_BYTES_MAX,
    ast::Intrinsic,
    function::Function,
    lexer::{self, Lexer},
    suggest,
};

/// A piece of a query's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes in the text, on character boundaries.
    pub range: Range<usize>,
}

/// The sorts of pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An attribute with its scope, or an intrinsic.
    Field,
    /// `count`, `by`, `rate` and so on.
    Function,
    /// `true`, `nil`, `error`, `server` and so on.
    Constant,
    /// A string literal.
    String,
    /// A number or a duration.
    Number,
    /// An operator, `|` among them.
    Operator,
    /// A bracket or a comma.
    Punctuation,
    /// A comment.
    Comment,
    /// A word that means nothing, or something that is no token at all.
    Unknown,
}

/// The pieces of `text` in order, without the blanks between them. Any text has pieces; what follows the longest text
/// that is read ([`TEXT_BYTES_MAX`]) has none.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let mut lexer = Lexer::new(text);
    let mut tokens = Vec::new();
    loop {
        let lexeme = lexer.next();
        let kind = match lexeme.token {
            Ok(lexer::Token::End) => return tokens,
            Ok(token) => kind(&token),
            Err(_) => TokenKind::Unknown,
        };
        tokens.push(Token {
            kind,
            range: lexeme.position,
        });
    }
}

fn kind(token: &lexer::Token<'_>) -> TokenKind {
    match token {
        lexer::Token::Field(_) => TokenKind::Field,
        lexer::Token::Text(_) => TokenKind::String,
        lexer::Token::Int(_) | lexer::Token::Float(_) | lexer::Token::Duration(_) => {
            TokenKind::Number
        }
        lexer::Token::Symbol("{" | "}" | "(" | ")" | ",") => TokenKind::Punctuation,
        lexer::Token::Symbol(_) => TokenKind::Operator,
        lexer::Token::Comment => TokenKind::Comment,
        lexer::Token::Word(word) if Intrinsic::from_word(word).is_some() => TokenKind::Field,
        lexer::Token::Word(word)
            if Function::named(word).is_some() || suggest::ORDER_CLAUSES.contains(word) =>
        {
            TokenKind::Function
        }
        lexer::Token::Word(word) if crate::parser::static_word(word).is_some() => {
            TokenKind::Constant
        }
        lexer::Token::Word(_) | lexer::Token::End => TokenKind::Unknown,
    }
}

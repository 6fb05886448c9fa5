//! Words, attributes and intrinsics with a colon.

use crate::{
    ast::{Attribute, AttributeScope, Field, Intrinsic},
    error::Fault,
    suggest,
};

use super::{Lexer, Token, describe, is_word, is_word_start};

impl<'a> Lexer<'a> {
    /// `.name`, at the dot.
    pub(super) fn unscoped_attribute(&mut self) -> Result<Token<'a>, Box<Fault>> {
        let start = self.offset;
        self.offset += 1;
        self.attribute(start, false, AttributeScope::Any)
    }

    /// A word, and what hangs on it after a dot or a colon.
    pub(super) fn word(&mut self) -> Result<Token<'a>, Box<Fault>> {
        let start = self.offset;
        let word = self.take_while(is_word);
        if self.rest().starts_with('.') {
            return self.dotted(start, word);
        }
        let mut after = self.rest().chars();
        if after.next() == Some(':') && after.next().is_some_and(is_word_start) {
            return self.with_colon(start);
        }
        Ok(Token::Word(word))
    }

    /// `scope.name`, at the dot.
    fn dotted(&mut self, start: usize, word: &'a str) -> Result<Token<'a>, Box<Fault>> {
        let scope = match word {
            "parent" => {
                self.offset += 1;
                let scope = if self.take("span.") {
                    AttributeScope::Span
                } else if self.take("resource.") {
                    AttributeScope::Resource
                } else {
                    AttributeScope::Any
                };
                return self.attribute(start, true, scope);
            }
            "span" => AttributeScope::Span,
            "resource" => AttributeScope::Resource,
            "event" => AttributeScope::Event,
            "link" => AttributeScope::Link,
            "instrumentation" => AttributeScope::Instrumentation,
            _ => {
                self.take_while(is_plain_name);
                let name = &self.text[start..self.offset];
                return Err(Fault::syntax(
                    start..self.offset,
                    format!("`{}` has no scope", suggest::shorten(name)),
                )
                .expecting(&["`.` or a scope before the attribute's name"])
                .hint(suggest::attribute(name)));
            }
        };
        self.offset += 1;
        self.attribute(start, false, scope)
    }

    /// `scope:name`, at the colon.
    fn with_colon(&mut self, start: usize) -> Result<Token<'a>, Box<Fault>> {
        self.offset += 1;
        self.take_while(is_word);
        let name = &self.text[start..self.offset];
        match Intrinsic::from_word(name) {
            Some(intrinsic) => Ok(Token::Field(Field::Intrinsic(intrinsic))),
            None => {
                self.take_while(is_plain_name);
                let name = &self.text[start..self.offset];
                let message = format!("there is no intrinsic `{}`", suggest::shorten(name));
                Err(Fault::syntax(start..self.offset, message)
                    .hint(suggest::intrinsic_with_colon(name)))
            }
        }
    }

    /// An attribute's name, after its last dot: plain characters and quoted parts in any order.
    fn attribute(
        &mut self,
        start: usize,
        of_parent: bool,
        scope: AttributeScope,
    ) -> Result<Token<'a>, Box<Fault>> {
        let name_start = self.offset;
        let mut name = String::new();
        loop {
            name.push_str(self.take_while(is_plain_name));
            match self.rest().chars().next() {
                Some('"') => name.push_str(&self.quoted()?),
                Some('`') => {
                    let quote = self.offset;
                    self.offset += 1;
                    return Err(Fault::syntax(
                        quote..self.offset,
                        "backquotes do not quote an attribute's name",
                    )
                    .hint("write \"…\""));
                }
                Some(c) if c.is_control() && !c.is_whitespace() => {
                    let place = self.offset;
                    self.offset += c.len_utf8();
                    return Err(Fault::syntax(
                        place..self.offset,
                        format!("the character {} must be quoted", describe(c)),
                    )
                    .hint("write the name as \"…\" with an escape such as \\u0001"));
                }
                _ => break,
            }
        }
        if self.offset == name_start {
            return Err(Fault::syntax(
                start..self.offset,
                format!("`{}` lacks a name", &self.text[start..self.offset]),
            )
            .expecting(&["an attribute's name right after the dot"]));
        }
        Ok(Token::Field(Field::Attribute(Attribute {
            of_parent,
            scope,
            name,
        })))
    }
}

/// What may stand in a name without quotes. Signs of arithmetic may, which is why `.a+1` is one name.
fn is_plain_name(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"=!<>~,(){}|&^\"`".contains(c)
}

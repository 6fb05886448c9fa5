//! What may stand at a place of a text, by the tokens before it.

use std::ops::Range;

use spanlight_traceql::{Function, Token, TokenKind, tokens};

use super::COMPARISONS;

/// A place in a text, and what is typed there already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'t> {
    pub(super) place: Place,
    /// Bytes of the text that are replaced.
    pub(super) replace: Range<usize>,
    /// What of them is before the cursor.
    pub(super) typed: &'t str,
}

/// What may stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `{`, or a function that begins a pipeline.
    Spanset,
    /// What joins filters, or `|`.
    AfterSpanset,
    /// A function of a pipeline, after `|`.
    Stage,
    /// What follows a function: `>` for an aggregate, `by` for a metrics function.
    AfterStage { function: String },
    /// An attribute or an intrinsic; within braces also what begins a condition.
    Field { in_braces: bool },
    /// A comparison, after a field.
    Comparison,
    /// What joins conditions, or ends them.
    Connective,
    /// A value of a field.
    Value {
        field: String,
        /// The filter without the condition that the value belongs to.
        beside: String,
    },
    /// What joins arguments, or ends them.
    AfterArgument,
    /// Nothing that could be suggested.
    Nothing,
}

impl Asked<'_> {
    /// What is typed of a value's text.
    pub(super) fn typed_text(&self) -> &str {
        self.typed
            .strip_prefix(['"', '`'])
            .unwrap_or(self.typed)
            .trim_end_matches(['"', '`'])
    }
}

/// The place at a cursor, which is on a character boundary.
pub(super) fn place(text: &str, cursor: usize) -> Asked<'_> {
    let tokens = tokens(text);
    let at = |token: &Token| token.range.start < cursor && cursor <= token.range.end;
    let current = tokens
        .iter()
        .find(|token| at(token) && is_typed(text, token));
    let start = current.map_or(cursor, |token| token.range.start);
    let end = current.map_or(cursor, |token| match is_open_string(text, token) {
        // It goes on to the end of the line only because its quote is missing.
        true => cursor,
        false => token.range.end,
    });
    let in_comment = |token: &Token| token.kind == TokenKind::Comment && at(token);
    let before: Vec<&Token> = tokens
        .iter()
        .filter(|token| token.range.end <= start && token.kind != TokenKind::Comment)
        .collect();
    let place = match tokens.iter().any(in_comment) {
        true => Place::Nothing,
        false => Context { text, before }.place(text.get(start..cursor).unwrap_or_default()),
    };
    Asked {
        place,
        replace: start..end,
        typed: text.get(start..cursor).unwrap_or_default(),
    }
}

fn is_comparison(operator: &str) -> bool {
    COMPARISONS.iter().any(|(known, _)| *known == operator)
}

/// Whether a token may be a word that is being typed.
fn is_typed(text: &str, token: &Token) -> bool {
    match token.kind {
        TokenKind::Field
        | TokenKind::Function
        | TokenKind::Constant
        | TokenKind::String
        | TokenKind::Number => true,
        TokenKind::Unknown => {
            let first = text[token.range.clone()].chars().next();
            first.is_some_and(|first| {
                first.is_alphanumeric() || matches!(first, '_' | '.' | '"' | '`')
            })
        }
        TokenKind::Operator | TokenKind::Punctuation | TokenKind::Comment => false,
    }
}

fn is_open_string(text: &str, token: &Token) -> bool {
    token.kind == TokenKind::Unknown && text[token.range.clone()].starts_with(['"', '`'])
}

/// The tokens before a place.
struct Context<'t> {
    text: &'t str,
    before: Vec<&'t Token>,
}

/// A bracket that is open.
enum Open<'t> {
    Braces { from: usize },
    Parenthesis { function: Option<&'t str> },
}

impl<'t> Context<'t> {
    fn word(&self, at: usize) -> &'t str {
        &self.text[self.before[at].range.clone()]
    }

    fn last(&self, back: usize) -> Option<(&'t str, TokenKind)> {
        let at = self.before.len().checked_sub(back + 1)?;
        Some((self.word(at), self.before[at].kind))
    }

    /// The brackets that are open, and the function whose parenthesis was closed last.
    fn brackets(&self) -> (Vec<Open<'t>>, Option<&'t str>) {
        let (mut open, mut closed) = (Vec::new(), None);
        for at in 0..self.before.len() {
            match self.word(at) {
                "{" => open.push(Open::Braces { from: at }),
                "(" => {
                    let function = at.checked_sub(1).filter(|&before| {
                        let kind = self.before[before].kind;
                        matches!(kind, TokenKind::Function | TokenKind::Unknown)
                    });
                    let function = function.map(|before| match self.word(before) {
                        // `order by (…)`
                        "by" if before > 0 && self.word(before - 1) == "order" => "order",
                        word => word,
                    });
                    open.push(Open::Parenthesis { function });
                }
                "}" | ")" => {
                    if let Some(Open::Parenthesis {
                        function: Some(function),
                    }) = open.pop()
                    {
                        closed = Some(function);
                    }
                }
                _ => {}
            }
        }
        (open, closed)
    }

    fn place(&self, typed: &str) -> Place {
        let (open, closed) = self.brackets();
        let braces = open.iter().rev().find_map(|open| match open {
            Open::Braces { from } => Some(*from),
            Open::Parenthesis { .. } => None,
        });
        if let Some(from) = braces {
            return self.in_braces(from, typed);
        }
        match open.last() {
            Some(Open::Parenthesis {
                function: Some(function),
            }) => self.in_function(function),
            _ => self.outside(closed),
        }
    }

    fn in_braces(&self, from: usize, typed: &str) -> Place {
        let field = Place::Field { in_braces: true };
        match self.last(0) {
            Some((operator, TokenKind::Operator)) if is_comparison(operator) => {
                let is_field =
                    typed.starts_with('.') || typed.contains('.') && !typed.starts_with('"');
                match self.last(1) {
                    Some((name, TokenKind::Field)) if !is_field => Place::Value {
                        field: name.to_owned(),
                        beside: self.beside(from),
                    },
                    _ => field,
                }
            }
            Some((_, TokenKind::Operator)) | None | Some(("{" | "(" | ",", _)) => field,
            Some((_, TokenKind::Field)) => match self.last(1) {
                Some((operator, _)) if is_comparison(operator) => Place::Connective,
                _ => Place::Comparison,
            },
            Some(_) => Place::Connective,
        }
    }

    /// The conditions before the one that is being typed, as far as all of them must hold.
    fn beside(&self, from: usize) -> String {
        let joins = |at: usize| matches!(self.word(at), "&&" | "||" | "(");
        let inside = from + 1..self.before.len();
        if inside.clone().any(|at| matches!(self.word(at), "||" | "(")) {
            return String::new();
        }
        let Some(last) = inside.clone().rev().find(|&at| joins(at)) else {
            return String::new();
        };
        let conditions = self.before[from].range.end..self.before[last].range.start;
        format!("{{ {} }}", &self.text[conditions])
    }

    fn in_function(&self, function: &str) -> Place {
        let is_of_fields = Function::named(function).is_some_and(Function::is_of_fields);
        match self.last(0) {
            Some(("(" | ",", _)) if function == "compare" => Place::Spanset,
            Some(("(" | ",", _)) if is_of_fields => Place::Field { in_braces: false },
            Some((_, TokenKind::Operator)) if is_of_fields => Place::Field { in_braces: false },
            Some((_, TokenKind::Field)) => Place::AfterArgument,
            _ => Place::Nothing,
        }
    }

    fn outside(&self, closed: Option<&str>) -> Place {
        match self.last(0) {
            None | Some(("(", _)) => Place::Spanset,
            Some(("|", _)) => Place::Stage,
            Some(("}", _)) => Place::AfterSpanset,
            Some((")", _)) => match closed {
                Some(function) => Place::AfterStage {
                    function: function.to_owned(),
                },
                None => Place::AfterSpanset,
            },
            // A comparison of an aggregate, or of a series, is with a number.
            Some((operator, TokenKind::Operator)) if is_comparison(operator) => {
                match self.last(1) {
                    Some(("}", _)) => Place::Spanset,
                    Some((")", _)) if closed.is_none() => Place::Spanset,
                    _ => Place::Nothing,
                }
            }
            Some((_, TokenKind::Operator)) => Place::Spanset,
            Some((_, TokenKind::Number)) => Place::AfterStage {
                function: String::new(),
            },
            Some(_) => Place::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place at `^`, and what is replaced.
    fn check(text: &str, expected: &Place, replaced: &str) {
        let cursor = text.find('^').unwrap();
        let text = text.replace('^', "");
        let asked = place(&text, cursor);
        assert_eq!(&asked.place, expected, "{text}");
        assert_eq!(&text[asked.replace], replaced, "{text}");
    }

    fn value(field: &str, beside: &str) -> Place {
        Place::Value {
            field: field.to_owned(),
            beside: beside.to_owned(),
        }
    }

    #[test]
    fn conditions_are_a_field_a_comparison_and_a_value() {
        let field = Place::Field { in_braces: true };
        check("{^", &field, "");
        check("{ sta^", &field, "sta");
        check("{ span.ht^tp.rou = 1 }", &field, "span.http.rou");
        check("{ .^", &field, ".");
        check("{ name = \"a\" && ^ }", &field, "");
        check("{ !(^", &field, "");
        check("{ .a + ^", &field, "");
        check("{ name ^", &Place::Comparison, "");
        check("{ name = \"a\" ^", &Place::Connective, "");
        check("{ .a = .b ^", &Place::Connective, "");
        check("{ (name = \"a\") ^", &Place::Connective, "");
    }

    #[test]
    fn values_are_those_of_the_field_before() {
        check("{ name = ^", &value("name", ""), "");
        check("{ name = ^ }", &value("name", ""), "");
        check("{ name = \"sh^", &value("name", ""), "\"sh");
        check("{ name = \"sh^ }", &value("name", ""), "\"sh");
        check("{ name = \"sh^op\" }", &value("name", ""), "\"shop\"");
        check("{ status = e^rr }", &value("status", ""), "err");
        check("{ .a = 5^0 }", &value(".a", ""), "50");
        check("{ .a =~ \"^", &value(".a", ""), "\"");
        check(
            "{ kind = server && .b = 1 && .a = ^",
            &value(".a", "{  kind = server && .b = 1  }"),
            "",
        );
        check("{ .b = 1 || .a = ^", &value(".a", ""), "");
        check("{ .a = .b^", &Place::Field { in_braces: true }, ".b");
    }

    #[test]
    fn outside_of_braces_are_filters_and_functions() {
        let after = |function: &str| Place::AfterStage {
            function: function.to_owned(),
        };
        check("^", &Place::Spanset, "");
        check("{ } ^", &Place::AfterSpanset, "");
        check("{ } >> ^", &Place::Spanset, "");
        check("{ } > ^", &Place::Spanset, "");
        check("({ } && { }) ^", &Place::AfterSpanset, "");
        check("{ } | ra^", &Place::Stage, "ra");
        check("{ } | count() ^", &after("count"), "");
        check("{ } | count() > ^", &Place::Nothing, "");
        check("{ } | count() > 2 ^", &after(""), "");
        check("{ } | by(^", &Place::Field { in_braces: false }, "");
        check("{ } | by(res^)", &Place::Field { in_braces: false }, "res");
        check(
            "{ } | rate() by (name, ^",
            &Place::Field { in_braces: false },
            "",
        );
        check("{ } | rate() by (name ^", &Place::AfterArgument, "");
        check("{ } | rate() ^", &after("rate"), "");
        check(
            "{ } | quantile_over_time(duration, ^",
            &Place::Field { in_braces: false },
            "",
        );
        check("{ } | compare(^", &Place::Spanset, "");
        check("{ } // by ^", &Place::Nothing, "");
        check("{ name = \"{\" } ^", &Place::AfterSpanset, "");
    }
}

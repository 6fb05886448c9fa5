//! A query that is still being typed: what of its conditions can be asked already.

use std::ops::Range;

use spanlight_traceql::{Token, TokenKind, tokens};

/// The query without the conditions that are not finished, such as `span.http.route =`; blank where nothing is left.
/// What is a query is left as it is.
#[must_use]
pub fn complete_conditions(text: &str) -> String {
    if text.trim().is_empty() || spanlight_traceql::parse(text).is_ok() {
        return text.to_owned();
    }
    let tokens: Vec<Token> = tokens(text)
        .into_iter()
        .filter(|token| token.kind != TokenKind::Comment)
        .collect();
    let Some(open) = tokens.iter().position(|it| is(text, it, "{")) else {
        return String::new();
    };
    // Only the first filter: what another one means to it is not known while it is not finished.
    let close = tokens[open..].iter().position(|it| is(text, it, "}"));
    let close = close.map_or(tokens.len(), |at| open + at);
    match conditions(text, &tokens[open + 1..close]) {
        Some(conditions) => format!("{{ {conditions} }}"),
        None => String::new(),
    }
}

fn is(text: &str, token: &Token, symbol: &str) -> bool {
    text.get(token.range.clone()) == Some(symbol)
}

/// The finished conditions with the operators before them.
fn conditions(text: &str, tokens: &[Token]) -> Option<String> {
    let mut kept = String::new();
    let mut operator = "&&";
    for (condition, next) in operands(text, tokens) {
        if let Some(finished) = finished(text, condition) {
            if !kept.is_empty() {
                kept = format!("{kept} {operator} ");
            }
            kept.push_str(&finished);
        }
        operator = next;
    }
    (!kept.is_empty()).then_some(kept)
}

/// What stands between the `&&` and `||` that are in no parentheses, each with the operator after it.
fn operands<'t>(text: &str, tokens: &'t [Token]) -> Vec<(&'t [Token], &'static str)> {
    let mut operands = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match text.get(token.range.clone()) {
            Some("(") => depth += 1,
            Some(")") => depth = depth.saturating_sub(1),
            Some("&&") if depth == 0 => {
                operands.push((&tokens[from..at], "&&"));
                from = at + 1;
            }
            Some("||") if depth == 0 => {
                operands.push((&tokens[from..at], "||"));
                from = at + 1;
            }
            _ => {}
        }
    }
    operands.push((&tokens[from..], "&&"));
    operands
}

fn finished(text: &str, tokens: &[Token]) -> Option<String> {
    let range: Range<usize> = tokens.first()?.range.start..tokens.last()?.range.end;
    let condition = text.get(range)?;
    if spanlight_traceql::parse(&format!("{{ {condition} }}")).is_ok() {
        return Some(condition.to_owned());
    }
    let (open, inner) = tokens.split_first()?;
    if !is(text, open, "(") {
        return None;
    }
    let inner = match inner.split_last() {
        Some((close, inner)) if is(text, close, ")") => inner,
        _ => inner,
    };
    conditions(text, inner).map(|inner| format!("({inner})"))
}

#[cfg(test)]
mod tests {
    use super::complete_conditions;

    #[test]
    fn what_is_still_being_typed_is_left_out() {
        for (typed, asked) in [
            ("", ""),
            ("{ name = \"a\" }", "{ name = \"a\" }"),
            (
                "{resource.service.name=\"mid\" && span.lvl= }",
                "{ resource.service.name=\"mid\" }",
            ),
            ("{ span.lvl = ", ""),
            ("{ span.lvl = 1 && ", "{ span.lvl = 1 }"),
            ("{ .a = 1 || .b = && .c = 2 }", "{ .a = 1 && .c = 2 }"),
            ("{ .b = && .c = 2 }", "{ .c = 2 }"),
            (
                "{ .a = 1 && (.b = 2 || .c) && .d > }",
                "{ .a = 1 && (.b = 2 || .c) }",
            ),
            ("{ .a = 1 && (.b = 2 || .c = ", "{ .a = 1 && (.b = 2) }"),
            ("{ .a = 1 } && { .b = ", "{ .a = 1 }"),
            ("{ name = \"unclosed", ""),
            ("nonsense", ""),
        ] {
            assert_eq!(complete_conditions(typed), asked, "{typed}");
        }
    }
}

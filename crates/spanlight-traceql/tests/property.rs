//! What holds for any query and for any text.

use std::{panic::resume_unwind, thread};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{TestCaseResult, TestRunner},
};
use spanlight_traceql::{parse, tokens};

use crate::random;

/// A text that is more often nearly a query than mere characters are.
fn near_query() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "{",
        "}",
        "(",
        ")",
        "|",
        "||",
        "&&",
        "&",
        "=",
        "!=",
        "=~",
        "!~",
        "!",
        "<",
        ">",
        ">>",
        "!>>",
        "&~",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        ",",
        ".",
        ".a",
        "span.b",
        "parent.",
        "resource.service.name",
        "duration",
        "name",
        "status",
        "error",
        "nil",
        "true",
        "5",
        "1.5",
        "1h30m",
        "9223372036854775808",
        "\"x\"",
        "\"",
        "`",
        "'",
        "\\",
        "count()",
        "avg(",
        "by(",
        "select(",
        "coalesce()",
        "rate()",
        "topk(3)",
        "compare({",
        "quantile_over_time(",
        "with(",
        "é",
        "\u{a0}",
        "//",
        "/*",
        "*/",
        "\n",
        " ",
        "x",
        "span:id",
        "trace:",
    ]);
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn check_any_text(text: &str) {
    match parse(text) {
        Ok(query) => {
            let printed = query.to_string();
            assert_eq!(
                parse(&printed).as_ref(),
                Ok(&query),
                "{text:?} prints {printed:?}"
            );
        }
        Err(error) => {
            assert!(error.position.start <= error.position.end);
            assert!(
                text.get(error.position.clone()).is_some(),
                "{text:?}: {error:?}"
            );
            let before = &text[..error.position.start];
            assert_eq!(
                before.lines().count().max(1) + usize::from(before.ends_with('\n')),
                error.line
            );
            assert!(error.column >= 1 && !error.message.is_empty());
        }
    }
    let mut end = 0;
    for token in tokens(text) {
        assert!(token.range.start >= end && token.range.end > token.range.start);
        let skipped = &text[end..token.range.start];
        assert!(
            skipped.chars().all(|c| " \t\r\n".contains(c)),
            "{skipped:?} has no token"
        );
        end = token.range.end;
    }
    assert!(text[end..].chars().all(|c| " \t\r\n".contains(c)));
}

/// Stack for making random queries: each level of the generator is a dozen frames of an unoptimized build. What is
/// tested needs far less, which the tests of limits hold.
const STACK_BYTES: usize = 64 << 20;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Holds a test to random values of a deep strategy.
fn check_deep<S: Strategy>(
    strategy: impl FnOnce() -> S + Send,
    test: impl Fn(S::Value) -> TestCaseResult + Send,
) {
    let run = || TestRunner::new(config()).run(&strategy(), test).unwrap();
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        let outcome = thread.spawn_scoped(scope, run).unwrap().join();
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

#[test]
fn a_printed_query_parses_to_the_same_query() {
    check_deep(random::query, |query| {
        let text = query.to_string();
        match parse(&text) {
            Ok(again) => prop_assert_eq!(again, query, "{}", text),
            Err(error) => prop_assert!(false, "{error}\n{text}"),
        }
        Ok(())
    });
}

#[test]
fn a_mutilated_query_has_an_answer() {
    let strategy = || (random::query(), any::<Index>(), 0_usize..8, "\\PC{0,2}");
    check_deep(strategy, |(query, cut, length, put)| {
        let text: Vec<char> = query.to_string().chars().collect();
        let start = cut.index(text.len());
        let end = (start + length).min(text.len());
        let kept = text[..start].iter().copied();
        let mutilated: String = kept
            .chain(put.chars())
            .chain(text[end..].iter().copied())
            .collect();
        check_any_text(&mutilated);
        Ok(())
    });
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_has_an_answer(text in any::<String>()) {
        check_any_text(&text);
    }

    #[test]
    fn nearly_any_query_has_an_answer(text in near_query()) {
        check_any_text(&text);
    }
}

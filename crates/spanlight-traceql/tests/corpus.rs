//! The cases of `corpus/*.txt`, which read like documentation.
//!
//! A line that begins with `>` is a query; the lines below it are what comes of it: its canonical text after `=` when
//! that differs, or the error under the offending part. Other lines are prose. With `UPDATE_CORPUS=1` in the
//! environment the files are written anew, to be read before they are committed.

use std::{fmt::Write, fs, path::Path};

use spanlight_traceql::{Error, ErrorKind, parse};

/// Compares a file with what is the case.
fn check(name: &str, cases_min: usize, outcome: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(name);
    let file = fs::read_to_string(&path).unwrap();
    let mut actual = String::new();
    let mut cases = 0;
    let mut lines = file.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(actual, "{line}").unwrap();
        if let Some(query) = line.strip_prefix("> ") {
            cases += 1;
            actual.push_str(&outcome(query));
            while lines
                .next_if(|line| line.starts_with(' ') || line.starts_with('='))
                .is_some()
            {}
        }
    }
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        fs::write(&path, &actual).unwrap();
    }
    for (line, (expected, actual)) in file.lines().zip(actual.lines()).enumerate() {
        assert_eq!(expected, actual, "{name}, line {}", line + 1);
    }
    assert_eq!(file, actual);
    assert!(cases >= cases_min, "{name} has only {cases} cases");
}

/// The error as it would be shown under the query in an editor.
fn picture(query: &str, error: &Error) -> String {
    assert_eq!(
        query[..error.position.start].chars().count() + 1,
        error.column
    );
    let width = query[error.position.clone()].chars().count().max(1);
    let mut picture = format!(
        "  {}{} {}\n",
        " ".repeat(error.column - 1),
        "^".repeat(width),
        error.message
    );
    if !error.expected.is_empty() {
        writeln!(picture, "  expected: {}", error.expected.join(", ")).unwrap();
    }
    if let Some(hint) = &error.hint {
        writeln!(picture, "  hint: {hint}").unwrap();
    }
    picture
}

#[test]
fn valid_queries_print_as_canonical_text() {
    check("valid.txt", 120, |text| {
        let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let canonical = query.to_string();
        let again = parse(&canonical).unwrap_or_else(|error| panic!("{canonical}: {error}"));
        assert_eq!(query, again, "{text}");
        if canonical == text {
            String::new()
        } else {
            format!("= {canonical}\n")
        }
    });
}

#[test]
fn texts_outside_the_grammar_are_explained() {
    check("parse_fails.txt", 80, |text| {
        let error = parse(text).expect_err(text);
        assert_eq!(error.kind, ErrorKind::Syntax, "{text}: {error}");
        picture(text, &error)
    });
}

#[test]
fn queries_that_cannot_work_are_explained() {
    check("validate_fails.txt", 50, |text| {
        let error = parse(text).expect_err(text);
        assert!(
            matches!(error.kind, ErrorKind::Invalid | ErrorKind::Unsupported),
            "{text}: {error}"
        );
        picture(text, &error)
    });
}

#[test]
fn errors_count_lines_and_characters() {
    let error = parse("{ .a = 1 &&\n  .ä = \"ü\" && foo = 1 }").unwrap_err();
    assert_eq!((error.line, error.column), (2, 15));
    assert_eq!(
        error.to_string(),
        "line 2, column 15: unknown name `foo`; an attribute is written `.foo`, a string \"foo\""
    );
    let error = parse("{ .a = 1\n").unwrap_err();
    assert_eq!((error.line, error.column, error.position), (2, 1, 9..9));
    let error = parse("").unwrap_err();
    assert_eq!((error.line, error.column, error.position), (1, 1, 0..0));
}

#[test]
fn a_query_may_span_lines() {
    let query =
        parse("// slow ones\n{ duration > 1s /* a second */ }\r\n\t| count() > 2 // enough")
            .unwrap();
    assert_eq!(query.to_string(), "{ duration > 1s } | count() > 2");
    let query = parse("{ .a = `two\nlines` }").unwrap();
    assert_eq!(query.to_string(), r#"{ .a = "two\nlines" }"#);
}

//! Texts that are too long, too deep or too dear: each gets an answer, at once, on a small stack.

use std::thread;

use spanlight_traceql::{
    ATTRIBUTES_MAX, Error, ErrorKind, HEIGHT_MAX, NESTING_MAX, PATTERNS_MAX, QUANTILES_MAX,
    TEXT_BYTES_MAX, parse, tokens,
};

/// Parses, prints, parses and drops on a stack of 512 KiB.
fn parse_on_small_stack(text: String) -> Result<(), Error> {
    thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(move || {
            assert!(!tokens(&text).is_empty());
            let query = parse(&text)?;
            let printed = query.to_string();
            let again = parse(&printed).unwrap();
            assert_eq!(query, again);
            assert!(!format!("{query:?}").is_empty());
            Ok(())
        })
        .unwrap()
        .join()
        .unwrap()
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

fn limit(text: String) -> String {
    let error = parse_on_small_stack(text).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit, "{error}");
    error.to_string()
}

#[test]
fn two_thousand_parentheses_are_read() {
    for inner in ["{ .a }", "count() > 1", "{ .a } | by(.b)", "{ } | rate()"] {
        assert_eq!(parse_on_small_stack(nested("(", inner, ")", 2_000)), Ok(()));
    }
    let inside = nested("(", ".a = 1", ")", NESTING_MAX);
    assert_eq!(parse_on_small_stack(format!("{{ {inside} }}")), Ok(()));
    let constant = nested("(", "1", ")", 2_000);
    assert_eq!(
        parse_on_small_stack(format!("count() > {constant}")),
        Ok(())
    );
}

#[test]
fn ten_thousand_parentheses_are_too_many() {
    insta::assert_snapshot!(
        limit(nested("(", "{ .a }", ")", 10_000)),
        @"line 1, column 4097: parentheses are nested too deeply, the limit is 4096"
    );
    insta::assert_snapshot!(
        limit(format!("{{ {} }}", nested("(", ".a", ")", 10_000))),
        @"line 1, column 4099: parentheses are nested too deeply, the limit is 4096"
    );
    // Whether they are ever closed is not waited for.
    limit("(".repeat(10_000));
    limit(format!("{{ {}", "(".repeat(10_000)));
}

#[test]
fn trees_do_not_grow_too_high() {
    let height = HEIGHT_MAX + 10;
    for text in [
        format!("{{ {}.a }}", "!".repeat(100_000)),
        format!("{{ 1 = {}.a }}", "- ".repeat(50_000)),
        format!("{{ .a = 1{} }}", " + 1".repeat(height)),
        format!("{{ .a = 1{} }}", " ^ 1".repeat(20_000)),
        format!("{{ .a = 1{} }}", " = true".repeat(height)),
        format!("{{ .a{} }}", " && .a || .a".repeat(height)),
        format!("{{ .a }}{}", " > { .a }".repeat(height)),
        format!("{{ .a }}{}", " && { .a } || { .a }".repeat(height)),
        format!("({{ }} | rate()){}", " + ({ } | rate())".repeat(height)),
        nested("(", "{ }", " | count() > 1) && { }", height),
    ] {
        limit(text);
    }
    insta::assert_snapshot!(
        limit(format!("{{ {}.a }}", "!".repeat(300))),
        @"line 1, column 47: the expression is nested too deeply, the limit is 256 levels; long chains of one of `&&` and `||` count as one level"
    );
}

#[test]
fn trees_may_grow_almost_as_high() {
    let height = HEIGHT_MAX - 10;
    for text in [
        format!("{{ {}.a }}", "!".repeat(height)),
        format!("{{ .a = 1{} }}", " + 1".repeat(height)),
        format!("{{ .a = 1{} }}", " ^ 1".repeat(height)),
        format!("{{ .a }}{}", " > { .a }".repeat(height)),
        format!("({{ }} | rate()){}", " + ({ } | rate())".repeat(height)),
        nested("(", "{ }", " | count() > 1) && { }", height / 3),
    ] {
        assert_eq!(parse_on_small_stack(text.clone()), Ok(()), "{text}");
    }
}

#[test]
fn long_chains_are_one_level() {
    for text in [
        format!("{{ .a = 0{} }}", " || .a = 1".repeat(12_000)),
        format!("{{ .a{} }}", " && .a".repeat(20_000)),
        format!("{{ }}{}", " && { }".repeat(15_000)),
        format!("{{ }}{}", " | { }".repeat(15_000)),
        // However they are put in parentheses.
        format!("{{ {} }}", nested(".a && (", ".b", ")", 4_000)),
        format!("{{ {} }}", nested("(", ".b", ") || .a", 4_000)),
        nested("{ } && (", "{ }", ")", 4_000),
        nested("{ } | (", "{ }", ")", 4_000),
        nested("(", "{ }", ") | coalesce()", 4_000),
        format!("{{ }} | rate(){}", " > 1".repeat(15_000)),
        format!("({{ }} | rate()){}", " > 1".repeat(15_000)),
        format!("count() > 1{}", " + 1".repeat(15_000)),
        format!("{{ }} | select(.a{})", ", .a".repeat(20_000)),
    ] {
        assert_eq!(parse_on_small_stack(text), Ok(()));
    }
}

#[test]
fn long_texts_are_refused() {
    let exactly = format!("{{ .a = \"{}\" }}", "x".repeat(TEXT_BYTES_MAX - 11));
    assert_eq!(exactly.len(), TEXT_BYTES_MAX);
    assert_eq!(parse_on_small_stack(exactly), Ok(()));
    insta::assert_snapshot!(
        limit(format!("{{ .a = \"{}\" }}", "x".repeat(1024 * 1024))),
        @"line 1, column 131073: the query has 1048587 bytes, more than the limit of 131072"
    );
    // The place is before a character that the limit would cut.
    let error = parse(&"€".repeat(TEXT_BYTES_MAX)).unwrap_err();
    assert_eq!(error.position, 131_070..131_070);
}

#[test]
fn a_mebibyte_of_anything_is_refused_unread() {
    for piece in [
        "(",
        "{",
        "!",
        "{ .a } && ",
        "{ .a = \"",
        ".a =~ \"x\" ",
        "/* ",
        "// ",
        "\n",
        "by(",
        "x",
        "x.",
        "1h",
        "€",
    ] {
        let text = piece.repeat(1024 * 1024 / piece.len() + 1);
        let error = parse(&text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit, "{piece}");
        // Not even its lines are counted beyond the place where it is too long.
        assert!(error.position.start <= TEXT_BYTES_MAX, "{piece}");
        assert!(tokens(&text).len() <= TEXT_BYTES_MAX, "{piece}");
    }
}

#[test]
fn attributes_are_counted_by_their_name() {
    let query = |attributes: usize| {
        let names: Vec<String> = (0..attributes).map(|i| format!(".a{i}")).collect();
        format!("{{ {} }}", names.join(" || "))
    };
    assert_eq!(parse_on_small_stack(query(ATTRIBUTES_MAX)), Ok(()));
    insta::assert_snapshot!(
        limit(query(ATTRIBUTES_MAX + 1)),
        @"line 1, column 9133: more than 1024 different attributes"
    );
    let again = format!(
        "{{ .a && span.a && .a }} | select({}.a)",
        ".a, ".repeat(5_000)
    );
    assert_eq!(parse_on_small_stack(again), Ok(()));
}

#[test]
fn quantiles_are_counted() {
    let query = |quantiles: usize| {
        let quantiles = ", .5".repeat(quantiles);
        format!("{{ }} | quantile_over_time(duration{quantiles})")
    };
    assert_eq!(parse_on_small_stack(query(QUANTILES_MAX)), Ok(()));
    insta::assert_snapshot!(
        limit(query(QUANTILES_MAX + 1)),
        @"line 1, column 292: more than 64 quantiles"
    );
}

#[test]
fn patterns_are_counted_by_their_text() {
    let query = |patterns: usize| {
        let conditions: Vec<String> = (0..patterns).map(|i| format!(".a =~ \"{i}.*\"")).collect();
        format!("{{ {} }}", conditions.join(" || "))
    };
    assert_eq!(parse_on_small_stack(query(PATTERNS_MAX)), Ok(()));
    let error = parse_on_small_stack(query(PATTERNS_MAX + 1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert_eq!(error.message, "more than 256 different regular expressions");
    let large = |patterns: usize| {
        let conditions: Vec<String> = (0..patterns)
            .map(|i| format!(".a =~ `\\pL{{{}}}`", i + 2))
            .collect();
        format!("{{ {} }}", conditions.join(" || "))
    };
    assert_eq!(parse_on_small_stack(large(10)), Ok(()));
    let error = parse_on_small_stack(large(40)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert_eq!(error.message, "more than 16 large regular expressions");
    let same = format!("{{ .a{} }}", " && .a =~ \"x.*\"".repeat(8_000));
    assert_eq!(parse_on_small_stack(same), Ok(()));
}

//! The pieces of a text for editors.

use spanlight_traceql::tokens;

fn check(text: &str) -> String {
    tokens(text)
        .into_iter()
        .map(|token| format!("{:?} {}\n", token.kind, &text[token.range]))
        .collect()
}

#[test]
fn a_query_has_coloured_pieces() {
    let text = r#"{ span.a.b > 1.5s && name =~ "x" } | avg(duration) > 5 // done"#;
    insta::assert_snapshot!(check(text), @r#"
    Punctuation {
    Field span.a.b
    Operator >
    Number 1.5s
    Operator &&
    Field name
    Operator =~
    String "x"
    Punctuation }
    Operator |
    Function avg
    Punctuation (
    Field duration
    Punctuation )
    Operator >
    Number 5
    Comment // done
    "#);
}

#[test]
fn half_typed_text_has_pieces_too() {
    insta::assert_snapshot!(check("{ status == erro && .a = 'x' & 1KB . \"open"), @r#"
    Punctuation {
    Field status
    Unknown ==
    Unknown erro
    Operator &&
    Field .a
    Operator =
    Unknown 'x'
    Unknown &
    Unknown 1KB
    Unknown .
    Unknown "open
    "#);
    assert!(tokens("").is_empty());
    assert!(tokens(" \n\t").is_empty());
}

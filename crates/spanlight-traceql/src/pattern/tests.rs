//! What a pattern matches, beside what it would match without the translation.

use super::Pattern;

fn matches(pattern: &str, value: &str) -> bool {
    Pattern::new(pattern).unwrap().is_match(value)
}

fn fault(pattern: &str) -> String {
    Pattern::new(pattern).unwrap_err().to_string()
}

#[test]
fn a_pattern_matches_the_whole_value() {
    assert!(matches("ab", "ab"));
    assert!(!matches("ab", "abc"));
    assert!(!matches("ab", "cab"));
    assert!(matches("a|bc", "bc"));
    assert!(!matches("a|bc", "ac"));
    assert!(matches("", ""));
    assert!(!matches("", "a"));
    assert!(matches("^ab$", "ab"));
}

#[test]
fn a_dot_matches_a_newline_and_case_counts() {
    assert!(matches("a.*f", "abc\ndef"));
    assert!(!matches("(?-s)a.*f", "abc\ndef"));
    assert!(!matches("AB", "ab"));
    assert!(matches("(?i)AB", "ab"));
}

#[test]
fn classes_are_ascii() {
    assert!(matches(r"\w+", "a_1"));
    assert!(!matches(r"\w", "é"));
    assert!(matches(r"\W", "é"));
    assert!(!matches(r"\d", "٣"));
    assert!(matches(r"[\d.]+", "1.5"));
    assert!(matches(r"[^\s]+", "a\u{a0}b"));
    assert!(matches(r"\Ba\B|a\b.*", "aé"));
    assert!(matches(r"\pL", "é"));
}

#[test]
fn brackets_have_no_set_operations() {
    assert!(matches("[a&&b]+", "a&b"));
    assert!(matches("[[a]+", "[a"));
    assert!(matches("[a~~b]", "~"));
    assert!(matches("[]a]+", "]a"));
    assert!(matches("[^]a]", "b"));
    assert!(matches("[+--]", ","));
    assert!(matches("[[:alpha:]_]+", "a_b"));
    assert!(matches(r"[\]x]+", "]x"));
}

#[test]
fn quoting_and_escaped_brackets_are_literal() {
    assert!(matches(r"\Qa.b\E+", "a.bb"));
    assert!(!matches(r"\Qa.b\E", "axb"));
    assert!(matches(r"\Q[", "["));
    assert!(matches(r"\<a\>", "<a>"));
}

#[test]
fn faults_are_one_line() {
    insta::assert_snapshot!(fault("["), @"unclosed character class");
    insta::assert_snapshot!(fault("a)|(b"), @"unopened group");
    insta::assert_snapshot!(fault("(?=ax)"), @"look-around, including look-ahead and look-behind, is not supported");
    insta::assert_snapshot!(fault("(?x)a # b"), @"unrecognized flag 'x'");
    insta::assert_snapshot!(fault(r"\"), @"a backslash escapes nothing");
    insta::assert_snapshot!(fault("(a"), @"unclosed group");
    insta::assert_snapshot!(fault(r"[\"), @"unclosed character class");
    assert!(matches(r"\(a[(]b\Q(\E", "(a(b("));
    insta::assert_snapshot!(fault("(?:a{1000}){1000}"), @"it is too large when compiled");
}

#[test]
fn a_needle_is_in_every_value_that_matches() {
    let needle = |pattern: &str| {
        let pattern = Pattern::new(pattern).unwrap();
        let needle = pattern.needle().map(|it| it.needle().to_vec());
        String::from_utf8(needle.unwrap_or_default()).unwrap()
    };
    assert_eq!(needle(".*a1b2c3.*"), "a1b2c3");
    assert_eq!(needle("user-0?00123[0-9]|user-00123[02468]x*"), "00123");
    assert_eq!(needle("(abc)+d{2}(?:xyz)*"), "abc");
    assert_eq!(needle("GET /(users|orders)/.*"), "GET /");
    assert_eq!(needle("ab.*"), "");
    assert_eq!(needle("abc|abd"), "");
    assert_eq!(needle("abc|.*"), "");
    assert_eq!(needle("(?i)abc"), "");
    assert_eq!(needle("(?:abc)?"), "");
    assert_eq!(needle("[^a]*"), "");
}

#[test]
fn a_matcher_says_what_its_pattern_says() {
    let pattern = Pattern::new("a+b").unwrap();
    for _ in 0..2 {
        let mut matcher = pattern.matcher();
        for value in ["aab", "b", "ab", "", "abc"] {
            assert_eq!(matcher.is_match(value), pattern.is_match(value), "{value}");
        }
    }
}

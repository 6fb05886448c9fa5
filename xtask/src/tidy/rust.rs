//! Rust files: an opening line that says what the file owns, a size that one can read, telling names.

use std::path::Path;

use super::Finding;

const LINES_MAX: usize = 500;

/// Names that say nothing and so collect everything.
const EMPTY_NAMES: [&str; 6] = ["common", "util", "utils", "helper", "helpers", "misc"];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(Finding::at(
            1,
            "the file does not open with `//!`: what it owns, what not",
        ));
    }
    let stem = Path::new(path)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    if stem == "mod" {
        findings.push(Finding::file("no `mod.rs`: write `foo.rs` beside `foo/`"));
    }
    if EMPTY_NAMES.contains(&stem) {
        findings.push(Finding::file(format!(
            "`{stem}` says nothing: name what the file owns"
        )));
    }
    if !is_test(path) {
        let lines = lines_without_tests(text);
        if lines > LINES_MAX {
            findings.push(Finding::file(format!(
                "{lines} lines without tests; a file has at most {LINES_MAX}: split it by responsibility"
            )));
        }
    }
    findings
}

/// Whether the whole file is a test.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

/// The lines of a file without those of `#[cfg(test)] mod name { … }` at its outer level.
fn lines_without_tests(text: &str) -> usize {
    let mut lines = text.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let opens = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(opens) {
            // rustfmt puts the closing brace of an outer module, and nothing of its inside, first in a line.
            while lines.next().is_some_and(|inside| inside != "}") {}
        } else {
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> usize {
        check(path, text).len()
    }

    fn long(lines: usize) -> String {
        format!("//! A file.\n{}", "x();\n".repeat(lines - 1))
    }

    #[test]
    fn a_file_opens_with_what_it_owns() {
        assert_eq!(problems("src/a.rs", "//! A.\nfn a() {}\n"), 0);
        assert_eq!(problems("src/a.rs", "// A.\nfn a() {}\n"), 1);
        assert_eq!(problems("src/a.rs", "\n//! A.\n"), 1);
        assert_eq!(problems("src/a.rs", ""), 1);
    }

    #[test]
    fn a_name_says_something() {
        assert_eq!(problems("src/a/mod.rs", "//! A.\n"), 1);
        assert_eq!(problems("src/utils.rs", "//! A.\n"), 1);
        assert_eq!(problems("src/mode.rs", "//! A.\n"), 0);
    }

    #[test]
    fn a_file_has_500_lines_and_tests_do_not_count() {
        assert_eq!(problems("src/a.rs", &long(500)), 0);
        assert_eq!(problems("src/a.rs", &long(501)), 1);
        assert_eq!(problems("src/a/tests.rs", &long(900)), 0);
        assert_eq!(problems("crates/a/tests/round_trip.rs", &long(900)), 0);

        let tests = "#[cfg(test)]\nmod tests {\n    fn a() {\n    }\n}\n".to_owned();
        assert_eq!(lines_without_tests(&format!("{}{tests}", long(500))), 500);
        assert_eq!(
            lines_without_tests(&format!("{}{tests}a();\n", long(500))),
            501
        );
        assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\n"), 2);
    }
}

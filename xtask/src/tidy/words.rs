//! Words that do not belong into a repository: notes to oneself, and paths of one's own machine.

use super::Finding;

/// In two halves each, so that this file does not find itself.
const LEFT_OVERS: [(&str, &str); 3] = [("FIX", "ME"), ("XX", "X"), ("todo", "!")];
const MACHINE_PATHS: [(&str, &str); 5] = [
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/Use", "rs/"),
    ("C:", "\\Users"),
];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    // Others write these.
    if path.ends_with("Cargo.lock") || path.ends_with("package-lock.json") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (head, tail) in LEFT_OVERS {
            let word = format!("{head}{tail}");
            if contains_word(line, &word) {
                findings.push(Finding::at(
                    index + 1,
                    format!("`{word}`: do it, or open an issue and name it here"),
                ));
            }
        }
        for (head, tail) in MACHINE_PATHS {
            let start = format!("{head}{tail}");
            if contains_path(line, &start) {
                findings.push(Finding::at(
                    index + 1,
                    format!("`{start}…`: a path that only one machine has"),
                ));
            }
        }
    }
    findings
}

/// Whether `word` stands in `line` and is not a part of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric)
            && (word.ends_with('!') || !after.is_some_and(char::is_alphanumeric))
    })
}

/// Whether an absolute path that begins with `start` stands in `line`; a folder of that name inside a relative path is none.
fn contains_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-})>".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_to_oneself_is_found_and_a_longer_word_is_not() {
        let word = concat!("FIX", "ME");
        assert_eq!(check("a.rs", &format!("// {word}: later\n")).len(), 1);
        assert_eq!(check("a.rs", &format!("// PRE{word}S\n")).len(), 0);
        assert_eq!(check("a.rs", concat!("    todo", "!();\n")).len(), 1);
        assert_eq!(check("Cargo.lock", &format!("{word}\n")).len(), 0);
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_a_relative_one_is_not() {
        let found = check("a.md", concat!("see\n`/wo", "rk/notes`\n"));
        assert_eq!(found.first().map(|finding| finding.line), Some(2));
        assert_eq!(check("a.md", concat!("crates/wo", "rk/notes\n")).len(), 0);
        assert_eq!(check("a.md", "https://example.com/home/page\n").len(), 0);
    }
}

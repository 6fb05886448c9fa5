//! Markdown files: one title each, so that each page is one page.

use super::Finding;

pub(super) fn check(text: &str) -> Vec<Finding> {
    let mut titles = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && line.starts_with("# ") {
            titles.push(index + 1);
        }
    }
    match titles.as_slice() {
        [_] => Vec::new(),
        [] => vec![Finding::file("no title: a page opens with one `# …`")],
        [_, more @ ..] => more
            .iter()
            .map(|&line| Finding::at(line, "a second title: a page has one `# …`"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_title() {
        assert_eq!(check("# A\n\n## B\n"), []);
        assert_eq!(check("# A\n```sh\n# a comment\n```\n"), []);
        assert_eq!(check("## A\n").len(), 1);
        assert_eq!(
            check("# A\n\n# B\n").first().map(|finding| finding.line),
            Some(3)
        );
    }
}

//! Manifests: each crate takes the lints of the workspace, or they hold nowhere.

use toml_edit::DocumentMut;

use super::Finding;

pub(super) fn check(text: &str) -> Vec<Finding> {
    let document = match text.parse::<DocumentMut>() {
        Ok(document) => document,
        Err(error) => return vec![Finding::file(format!("not TOML: {error}"))],
    };
    // A package that is a workspace of its own has no lints to take.
    if document.get("package").is_none() || document.get("workspace").is_some() {
        return Vec::new();
    }
    let inherits = document
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml_edit::Item::as_bool);
    if inherits == Some(true) {
        return Vec::new();
    }
    vec![Finding::file(
        "`[lints] workspace = true` is missing: no lint holds in this crate",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_takes_the_lints_of_the_workspace() {
        assert_eq!(
            check("[package]\nname = 'a'\n[lints]\nworkspace = true\n"),
            []
        );
        assert_eq!(check("[workspace]\nmembers = []\n"), []);
        assert_eq!(check("[package]\nname = 'a'\n[workspace]\n"), []);
        assert_eq!(check("[package]\nname = 'a'\n").len(), 1);
        assert_eq!(
            check("[package]\nname = 'a'\n[lints]\nworkspace = false\n").len(),
            1
        );
        assert_eq!(check("[package\n").len(), 1);
    }
}

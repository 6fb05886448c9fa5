//! Rules of `STYLE.md` that neither rustc nor clippy sees: each looks at one file and names the line.

mod manifest;
mod markdown;
mod rust;
mod words;

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::repository;

/// No file is larger, except pictures in the documentation.
const BYTES_MAX: u64 = 256 * 1024;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// From 1; 0 is the file as a whole.
    line: usize,
    problem: String,
}

impl Finding {
    fn at(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line,
            problem: problem.into(),
        }
    }

    fn file(problem: impl Into<String>) -> Self {
        Self::at(0, problem)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        write!(formatter, ": {}", self.problem)
    }
}

pub(crate) fn run() -> Result<()> {
    let files = repository::files()?;
    let mut problems = 0;
    for path in &files {
        let absolute = repository::root().join(path);
        let bytes = fs::metadata(&absolute)?.len();
        let mut findings = Vec::from_iter(size(path, bytes));
        // Whatever is not text has no lines to look at.
        let content = fs::read(&absolute).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(content) {
            findings.extend(check(path, &text));
        }
        for finding in &findings {
            eprintln!("{path}{finding}");
        }
        problems += findings.len();
    }
    if problems > 0 {
        bail!("{problems} untidy places; STYLE.md has the reasons");
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

/// Everything that is wrong with one text file.
fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    match Path::new(path)
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("rs") => findings.extend(rust::check(path, text)),
        Some("md") => findings.extend(markdown::check(text)),
        Some("toml") if path.ends_with("Cargo.toml") => findings.extend(manifest::check(text)),
        _ => {}
    }
    findings.extend(words::check(path, text));
    findings
}

fn size(path: &str, bytes: u64) -> Option<Finding> {
    let picture = path.starts_with("docs/") && path.ends_with(".png");
    (bytes > BYTES_MAX && !picture).then(|| {
        Finding::file(format!(
            "{} KiB; a file has at most {}, so that clones stay small",
            bytes / 1024,
            BYTES_MAX / 1024
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_small_unless_it_is_a_picture_for_readers() {
        assert_eq!(size("crates/a/tests/data.bin", BYTES_MAX), None);
        assert!(size("crates/a/tests/data.bin", BYTES_MAX + 1).is_some());
        assert!(size("crates/a/shot.png", BYTES_MAX + 1).is_some());
        assert_eq!(size("docs/screenshots/trace.png", BYTES_MAX + 1), None);
    }

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        assert_eq!(Finding::at(3, "too long").to_string(), ":3: too long");
        assert_eq!(Finding::file("too long").to_string(), ": too long");
    }
}

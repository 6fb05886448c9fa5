//! Regular expressions of `=~` and `!~`: RE2's syntax, anchored at both ends, on the engine of the `regex` crate.
//!
//! The two dialects differ where RE2 is plainer: `\d`, `\s`, `\w` and `\b` know ASCII only, a bracket expression has
//! no set operations and no nesting, `\Q…\E` quotes, `\<` is a `<`, and there is no verbose mode. [`translate`]
//! bridges that, so that a pattern means what it means in every other TraceQL.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::memmem::Finder;
use regex_automata::Input;
use regex_automata::meta::{Cache, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

/// What a compiled pattern may take; `regex` would allow ten times that.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// What nearly all patterns take at most.
const COMPILED_BYTES_USUAL: usize = 64 * 1024;

/// Shorter texts are found in too many values.
const NEEDLE_BYTES_MIN: usize = 3;

/// What matchers of one pattern leave for the next ones, at most: as many as match at the same time, usually.
const IDLE_MAX: usize = 8;

/// A pattern that compiles. Two are equal when their texts are.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
    is_large: bool,
    needle: Option<Box<Finder<'static>>>,
    idle: Arc<Mutex<Vec<Cache>>>,
}

/// A pattern for one thread and many values: taking what matching needs costs as much as matching a short value.
pub struct Matcher<'p> {
    pattern: &'p Pattern,
    cache: Option<Cache>,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is no regular expression or one that is too large; the error says why, on one line.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let anchored = format!(r"\A(?:{})\z", translate(text)?);
        let mut parser = ParserBuilder::new().dot_matches_new_line(true).build();
        let hir = parser.parse(&anchored);
        let hir = hir.map_err(|error| PatternError(reason(&error)))?;
        let compile = |bytes_max| {
            let config = Regex::config().nfa_size_limit(Some(bytes_max));
            let config = config.which_captures(WhichCaptures::None);
            let compiled = Regex::builder().configure(config).build_from_hir(&hir);
            compiled.ok()
        };
        let (compiled, is_large) = match compile(COMPILED_BYTES_USUAL) {
            Some(compiled) => (Some(compiled), false),
            None => (compile(COMPILED_BYTES_MAX), true),
        };
        let too_large = || PatternError("it is too large when compiled".to_owned());
        Ok(Self {
            text: text.to_owned(),
            regex: compiled.ok_or_else(too_large)?,
            is_large,
            needle: needle(&hir).map(|needle| Box::new(Finder::new(&needle).into_owned())),
            idle: Arc::default(),
        })
    }

    /// Whether it takes so much memory and time to compile that a query may have few of its kind.
    pub(crate) fn is_large(&self) -> bool {
        self.is_large
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// Finds a text that every value that matches has in it, where there is one: looking for it is much quicker than
    /// matching.
    #[must_use]
    pub fn needle(&self) -> Option<&Finder<'static>> {
        self.needle.as_deref()
    }

    /// The same as [`Pattern::is_match`] for many values.
    #[must_use]
    pub fn matcher(&self) -> Matcher<'_> {
        Matcher {
            pattern: self,
            cache: self.idle().pop(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Cache>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Matcher<'_> {
    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn is_match(&mut self, value: &str) -> bool {
        let regex = &self.pattern.regex;
        let cache = self.cache.get_or_insert_with(|| regex.create_cache());
        regex.is_match_with(cache, &Input::new(value))
    }
}

impl Drop for Matcher<'_> {
    fn drop(&mut self) {
        let mut idle = self.pattern.idle();
        if idle.len() < IDLE_MAX {
            idle.extend(self.cache.take());
        }
    }
}

impl fmt::Debug for Matcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({:?})", self.pattern.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

/// The last line of the crate's picture of the fault.
fn reason(error: &regex_syntax::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The longest text that every match has in it. Of several the last one: beginnings are what all values share.
fn needle(hir: &Hir) -> Option<Vec<u8>> {
    let longest = literals(hir).into_iter().max_by_key(Vec::len);
    longest.filter(|needle| needle.len() >= NEEDLE_BYTES_MIN)
}

/// Texts that every match has in it.
fn literals(hir: &Hir) -> Vec<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Capture(capture) => literals(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => literals(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(literals).collect(),
        HirKind::Alternation(branches) => {
            let mut branches = branches.iter().map(literals);
            let mut common = branches.next().unwrap_or_default();
            for branch in branches {
                common.retain(|text| {
                    let finder = Finder::new(text);
                    branch.iter().any(|other| finder.find(other).is_some())
                });
            }
            common
        }
        _ => Vec::new(),
    }
}

/// RE2's text in the `regex` crate's dialect. It may be put between parentheses: `a)|(b` and a backslash at the end,
/// which that would make valid, are errors here.
fn translate(text: &str) -> Result<String, PatternError> {
    let mut groups = 0_usize;
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        rest = match next {
            '\\' if after.is_empty() => {
                return Err(PatternError("a backslash escapes nothing".to_owned()));
            }
            '\\' => escape(after, &mut out, false),
            '[' => bracket(after, &mut out),
            '(' => {
                groups += 1;
                group(after, &mut out)?
            }
            ')' => {
                groups = groups
                    .checked_sub(1)
                    .ok_or_else(|| PatternError("unopened group".to_owned()))?;
                out.push(')');
                after
            }
            other => {
                out.push(other);
                after
            }
        };
    }
    if groups > 0 {
        return Err(PatternError("unclosed group".to_owned()));
    }
    Ok(out)
}

/// What follows a backslash; returns what is left.
fn escape<'a>(rest: &'a str, out: &mut String, in_bracket: bool) -> &'a str {
    let Some(letter) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[letter.len_utf8()..];
    match letter {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        's' => out.push_str(r"[\t\n\f\r ]"),
        'S' => out.push_str(r"[^\t\n\f\r ]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        '<' | '>' => out.push(letter),
        'b' if !in_bracket => out.push_str(r"(?-u:\b)"),
        'Q' if !in_bracket => {
            let (literal, after) = after.split_once(r"\E").unwrap_or((after, ""));
            out.push_str(&regex_syntax::escape(literal));
            return after;
        }
        other => {
            out.push('\\');
            out.push(other);
        }
    }
    after
}

/// What follows `[`, up to and with the closing `]`; returns what is left.
fn bracket<'a>(mut rest: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str(r"\]");
        rest = after;
    }
    let mut previous = '[';
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        rest = match next {
            ']' => {
                out.push(']');
                return after;
            }
            '\\' => escape(after, out, true),
            '[' => match posix_class(rest) {
                Some(class) => {
                    out.push_str(class);
                    &rest[class.len()..]
                }
                None => {
                    out.push_str(r"\[");
                    after
                }
            },
            // Twice in a row these are set operations there.
            '&' | '~' | '-' if previous == next => {
                out.push('\\');
                out.push(next);
                after
            }
            other => {
                out.push(other);
                after
            }
        };
        previous = next;
    }
    rest
}

/// `[:alpha:]` and so on at the start of `text`.
fn posix_class(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("[:")?;
    let end = inner.find(":]")?;
    let name = inner[..end].strip_prefix('^').unwrap_or(&inner[..end]);
    name.bytes()
        .all(|byte| byte.is_ascii_lowercase())
        .then(|| &text[..end + 4])
}

/// What follows `(`, as far as RE2 knows fewer flags; returns what is left.
fn group<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, PatternError> {
    out.push('(');
    let Some(flags) = rest.strip_prefix('?') else {
        return Ok(rest);
    };
    let end = flags
        .find(|c: char| !c.is_ascii_alphabetic() && c != '-')
        .unwrap_or(flags.len());
    let are_flags = flags[end..].starts_with([')', ':']);
    match flags[..end]
        .chars()
        .find(|&flag| are_flags && matches!(flag, 'x' | 'u' | 'R'))
    {
        Some(flag) => Err(PatternError(format!("unrecognized flag {flag:?}"))),
        None => Ok(rest),
    }
}

#[cfg(test)]
mod tests;

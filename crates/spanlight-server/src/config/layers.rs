//! The sources of a configuration, laid over the defaults one after the other.

use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table, Value};

use super::error::{ConfigError, Place};
use super::registry::Settings;
use super::value::Raw;

/// What a configuration is made of. The default is no source at all: the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those that are no settings are passed over.
    pub environment: Vec<(String, String)>,
    /// Options of the command line.
    pub overrides: Vec<Override>,
}

/// A setting on the command line.
#[derive(Debug, Clone)]
pub struct Override {
    option: String,
    assignment: String,
}

impl Override {
    /// `--set section.key=value`.
    #[must_use]
    pub fn assignment(text: impl Into<String>) -> Self {
        Self {
            option: "--set".to_owned(),
            assignment: text.into(),
        }
    }

    /// An option of its own that stands for a setting, such as `--data-dir`.
    #[must_use]
    pub fn option(option: &str, name: &str, value: &str) -> Self {
        Self {
            option: option.to_owned(),
            assignment: format!("{name}={value}"),
        }
    }
}

impl Settings {
    /// The defaults, with the sources laid over them: file, then environment, then command line.
    ///
    /// # Errors
    /// The first [`ConfigError`] met.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        if let Some(path) = &sources.file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                path: path.clone(),
                source,
            })?;
            settings.apply_file(path, &text)?;
        }
        for (variable, value) in &sources.environment {
            settings.apply_variable(variable, value)?;
        }
        for given in &sources.overrides {
            settings.apply_override(given)?;
        }
        settings.check()?;
        Ok(settings)
    }

    fn apply_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let file = File { path, text };
        let document = Document::parse(text).map_err(|error| ConfigError::Syntax {
            place: file.place(error.span().map_or(0, |span| span.start)),
            message: error.message().trim().replace('\n', ", "),
        })?;
        for (key, item) in document.as_table() {
            let place = file.place_of(document.as_table(), key);
            match item.as_table_like() {
                Some(section) if Self::SECTIONS.contains(&key) => {
                    for (inner, item) in section.iter() {
                        let start = section.key(inner).and_then(toml_edit::Key::span);
                        let place = file.place(start.map_or(0, |span| span.start));
                        self.apply(&format!("{key}.{inner}"), &raw_of(item), place)?;
                    }
                }
                Some(_) => return Err(unknown(place, key, Self::SECTIONS)),
                None => self.apply(key, &raw_of(item), place)?,
            }
        }
        Ok(())
    }

    fn apply_variable(&mut self, variable: &str, value: &str) -> Result<(), ConfigError> {
        let Some(rest) = variable.strip_prefix("SPANLIGHT_") else {
            return Ok(());
        };
        let name = rest.to_lowercase().replacen("__", ".", 1);
        // A variable without a section may be someone else's: orchestrators set SPANLIGHT_PORT and the like for a
        // service of that name, and the commands read SPANLIGHT_SERVER.
        if !name.contains('.') && !Self::NAMES.contains(&name.as_str()) {
            return Ok(());
        }
        let place = Place::Environment {
            variable: variable.to_owned(),
        };
        self.apply(&name, &Raw::Text(value.to_owned()), place)
    }

    fn apply_override(&mut self, given: &Override) -> Result<(), ConfigError> {
        let place = Place::CommandLine {
            option: given.option.clone(),
        };
        let Some((name, value)) = given.assignment.split_once('=') else {
            return Err(ConfigError::NotAnAssignment {
                place,
                text: given.assignment.clone(),
            });
        };
        self.apply(name.trim(), &Raw::Text(value.to_owned()), place)
    }

    fn apply(&mut self, name: &str, raw: &Raw, place: Place) -> Result<(), ConfigError> {
        match self.set(name, raw, place.clone()) {
            None => Err(unknown(place, name, Self::NAMES)),
            Some(Err(expected)) => Err(ConfigError::BadValue {
                place,
                name: name.to_owned(),
                value: describe(raw),
                expected,
            }),
            Some(Ok(())) => Ok(()),
        }
    }

    /// What no single setting can know.
    fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let largest = limits.request_bytes.0 + limits.request_bytes_decompressed.0;
        if limits.in_flight_bytes.0 < largest {
            return Err(ConfigError::Conflict(format!(
                "limits.in_flight_bytes is {}, but one request of the largest size needs {}: raise it, or lower \
                 limits.request_bytes and limits.request_bytes_decompressed",
                limits.in_flight_bytes,
                super::ByteSize(largest),
            )));
        }
        if limits.in_flight_bytes.0 > u64::from(u32::MAX) {
            return Err(ConfigError::Conflict(
                "limits.in_flight_bytes is more than 4GiB, expected less".to_owned(),
            ));
        }
        Ok(())
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn place_of(&self, table: &Table, key: &str) -> Place {
        let span = table.get_key_value(key).and_then(|(key, _)| key.span());
        self.place(span.map_or(0, |span| span.start))
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn raw_of(item: &Item) -> Raw {
    match item {
        Item::Value(Value::Array(items)) => Raw::List(items.iter().map(text_of).collect()),
        Item::Value(value) => Raw::Text(text_of(value)),
        // A table where a value belongs fits no kind, and reads as itself in the message.
        other => Raw::List(vec![other.to_string().trim().to_owned()]),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(
        || value.clone().decorated("", "").to_string(),
        str::to_owned,
    )
}

fn describe(raw: &Raw) -> String {
    match raw {
        Raw::Text(text) => format!("{text:?}"),
        Raw::List(items) => format!("{items:?}"),
    }
}

fn unknown(place: Place, name: &str, candidates: &[&str]) -> ConfigError {
    let similarity = |candidate: &str| {
        let last = candidate.rsplit_once('.').map_or(candidate, |(_, key)| key);
        let of_whole = strsim::jaro_winkler(name, candidate);
        // A name without its section is the likeliest slip.
        if name == last { 1.0 } else { of_whole }
    };
    let nearest = candidates
        .iter()
        .map(|candidate| (similarity(candidate), *candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.to_owned());
    ConfigError::UnknownName {
        place,
        name: name.to_owned(),
        nearest,
    }
}

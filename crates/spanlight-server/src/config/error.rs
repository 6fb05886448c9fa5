//! What can be wrong with a configuration, and where it stands.

use std::fmt;
use std::path::PathBuf;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The file, as it was given.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// In the environment.
    Environment {
        /// The variable.
        variable: String,
    },
    /// On the command line.
    CommandLine {
        /// The option, such as `--set`.
        option: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(formatter, "{}:{line}:{column}", path.display())
            }
            Self::Environment { variable } => write!(formatter, "environment variable {variable}"),
            Self::CommandLine { option } => write!(formatter, "{option}"),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each field is")]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: not TOML: {message}")]
    Syntax { place: Place, message: String },
    /// No setting has this name.
    #[error("{place}: no setting is called {name:?}{}", nearest_words(nearest.as_deref()))]
    UnknownName {
        place: Place,
        name: String,
        nearest: Option<String>,
    },
    /// The value does not fit the setting.
    #[error("{place}: {name} is {value}, expected {expected}")]
    BadValue {
        place: Place,
        name: String,
        value: String,
        expected: String,
    },
    /// `--set` without an equals sign.
    #[error("{place}: {text:?} is not of the form section.key=value")]
    NotAnAssignment { place: Place, text: String },
    /// Two settings that do not fit together.
    #[error("{0}")]
    Conflict(String),
}

fn nearest_words(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `spanlight config` lists all settings".to_owned(),
        |nearest| format!("; did you mean {nearest:?}?"),
    )
}

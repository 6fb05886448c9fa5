//! How a command fails: an exit code, and what is said on standard error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

/// Why a command did not do what it was asked to. The codes are those of `spanlight --help`.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const UNREACHABLE: u8 = 4;

impl Failure {
    /// Something went wrong; the causes follow the message.
    pub(crate) fn of(message: &str, cause: &dyn Error) -> Self {
        Self::with_causes(FAILED, message, Some(cause))
    }

    /// Something went wrong that says all itself.
    pub(crate) fn failed(message: &str) -> Self {
        Self::with_causes(FAILED, message, None)
    }

    /// What was asked makes no sense.
    pub(crate) fn usage(message: &str) -> Self {
        Self::with_causes(USAGE, message, None)
    }

    /// What was asked makes no sense, and the text says so already.
    pub(crate) fn usage_text(text: String) -> Self {
        Self { code: USAGE, text }
    }

    /// Something went wrong that an error describes.
    pub(crate) fn error(error: &impl Error) -> Self {
        Self::with_causes(FAILED, &error.to_string(), error.source())
    }

    /// A configuration that does not hold.
    pub(crate) fn configuration(error: &impl Error) -> Self {
        Self::with_causes(USAGE, &error.to_string(), error.source())
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(message: &str) -> Self {
        Self::with_causes(NOT_FOUND, message, None)
    }

    /// There is nobody to ask.
    pub(crate) fn unreachable(message: &str, cause: Option<&dyn Error>) -> Self {
        Self::with_causes(UNREACHABLE, message, cause)
    }

    fn with_causes(code: u8, message: &str, cause: Option<&dyn Error>) -> Self {
        let mut text = format!("error: {message}\n");
        let mut next = cause;
        while let Some(error) = next {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  caused by: {error}");
            next = error.source();
        }
        Self { code, text }
    }

    /// Says it, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        // Nothing is left to do where standard error is closed.
        let _ = std::io::stderr().write_all(self.text.as_bytes());
        ExitCode::from(self.code)
    }
}

//! Where output goes: its width, whether it takes colours, and writing to it.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use clap::ColorChoice;
use spanlight::render::Terminal;

use crate::failure::Failure;

const WIDTH_ELSEWHERE: usize = 140;
const WIDTH_MIN: usize = 40;

/// Standard output as a terminal.
pub(crate) fn output(colour: ColorChoice) -> Terminal {
    let width = terminal_size::terminal_size()
        .map(|(columns, _)| usize::from(columns.0))
        .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
        .unwrap_or(WIDTH_ELSEWHERE);
    Terminal {
        width: width.max(WIDTH_MIN),
        colour: coloured(colour, std::io::stdout().is_terminal()),
    }
}

/// Whether standard error takes colours.
pub(crate) fn errors_coloured(colour: ColorChoice) -> bool {
    coloured(colour, std::io::stderr().is_terminal())
}

// https://no-color.org: any value but the empty one.
fn coloured(colour: ColorChoice, terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    match colour {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Writes to standard output. A reader that has gone (`| head`) is no failure.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    put(text.as_bytes())
}

/// The same of what is no text.
pub(crate) fn put(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    let written = output.write_all(bytes).and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::of("cannot write to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// A remark that is not part of the answer, on standard error.
pub(crate) fn remark(text: &str) {
    // A remark that nobody can read is no failure.
    let _ = writeln!(std::io::stderr(), "{text}");
}

//! A line on standard error that shows how far a command is. Where standard error is no terminal there is none.

use std::io::{IsTerminal as _, Write as _};

use clap::ColorChoice;
use spanlight::render::cut;

use crate::screen;

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    shown: bool,
    width: usize,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            shown: false,
            width: screen::output(ColorChoice::Never).width,
        }
    }

    /// Shows this text instead of the last.
    pub(crate) fn show(&mut self, text: &str) {
        if self.is_terminal {
            let text = cut(text, self.width.saturating_sub(1));
            // A line that nobody can read is no failure.
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K{text}");
            self.shown = true;
        }
    }

    /// Says something that stays, above the line.
    pub(crate) fn remark(&mut self, text: &str) {
        self.clear();
        screen::remark(text);
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

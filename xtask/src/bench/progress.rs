//! A line that tells how far a long step is.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_millis(500);

/// Shown only where somebody looks.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    started: Instant,
    shown: Option<Instant>,
    visible: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self {
            what,
            total,
            started: Instant::now(),
            shown: None,
            visible: io::stderr().is_terminal(),
        }
    }

    /// `done` of the total.
    pub(crate) fn at(&mut self, done: u64) {
        if self.visible && self.shown.is_none_or(|shown| shown.elapsed() > INTERVAL) {
            self.shown = Some(Instant::now());
            self.draw(done.min(self.total));
        }
    }

    fn draw(&self, done: u64) {
        let share = done as f64 / self.total.max(1) as f64;
        let bar = "#".repeat((share * 30.0) as usize);
        let rate = done as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let percent = share * 100.0;
        eprint!(
            "\r{:<10} [{bar:<30}] {percent:>3.0} %  {rate:.0}/s   ",
            self.what
        );
        // A line that is not shown is no loss.
        let _ = io::stderr().flush();
    }

    pub(crate) fn end(self) {
        if self.visible {
            eprint!("\r{:70}\r", "");
        }
    }
}

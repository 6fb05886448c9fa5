//! Running the built binary, away from the configuration of whoever runs the tests.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// What a command that ended said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary, in a working directory of its own.
pub(crate) fn spanlight(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanlight"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TZ", "UTC");
    command
}

/// Runs a command to its end, in an empty directory.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    let directory = TempDir::new().unwrap();
    run_in(directory.path(), arguments)
}

/// Runs a command to its end.
pub(crate) fn run_in(directory: &Path, arguments: &[&str]) -> Ended {
    let output = spanlight(directory, arguments).output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A server that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it printed until it was ready.
    pub(crate) banner: String,
}

/// Settings that take free ports.
pub(crate) const FREE_PORTS: [&str; 6] = [
    "--set",
    "http=127.0.0.1:0",
    "--set",
    "receivers.otlp_http=127.0.0.1:0",
    "--set",
    "receivers.otlp_grpc=127.0.0.1:0",
];

impl Running {
    /// Starts a command that serves, and waits for its banner.
    pub(crate) fn start(command: Command) -> Self {
        Self::start_logging(command, Stdio::null())
    }

    fn start_logging(mut command: Command, log: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Ctrl-C") {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                let status = child.wait().unwrap();
                panic!("ended with {status} before it was ready: {banner}");
            }
        }
        Self {
            child,
            stdout,
            banner,
        }
    }

    /// `spanlight serve` in a directory, on free ports.
    pub(crate) fn serve(directory: &Path, more: &[&str]) -> Self {
        let arguments = [&["serve"], &FREE_PORTS[..], more].concat();
        Self::start(spanlight(directory, &arguments))
    }

    /// The same, with its log in a file.
    pub(crate) fn serve_logging(directory: &Path, more: &[&str], log: &Path) -> Self {
        let arguments = [&["serve"], &FREE_PORTS[..], more].concat();
        let log = File::create(log).unwrap();
        Self::start_logging(spanlight(directory, &arguments), log.into())
    }

    /// The first address in the banner after a label.
    pub(crate) fn address(&self, label: &str) -> &str {
        let after = self.banner.split_once(label).unwrap().1;
        after.split_whitespace().next().unwrap()
    }

    /// Sends a signal and waits; gives the exit code and what else was printed.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

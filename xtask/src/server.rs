//! A real server for a check: the binary as users run it, on free ports, in a directory of its own.

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::http::Client;

/// Also a debug build on a busy machine is ready by then.
const READY_TIME_MAX: Duration = Duration::from_secs(60);

/// A directory that goes away with its owner, unless something went wrong in it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("spanlight-{name}-{}-{number}", process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves the directory where it is.
    pub(crate) fn keep(&mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !thread::panicking() && !self.0.as_os_str().is_empty() {
            // What remains is in the temporary directory anyway.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) binary: PathBuf,
    pub(crate) data_dir: PathBuf,
    /// `name=value`, as `--set` takes them.
    pub(crate) settings: Vec<String>,
}

/// A running server; it is killed when this goes away.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    pub(crate) addresses: Addresses,
    /// From the start of the process to the first `200` of `/readyz`.
    pub(crate) ready_after: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
}

impl Launch {
    pub(crate) fn new(binary: &Path, data_dir: &Path) -> Self {
        Self {
            binary: binary.into(),
            data_dir: data_dir.into(),
            settings: Vec::new(),
        }
    }

    pub(crate) fn set(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&self) -> Result<Server> {
        let started = Instant::now();
        self.start_listening()?.wait_until_ready(started)
    }

    /// Starts the server and waits until it listens; it may not be ready yet.
    pub(crate) fn start_listening(&self) -> Result<Server> {
        fs::create_dir_all(&self.data_dir)?;
        let addresses_file = self.data_dir.join("addresses.json");
        // A killed server has left its own.
        match fs::remove_file(&addresses_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let log = self.data_dir.with_extension("log");
        let started = Instant::now();
        let mut child = self.spawn(&log)?;
        let listening = wait_until(&mut child, started, "did not listen", || {
            addresses(&addresses_file)
        });
        match listening {
            Ok(addresses) => Ok(Server {
                child,
                log,
                addresses,
                ready_after: Duration::ZERO,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.context(format!("the server's log ends with\n{}", tail(&log))))
            }
        }
    }

    fn spawn(&self, log: &Path) -> Result<Child> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--data-dir").arg(&self.data_dir);
        for listener in ["http", "receivers.otlp_http", "receivers.otlp_grpc"] {
            command.arg("--set").arg(format!("{listener}=127.0.0.1:0"));
        }
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
        // Nothing of the surroundings may change what is tested.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SPANLIGHT_") {
                command.env_remove(name);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))
    }
}

impl Server {
    /// Waits until a server that listens is ready.
    pub(crate) fn wait_until_ready(mut self, started: Instant) -> Result<Self> {
        let http = self.addresses.http;
        let ready = wait_until(&mut self.child, started, "was not ready", || {
            let answer = Client::new(http).get("/readyz")?;
            if answer.status != 200 {
                bail!("/readyz says {}: {}", answer.status, answer.text());
            }
            Ok(())
        });
        self.ready_after = started.elapsed();
        ready.map_err(|error| error.context(format!("its log ends with\n{}", self.log_tail())))?;
        Ok(self)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of what the server printed.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// `SIGKILL`: nothing in the process gets to run again.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Fails if the process has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "the server ended by itself ({status}):\n{}",
                self.log_tail()
            ),
        }
    }

    /// `SIGTERM`, as an operator stops it; it has to end well, and soon.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = self.id().to_string();
        crate::process::run(Command::new("kill").args(["-TERM", &id]))?;
        let deadline = Instant::now() + READY_TIME_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the server ended with {status}:\n{}", self.log_tail());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!(
            "the server did not end within {READY_TIME_MAX:?}:\n{}",
            self.log_tail()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it succeeds, the server ends or the time is over.
fn wait_until<T>(
    child: &mut Child,
    started: Instant,
    problem: &str,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut last = anyhow!("it was not tried");
    while started.elapsed() < READY_TIME_MAX {
        if let Some(status) = child.try_wait()? {
            bail!("the server ended by itself ({status})");
        }
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => last = error,
        }
        thread::sleep(Duration::from_millis(2));
    }
    Err(last.context(format!("the server {problem} within {READY_TIME_MAX:?}")))
}

fn addresses(file: &Path) -> Result<Addresses> {
    let file: Value = serde_json::from_slice(&fs::read(file)?)?;
    let address = |name: &str| -> Result<SocketAddr> {
        let text = file[name]
            .as_str()
            .with_context(|| format!("addresses.json has no {name}"))?;
        Ok(text.parse()?)
    };
    Ok(Addresses {
        http: address("http")?,
        otlp_http: address("otlp_http")?,
        otlp_grpc: address("otlp_grpc")?,
    })
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

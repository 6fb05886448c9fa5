//! From the command line to the server's settings and its log.

use clap::ColorChoice;
use spanlight::arguments::ConfigurationArguments;
use spanlight_server::config::{LogFormat, LogLevel};
use spanlight_server::{Override, Settings, Sources};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::screen;

/// The settings of file, environment and command line, with `more` on top.
pub(crate) fn load(
    arguments: &ConfigurationArguments,
    more: Vec<Override>,
) -> Result<Settings, Failure> {
    let mut overrides: Vec<Override> = arguments.set.iter().map(Override::assignment).collect();
    if let Some(directory) = &arguments.data_dir {
        let directory = directory.to_string_lossy();
        let given = Override::option("--data-dir", "storage.data_dir", &directory);
        overrides.push(given);
    }
    overrides.extend(more);
    let sources = Sources {
        file: arguments.config.clone(),
        environment: environment(),
        overrides,
    };
    Settings::load(&sources).map_err(|error| Failure::configuration(&error))
}

/// `--listen` as a setting.
pub(crate) fn listen(address: Option<&str>) -> Vec<Override> {
    address
        .map(|address| Override::option("--listen", "http", address))
        .into_iter()
        .collect()
}

// Variables that are not text cannot be settings.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Sends the log to standard error, as the settings say; `RUST_LOG` refines them.
pub(crate) fn start_log(settings: &Settings, colour: ColorChoice) {
    let level = match settings.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    log_from(level, settings.log.format, colour);
}

/// Sends warnings alone to standard error, for commands that read.
pub(crate) fn start_quiet_log(settings: &Settings, colour: ColorChoice) {
    log_from(LevelFilter::WARN, settings.log.format, colour);
}

fn log_from(level: LevelFilter, format: LogFormat, colour: ColorChoice) {
    // The level is Spanlight's own; of libraries only warnings are news. `RUST_LOG` has the last word.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,spanlight={level}")));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(screen::errors_coloured(colour));
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

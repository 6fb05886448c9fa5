//! The command line: its commands, options and help.

mod store;

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

pub use store::{
    BackupArguments, CompactArguments, DeleteArguments, DirectoryArguments, RestoreArguments,
    StoreArguments, StoreCommand,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage, a bad query or a bad configuration
  3  not found
  4  no server answers, and there is no data directory to open";

const EXAMPLES: &str = "\
Examples:
  spanlight demo                                   see it with example traffic
  spanlight serve                                  run it; send OTLP to 127.0.0.1:4317 or :4318
  spanlight query '{ status = error }'             find traces with errors in the last hour
  spanlight sql 'SELECT * FROM services'           ask in SQL
  spanlight trace 4bf92f3577b34da6a3ce929d0e0e4736 show one in the terminal";

/// Distributed tracing for serverless functions
///
/// Follows a request through short-lived functions, queues and buses, keeps what they say, and answers questions
/// about it at once.
#[derive(Debug, Parser)]
#[command(name = "spanlight", version, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// Colours: auto, always or never; NO_COLOR is heeded
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    #[arg(
        hide_possible_values = true,
        hide_default_value = true,
        display_order = 100
    )]
    pub color: ColorChoice,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: receive spans, keep them, answer questions, show pages
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArguments),
    /// Run the server on a temporary directory, with example systems that send traffic
    #[command(after_help = DEMO_HELP)]
    Demo(DemoArguments),
    /// Search for traces, or draw time series, with TraceQL
    #[command(after_help = QUERY_HELP)]
    Query(QueryArguments),
    /// Answer a statement of SQL over spans, traces, events, links and services
    #[command(after_help = SQL_HELP)]
    Sql(SqlArguments),
    /// Show a trace as a waterfall
    #[command(after_help = TRACE_HELP)]
    Trace(TraceArguments),
    /// Bring files of spans in: OTLP JSON and protobuf
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArguments),
    /// Check, measure, back up and tidy what is kept
    Store(StoreArguments),
    /// Print the effective configuration, with where each value comes from
    #[command(after_help = CONFIG_HELP)]
    Config(ConfigArguments),
}

const SERVE_HELP: &str = "\
With no option it listens on loopback and keeps its data in ./spanlight-data:
  7900  pages, query APIs, /metrics, /healthz, /readyz
  4317  OTLP over gRPC
  4318  OTLP over HTTP (protobuf and JSON)
Ctrl-C or SIGTERM ends it cleanly: what is under way is answered, what is kept is on the disk. A second one ends it at once; \
what was acknowledged is safe either way.

Examples:
  spanlight serve
  spanlight serve --config /etc/spanlight.toml --data-dir /var/lib/spanlight
  spanlight serve --listen 127.0.0.1:8080 --set receivers.otlp_grpc=off
  SPANLIGHT_STORAGE__RETENTION=30d spanlight serve";

const DEMO_HELP: &str = "\
Four systems send real OTLP: an Express route that calls Lambda functions, an event broker with retries and a weak \
consumer, a user registration function with cold starts, and two functions with Kafka between them. \
The last 15 minutes are there at once; then traffic goes on until Ctrl-C, which removes the data.

Examples:
  spanlight demo
  spanlight demo --rate 20 --listen 127.0.0.1:8080";

const QUERY_HELP: &str = "\
Asks the server that runs; without one it opens the data directory itself.
Times are unix seconds or nanoseconds, RFC 3339, now, or now-1h (s, m, h, d).

Examples:
  spanlight query '{ status = error }'
  spanlight query '{ span.faas.coldstart = true && duration > 1s }' --start now-24h
  spanlight query '{ resource.service.name = \"ebe-egress\" } | count() > 3' --limit 50
  spanlight query '{ status = error } | rate() by (resource.service.name)' --step 1m
  spanlight query '{ span.user.id = \"user-1042\" }' --output json | jq '.traces[].trace_id'";

const SQL_HELP: &str = "\
Asks the server that runs; without one it opens the data directory itself. Statements only read.
Attributes are columns in double quotes, texts stand in single ones; docs/sql.md lists the views and their columns.

Examples:
  spanlight sql 'SELECT service, count(*) FROM spans GROUP BY service'
  spanlight sql 'SELECT * FROM traces ORDER BY start_time DESC LIMIT 20'
  spanlight sql 'SELECT name, \"span.user.id\" FROM spans WHERE \"span.faas.coldstart\"'
  spanlight sql --output csv --file report.sql > report.csv
  echo 'DESCRIBE spans' | spanlight sql -";

const TRACE_HELP: &str = "\
Asks the server that runs; without one it opens the data directory itself.

Examples:
  spanlight trace 4bf92f3577b34da6a3ce929d0e0e4736
  spanlight trace 1-6630daf6-1940e1dd7e71eabb2cf6e15d      (as X-Ray writes it)
  spanlight trace 4bf92f3577b34da6a3ce929d0e0e4736 --output json";

const IMPORT_HELP: &str = "\
Takes what the collector's file exporter writes (JSON lines, or protobuf with lengths), whole documents of OTLP JSON, and \
OTLP protobuf messages; as they are, or packed with gzip or zstd. The form is told by the content, not by the name.
Spans go to the server that runs; without one, straight into the data directory. Importing a file again does no harm: a \
span that is there already is shown once. What is wrong in a file is named with its place, and the rest is imported; the \
exit code is 1 then.

Examples:
  spanlight import traces.json
  spanlight import export/*.jsonl.gz
  curl -s https://example.com/traces.pb | spanlight import -";

const CONFIG_HELP: &str = "\
A setting has one name in three places, the later winning: the file, the environment, and --set.

Examples:
  spanlight config                                   every setting, as a file to start from
  spanlight config --config spanlight.toml           what would hold with this file
  spanlight config --set limits.hot_bytes=256MiB --output json";

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigurationArguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory that holds everything [default: spanlight-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Set anything that `spanlight config` lists; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// The address of pages and query APIs [default: 127.0.0.1:7900]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Requests a second
    #[arg(long, value_name = "RATE", default_value_t = 2.0, value_parser = rate)]
    pub rate: f64,
    /// The address of pages and query APIs [default: 127.0.0.1:7900, or a free port]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// The same number gives the same requests, at other times
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Set anything that `spanlight config` lists; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Whom to ask.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArguments {
    /// The server [default: the one of the data directory, else the one on port 7900]
    #[arg(
        long,
        value_name = "URL",
        env = "SPANLIGHT_SERVER",
        hide_env_values = true
    )]
    pub server: Option<String>,
    /// Where the configuration, and so the data directory, comes from.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
}

/// `query`.
#[derive(Debug, Args)]
pub struct QueryArguments {
    /// What to find, or to make series of; nothing finds every trace
    #[arg(value_name = "TRACEQL", default_value = "", hide_default_value = true)]
    pub query: String,
    /// From when on
    #[arg(long, value_name = "TIME", default_value = "now-1h")]
    pub start: String,
    /// Until when
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub end: String,
    /// The most traces to show
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// The length of an interval of time series, such as 30s or 5m, or all [default: one that gives at most 120]
    #[arg(long, value_name = "TIME")]
    pub step: Option<String>,
    /// Say what the query read, what it left out, and why
    #[arg(long)]
    pub explain: bool,
    /// table for people, json for programs
    #[arg(
        long,
        value_name = "FORM",
        default_value = "table",
        hide_possible_values = true
    )]
    pub output: Output,
    /// Whom to ask.
    #[command(flatten)]
    pub target: TargetArguments,
}

/// `sql`.
#[derive(Debug, Args)]
pub struct SqlArguments {
    /// The statement; - is standard input
    #[arg(value_name = "SQL", required_unless_present = "file")]
    pub statement: Option<String>,
    /// A file with the statement
    #[arg(long, value_name = "FILE", conflicts_with = "statement")]
    pub file: Option<PathBuf>,
    /// The most rows [default: as many as the server gives]
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// table for people; json, csv or arrow for programs
    #[arg(
        long,
        value_name = "FORM",
        default_value = "table",
        hide_possible_values = true
    )]
    pub output: SqlOutput,
    /// Whom to ask.
    #[command(flatten)]
    pub target: TargetArguments,
}

/// `trace`.
#[derive(Debug, Args)]
pub struct TraceArguments {
    /// The trace id: hexadecimal, or as X-Ray writes it
    #[arg(value_name = "ID")]
    pub id: String,
    /// The most spans to show [default: 200 in a table, 10000 in JSON]
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// table for people, json for programs
    #[arg(
        long,
        value_name = "FORM",
        default_value = "table",
        hide_possible_values = true
    )]
    pub output: Output,
    /// Whom to ask.
    #[command(flatten)]
    pub target: TargetArguments,
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The files; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Whom to give them to.
    #[command(flatten)]
    pub target: TargetArguments,
}

/// `config`.
#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// toml for people, json for programs
    #[arg(
        long,
        value_name = "FORM",
        default_value = "toml",
        hide_possible_values = true
    )]
    pub output: ConfigOutput,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs: what the HTTP API answers
    Json,
}

/// The form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SqlOutput {
    /// For people
    Table,
    /// What the HTTP API answers
    Json,
    /// With the names of the columns first
    Csv,
    /// A stream of Arrow's IPC format
    Arrow,
}

/// The form of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigOutput {
    /// A file to start from
    Toml,
    /// For programs
    Json,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number from 0.01 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("2.5"), Ok(2.5));
        for text in ["0", "-1", "1e9", "NaN", "fast"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}

//! What the help says.

use crate::process::run;

fn help(arguments: &[&str]) -> String {
    let ended = run(&[arguments, &["--help"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

#[test]
fn spanlight() {
    insta::assert_snapshot!(help(&[]), @r"
    Distributed tracing for serverless functions

    Follows a request through short-lived functions, queues and buses, keeps what they say, and answers
    questions about it at once.

    Usage: spanlight [OPTIONS] <COMMAND>

    Commands:
      serve   Run the server: receive spans, keep them, answer questions, show pages
      demo    Run the server on a temporary directory, with example systems that send traffic
      query   Search for traces, or draw time series, with TraceQL
      sql     Answer a statement of SQL over spans, traces, events, links and services
      trace   Show a trace as a waterfall
      import  Bring files of spans in: OTLP JSON and protobuf
      store   Check, measure, back up and tidy what is kept
      config  Print the effective configuration, with where each value comes from
      help    Print this message or the help of the given subcommand(s)

    Options:
          --color <WHEN>
              Colours: auto, always or never; NO_COLOR is heeded

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Examples:
      spanlight demo                                   see it with example traffic
      spanlight serve                                  run it; send OTLP to 127.0.0.1:4317 or :4318
      spanlight query '{ status = error }'             find traces with errors in the last hour
      spanlight sql 'SELECT * FROM services'           ask in SQL
      spanlight trace 4bf92f3577b34da6a3ce929d0e0e4736 show one in the terminal

    Exit codes:
      0  done
      1  failed
      2  wrong usage, a bad query or a bad configuration
      3  not found
      4  no server answers, and there is no data directory to open
    ");
}

#[test]
fn serve() {
    insta::assert_snapshot!(help(&["serve"]), @r"
    Run the server: receive spans, keep them, answer questions, show pages

    Usage: spanlight serve [OPTIONS]

    Options:
          --config <FILE>    The configuration file (TOML)
          --data-dir <DIR>   The directory that holds everything [default: spanlight-data]
          --set <KEY=VALUE>  Set anything that `spanlight config` lists; may be repeated
          --listen <ADDR>    The address of pages and query APIs [default: 127.0.0.1:7900]
          --color <WHEN>     Colours: auto, always or never; NO_COLOR is heeded
      -h, --help             Print help

    With no option it listens on loopback and keeps its data in ./spanlight-data:
      7900  pages, query APIs, /metrics, /healthz, /readyz
      4317  OTLP over gRPC
      4318  OTLP over HTTP (protobuf and JSON)
    Ctrl-C or SIGTERM ends it cleanly: what is under way is answered, what is kept is on the disk. A
    second one ends it at once; what was acknowledged is safe either way.

    Examples:
      spanlight serve
      spanlight serve --config /etc/spanlight.toml --data-dir /var/lib/spanlight
      spanlight serve --listen 127.0.0.1:8080 --set receivers.otlp_grpc=off
      SPANLIGHT_STORAGE__RETENTION=30d spanlight serve
    ");
}

#[test]
fn demo() {
    insta::assert_snapshot!(help(&["demo"]), @r"
    Run the server on a temporary directory, with example systems that send traffic

    Usage: spanlight demo [OPTIONS]

    Options:
          --rate <RATE>      Requests a second [default: 2]
          --listen <ADDR>    The address of pages and query APIs [default: 127.0.0.1:7900, or a free
                             port]
          --seed <NUMBER>    The same number gives the same requests, at other times
          --set <KEY=VALUE>  Set anything that `spanlight config` lists; may be repeated
          --color <WHEN>     Colours: auto, always or never; NO_COLOR is heeded
      -h, --help             Print help

    Four systems send real OTLP: an Express route that calls Lambda functions, an event broker with
    retries and a weak consumer, a user registration function with cold starts, and two functions with
    Kafka between them. The last 15 minutes are there at once; then traffic goes on until Ctrl-C, which
    removes the data.

    Examples:
      spanlight demo
      spanlight demo --rate 20 --listen 127.0.0.1:8080
    ");
}

#[test]
fn query() {
    insta::assert_snapshot!(help(&["query"]), @r#"
    Search for traces, or draw time series, with TraceQL

    Usage: spanlight query [OPTIONS] [TRACEQL]

    Arguments:
      [TRACEQL]  What to find, or to make series of; nothing finds every trace

    Options:
          --start <TIME>     From when on [default: now-1h]
          --end <TIME>       Until when [default: now]
          --limit <COUNT>    The most traces to show [default: 20]
          --step <TIME>      The length of an interval of time series, such as 30s or 5m, or all
                             [default: one that gives at most 120]
          --explain          Say what the query read, what it left out, and why
          --output <FORM>    table for people, json for programs [default: table]
          --server <URL>     The server [default: the one of the data directory, else the one on port
                             7900] [env: SPANLIGHT_SERVER]
          --config <FILE>    The configuration file (TOML)
          --data-dir <DIR>   The directory that holds everything [default: spanlight-data]
          --set <KEY=VALUE>  Set anything that `spanlight config` lists; may be repeated
          --color <WHEN>     Colours: auto, always or never; NO_COLOR is heeded
      -h, --help             Print help

    Asks the server that runs; without one it opens the data directory itself.
    Times are unix seconds or nanoseconds, RFC 3339, now, or now-1h (s, m, h, d).

    Examples:
      spanlight query '{ status = error }'
      spanlight query '{ span.faas.coldstart = true && duration > 1s }' --start now-24h
      spanlight query '{ resource.service.name = "ebe-egress" } | count() > 3' --limit 50
      spanlight query '{ status = error } | rate() by (resource.service.name)' --step 1m
      spanlight query '{ span.user.id = "user-1042" }' --output json | jq '.traces[].trace_id'
    "#);
}

#[test]
fn trace() {
    insta::assert_snapshot!(help(&["trace"]), @r"
    Show a trace as a waterfall

    Usage: spanlight trace [OPTIONS] <ID>

    Arguments:
      <ID>  The trace id: hexadecimal, or as X-Ray writes it

    Options:
          --limit <COUNT>    The most spans to show [default: 200 in a table, 10000 in JSON]
          --output <FORM>    table for people, json for programs [default: table]
          --server <URL>     The server [default: the one of the data directory, else the one on port
                             7900] [env: SPANLIGHT_SERVER]
          --config <FILE>    The configuration file (TOML)
          --data-dir <DIR>   The directory that holds everything [default: spanlight-data]
          --set <KEY=VALUE>  Set anything that `spanlight config` lists; may be repeated
          --color <WHEN>     Colours: auto, always or never; NO_COLOR is heeded
      -h, --help             Print help

    Asks the server that runs; without one it opens the data directory itself.

    Examples:
      spanlight trace 4bf92f3577b34da6a3ce929d0e0e4736
      spanlight trace 1-6630daf6-1940e1dd7e71eabb2cf6e15d      (as X-Ray writes it)
      spanlight trace 4bf92f3577b34da6a3ce929d0e0e4736 --output json
    ");
}

#[test]
fn config() {
    insta::assert_snapshot!(help(&["config"]), @r"
    Print the effective configuration, with where each value comes from

    Usage: spanlight config [OPTIONS]

    Options:
          --config <FILE>    The configuration file (TOML)
          --data-dir <DIR>   The directory that holds everything [default: spanlight-data]
          --set <KEY=VALUE>  Set anything that `spanlight config` lists; may be repeated
          --output <FORM>    toml for people, json for programs [default: toml]
          --color <WHEN>     Colours: auto, always or never; NO_COLOR is heeded
      -h, --help             Print help

    A setting has one name in three places, the later winning: the file, the environment, and --set.

    Examples:
      spanlight config                                   every setting, as a file to start from
      spanlight config --config spanlight.toml           what would hold with this file
      spanlight config --set limits.hot_bytes=256MiB --output json
    ");
}

#[test]
fn sql() {
    insta::assert_snapshot!(help(&["sql"]), @r#"
    Answer a statement of SQL over spans, traces, events, links and services

    Usage: spanlight sql [OPTIONS] [SQL]

    Arguments:
      [SQL]  The statement; - is standard input

    Options:
          --file <FILE>      A file with the statement
          --limit <COUNT>    The most rows [default: as many as the server gives]
          --output <FORM>    table for people; json, csv or arrow for programs [default: table]
          --server <URL>     The server [default: the one of the data directory, else the one on port
                             7900] [env: SPANLIGHT_SERVER]
          --config <FILE>    The configuration file (TOML)
          --data-dir <DIR>   The directory that holds everything [default: spanlight-data]
          --set <KEY=VALUE>  Set anything that `spanlight config` lists; may be repeated
          --color <WHEN>     Colours: auto, always or never; NO_COLOR is heeded
      -h, --help             Print help

    Asks the server that runs; without one it opens the data directory itself. Statements only read.
    Attributes are columns in double quotes, texts stand in single ones; docs/sql.md lists the views and
    their columns.

    Examples:
      spanlight sql 'SELECT service, count(*) FROM spans GROUP BY service'
      spanlight sql 'SELECT * FROM traces ORDER BY start_time DESC LIMIT 20'
      spanlight sql 'SELECT name, "span.user.id" FROM spans WHERE "span.faas.coldstart"'
      spanlight sql --output csv --file report.sql > report.csv
      echo 'DESCRIBE spans' | spanlight sql -
    "#);
}

//! `docs/sql.md`: each of its statements is asked of the example systems' spans, and finds something; and what
//! `spanlight sql` prints.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;

use crate::language::fill;
use crate::process::{Running, run_in, spanlight};

const PAGE: &str = include_str!("../../../docs/sql.md");

fn statements() -> Vec<String> {
    let blocks = PAGE.split("```sql\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks.map(str::to_owned).collect()
}

fn json(directory: &Path, statement: &str) -> serde_json::Value {
    let ended = run_in(directory, &["sql", statement, "--output", "json"]);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{statement}: {ended:?}"))
}

#[test]
fn every_statement_of_the_page_finds_something() {
    let directory = TempDir::new().unwrap();
    let server = Running::serve(directory.path(), &[]);
    fill(&server);
    let statements = statements();
    assert!(statements.len() > 12, "{} statements", statements.len());
    let mut wrong = Vec::new();
    for statement in statements {
        let ended = run_in(directory.path(), &["sql", &statement, "--output", "json"]);
        let answer: Option<serde_json::Value> = serde_json::from_str(&ended.stdout).ok();
        let is_right = answer.is_some_and(|answer| {
            let is_empty = |name: &str| answer[name].as_array().is_some_and(Vec::is_empty);
            is_empty("partial") && !is_empty("rows")
        });
        if !is_right {
            wrong.push(format!("{statement}\n  {}{}", ended.stdout, ended.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    agrees_with_traceql(directory.path());
    // Without a server, the directory is opened.
    let count = "SELECT count(*) FROM spans";
    let before = json(directory.path(), count);
    server.stop("-TERM");
    let data = directory.path().join("spanlight-data");
    let data = data.to_str().unwrap();
    let after = run_in(
        directory.path(),
        &["sql", count, "--data-dir", data, "--output", "json"],
    );
    let after: serde_json::Value = serde_json::from_str(&after.stdout).unwrap();
    assert_eq!(after["rows"], before["rows"]);
}

/// The same questions in both languages.
fn agrees_with_traceql(directory: &Path) {
    for (query, statement) in [
        (
            "{ } | count_over_time() by (resource.service.name)",
            "SELECT service, count(*) FROM spans GROUP BY 1",
        ),
        (
            "{ span.faas.coldstart = true } | count_over_time() by (resource.faas.name)",
            "SELECT \"resource.faas.name\", count(*) FROM spans WHERE \"span.faas.coldstart\" GROUP BY 1",
        ),
        (
            "{ name = \"Forward Event\" } | max_over_time(span.app.event.eventbroker_latency_ms) by (span.app.event.consumer.application)",
            "SELECT \"span.app.event.consumer.application\", max(\"span.app.event.eventbroker_latency_ms\") \
             FROM spans WHERE name = 'Forward Event' GROUP BY 1",
        ),
    ] {
        let asked = ["query", query, "--output", "json", "--step", "all"];
        let series = run_in(directory, &asked);
        let series: serde_json::Value = serde_json::from_str(&series.stdout).unwrap();
        let series = series["series"].as_array().unwrap().iter().map(|series| {
            let label = series["labels"].as_object().unwrap().values().next();
            (label.cloned().unwrap(), series["samples"][0][1].as_f64())
        });
        let rows = json(directory, statement);
        let rows = rows["rows"].as_array().unwrap().iter().map(|row| {
            let number = row[1]
                .as_str()
                .map_or(row[1].as_f64(), |it| it.parse().ok());
            (row[0].clone(), number)
        });
        let sorted = |it: Vec<(serde_json::Value, Option<f64>)>| {
            let mut text: Vec<String> = it.iter().map(|it| format!("{it:?}")).collect();
            text.sort();
            text
        };
        assert_eq!(sorted(rows.collect()), sorted(series.collect()), "{query}");
    }
}

#[test]
fn rows_are_a_table_or_what_programs_read() {
    let directory = TempDir::new().unwrap();
    let _server = Running::serve(directory.path(), &[]);
    let statement = "SELECT * FROM (VALUES ('a, \"b\"', 1, 1.5), (NULL, 20, NULL)) AS t (text, number, \"Real\") ORDER BY number";
    let table = run_in(directory.path(), &["sql", statement]);
    insta::assert_snapshot!(table.stdout, @r#"
    text    number  Real
    a, "b"       1   1.5
    null        20  null
    2 rows
    "#);
    let csv = run_in(directory.path(), &["sql", statement, "--output", "csv"]);
    assert_eq!(
        csv.stdout,
        "text,number,Real\r\n\"a, \"\"b\"\"\",1,1.5\r\n,20,\r\n"
    );
    let cut = run_in(
        directory.path(),
        &["sql", statement, "--output", "csv", "--limit", "1"],
    );
    assert_eq!(cut.stdout.lines().count(), 2);
    assert_eq!(
        cut.stderr,
        "incomplete: too_many; --output json says more\n"
    );
    std::fs::write(
        directory.path().join("one.sql"),
        "SELECT 'from a file' AS x",
    )
    .unwrap();
    let file = run_in(directory.path(), &["sql", "--file", "one.sql"]);
    assert!(file.stdout.contains("from a file"), "{file:?}");
    let mut piped = spanlight(directory.path(), &["sql", "-"]);
    let mut child = piped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"SELECT 'piped'").unwrap();
    let piped = child.wait_with_output().unwrap();
    assert!(String::from_utf8(piped.stdout).unwrap().contains("piped"));
    let wrong = run_in(directory.path(), &["sql", "SELECT naem FROM spans"]);
    assert_eq!(wrong.code, Some(2));
    insta::assert_snapshot!(wrong.stderr, @r"
    error: there is no column naem
      SELECT naem FROM spans
             ^^^^
    hint: did you mean name? A text stands in single quotes, 'naem'
    ");
}

#[test]
fn what_is_too_slow_is_told_what_helps() {
    let directory = TempDir::new().unwrap();
    let _server = Running::serve(directory.path(), &["--set", "limits.search_time=300ms"]);
    let endless =
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let stopped = run_in(directory.path(), &["sql", endless]);
    assert_eq!(stopped.code, Some(1));
    insta::assert_snapshot!(stopped.stderr, @r"
    error: the statement was stopped after 300ms, its time limit
    hint: give a time range, as in start_time > now() - interval '1 hour', or raise limits.search_time
    ");
}

//! Statements that are meant to do harm.

use std::fmt::Write as _;
use std::time::Duration;

use spanlight_query::{PartialReason, QueryLimits, SqlFaultKind};

use crate::cases::{load, load_with};
use crate::sql::{ask, fault, request, rows};

const FORBIDDEN: [&str; 17] = [
    "SELECT * FROM '/etc/passwd'",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "DROP TABLE spans",
    "INSERT INTO spans SELECT * FROM spans",
    "UPDATE spans SET name = 'x'",
    "COPY (SELECT 1) TO '/tmp/spanlight-copied.csv'",
    "COPY spans TO '/tmp/spanlight-copied.csv'",
    "SET datafusion.execution.batch_size = 1",
    "RESET datafusion.execution.batch_size",
    "PREPARE x AS SELECT 1",
    "BEGIN",
    "EXPLAIN DELETE FROM spans",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT repeat('x', 2000000000)",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
];

#[tokio::test]
async fn only_reading_is_allowed_and_only_of_the_views() {
    let loaded = load("trace 1\n  a 0+1").await;
    let mut text = String::new();
    for statement in FORBIDDEN {
        text += &format!(
            "{statement}\n=> {}\n",
            fault(&loaded.engine, statement).await
        );
    }
    insta::assert_snapshot!(text, @r"
    SELECT * FROM '/etc/passwd'
    => there is no table /etc/passwd
    CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'
    => CREATE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    CREATE TABLE x AS SELECT 1
    => CREATE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    CREATE VIEW x AS SELECT 1
    => CREATE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    DROP TABLE spans
    => DROP is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    INSERT INTO spans SELECT * FROM spans
    => INSERT is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    UPDATE spans SET name = 'x'
    => UPDATE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    COPY (SELECT 1) TO '/tmp/spanlight-copied.csv'
    => COPY is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    COPY spans TO '/tmp/spanlight-copied.csv'
    => COPY is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    SET datafusion.execution.batch_size = 1
    => SET is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    RESET datafusion.execution.batch_size
    => RESET is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    PREPARE x AS SELECT 1
    => PREPARE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    BEGIN
    => BEGIN is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    EXPLAIN DELETE FROM spans
    => DELETE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    SELECT * FROM read_csv('/etc/passwd')
    => there is no table function read_csv
    SELECT repeat('x', 2000000000)
    => there is no function repeat
    at 1:8 repeat
    CREATE FUNCTION f() RETURNS INT RETURN 1
    => CREATE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    ");
}

/// As long as a statement may be.
fn filled(before: &str, part: &str, after: &str) -> String {
    let room = (64 << 10) - before.len() - after.len();
    format!("{before}{}{after}", part.repeat(room / part.len()))
}

/// As many words as a statement may have.
fn chained(before: &str, part: &str, after: &str) -> String {
    let words = part.split_whitespace().count();
    format!("{before}{}{after}", part.repeat(980 / words))
}

#[tokio::test]
async fn nesting_and_chains_end_in_an_answer_or_an_error() {
    let loaded = load("trace 1\n  a 0+1").await;
    for statement in [
        filled("SELECT ", "(", ""),
        filled("SELECT ", "((1)+", ""),
        filled("SELECT ", "NOT ", "true"),
        filled("SELECT ", "- ", "1"),
        filled("SELECT 1", "+1", ""),
        filled("SELECT 1", "::int", ""),
        filled("SELECT 'a'", "||'a'", ""),
        filled("SELECT true", " IS NULL", ""),
        filled("SELECT * FROM ", "(SELECT * FROM ", ""),
        filled("SELECT 1 ", "UNION ALL SELECT 1 ", ""),
        filled("SELECT CASE ", "WHEN 1=1 THEN 1 ", "END"),
        filled(
            "SELECT name FROM spans WHERE name = 'b' ",
            "OR name = 'a' ",
            "",
        ),
        filled("SELECT ", "CASE WHEN true THEN ", ""),
        filled("SELECT ", "abs(", ""),
        filled("SELECT ", "[", ""),
    ] {
        let fault = ask(&loaded.engine, &statement).await.unwrap_err();
        assert_eq!(
            fault.kind,
            SqlFaultKind::Bad,
            "{} {fault:?}",
            &statement[..40]
        );
    }
    for statement in [
        chained("SELECT 1", " + 1", ""),
        chained("SELECT 'a'", " || 'a'", ""),
        chained("SELECT true", " IS NULL", ""),
        chained(
            "SELECT name FROM spans WHERE name = 'b' ",
            " OR name = 'a'",
            "",
        ),
        chained("SELECT 1", " UNION ALL SELECT 1", " LIMIT 1"),
        chained("SELECT 1", " :: int", ""),
    ] {
        let answer = ask(&loaded.engine, &statement).await;
        match answer {
            Ok(answer) => assert_eq!(answer.batches[0].num_rows(), 1),
            Err(fault) => assert_ne!(fault.kind, SqlFaultKind::Internal, "{fault:?}"),
        }
    }
    let ids = filled("SELECT name FROM spans WHERE name IN ('a'", ",'b'", ")");
    assert!(rows(&loaded.engine, &ids).await.contains("| a "));
}

#[tokio::test]
async fn what_grows_without_end_is_stopped() {
    let limits = QueryLimits {
        search_time_limit: Duration::from_secs(1),
        memory_bytes: 4 << 20,
        ..QueryLimits::default()
    };
    let mut spans = String::from("trace 1\n");
    (0..300).for_each(|at| writeln!(spans, "  a{at} {at}+1 .n={at}").unwrap());
    let loaded = load_with(&spans, limits).await;
    let cross = "spans a, spans b, spans c, spans d, spans e";
    for (statement, kind) in [
        (format!("SELECT count(*) FROM {cross} WHERE a.name < b.name"), SqlFaultKind::TimeLimit),
        (format!("SELECT array_agg(a.attributes) FROM {cross}"), SqlFaultKind::MemoryLimit),
        (format!("SELECT a.name || b.name || c.name AS x, count(*) FROM {cross} GROUP BY 1"), SqlFaultKind::MemoryLimit),
        (format!("SELECT * FROM {cross} ORDER BY a.name || b.name"), SqlFaultKind::MemoryLimit),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n".to_owned(), SqlFaultKind::TimeLimit),
    ] {
        let fault = ask(&loaded.engine, &statement).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{statement}: {fault:?}");
        assert!(fault.hint.is_some());
    }
    // Names that stand for twice what they stand for.
    let mut doubled = String::from("WITH t0 AS (SELECT name FROM spans)");
    for at in 1..8 {
        write!(
            doubled,
            ", t{at} AS (SELECT x.name FROM t{} x, t{} y)",
            at - 1,
            at - 1
        )
        .unwrap();
    }
    doubled += " SELECT count(*) FROM t7";
    assert_eq!(
        ask(&loaded.engine, &doubled).await.unwrap_err().kind,
        SqlFaultKind::TimeLimit
    );
    let many = format!(
        "SELECT 1 FROM spans a0{}",
        (1..20)
            .map(|at| format!(", spans a{at}"))
            .collect::<String>()
    );
    assert!(fault(&loaded.engine, &many).await.contains("20 times"));
    assert!(
        rows(&loaded.engine, "SELECT count(*) FROM spans")
            .await
            .contains("300")
    );
}

#[tokio::test]
async fn rows_beyond_the_limit_are_cut_and_that_is_said() {
    let mut spans = String::from("trace 1\n");
    (0..30).for_each(|at| writeln!(spans, "  a{at} {at}+1").unwrap());
    let limits = QueryLimits {
        sql_rows_max: 20,
        ..QueryLimits::default()
    };
    let loaded = load_with(&spans, limits).await;
    for (asked, expected) in [(usize::MAX, 20), (7, 7), (20, 20)] {
        let mut request = request("SELECT name FROM spans");
        request.rows_max = asked;
        let answer = loaded.engine.sql(request).await.unwrap();
        let rows: usize = answer.batches.iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(rows, expected);
        let limit = expected;
        assert_eq!(
            answer.partial,
            [PartialReason::TooMany {
                what: "rows",
                limit
            }]
        );
    }
    let answer = ask(&loaded.engine, "SELECT name FROM spans LIMIT 20")
        .await
        .unwrap();
    assert_eq!(answer.partial, []);
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_ends() {
    let loaded = load("trace 1\n  a 0+1").await;
    let endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT i FROM n ORDER BY 1";
    let asked = loaded.engine.sql(request(endless));
    let waited = tokio::time::timeout(Duration::from_millis(200), asked).await;
    assert!(waited.is_err());
    while loaded.engine.memory_bytes() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn sets_of_groups_are_few() {
    let loaded = load("trace 1\n  a 0+1").await;
    let mut text = String::new();
    for groups in [
        "CUBE(1, 2, 3, 4, 5, 6, name)",
        "name, CUBE(kind, name), ROLLUP(service, status, kind), GROUPING SETS((name), (kind), (status), (service), ())",
        "GROUPING SETS((name), (kind)), CUBE(1, 2, 3, 4, 5, service)",
    ] {
        let statement = format!("SELECT * FROM (SELECT count(*) FROM spans GROUP BY {groups})");
        text += &format!("{}\n", fault(&loaded.engine, &statement).await);
    }
    insta::assert_snapshot!(text, @r"
    CUBE has 7 expressions, and 6 is the most
    at 1:57 1, 2, 3, 4, 5, 6, name
    GROUP BY has 80 sets and more, and 64 is the most
    at 1:122 name), (kind), (status), (service
    GROUP BY has 128 sets and more, and 64 is the most
    at 1:88 1, 2, 3, 4, 5, service
    ");
    let most = "SELECT count(*) FROM spans GROUP BY CUBE(name, kind, status, service), ROLLUP(trace_id, span_id, trace_state)";
    assert!(ask(&loaded.engine, most).await.is_ok());
}

#[tokio::test]
async fn rows_of_many_groups_count_once_each() {
    let mut spans = String::from("trace 1\n");
    (0..200).for_each(|at| writeln!(spans, "  a{at} {at}+1").unwrap());
    let limits = QueryLimits {
        sql_bytes_max: 3 << 19,
        ..QueryLimits::default()
    };
    let loaded = load_with(&spans, limits).await;
    let statement = "SELECT a.name || b.name, count(*) FROM spans a, spans b GROUP BY a.span_id, b.span_id, a.name || b.name";
    let answer = ask(&loaded.engine, statement).await.unwrap();
    assert_eq!(answer.partial, []);
    let rows: usize = answer.batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 40_000);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named_once() {
    let loaded = load("trace 1\n  a 0+1 .n=1").await;
    loaded.store.flush().await.unwrap();
    for batch in crate::notation::batches("trace 2\n  b 1+1 .n=2") {
        loaded.store.append(batch).await.unwrap();
    }
    let files = std::fs::read_dir(loaded.directory.path().join("cold")).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|it| it == "parquet"));
    std::fs::write(file.unwrap(), b"no parquet").unwrap();
    let statement =
        "SELECT a.name FROM spans a, spans b, events c WHERE a.\"span.n\" = b.\"span.n\"";
    let answer = ask(&loaded.engine, statement).await.unwrap();
    assert_eq!(answer.partial.len(), 1, "{:?}", answer.partial);
}

#[tokio::test]
async fn functions_that_make_much_of_little_are_not_there() {
    let loaded = load("trace 1\n  a 0+1").await;
    for (name, arguments) in [
        ("replace", "'aa', 'a', 'aaaa'"),
        ("regexp_replace", "'aa', 'a', 'aaaa', 'g'"),
        ("translate", "'aa', 'a', 'b'"),
        ("encode", "'aa', 'hex'"),
        ("levenshtein", "'aa', 'b'"),
        ("arrow_cast", "'aa', 'LargeUtf8'"),
        ("list_repeat", "1, 100"),
    ] {
        let statement = format!("SELECT {name}({arguments})");
        let fault = fault(&loaded.engine, &statement).await;
        assert!(
            fault.starts_with(&format!("there is no function {name}")),
            "{fault}"
        );
    }
}

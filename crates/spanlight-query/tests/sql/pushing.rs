//! What the store is told of a statement's conditions, and that nothing is lost by it.

use std::fmt::Write as _;

use crate::cases::{Loaded, load};
use crate::sql::{rows, scans};

/// Spans of forty traces, so many that frequent keys have columns in a file; others are among the rest.
fn many() -> String {
    let mut text = String::new();
    for trace in 1..=40 {
        writeln!(text, "trace {trace:x}").unwrap();
        for span in 0..6 {
            let at = trace * 100 + span * 7;
            let status = ["unset", "ok", "error"][(trace + span) % 3];
            let kind = ["server", "client"][span % 2];
            let service = ["shop", "bank", "post"][trace % 3];
            let n = span as i64 - 2;
            let half = match trace % 8 {
                0 => f64::NAN,
                _ => span as f64 / 2.0,
            };
            let mixed = ["1", "\"1\"", "2.5", "true", "[1,2]", "\"x\""][(trace + span) % 6];
            let number = ["3", "3.0", "2.5", "-1"][(trace * span) % 4];
            let rare = if trace == 7 {
                " .rare=\"yes\" resource.zone=\"eu\""
            } else {
                ""
            };
            let flag = span % 3 == 0;
            writeln!(
                text,
                "  op{span} {at}+{span} @{service} kind:{kind} status:{status} .n={n} .half={half:?} .mixed={mixed} \
                 .number={number} .flag={flag} .user=\"u{}\"{rare}",
                trace % 5
            )
            .unwrap();
        }
        if trace == 20 {
            text.push_str("---\n");
        }
    }
    text
}

const CONDITIONS: [&str; 38] = [
    "name = 'op1'",
    "name IN ('op1', 'op2', 'nothing')",
    "name = ''",
    "name < 'op2'",
    "name LIKE 'op%1'",
    "service = 'bank' AND status = 'error'",
    "service = 'bank' OR kind = 'server'",
    "service <> 'bank'",
    "NOT (service = 'bank' AND status = 'error')",
    "status_message = ''",
    "status_message IS NULL",
    "duration_ns > 2000000",
    "duration_ns BETWEEN 1000000 AND 3000000",
    "duration_ns = 3e6",
    "\"span.n\" = 1",
    "\"span.n\" > 0 AND \"span.n\" <= 2",
    "\"span.n\" IN (-1, 3, 100)",
    "2 <= \"span.n\"",
    "\"span.half\" >= 1",
    "\"span.half\" < 1",
    "\"span.half\" IN (0.5, 1)",
    "\"span.half\" = 'NaN'::double",
    "\"span.number:double\" > 2.5",
    "\"span.number\" = 3",
    "\"span.number\" < 2.75",
    "\"span.number:int\" = 3",
    "\"span.mixed\" = '1'",
    "\"span.mixed\" = 'true'",
    "\"span.mixed\" IS NOT NULL",
    "\"span.mixed:string\" = '1'",
    "\"span.flag\"",
    "NOT \"span.flag\"",
    "\"span.flag\" IS NOT TRUE",
    "\"span.rare\" = 'yes' OR \"span.user\" = 'u1'",
    "\"resource.zone\" = 'eu' AND \"resource.service.name\" = 'bank'",
    "trace_id = '0000000000000000000000000000000a'",
    "trace_id IN ('00000000000000000000000000000001', '0000000000000000000000000000000A', 'x')",
    "start_time >= timestamp '2023-11-14T22:13:21' AND end_time < timestamp '2023-11-14T22:13:22.5'",
];

#[tokio::test]
async fn what_is_left_out_is_what_fails() {
    let loaded = load(&many()).await;
    for level in ["memory", "table", "both"] {
        let mut found = 0;
        for condition in CONDITIONS {
            let told =
                format!("SELECT count(*) AS n, sum(duration_ns) AS d FROM spans WHERE {condition}");
            // A condition of an aggregate is not one of the rows that are read.
            let kept = format!(
                "SELECT count(*) FILTER (WHERE {condition}) AS n, sum(duration_ns) FILTER (WHERE {condition}) AS d \
                 FROM spans"
            );
            let told = rows(&loaded.engine, &told).await;
            let kept = rows(&loaded.engine, &kept).await;
            assert_eq!(told, kept, "{condition} in {level}");
            found += usize::from(!told.contains("| 0 "));
        }
        assert!(found > 28, "{found} conditions find something");
        match level {
            "memory" => loaded.store.flush().await.unwrap(),
            _ => {
                for batch in crate::notation::batches(
                    "trace 7\n  op1 700+9 @bank .n=1 .mixed=7 .rare=\"yes\"",
                ) {
                    loaded.store.append(batch).await.unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn the_store_is_told_what_it_can_skip_by() {
    let loaded = load(&many()).await;
    loaded.store.flush().await.unwrap();
    let mut text = String::new();
    for statement in [
        "SELECT count(*) FROM spans",
        "SELECT name FROM spans WHERE service = 'bank' AND \"span.n\" > 1 AND name LIKE 'op%'",
        "SELECT name FROM spans WHERE \"span.flag\" OR status = 'error'",
        "SELECT name FROM spans WHERE \"span.mixed\" = '1'",
        "SELECT name FROM spans WHERE \"span.mixed:int\" IN (1, 2)",
        "SELECT name FROM spans WHERE trace_id = '0000000000000000000000000000000a'",
        "SELECT name FROM spans WHERE start_time > timestamp '2023-11-14T22:13:21Z' AND duration_ns >= 1000",
        "SELECT name FROM events WHERE service = 'bank' AND name = 'exception'",
        "SELECT span_count FROM traces WHERE start_time > timestamp '2023-11-14T22:13:21' AND root_service = 'bank'",
        "SELECT e.name FROM spans s JOIN events e USING (trace_id) WHERE s.trace_id = '0000000000000000000000000000000a'",
    ] {
        writeln!(
            text,
            "{statement}\n{}",
            scans(&loaded.engine, statement).await
        )
        .unwrap();
    }
    insta::assert_snapshot!(text, @r#"
    SELECT count(*) FROM spans
      spans [], 1 parts

    SELECT name FROM spans WHERE service = 'bank' AND "span.n" > 1 AND name LIKE 'op%'
      spans [service, name, span.n], where span.n > 1 && resource.service.name = "bank", 1 parts

    SELECT name FROM spans WHERE "span.flag" OR status = 'error'
      spans [name, status, span.flag], where span.flag = true || status = "error", 1 parts

    SELECT name FROM spans WHERE "span.mixed" = '1'
      spans [name, span.mixed], 1 parts

    SELECT name FROM spans WHERE "span.mixed:int" IN (1, 2)
      spans [name, span.mixed:int], where span.mixed = 1 || span.mixed = 2, 1 parts

    SELECT name FROM spans WHERE trace_id = '0000000000000000000000000000000a'
      spans [trace_id, name], 1 traces by id

    SELECT name FROM spans WHERE start_time > timestamp '2023-11-14T22:13:21Z' AND duration_ns >= 1000
      spans [name, start_time, duration_ns], time 1700000001000000000..9223372036854775807, where duration >= 1000, 1 parts

    SELECT name FROM events WHERE service = 'bank' AND name = 'exception'
      events [service, name], where resource.service.name = "bank", 1 parts

    SELECT span_count FROM traces WHERE start_time > timestamp '2023-11-14T22:13:21' AND root_service = 'bank'
      traces [root_service, start_time, span_count], time 1700000001000000000..9223372036854775807, 1 parts

    SELECT e.name FROM spans s JOIN events e USING (trace_id) WHERE s.trace_id = '0000000000000000000000000000000a'
      spans [trace_id], 1 traces by id
      events [trace_id, name], 1 traces by id
    "#);
}

/// Traces of spans that go on in the next batch, so many that a file is read in several.
fn long() -> Vec<String> {
    (0..3_u64)
        .map(|batch| {
            let mut text = String::new();
            for trace in 1..=2_000 {
                writeln!(text, "trace {trace:x}").unwrap();
                for span in 0..4 {
                    // Of every hundredth trace a span comes again, and of every tenth some in each batch.
                    let (id, at) = match trace {
                        _ if trace % 100 == 0 => (span, span * 10 + batch),
                        _ if trace % 10 == 0 => (span * 3 + batch, span * 10 + batch * 500),
                        _ if trace % 3 == batch => (span, span * 10),
                        _ => continue,
                    };
                    let status = ["ok", "error"][(span % 2) as usize];
                    let at = trace * 50 + at;
                    writeln!(text, "  s{id} {at}+5 @shop id:{:x} status:{status}", id + 1).unwrap();
                }
            }
            text
        })
        .collect()
}

async fn agree(loaded: &Loaded, level: &str) {
    let found = rows(
        &loaded.engine,
        "SELECT count(*) AS traces, sum(span_count) AS spans, sum(error_count) AS errors FROM traces",
    );
    let grouped = rows(
        &loaded.engine,
        "SELECT count(DISTINCT trace_id) AS traces, count(*) AS spans, count(*) FILTER (WHERE status = 'error') AS errors \
         FROM spans",
    );
    assert_eq!(found.await, grouped.await, "{level}");
    let different = rows(
        &loaded.engine,
        "SELECT count(*) AS n FROM traces t FULL JOIN (\
            SELECT trace_id, count(*) AS spans, min(start_time) AS first, max(end_time) AS last FROM spans GROUP BY 1\
         ) g ON t.trace_id = g.trace_id \
         WHERE (t.span_count IS DISTINCT FROM g.spans) OR (t.start_time IS DISTINCT FROM g.first) OR (t.end_time IS DISTINCT FROM g.last)",
    );
    assert!(different.await.contains("| 0 "), "{level}");
    let ranged = "WHERE start_time >= timestamp '2023-11-14T22:14:00' AND start_time < timestamp '2023-11-14T22:14:30'";
    let told = format!("SELECT count(*) AS n, sum(span_count) AS s FROM traces {ranged}");
    let kept = format!(
        "SELECT count(*) AS n, sum(s) AS s FROM (SELECT min(start_time) AS start_time, count(*) AS s FROM spans GROUP BY \
         trace_id) {ranged}"
    );
    let told = rows(&loaded.engine, &told).await;
    assert_eq!(told, rows(&loaded.engine, &kept).await, "{level}");
    assert!(!told.contains("| 0 "), "{told}");
}

#[tokio::test]
async fn traces_are_whole_wherever_their_spans_are() {
    let loaded = load("").await;
    for (number, text) in long().iter().enumerate() {
        for batch in crate::notation::batches(text) {
            loaded.store.append(batch).await.unwrap();
        }
        agree(&loaded, &format!("{number} in the table")).await;
        loaded.store.flush().await.unwrap();
    }
    agree(&loaded, "all in the table").await;
}

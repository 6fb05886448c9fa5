//! Statements over HTTP: what is asked, what comes, and in which form.

use insta::assert_json_snapshot;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use crate::fixture::{Answer, Fixture, now_unix_nano, order};

async fn ask(server: &Fixture, body: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.client.post(format!("{}/api/v1/sql", server.http));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
}

#[tokio::test]
async fn rows_come_as_json() {
    let server = Fixture::start().await;
    for trace in 1..=3 {
        server.send(&order(trace, now_unix_nano())).await;
    }
    let statement = r#"
        SELECT name, count(*) AS n, avg("span.app.order.value") AS mean, bool_or("span.faas.coldstart") AS cold,
            array_agg(DISTINCT service) AS services, NULL AS nothing, 'NaN'::double AS nan, 1::int AS small,
            TIMESTAMP '2026-01-31T12:00:00Z' AS moment
        FROM spans GROUP BY name ORDER BY name"#;
    let mut answer = ask(&server, statement, &[]).await.json();
    answer["inspected"].take();
    assert_json_snapshot!(answer, @r#"
    {
      "columns": [
        {
          "name": "name",
          "type": "text"
        },
        {
          "name": "n",
          "type": "bigint"
        },
        {
          "name": "mean",
          "type": "double"
        },
        {
          "name": "cold",
          "type": "boolean"
        },
        {
          "name": "services",
          "type": "list of text"
        },
        {
          "name": "nothing",
          "type": "null"
        },
        {
          "name": "nan",
          "type": "double"
        },
        {
          "name": "small",
          "type": "integer"
        },
        {
          "name": "moment",
          "type": "timestamp"
        }
      ],
      "inspected": null,
      "partial": [],
      "rows": [
        [
          "POST /orders",
          "3",
          19.5,
          true,
          [
            "checkout"
          ],
          null,
          "NaN",
          1,
          "2026-01-31T12:00:00"
        ],
        [
          "charge card",
          "3",
          null,
          null,
          [
            "checkout"
          ],
          null,
          "NaN",
          1,
          "2026-01-31T12:00:00"
        ],
        [
          "late",
          "3",
          null,
          null,
          [
            "checkout"
          ],
          null,
          "NaN",
          1,
          "2026-01-31T12:00:00"
        ]
      ]
    }
    "#);
    // As JSON, and with a limit.
    let json = [("content-type", "application/json")];
    let question = r#"{"statement": "SELECT span_id FROM spans", "limit": 2}"#;
    let answer = ask(&server, question, &json).await.json();
    assert_eq!(answer["rows"].as_array().unwrap().len(), 2);
    assert_eq!(answer["partial"][0]["code"], "too_many");
    let answer = ask(&server, "SELECT span_id FROM spans WHERE false", &[])
        .await
        .json();
    assert_eq!(answer["rows"], serde_json::json!([]));
}

#[tokio::test]
async fn rows_come_as_csv_and_as_arrow() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let statement = "SELECT 'a\"b' AS x, '' AS empty, NULL AS nothing, count(*) AS n FROM spans";
    let csv = ask(&server, statement, &[(ACCEPT.as_str(), "text/csv")]).await;
    assert_eq!(csv.text(), "x,empty,nothing,n\r\n\"a\"\"b\",\"\",,3\r\n");
    let one = "SELECT NULL AS nothing UNION ALL SELECT '1' ORDER BY 1";
    let one = ask(&server, one, &[(ACCEPT.as_str(), "text/csv")]).await;
    assert_eq!(one.text(), "nothing\r\n1\r\n\"\"\r\n");
    assert_eq!(
        csv.header(CONTENT_TYPE.as_str()),
        "text/csv; charset=utf-8; header=present"
    );
    let arrow = [(ACCEPT.as_str(), "application/vnd.apache.arrow.stream")];
    let arrow = ask(&server, statement, &arrow).await;
    let reader = arrow_ipc::reader::StreamReader::try_new(&*arrow.body, None).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(
        (
            batches.len(),
            batches[0].num_columns(),
            batches[0].num_rows()
        ),
        (1, 4, 1)
    );
    let odd = ask(&server, statement, &[(ACCEPT.as_str(), "image/png")]).await;
    assert_eq!(
        (odd.status, &odd.json()["error"]["code"]),
        (406, &"not_acceptable".into())
    );
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_place() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let answer = ask(&server, "SELECT naem\nFROM spans", &[]).await;
    assert_eq!(answer.status, 400);
    assert_json_snapshot!(answer.json(), @r#"
    {
      "error": {
        "code": "bad_sql",
        "hint": "did you mean name? A text stands in single quotes, 'naem'",
        "message": "there is no column naem",
        "position": {
          "column": 8,
          "end": 11,
          "line": 1,
          "start": 7
        }
      }
    }
    "#);
    for (statement, status, code) in [
        ("DROP TABLE spans", 400, "read_only"),
        ("", 400, "bad_sql"),
        (&*"x".repeat(70_000), 400, "bad_sql"),
        (&*"x".repeat(2_000_000), 413, "too_large"),
    ] {
        let answer = ask(&server, statement, &[]).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (status, &code.into())
        );
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(ask(&server, "q=SELECT+1", &form).await.status, 415);
    let json = [("content-type", "application/json")];
    assert_eq!(ask(&server, "{\"sql\": 1}", &json).await.status, 400);
    assert_eq!(server.get("/api/v1/sql").await.status, 405);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped() {
    let server = Fixture::with(&["limits.search_time=300ms"]).await;
    let statement =
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let answer = ask(&server, statement, &[]).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (503, &"time_limit".into())
    );
    let answer = ask(&server, "SELECT 1", &[]).await;
    assert_eq!(answer.status, 200);
}

//! What the views have.

use crate::cases::load;
use crate::sql::{ask, check, fault};

const SHOP: &str = r#"
trace 1
  order 0+400 @shop kind:server .user="a" .n=1 resource.zone="eu"
    pay 10+200 @bank .user="a" .n=2 .mixed="x" status:error
      charge 20+100 @bank .n=2.5 .mixed=7
  order 1100+100 @shop .n=4 resource.zone="us"
trace 2
  order 1500+300 @shop .user="b" .faas.coldstart=true
    pay 1600+5000 @bank .mixed=true
---
trace 3
  order 2500+20 @shop .faas.coldstart=true
    pay 2501+7 @bank status:error
"#;

#[tokio::test]
async fn spans_have_what_every_span_has() {
    insta::assert_snapshot!(check(SHOP, "SELECT trace_id, name, service, kind, status, start_time, duration_ns FROM spans WHERE name <> 'pay' ORDER BY start_time").await, @r"
    +----------------------------------+--------+---------+-------------+--------+--------------------------+-------------+
    | trace_id                         | name   | service | kind        | status | start_time               | duration_ns |
    +----------------------------------+--------+---------+-------------+--------+--------------------------+-------------+
    | 00000000000000000000000000000001 | order  | shop    | server      | unset  | 2023-11-14T22:13:20Z     | 400000000   |
    | 00000000000000000000000000000001 | charge | bank    | unspecified | unset  | 2023-11-14T22:13:20.020Z | 100000000   |
    | 00000000000000000000000000000001 | order  | shop    | unspecified | unset  | 2023-11-14T22:13:21.100Z | 100000000   |
    | 00000000000000000000000000000002 | order  | shop    | unspecified | unset  | 2023-11-14T22:13:21.500Z | 300000000   |
    | 00000000000000000000000000000003 | order  | shop    | unspecified | unset  | 2023-11-14T22:13:22.500Z | 20000000    |
    +----------------------------------+--------+---------+-------------+--------+--------------------------+-------------+
    ");
    insta::assert_snapshot!(check(SHOP, "SELECT count(*), sum(duration_ns) FROM spans").await, @r"
    +----------+------------------------+
    | count(*) | sum(spans.duration_ns) |
    +----------+------------------------+
    | 8        | 6127000000             |
    +----------+------------------------+
    ");
    insta::assert_snapshot!(check(SHOP, "SELECT * FROM spans ORDER BY start_time LIMIT 1").await, @r#"
    +----------------------------------+------------------+----------------+---------+-------+--------+--------+----------------+----------------------+--------------------------+-------------+----------------------+-------------+------------+---------------+-------------+------------+--------------------+-------------------------------------+
    | trace_id                         | span_id          | parent_span_id | service | name  | kind   | status | status_message | start_time           | end_time                 | duration_ns | received_at          | trace_state | scope_name | scope_version | event_count | link_count | attributes         | resource_attributes                 |
    +----------------------------------+------------------+----------------+---------+-------+--------+--------+----------------+----------------------+--------------------------+-------------+----------------------+-------------+------------+---------------+-------------+------------+--------------------+-------------------------------------+
    | 00000000000000000000000000000001 | 0000000000000001 |                | shop    | order | server | unset  |                | 2023-11-14T22:13:20Z | 2023-11-14T22:13:20.400Z | 400000000   | 2023-11-14T22:13:20Z |             |            |               | 0           | 0          | {"n":1,"user":"a"} | {"service.name":"shop","zone":"eu"} |
    +----------------------------------+------------------+----------------+---------+-------+--------+--------+----------------+----------------------+--------------------------+-------------+----------------------+-------------+------------+---------------+-------------+------------+--------------------+-------------------------------------+
    "#);
}

#[tokio::test]
async fn attributes_are_columns_of_their_types() {
    insta::assert_snapshot!(check(SHOP, r#"SELECT "span.n", "span.user", "span.faas.coldstart", "resource.zone", "span.mixed", "span.mixed:int" FROM spans ORDER BY start_time"#).await, @r"
    +--------+-----------+---------------------+---------------+------------+----------------+
    | span.n | span.user | span.faas.coldstart | resource.zone | span.mixed | span.mixed:int |
    +--------+-----------+---------------------+---------------+------------+----------------+
    | 1.0    | a         |                     | eu            |            |                |
    | 2.0    | a         |                     |               | x          |                |
    | 2.5    |           |                     |               | 7          | 7              |
    | 4.0    |           |                     | us            |            |                |
    |        | b         | true                |               |            |                |
    |        |           |                     |               | true       |                |
    |        |           | true                |               |            |                |
    |        |           |                     |               |            |                |
    +--------+-----------+---------------------+---------------+------------+----------------+
    ");
    insta::assert_snapshot!(check(SHOP, r#"SELECT name FROM spans WHERE "span.n" > 2 ORDER BY "span.n""#).await, @r"
    +--------+
    | name   |
    +--------+
    | charge |
    | order  |
    +--------+
    ");
    insta::assert_snapshot!(check(SHOP, r#"SELECT name FROM spans WHERE "span.mixed" = '7'"#).await, @r"
    +--------+
    | name   |
    +--------+
    | charge |
    +--------+
    ");
    insta::assert_snapshot!(check(SHOP, r#"SELECT count(*) FROM spans WHERE "span.faas.coldstart""#).await, @r"
    +----------+
    | count(*) |
    +----------+
    | 2        |
    +----------+
    ");
    insta::assert_snapshot!(check(SHOP, r#"SELECT count(*) FROM spans WHERE "span.user" IS NULL"#).await, @r"
    +----------+
    | count(*) |
    +----------+
    | 5        |
    +----------+
    ");
    insta::assert_snapshot!(check(SHOP, r#"SELECT "resource.service.name", count(*) FROM spans GROUP BY 1 ORDER BY 1"#).await, @r"
    +-----------------------+----------+
    | resource.service.name | count(*) |
    +-----------------------+----------+
    | bank                  | 4        |
    | shop                  | 4        |
    +-----------------------+----------+
    ");
}

#[tokio::test]
async fn traces_say_what_their_spans_say_together() {
    insta::assert_snapshot!(check(SHOP, "SELECT * FROM traces ORDER BY start_time").await, @r"
    +----------------------------------+--------------+-----------+--------------------------+--------------------------+-------------+------------+-------------+------------+--------------+
    | trace_id                         | root_service | root_name | start_time               | end_time                 | duration_ns | span_count | error_count | cold_start | services     |
    +----------------------------------+--------------+-----------+--------------------------+--------------------------+-------------+------------+-------------+------------+--------------+
    | 00000000000000000000000000000001 | shop         | order     | 2023-11-14T22:13:20Z     | 2023-11-14T22:13:21.200Z | 1200000000  | 4          | 1           | false      | [bank, shop] |
    | 00000000000000000000000000000002 | shop         | order     | 2023-11-14T22:13:21.500Z | 2023-11-14T22:13:26.600Z | 5100000000  | 2          | 0           | true       | [bank, shop] |
    | 00000000000000000000000000000003 | shop         | order     | 2023-11-14T22:13:22.500Z | 2023-11-14T22:13:22.520Z | 20000000    | 2          | 1           | true       | [bank, shop] |
    +----------------------------------+--------------+-----------+--------------------------+--------------------------+-------------+------------+-------------+------------+--------------+
    ");
    insta::assert_snapshot!(check(SHOP, "SELECT root_name FROM traces WHERE trace_id = '00000000000000000000000000000002'").await, @r"
    +-----------+
    | root_name |
    +-----------+
    | order     |
    +-----------+
    ");
    insta::assert_snapshot!(check(SHOP, "SELECT service, span_count, error_count FROM services ORDER BY service").await, @r"
    +---------+------------+-------------+
    | service | span_count | error_count |
    +---------+------------+-------------+
    | bank    | 4          | 2           |
    | shop    | 4          | 0           |
    +---------+------------+-------------+
    ");
}

const WRONG: [&str; 14] = [
    "SELECT naem FROM spans",
    r#"SELECT "span.usr" FROM spans"#,
    "SELECT name\nFROM sapns",
    "SELEC name FROM spans",
    "SELECT name FROM spans WHERE",
    "SELECT nme(name) FROM spans",
    "SELECT 'x",
    "",
    "SELECT 1; SELECT 2",
    "SELECT trace_id FROM spans a JOIN events b ON a.trace_id = b.trace_id",
    "SELECT name + 1 FROM spans",
    "SELECT CAST(name AS BIGINT) FROM spans",
    "DELETE FROM spans",
    "SELECT * FROM spans WHERE kind = server",
];

#[tokio::test]
async fn faults_say_what_is_wrong_and_where() {
    let loaded = load(SHOP).await;
    let mut text = String::new();
    for statement in WRONG {
        text += &format!(
            "{statement}\n=> {}\n\n",
            fault(&loaded.engine, statement).await
        );
    }
    insta::assert_snapshot!(text, @r#"
    SELECT naem FROM spans
    => there is no column naem
    at 1:8 naem
    hint: did you mean name? A text stands in single quotes, 'naem'

    SELECT "span.usr" FROM spans
    => no stored span has an attribute "span.usr"
    at 1:8 "span.usr"
    hint: did you mean "span.user"?

    SELECT name
    FROM sapns
    => there is no table sapns
    at 2:6 sapns

    SELEC name FROM spans
    => expected: an SQL statement, found: SELEC
    at 1:1 SELEC

    SELECT name FROM spans WHERE
    => expected: an expression, found the end
    at 1:29 

    SELECT nme(name) FROM spans
    => there is no function nme
    at 1:8 nme
    hint: did you mean nvl?

    SELECT 'x
    => Unterminated string literal
    at 1:8 


    => there is no statement

    SELECT 1; SELECT 2
    => there is more than one statement
    hint: send one at a time; WITH gives names to parts of one

    SELECT trace_id FROM spans a JOIN events b ON a.trace_id = b.trace_id
    => trace_id is in several tables
    at 1:8 trace_id
    hint: say which, as in spans.trace_id

    SELECT name + 1 FROM spans
    => cannot coerce arithmetic expression Utf8 + Int64 to valid types
    at 1:8 name

    SELECT CAST(name AS BIGINT) FROM spans
    => cast error: Cannot cast string 'order' to value of Int64 type

    DELETE FROM spans
    => DELETE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW

    SELECT * FROM spans WHERE kind = server
    => there is no column server
    at 1:34 server
    hint: did you mean service? A text stands in single quotes, 'server'
    "#);
    let twice = ask(&loaded.engine, "SELECT 1").await.unwrap();
    assert_eq!(twice.batches.len(), 1);
}

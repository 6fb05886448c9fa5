//! What the views have.

use crate::cases::load;
use crate::sql::{ask, check, fault, rows};

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
    let numbers = "trace 1\n  a 0+1 .x=7\n  b 1+1 .x=7.5";
    insta::assert_snapshot!(check(numbers, r#"SELECT "span.x", "span.x:int", "span.x:double" FROM spans ORDER BY 1"#).await, @r"
    +--------+------------+---------------+
    | span.x | span.x:int | span.x:double |
    +--------+------------+---------------+
    | 7.0    | 7          |               |
    | 7.5    |            | 7.5           |
    +--------+------------+---------------+
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

const EVENTS: &str = r#"
trace 1
  order 0+400 @shop event:exception@3{exception.type="E" n=1} event:retry@5{n="two"}
    pay 10+200 @bank link:2/1{why="batch"} link:3/1 scope:lib/1.0{lang="rust"} state:"ot=th:8"
---
trace 2
  send 0+1 @shop event:exception@0{exception.type="F"}
"#;

#[tokio::test]
async fn events_and_links_have_rows_of_their_own() {
    insta::assert_snapshot!(check(EVENTS, "SELECT span_name, time, name, attributes, \"event.exception.type\", \"event.n\" FROM events ORDER BY trace_id, time").await, @r#"
    +-----------+--------------------------+-----------+------------------------------+----------------------+---------+
    | span_name | time                     | name      | attributes                   | event.exception.type | event.n |
    +-----------+--------------------------+-----------+------------------------------+----------------------+---------+
    | order     | 2023-11-14T22:13:20.003Z | exception | {"exception.type":"E","n":1} | E                    | 1       |
    | order     | 2023-11-14T22:13:20.005Z | retry     | {"n":"two"}                  |                      | two     |
    | send      | 2023-11-14T22:13:20Z     | exception | {"exception.type":"F"}       | F                    |         |
    +-----------+--------------------------+-----------+------------------------------+----------------------+---------+
    "#);
    insta::assert_snapshot!(check(EVENTS, "SELECT span_name, linked_trace_id, linked_span_id, \"link.why\", attributes FROM links ORDER BY linked_trace_id").await, @r#"
    +-----------+----------------------------------+------------------+----------+-----------------+
    | span_name | linked_trace_id                  | linked_span_id   | link.why | attributes      |
    +-----------+----------------------------------+------------------+----------+-----------------+
    | pay       | 00000000000000000000000000000002 | 0000000000000001 | batch    | {"why":"batch"} |
    | pay       | 00000000000000000000000000000003 | 0000000000000001 |          | {}              |
    +-----------+----------------------------------+------------------+----------+-----------------+
    "#);
    insta::assert_snapshot!(check(EVENTS, "SELECT count(*) FROM events").await, @r"
    +----------+
    | count(*) |
    +----------+
    | 3        |
    +----------+
    ");
    insta::assert_snapshot!(check(EVENTS, "SELECT s.name, e.name, s.event_count, s.link_count FROM spans s LEFT JOIN events e ON s.trace_id = e.trace_id AND s.span_id = e.span_id ORDER BY 1, 2").await, @r"
    +-------+-----------+-------------+------------+
    | name  | name      | event_count | link_count |
    +-------+-----------+-------------+------------+
    | order | exception | 2           | 0          |
    | order | retry     | 2           | 0          |
    | pay   |           | 0           | 2          |
    | send  | exception | 1           | 0          |
    +-------+-----------+-------------+------------+
    ");
    insta::assert_snapshot!(check(EVENTS, "SELECT name, scope_name, scope_version, \"instrumentation.lang\", trace_state FROM spans ORDER BY trace_id, name").await, @r"
    +-------+------------+---------------+----------------------+-------------+
    | name  | scope_name | scope_version | instrumentation.lang | trace_state |
    +-------+------------+---------------+----------------------+-------------+
    | order |            |               |                      |             |
    | pay   | lib        | 1.0           | rust                 | ot=th:8     |
    | send  |            |               |                      |             |
    +-------+------------+---------------+----------------------+-------------+
    ");
}

#[tokio::test]
async fn values_that_are_no_scalars_are_text() {
    let spans = "trace 1\n  a 0+1 .list=[1,\"x\",null,bytes,map] .bytes=bytes .map=map .null=null .big=9223372036854775807 .nan=NaN";
    insta::assert_snapshot!(check(spans, r#"SELECT "span.list", "span.bytes", "span.map", "span.null", "span.big", "span.nan", attributes FROM spans"#).await, @r#"
    +-----------------------------+------------+----------+-----------+---------------------+----------+---------------------------------------------------------------------------------------------------------------------+
    | span.list                   | span.bytes | span.map | span.null | span.big            | span.nan | attributes                                                                                                          |
    +-----------------------------+------------+----------+-----------+---------------------+----------+---------------------------------------------------------------------------------------------------------------------+
    | [1,"x",null,"AQI=",{"k":1}] | AQI=       | {"k":1}  |           | 9223372036854775807 | NaN      | {"big":9223372036854775807,"bytes":"AQI=","list":[1,"x",null,"AQI=",{"k":1}],"map":{"k":1},"nan":"NaN","null":null} |
    +-----------------------------+------------+----------+-----------+---------------------+----------+---------------------------------------------------------------------------------------------------------------------+
    "#);
}

#[tokio::test]
async fn a_later_record_of_a_span_takes_the_place_of_the_earlier() {
    let spans = "trace 1\n  early 0+1 @shop .n=1 id:5 event:e@0{x=1}\n---\ntrace 1\n  late 0+7 @shop .n=2 id:5";
    insta::assert_snapshot!(check(spans, "SELECT name, duration_ns, \"span.n\", event_count FROM spans").await, @r"
    +------+-------------+--------+-------------+
    | name | duration_ns | span.n | event_count |
    +------+-------------+--------+-------------+
    | late | 7000000     | 2      | 0           |
    +------+-------------+--------+-------------+
    ");
    insta::assert_snapshot!(check(spans, "SELECT count(*) FROM events").await, @r"
    +----------+
    | count(*) |
    +----------+
    | 0        |
    +----------+
    ");
    insta::assert_snapshot!(check(spans, "SELECT root_name, span_count FROM traces").await, @r"
    +-----------+------------+
    | root_name | span_count |
    +-----------+------------+
    | late      | 1          |
    +-----------+------------+
    ");
    insta::assert_snapshot!(check(spans, "SELECT count(*) FROM spans WHERE name = 'early'").await, @r"
    +----------+
    | count(*) |
    +----------+
    | 0        |
    +----------+
    ");
}

#[tokio::test]
async fn the_views_describe_themselves() {
    let loaded = load(SHOP).await;
    let tables =
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
    insta::assert_snapshot!(rows(&loaded.engine, tables).await, @r"
    +------------+
    | table_name |
    +------------+
    | events     |
    | links      |
    | services   |
    | spans      |
    | traces     |
    +------------+
    ");
    insta::assert_snapshot!(rows(&loaded.engine, "DESCRIBE traces").await, @r#"
    +--------------+----------------------+-------------+
    | column_name  | data_type            | is_nullable |
    +--------------+----------------------+-------------+
    | trace_id     | Utf8                 | NO          |
    | root_service | Utf8                 | YES         |
    | root_name    | Utf8                 | YES         |
    | start_time   | Timestamp(ns, "UTC") | NO          |
    | end_time     | Timestamp(ns, "UTC") | NO          |
    | duration_ns  | Int64                | NO          |
    | span_count   | Int64                | NO          |
    | error_count  | Int64                | NO          |
    | cold_start   | Boolean              | NO          |
    | services     | List(Utf8)           | NO          |
    +--------------+----------------------+-------------+
    "#);
    let shown = rows(&loaded.engine, "SHOW TABLES").await;
    for view in ["spans", "traces", "events", "links", "services"] {
        assert!(shown.contains(&format!("| {view} ")), "{shown}");
    }
}

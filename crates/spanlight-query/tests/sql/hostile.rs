//! Statements that are meant to do harm.

use crate::cases::load;
use crate::sql::fault;

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
    hint: did you mean replace?
    CREATE FUNCTION f() RETURNS INT RETURN 1
    => CREATE is not allowed: statements only read
    hint: begin with SELECT, WITH, VALUES, EXPLAIN, DESCRIBE or SHOW
    ");
}

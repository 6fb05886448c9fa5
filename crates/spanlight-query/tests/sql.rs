//! Statements of SQL, over spans in memory, in the table, and in both at once.

mod hostile;
mod pushing;
mod views;

use datafusion::arrow::util::pretty::pretty_format_batches;
use spanlight_query::{QueryEngine, QueryError, SqlAnswer, SqlFault, SqlFaultKind, SqlRequest};

use crate::cases::load;
use crate::notation;

pub(crate) fn request(statement: &str) -> SqlRequest {
    SqlRequest {
        statement: statement.to_owned(),
        rows_max: usize::MAX,
    }
}

pub(crate) async fn ask(engine: &QueryEngine, statement: &str) -> Result<SqlAnswer, SqlFault> {
    match engine.sql(request(statement)).await {
        Ok(answer) => Ok(answer),
        Err(QueryError::Sql(fault)) => Err(*fault),
        Err(error) => panic!("{statement}: {error}"),
    }
}

pub(crate) async fn rows(engine: &QueryEngine, statement: &str) -> String {
    let answer = ask(engine, statement).await;
    let answer = answer.unwrap_or_else(|fault| panic!("{statement}: {fault:?}"));
    assert_eq!(answer.partial, [], "{statement}");
    pretty_format_batches(&answer.batches).unwrap().to_string()
}

/// The answer, the same in memory, in the table, with the last batch in memory and the rest in the table, and with
/// everything there twice.
pub(crate) async fn check(spans: &str, statement: &str) -> String {
    let batches = notation::batches(spans);
    let loaded = load(spans).await;
    let expected = rows(&loaded.engine, statement).await;
    loaded.store.flush().await.unwrap();
    assert_eq!(
        rows(&loaded.engine, statement).await,
        expected,
        "in the table"
    );
    let both = load("").await;
    for (number, batch) in batches.iter().enumerate() {
        if number + 1 == batches.len() {
            both.store.flush().await.unwrap();
        }
        both.store.append(batch.clone()).await.unwrap();
    }
    assert_eq!(rows(&both.engine, statement).await, expected, "in both");
    both.store.flush().await.unwrap();
    for batch in batches {
        both.store.append(batch).await.unwrap();
    }
    assert_eq!(rows(&both.engine, statement).await, expected, "twice");
    expected
}

/// The scans of a plan, each on a line.
pub(crate) async fn scans(engine: &QueryEngine, statement: &str) -> String {
    let plan = rows(engine, &format!("EXPLAIN {statement}")).await;
    let lines = plan
        .lines()
        .filter_map(|line| line.split_once("ViewScan: "));
    let lines = lines.map(|(_, line)| format!("  {}\n", line.trim_end_matches([' ', '|'])));
    lines.collect()
}

/// What is wrong with a statement, where, and what to do.
pub(crate) async fn fault(engine: &QueryEngine, statement: &str) -> String {
    let fault = ask(engine, statement).await.unwrap_err();
    assert_ne!(fault.kind, SqlFaultKind::Internal, "{statement}: {fault:?}");
    let mut text = fault.message;
    if let Some(position) = fault.position {
        let marked = &statement[position.bytes];
        text += &format!("\nat {}:{} {marked}", position.line, position.column);
    }
    if let Some(hint) = fault.hint {
        text += &format!("\nhint: {hint}");
    }
    text
}

//! Runs the files of `cases/`: spans, questions, answers. Each question is asked twice, of the spans in memory and,
//! after a flush, of the spans in the table.
//!
//! A block begins with `load` (the spans, see `notation`), `eval QUERY`, `list QUERY` (spans in the answer's order, not
//! by name), `show QUERY` (with what answers say beside the names), `series QUERY` (see `series`), or `trace ID`; up to the next blank line follows what is loaded or expected. `UPDATE=1` writes the answers
//! found into the files, for reading over.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use spanlight_model::AnyValue;
use spanlight_query::{QueryEngine, QueryLimits, SearchRequest, SpanSet, Trace, TraceSummary};
use spanlight_store::{FsyncPolicy, Store, StoreOptions};

use crate::{notation, series};

/// An engine over a store with these spans.
pub(crate) struct Loaded {
    pub(crate) store: Store,
    pub(crate) engine: QueryEngine,
    pub(crate) directory: tempfile::TempDir,
}

pub(crate) async fn load(text: &str) -> Loaded {
    load_with(text, QueryLimits::default()).await
}

pub(crate) async fn load_with(text: &str, limits: QueryLimits) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    options.fsync = FsyncPolicy::Never;
    let store = Store::open(options).await.unwrap();
    for batch in notation::batches(text) {
        store.append(batch).await.unwrap();
    }
    Loaded {
        engine: QueryEngine::new(store.clone(), limits),
        store,
        directory,
    }
}

pub(crate) fn request(query: &str) -> SearchRequest {
    SearchRequest {
        query: query.to_owned(),
        time_range: i64::MIN..i64::MAX,
        limit: 20,
        spans_per_trace: 100,
        cursor: None,
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_case_answers_as_written_in_memory_and_from_the_table() {
    let mut failures = String::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let found = run(&text, &mut failures).await;
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, found).unwrap();
        } else if found != text {
            let name = file.file_name().unwrap().to_string_lossy();
            let lines = text.lines().zip(found.lines()).enumerate();
            let (line, (expected, found)) = lines
                .into_iter()
                .find(|(_, (expected, found))| expected != found)
                .unwrap_or((0, ("", "")));
            let line = line + 1;
            writeln!(
                failures,
                "{name}:{line}: expected {expected:?}, found {found:?}"
            )
            .unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The text with its answers replaced by those found.
async fn run(text: &str, failures: &mut String) -> String {
    let mut out = Vec::new();
    // The questions about one load: their place in the output, and their text.
    let mut loaded: Option<Loaded> = None;
    let mut asked: Vec<(usize, String)> = Vec::new();
    for block in text.split("\n\n") {
        let (head, body) = block.split_once('\n').unwrap_or((block, ""));
        if head == "load" {
            check_cold(loaded.take(), &mut asked, &out, failures).await;
            loaded = Some(load(body).await);
            out.push(block.trim_end().to_owned());
        } else if let (Some(loaded), false) = (&loaded, head.starts_with('#')) {
            asked.push((out.len(), head.to_owned()));
            out.push(ask(&loaded.engine, head).await);
        } else {
            out.push(block.trim_end().to_owned());
        }
    }
    check_cold(loaded.take(), &mut asked, &out, failures).await;
    out.join("\n\n") + "\n"
}

async fn check_cold(
    loaded: Option<Loaded>,
    asked: &mut Vec<(usize, String)>,
    out: &[String],
    failures: &mut String,
) {
    let Some(loaded) = loaded else { return };
    loaded.store.flush().await.unwrap();
    for (at, question) in asked.drain(..) {
        let cold = ask(&loaded.engine, &question).await;
        if cold != out[at] {
            let hot = &out[at];
            writeln!(failures, "after a flush:\n{cold}\nbefore:\n{hot}").unwrap();
        }
    }
    drop(loaded.directory);
}

async fn ask(engine: &QueryEngine, question: &str) -> String {
    let (verb, rest) = question.split_once(' ').unwrap_or((question, ""));
    let lines = match verb {
        "eval" => search(engine, rest, names).await,
        "list" => search(engine, rest, in_order).await,
        "show" => search(engine, rest, details).await,
        "trace" => {
            let id = notation::trace_id(u128::from_str_radix(rest, 16).unwrap());
            let trace = engine.trace(id).await.unwrap();
            trace.map_or_else(|| vec!["(none)".to_owned()], |trace| tree(&trace))
        }
        _ if verb.starts_with("series") => series::ask(engine, verb, rest).await,
        _ => panic!("no question: {question}"),
    };
    format!("{question}\n{}", lines.join("\n"))
}

async fn search(
    engine: &QueryEngine,
    query: &str,
    render: fn(&TraceSummary) -> Vec<String>,
) -> Vec<String> {
    match engine.search(request(query)).await {
        Err(error) => vec![format!("error: {error}")],
        Ok(answer) => {
            assert_eq!(answer.partial, []);
            match &answer.traces[..] {
                [] => vec!["(none)".to_owned()],
                traces => traces.iter().flat_map(render).collect(),
            }
        }
    }
}

fn short(trace: &TraceSummary) -> String {
    format!("{:x}", u128::from_be_bytes(trace.trace_id.0))
}

/// `trace: span span | span [aggregate]`.
fn names(trace: &TraceSummary) -> Vec<String> {
    sets(trace, |names| names.sort_unstable())
}

fn in_order(trace: &TraceSummary) -> Vec<String> {
    sets(trace, |_| {})
}

fn sets(trace: &TraceSummary, arrange: fn(&mut [&str])) -> Vec<String> {
    let first = SpanSet {
        matched: trace.matched,
        spans: trace.spans.clone(),
        attributes: trace.attributes.clone(),
    };
    let set = |set: &SpanSet| {
        let mut names: Vec<&str> = set.spans.iter().map(|span| span.name.as_str()).collect();
        arrange(&mut names);
        assert_eq!(set.matched as usize, names.len());
        let mut text = names.join(" ");
        for (key, value) in &set.attributes {
            write!(text, " [{key} = {}]", value_text(value)).unwrap();
        }
        text
    };
    let sets: Vec<String> = std::iter::once(&first)
        .chain(&trace.more_span_sets)
        .map(set)
        .collect();
    vec![format!("{}: {}", short(trace), sets.join(" | "))]
}

fn details(trace: &TraceSummary) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let services: Vec<String> = trace
        .services
        .iter()
        .map(|it| format!("{} {}/{}", text(&it.name), it.span_count, it.error_count))
        .collect();
    let mut lines = vec![format!(
        "{}: {} {} at {} for {}, {} spans, {} errors{}; {}",
        short(trace),
        text(&trace.root_service_name),
        text(&trace.root_name),
        millis(trace.start_time_unix_nano - notation::EPOCH),
        millis(trace.duration_nano),
        trace.span_count,
        trace.error_count,
        if trace.has_cold_start { ", cold" } else { "" },
        services.join(", "),
    )];
    lines.extend(trace.spans.iter().map(|span| {
        let mut line = format!(
            "  {} {} at {} for {}",
            text(&span.service_name),
            span.name,
            millis(span.start_time_unix_nano - notation::EPOCH),
            millis(span.duration_nano)
        );
        for (key, value) in &span.attributes {
            write!(line, ", {key} = {}", value_text(value)).unwrap();
        }
        line
    }));
    lines
}

fn millis(nanos: i64) -> String {
    format!("{}ms", nanos as f64 / 1e6)
}

fn value_text(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => format!("{text:?}"),
        AnyValue::Int(number) => number.to_string(),
        AnyValue::Double(number) => format!("{number:?}"),
        AnyValue::Bool(truth) => truth.to_string(),
        other => other.to_json(),
    }
}

/// A line a span, indented, with what is special about its place.
fn tree(trace: &Trace) -> Vec<String> {
    assert_eq!(trace.partial, []);
    let columns = trace.batch.columns();
    let line = |(row, node): (usize, &spanlight_query::TraceNode)| {
        if let Some(parent) = node.parent {
            let above = &trace.nodes[parent];
            assert!(parent < row && row <= parent + above.descendant_count as usize);
            assert_eq!(above.depth + 1, node.depth);
        }
        let marks: Vec<&str> = [
            (node.orphan, " (orphan)"),
            (node.cycle, " (cycle)"),
            (node.asynchronous, " (asynchronous)"),
        ]
        .into_iter()
        .filter_map(|(is, mark)| is.then_some(mark))
        .collect();
        format!(
            "{}{} {}/{}{}",
            "  ".repeat(node.depth as usize + 1),
            columns.name(row),
            node.child_count,
            node.descendant_count,
            marks.concat()
        )
    };
    trace.nodes.iter().enumerate().map(line).collect()
}

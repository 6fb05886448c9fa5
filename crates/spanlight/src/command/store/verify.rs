//! `spanlight store verify`.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use spanlight::arguments::{DirectoryArguments, Output};
use spanlight::render::{bytes, clean};
use spanlight_store::{LevelReport, Problem, Progress, VerifyOptions, VerifyReport, verify};

use super::{count, places, watched};
use crate::failure::Failure;
use crate::screen;

pub(super) async fn run(arguments: &DirectoryArguments) -> Result<(), Failure> {
    let (directory, cold) = places(&arguments.configuration)?;
    let mut options = VerifyOptions::new(directory);
    options.cold = cold;
    let progress = Arc::<Progress>::default();
    let work = {
        let progress = Arc::clone(&progress);
        // On a task of its own: it computes for long between two waits.
        tokio::spawn(async move { verify(&options, &progress).await })
    };
    let report = watched("verifying", &progress, work)
        .await
        .map_err(|source| Failure::of("the check broke off", &source))?
        .map_err(|error| Failure::error(&error))?;
    screen::say(&match arguments.output {
        Output::Json => format!("{:#}\n", as_json(&report)),
        Output::Table => as_text(&report),
    })?;
    match report.problems.len() {
        0 => Ok(()),
        problems => {
            let problems = count(problems as u64, "problem");
            Err(Failure::failed(&format!("{problems} found")))
        }
    }
}

fn as_text(report: &VerifyReport) -> String {
    let mut text = String::new();
    for (name, level) in [
        ("log", &report.log),
        ("recent", &report.recent),
        ("cold", &report.cold),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:7} {}, {}, {}",
            count(level.files, "file"),
            bytes(level.bytes),
            count(level.spans, "span"),
        );
    }
    let _ = writeln!(text, "table   version {}", report.table_version);
    if report.repeated_spans > 0 {
        let spans = count(report.repeated_spans, "span");
        let _ = writeln!(
            text,
            "\n{spans} sent again and kept twice; each is shown once"
        );
    }
    if report.is_running {
        text.push_str("\na server is running: its memory was not looked at, and what it moved meanwhile was left out\n");
    }
    for (kind, findings) in [("remark", &report.remarks), ("PROBLEM", &report.problems)] {
        for Problem {
            file,
            message,
            advice,
        } in findings
        {
            let _ = writeln!(text, "\n{kind}: {}: {}", clean(file), clean(message));
            let _ = writeln!(text, "  what to do: {advice}");
        }
    }
    if report.problems.is_empty() {
        text.push_str("\nnothing is wrong\n");
    }
    text
}

fn as_json(report: &VerifyReport) -> Value {
    let level = |level: &LevelReport| json!({"files": level.files, "bytes": level.bytes, "spans": level.spans});
    let findings = |findings: &[Problem]| -> Vec<Value> {
        findings
            .iter()
            .map(|found| json!({"file": found.file, "message": found.message, "advice": found.advice}))
            .collect()
    };
    json!({
        "running": report.is_running,
        "log": level(&report.log),
        "recent": level(&report.recent),
        "cold": level(&report.cold),
        "table_version": report.table_version,
        "repeated_spans": report.repeated_spans,
        "problems": findings(&report.problems),
        "remarks": findings(&report.remarks),
    })
}

//! `spanlight store stats`.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::ColorChoice;
use serde_json::{Value, json};
use spanlight::arguments::{DirectoryArguments, Output};
use spanlight::render::{Align, bytes, table};
use spanlight_store::disk::{Disk, LocalDisk};
use spanlight_store::{ColumnUsage, Progress, Usage, usage};

use super::{grouped, places, watched};
use crate::failure::Failure;
use crate::screen;

pub(super) async fn run(arguments: &DirectoryArguments) -> Result<(), Failure> {
    let (directory, cold) = places(&arguments.configuration)?;
    let progress = Arc::<Progress>::default();
    let work = {
        let progress = Arc::clone(&progress);
        let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
        tokio::spawn(async move { usage(&directory, &cold, &disk, &progress).await })
    };
    let usage = watched("reading", &progress, work)
        .await
        .map_err(|source| Failure::of("the look broke off", &source))?
        .map_err(|error| Failure::error(&error))?;
    screen::say(&match arguments.output {
        Output::Json => format!("{:#}\n", as_json(&usage)),
        Output::Table => as_text(&usage),
    })
}

/// Columns below this part of all bytes are not shown.
const SHARE_SHOWN: f64 = 0.002;
const SERVICES_SHOWN: usize = 30;

fn as_text(usage: &Usage) -> String {
    let terminal = screen::output(ColorChoice::Auto);
    let levels: Vec<Vec<String>> = usage
        .levels
        .iter()
        .map(|level| {
            let spans = level.spans.filter(|&spans| spans > 0);
            vec![
                level.name.to_owned(),
                grouped(level.files),
                bytes(level.bytes),
                spans.map(grouped).unwrap_or_default(),
                spans
                    .map(|spans| each(level.bytes, spans))
                    .unwrap_or_default(),
            ]
        })
        .collect();
    let mut text = table(
        &[
            ("LEVEL", Align::Left),
            ("FILES", Align::Right),
            ("BYTES", Align::Right),
            ("SPANS", Align::Right),
            ("BYTES/SPAN", Align::Right),
        ],
        &levels,
        terminal,
    );
    text.push('\n');
    text.push_str(&columns(usage, terminal));
    if !usage.services.is_empty() {
        text.push('\n');
        text.push_str(&services(usage, terminal));
    }
    for file in &usage.unreadable {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\ncannot be read: {file}");
    }
    text
}

fn each(bytes: u64, spans: u64) -> String {
    format!("{:.1}", bytes as f64 / spans as f64)
}

fn columns(usage: &Usage, terminal: spanlight::render::Terminal) -> String {
    let all = all_bytes(usage).max(1);
    let spans: u64 = usage.levels.iter().filter_map(|level| level.spans).sum();
    let shown = usage.columns.iter();
    let shown = shown.filter(|column| size(column) as f64 >= SHARE_SHOWN * all as f64);
    let mut rows: Vec<Vec<String>> = shown
        .map(|column| {
            vec![
                column.name.clone(),
                bytes(column.bytes),
                format!("{:.1} %", size(column) as f64 / all as f64 * 100.0),
                each(size(column), spans.max(1)),
                format!("{:.1}×", ratio(column)),
                match column.bloom_bytes {
                    0 => String::new(),
                    bloom => bytes(bloom),
                },
                column.distinct.map_or_else(|| "–".to_owned(), grouped),
                reason(column, all).unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    let hidden = usage.columns.len() - rows.len();
    rows.push(vec![
        "footers and page indexes".to_owned(),
        bytes(usage.index_bytes),
        format!("{:.1} %", usage.index_bytes as f64 / all as f64 * 100.0),
        each(usage.index_bytes, spans.max(1)),
    ]);
    let mut text = table(
        &[
            ("COLUMN", Align::Left),
            ("BYTES", Align::Right),
            ("SHARE", Align::Right),
            ("BYTES/SPAN", Align::Right),
            ("PACKED", Align::Right),
            ("BLOOM", Align::Right),
            ("DISTINCT", Align::Right),
            ("WHY SO LARGE", Align::Left),
        ],
        &rows,
        terminal,
    );
    if hidden > 0 {
        let _ = writeln!(
            text,
            "({hidden} more columns are small; --output json has them)"
        );
    }
    text
}

fn all_bytes(usage: &Usage) -> u64 {
    usage.columns.iter().map(size).sum::<u64>() + usage.index_bytes
}

fn size(column: &ColumnUsage) -> u64 {
    column.bytes + column.bloom_bytes
}

fn ratio(column: &ColumnUsage) -> f64 {
    column.unpacked_bytes as f64 / column.bytes.max(1) as f64
}

/// Why a column that matters takes what it takes.
fn reason(column: &ColumnUsage, all: u64) -> Option<&'static str> {
    if (size(column) as f64) < 0.03 * all as f64 {
        return None;
    }
    let per_value = column.bytes as f64 / column.values.max(1) as f64;
    Some(match column.distinct {
        _ if column.bloom_bytes > column.bytes => "its Bloom filter is larger than its values",
        None if per_value >= 6.0 => {
            "nearly every value is another one, and random: it cannot be packed"
        }
        None => "more different values than a dictionary holds, or none was worth it",
        Some(distinct) if distinct * 2 > column.values => "most values occur once",
        Some(_) if ratio(column) < 1.2 => "its values come in no order that could be packed",
        Some(_) => "there are many of them",
    })
}

fn services(usage: &Usage, terminal: spanlight::render::Terminal) -> String {
    let all: u64 = usage.services.iter().map(|service| service.spans).sum();
    let shown = usage.services.iter().take(SERVICES_SHOWN);
    let rows: Vec<Vec<String>> = shown
        .map(|service| {
            vec![
                service.name.clone().unwrap_or_else(|| "(none)".to_owned()),
                grouped(service.spans),
                format!("{:.1} %", service.spans as f64 / all.max(1) as f64 * 100.0),
                format!("~{}", bytes(service.bytes_estimate)),
            ]
        })
        .collect();
    let mut text = table(
        &[
            ("SERVICE", Align::Left),
            ("SPANS", Align::Right),
            ("SHARE", Align::Right),
            ("BYTES", Align::Right),
        ],
        &rows,
        terminal,
    );
    let hidden = usage.services.len() - rows.len();
    if hidden > 0 {
        let _ = writeln!(text, "({hidden} more services; --output json has them)");
    }
    text
}

fn as_json(usage: &Usage) -> Value {
    let all = all_bytes(usage);
    let levels = usage.levels.iter().map(|level| {
        json!({"name": level.name, "files": level.files, "bytes": level.bytes, "spans": level.spans})
    });
    let columns = usage.columns.iter().map(|column| {
        json!({
            "name": column.name,
            "bytes": column.bytes,
            "unpacked_bytes": column.unpacked_bytes,
            "bloom_bytes": column.bloom_bytes,
            "values": column.values,
            "distinct": column.distinct,
            "encodings": column.encodings,
            "reason": reason(column, all),
        })
    });
    let services = usage.services.iter().map(|service| {
        json!({"name": service.name, "spans": service.spans, "bytes_estimate": service.bytes_estimate})
    });
    json!({
        "levels": levels.collect::<Vec<_>>(),
        "columns": columns.collect::<Vec<_>>(),
        "index_bytes": usage.index_bytes,
        "services": services.collect::<Vec<_>>(),
        "unreadable": usage.unreadable,
    })
}

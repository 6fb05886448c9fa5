//! What an answer took, as JSON: asked for with `explain=true`.

use std::collections::BTreeMap;

use serde::Serialize;
use spanlight_query::{ExplainedStep, Explanation};
use spanlight_store::Figures;

use super::failure::Failure;
use super::parameters::Parameters;

/// Whether the request asks for it.
pub(crate) fn is_asked(parameters: &Parameters) -> Result<bool, Failure> {
    match parameters.get("explain") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Failure::bad_parameter(
            "explain",
            &format!("{other:?} is neither true nor false"),
        )),
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ExplanationJson {
    steps: Vec<StepJson>,
    /// The same for people.
    text: String,
}

#[derive(Debug, Serialize)]
struct StepJson {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    rounds: u64,
    elapsed_ms: f64,
    /// By what is counted: batches in memory, files, row groups, pages, bytes, spans.
    figures: BTreeMap<&'static str, FiguresJson>,
    footers_read: u64,
}

#[derive(Debug, Serialize)]
struct FiguresJson {
    considered: u64,
    read: u64,
    /// By reason.
    skipped: BTreeMap<&'static str, u64>,
}

impl ExplanationJson {
    pub(crate) fn of(explanation: &Explanation) -> Self {
        Self {
            steps: explanation.steps.iter().map(StepJson::of).collect(),
            text: explanation.to_text(),
        }
    }
}

impl StepJson {
    fn of(step: &ExplainedStep) -> Self {
        let figures = step.figures.kinds();
        Self {
            name: step.name,
            filter: step.filter.clone(),
            rounds: step.rounds,
            elapsed_ms: step.elapsed.as_secs_f64() * 1e3,
            figures: figures
                .map(|(kind, figures)| (kind, FiguresJson::of(figures)))
                .collect(),
            footers_read: step.figures.footers_read,
        }
    }
}

impl FiguresJson {
    fn of(figures: &Figures) -> Self {
        let skipped = figures.skipped.iter();
        Self {
            considered: figures.considered,
            read: figures.read,
            skipped: skipped
                .map(|(reason, count)| (reason.as_str(), *count))
                .collect(),
        }
    }
}

//! The page that says why there is no page: not found, not understood, not working.

use maud::html;

use crate::layout;

/// Everything a failure page shows.
#[derive(Debug, Clone, Default)]
pub struct FailurePage {
    /// The HTTP status: 404, 400, 500, …
    pub status: u16,
    /// What is wrong, in a few words: `trace not found`.
    pub title: String,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to try, a sentence each.
    pub suggestions: Vec<String>,
}

impl FailurePage {
    /// The page for a trace that is not there.
    #[must_use]
    pub fn trace_not_found(trace_id: &str) -> Self {
        Self {
            status: 404,
            title: "Trace not found".to_owned(),
            message: format!("No span of trace {trace_id} is stored here."),
            suggestions: vec![
                "Its spans may still be on their way: functions that were frozen send late. Reload in a moment."
                    .to_owned(),
                "It may be older than the retention.".to_owned(),
                "Look at the sender's log for rejected exports, and at this server's /metrics for dropped spans."
                    .to_owned(),
            ],
        }
    }

    /// The page for a text that is no trace id; `reason` says why.
    #[must_use]
    pub fn bad_trace_id(text: &str, reason: &str) -> Self {
        Self {
            status: 400,
            title: "Not a trace id".to_owned(),
            message: format!("“{text}” is not a trace id: {reason}."),
            suggestions: vec![
                "A trace id has 32 hexadecimal digits; X-Ray's form 1-8hex-24hex is read too."
                    .to_owned(),
            ],
        }
    }
}

/// A failure page as HTML.
#[must_use]
pub fn failure_page(page: &FailurePage) -> String {
    let content = html! {
        section.failure {
            p.failure-status { (page.status) }
            h1 { (page.title) }
            p.failure-message { (page.message) }
            @if !page.suggestions.is_empty() {
                h2 { "What to try" }
                ul { @for suggestion in &page.suggestions { li { (suggestion) } } }
            }
            p { a.button href="/" { "Search the newest traces" } }
        }
    };
    layout::page(&layout::Shell {
        title: &page.title,
        page: layout::PageKind::Failure,
        content,
    })
}

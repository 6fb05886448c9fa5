//! What a decoder notes while it reads a request: where it is, and what it had to leave out.

use std::borrow::Cow;
use std::fmt;

use spanlight_model::{RowError, SpanRow};

use crate::{DecodeLimits, DecodeReport, RejectReason};

/// The limits, the place, and the report so far.
#[derive(Debug)]
pub(super) struct Notes<'l> {
    pub(super) limits: &'l DecodeLimits,
    pub(super) place: Place,
    /// Spans met so far, those refused among them.
    pub(super) spans: usize,
    report: DecodeReport,
    first_problem: Option<String>,
    invalid_texts: u64,
}

/// The span (or the resource, or the scope) that is being read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) resource_spans: usize,
    pub(super) scope_spans: Option<usize>,
    pub(super) span: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "resource_spans[{}]", self.resource_spans)?;
        if let Some(index) = self.scope_spans {
            write!(formatter, ".scope_spans[{index}]")?;
        }
        if let Some(index) = self.span {
            write!(formatter, ".spans[{index}]")?;
        }
        Ok(())
    }
}

/// A count of things left out: by the sender, and by us.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    pub(super) sent: u32,
    here: u32,
}

impl Dropped {
    pub(super) fn add(&mut self) {
        self.here = self.here.saturating_add(1);
    }

    pub(super) fn total(&self) -> u32 {
        self.sent.saturating_add(self.here)
    }
}

impl<'l> Notes<'l> {
    pub(super) fn new(limits: &'l DecodeLimits) -> Self {
        Self {
            limits,
            place: Place::default(),
            spans: 0,
            report: DecodeReport::default(),
            first_problem: None,
            invalid_texts: 0,
        }
    }

    /// Whether the request has had as many spans as it may.
    pub(super) fn is_full(&self) -> bool {
        self.spans >= self.limits.spans_per_request
    }

    /// Commits a span, or counts why it cannot be one.
    pub(super) fn commit(&mut self, row: SpanRow<'_>, bad_id: Option<String>) {
        if let Some(problem) = bad_id {
            self.rejected(RejectReason::BadId, 1, &problem);
        } else if let Err(error) = row.commit() {
            let reason = match error {
                RowError::TraceId => RejectReason::ZeroTraceId,
                RowError::SpanId => RejectReason::ZeroSpanId,
            };
            self.rejected(reason, 1, &error.to_string());
        }
    }

    #[cold]
    fn rejected(&mut self, reason: RejectReason, count: u64, problem: &str) {
        self.report.rejected_spans += count;
        self.report.rejections.add(reason, count);
        self.problem(problem);
    }

    #[cold]
    pub(super) fn too_many_spans(&mut self, count: u64) {
        let limit = self.limits.spans_per_request;
        let problem = format!("more than {limit} spans in one request");
        self.rejected(RejectReason::TooManySpans, count, &problem);
    }

    #[cold]
    pub(super) fn dropped_attribute(&mut self, problem: &str) {
        self.report.dropped_attributes += 1;
        self.problem(problem);
    }

    #[cold]
    pub(super) fn dropped_attribute_named(&mut self, key: &str, problem: &str) {
        // A key may be as long as the body.
        let key: String = key.chars().take(64).collect();
        self.dropped_attribute(&format!("attribute {key:?} {problem}"));
    }

    #[cold]
    pub(super) fn dropped_event(&mut self) {
        self.report.dropped_events += 1;
        self.problem("too many events");
    }

    #[cold]
    pub(super) fn dropped_link(&mut self, problem: &str) {
        self.report.dropped_links += 1;
        self.problem(problem);
    }

    /// A text as UTF-8; what is not is replaced, rather than the batch refused.
    #[inline]
    pub(super) fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => self.repaired_text(bytes),
        }
    }

    #[cold]
    fn repaired_text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        self.invalid_text();
        String::from_utf8_lossy(bytes)
    }

    #[cold]
    pub(super) fn invalid_text(&mut self) {
        self.invalid_texts += 1;
        self.problem("text that is not UTF-8, replaced by U+FFFD");
    }

    fn problem(&mut self, problem: &str) {
        if self.first_problem.is_none() {
            self.first_problem = Some(format!("{}: {problem}", self.place));
        }
    }

    pub(super) fn finish(self) -> DecodeReport {
        let mut report = self.report;
        report.message = self.first_problem.map(|problem| {
            let counts = [
                (report.rejected_spans, "spans rejected"),
                (report.dropped_attributes, "attributes dropped"),
                (report.dropped_events, "events dropped"),
                (report.dropped_links, "links dropped"),
                (self.invalid_texts, "texts repaired"),
            ];
            let counts: Vec<String> = counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{what}: {count}"))
                .collect();
            format!("{problem} ({})", counts.join(", "))
        });
        report
    }
}

//! The addresses of pages: query strings that hold a page's whole state, read leniently and written canonically.

use std::ops::Range;

use spanlight_model::{SpanId, TraceId};
use url::form_urlencoded;

use crate::trace::Fold;

/// What the address of the search page asks for, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchAddress {
    /// `q`: TraceQL; empty means every trace.
    pub query: String,
    /// `start`: a time as the HTTP API takes it (`now-1h`, RFC 3339, unix seconds or nanoseconds).
    pub start: String,
    /// `end`: the same; empty means now.
    pub end: String,
    /// `limit`: how many traces on a page.
    pub limit: usize,
    /// `cursor`: where an earlier page ended.
    pub cursor: Option<String>,
    /// `step`: the length of an interval of a metrics query, as the HTTP API takes it; empty means what suits the range.
    pub step: String,
}

impl Default for SearchAddress {
    fn default() -> Self {
        Self {
            query: String::new(),
            start: Self::DEFAULT_START.to_owned(),
            end: String::new(),
            limit: Self::DEFAULT_LIMIT,
            cursor: None,
            step: String::new(),
        }
    }
}

impl SearchAddress {
    /// The start of the range when the address names none.
    pub const DEFAULT_START: &str = "now-1h";
    /// The number of traces on a page when the address names none.
    pub const DEFAULT_LIMIT: usize = 50;
    /// The most traces on a page; more is cut to it.
    pub const MAXIMUM_LIMIT: usize = 1000;

    /// Reads the query string of `/`. Unknown parameters and a limit that is no number are passed over; times are
    /// kept as text, for the server to read and to complain about.
    #[must_use]
    pub fn parse(query_string: &str) -> Self {
        let mut address = Self::default();
        for (name, value) in form_urlencoded::parse(query_string.as_bytes()) {
            match name.as_ref() {
                // Forms send line breaks as CR LF, and positions in error messages count bytes.
                "q" => address.query = value.replace("\r\n", "\n").trim().to_owned(),
                "start" if !value.trim().is_empty() => address.start = value.trim().to_owned(),
                "end" => address.end = value.trim().to_owned(),
                "limit" => {
                    if let Ok(limit) = value.trim().parse::<usize>() {
                        address.limit = limit.clamp(1, Self::MAXIMUM_LIMIT);
                    }
                }
                "cursor" if !value.is_empty() => address.cursor = Some(value.into_owned()),
                "step" => address.step = value.trim().to_owned(),
                _ => {}
            }
        }
        address
    }

    /// The page of a query over the default range.
    #[must_use]
    pub fn of_query(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            ..Self::default()
        }
    }

    /// The address, relative to the server: `/?q=…`. Defaults are left out.
    #[must_use]
    pub fn href(&self) -> String {
        let mut parameters = form_urlencoded::Serializer::new(String::new());
        if !self.query.is_empty() {
            parameters.append_pair("q", &self.query);
        }
        if self.start != Self::DEFAULT_START {
            parameters.append_pair("start", &self.start);
        }
        if !self.end.is_empty() && self.end != "now" {
            parameters.append_pair("end", &self.end);
        }
        if self.limit != Self::DEFAULT_LIMIT {
            parameters.append_pair("limit", &self.limit.to_string());
        }
        if let Some(cursor) = &self.cursor {
            parameters.append_pair("cursor", cursor);
        }
        if !self.step.is_empty() {
            parameters.append_pair("step", &self.step);
        }
        with_query("/", &parameters.finish())
    }

    /// The trace that the query box names when someone pasted an id there: the server then redirects to its page.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        // Shorter ids, which Jaeger and Zipkin print, could be words: 16 digits are not.
        let long_enough = self.query.len() >= 16;
        long_enough
            .then(|| TraceId::parse(&self.query).ok())
            .flatten()
    }

    /// The same search with another query, from its first page on.
    #[must_use]
    pub fn with_query(&self, query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            cursor: None,
            ..self.clone()
        }
    }

    /// The same search over another range, from its first page on.
    #[must_use]
    pub fn with_range(&self, start: impl Into<String>, end: impl Into<String>) -> Self {
        Self {
            start: start.into(),
            end: end.into(),
            cursor: None,
            ..self.clone()
        }
    }

    /// The page that begins at a cursor.
    #[must_use]
    pub fn with_cursor(&self, cursor: Option<String>) -> Self {
        Self {
            cursor,
            ..self.clone()
        }
    }
}

/// What the address of a trace page, or of one of its fragments, asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceView {
    /// `fold`, `toggle`: which sub-trees are folded away.
    pub fold: Fold,
    /// `from`, `to`: the part of the trace that the waterfall shows, in nanoseconds from the trace's start.
    pub zoom: Option<Range<i64>>,
    /// `span`: the span whose panel is open.
    pub span: Option<SpanId>,
    /// `offset`: the first visible row of the window.
    pub offset: usize,
    /// `limit`: how many rows the window has.
    pub limit: usize,
}

impl Default for TraceView {
    fn default() -> Self {
        Self {
            fold: Fold::default(),
            zoom: None,
            span: None,
            offset: 0,
            limit: Self::DEFAULT_LIMIT,
        }
    }
}

impl TraceView {
    /// The number of rows of a window when the address names none.
    pub const DEFAULT_LIMIT: usize = 200;
    /// The most rows of a window; more is cut to it.
    pub const MAXIMUM_LIMIT: usize = 2000;

    /// Reads the query string of `/trace/{id}`, `/trace/{id}/rows` or `/trace/{id}/span/{span_id}`. What it cannot
    /// read it passes over: a mangled link still opens the trace.
    #[must_use]
    pub fn parse(query_string: &str) -> Self {
        let mut view = Self::default();
        let (mut from, mut to) = (None, None);
        for (name, value) in form_urlencoded::parse(query_string.as_bytes()) {
            match name.as_ref() {
                "fold" => view.fold.level = value.parse().ok(),
                "toggle" => {
                    let ids = value.split(',').filter_map(|id| SpanId::parse(id).ok());
                    view.fold.toggled.extend(ids);
                }
                "from" => from = value.parse().ok(),
                "to" => to = value.parse().ok(),
                "span" => view.span = SpanId::parse(&value).ok(),
                "offset" => view.offset = value.parse().unwrap_or(0),
                "limit" => {
                    if let Ok(limit) = value.parse::<usize>() {
                        view.limit = limit.clamp(1, Self::MAXIMUM_LIMIT);
                    }
                }
                _ => {}
            }
        }
        view.zoom = match (from, to) {
            (Some(from), Some(to)) if from < to => Some(from..to),
            _ => None,
        };
        view
    }

    /// The address of the trace's page in this view.
    #[must_use]
    pub fn href(&self, trace_id: TraceId) -> String {
        with_query(&format!("/trace/{trace_id}"), &self.query_string())
    }

    /// The view as a query string; defaults are left out.
    #[must_use]
    pub fn query_string(&self) -> String {
        let mut parameters = form_urlencoded::Serializer::new(String::new());
        if let Some(level) = self.fold.level {
            parameters.append_pair("fold", &level.to_string());
        }
        if !self.fold.toggled.is_empty() {
            let ids: Vec<String> = self.fold.toggled.iter().map(SpanId::to_string).collect();
            parameters.append_pair("toggle", &ids.join(","));
        }
        if let Some(zoom) = &self.zoom {
            parameters.append_pair("from", &zoom.start.to_string());
            parameters.append_pair("to", &zoom.end.to_string());
        }
        if let Some(span) = self.span {
            parameters.append_pair("span", &span.to_string());
        }
        if self.offset > 0 {
            parameters.append_pair("offset", &self.offset.to_string());
        }
        if self.limit != Self::DEFAULT_LIMIT {
            parameters.append_pair("limit", &self.limit.to_string());
        }
        parameters.finish()
    }

    /// The view with another span's panel open, or none.
    #[must_use]
    pub fn with_span(&self, span: Option<SpanId>) -> Self {
        Self {
            span,
            ..self.clone()
        }
    }

    /// The view with one more sub-tree folded or unfolded.
    #[must_use]
    pub fn with_toggled(&self, span: SpanId) -> Self {
        let mut view = self.clone();
        if !view.fold.toggled.remove(&span) {
            view.fold.toggled.insert(span);
        }
        view
    }

    /// The view with another window of rows.
    #[must_use]
    pub fn with_offset(&self, offset: usize) -> Self {
        Self {
            offset,
            ..self.clone()
        }
    }

    /// The view of another part of the trace's time.
    #[must_use]
    pub fn with_zoom(&self, zoom: Option<Range<i64>>) -> Self {
        Self {
            zoom,
            ..self.clone()
        }
    }
}

fn with_query(path: &str, query_string: &str) -> String {
    if query_string.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query_string}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_address_round_trips() {
        let address = SearchAddress {
            query: r#"{ span.a = "x&y" } && {}"#.to_owned(),
            start: "2026-01-02T03:04:05Z".to_owned(),
            end: "now-5m".to_owned(),
            limit: 100,
            cursor: Some("abc+/=".to_owned()),
            step: "5m".to_owned(),
        };
        let href = address.href();
        assert_eq!(SearchAddress::parse(&href[2..]), address);
        assert_eq!(SearchAddress::default().href(), "/");
        assert_eq!(SearchAddress::parse(""), SearchAddress::default());
    }

    #[test]
    fn search_address_is_lenient() {
        let address = SearchAddress::parse("limit=many&start=&unknown=1&q=%7B%0D%0A%7D");
        assert_eq!(address.query, "{\n}");
        assert_eq!(address.limit, SearchAddress::DEFAULT_LIMIT);
        assert_eq!(address.start, "now-1h");
        assert_eq!(SearchAddress::parse("limit=99999").limit, 1000);
    }

    #[test]
    fn a_pasted_trace_id_is_known() {
        let id = |text: &str| SearchAddress::of_query(text).trace_id();
        assert!(id("66312e29264cecca790badd378afa449").is_some());
        assert!(id("1-66312e29-264cecca790badd378afa449").is_some());
        assert!(id("264cecca790badd3").is_some());
        assert_eq!(id("cafe"), None);
        assert_eq!(id("{ name = \"66312e29264cecca\" }"), None);
    }

    #[test]
    fn trace_view_round_trips() {
        let query_string = "fold=2&toggle=0000000000000001%2C0000000000000002&from=5&to=50&span=00000000000000ff&offset=200&limit=50";
        let view = TraceView::parse(query_string);
        assert_eq!(view.query_string(), query_string);
        assert_eq!(view.zoom, Some(5..50));
        assert_eq!(TraceView::default().query_string(), "");
    }

    #[test]
    fn trace_view_is_lenient() {
        let view = TraceView::parse("fold=x&toggle=zz,1&from=9&to=3&span=&limit=0");
        assert_eq!(view.fold.level, None);
        assert_eq!(view.fold.toggled.len(), 1);
        assert_eq!(view.zoom, None);
        assert_eq!(view.span, None);
        assert_eq!(view.limit, 1);
    }

    #[test]
    fn toggling_twice_is_nothing() {
        let id = SpanId::parse("1").unwrap();
        let view = TraceView::default();
        assert_eq!(view.with_toggled(id).with_toggled(id), view);
    }
}

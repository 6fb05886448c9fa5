//! How much of one request is kept.

/// Bounds on one request. What lies beyond them is left out and counted, and its neighbours are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Spans in a request, counting those refused; the rest are rejected.
    pub spans_per_request: usize,
    /// Attributes of a span, and of each event, link, resource and scope; the rest are dropped.
    pub attributes_per_span: usize,
    /// Levels of arrays and key-value lists inside one another in an attribute's value; an attribute that goes
    /// deeper is dropped. At most [`DecodeLimits::VALUE_DEPTH_MAX`] counts.
    pub value_depth: usize,
    /// Values inside one attribute's arrays and key-value lists, of all levels together; an attribute with more
    /// is dropped.
    pub value_elements: usize,
    /// Events of a span; the rest are dropped.
    pub events_per_span: usize,
    /// Links of a span; the rest are dropped.
    pub links_per_span: usize,
}

impl DecodeLimits {
    /// The deepest nesting that can be kept. A level takes up to four of the 127 levels that JSON readers
    /// commonly allow, and spans, lists and envelopes around the value take some too.
    pub const VALUE_DEPTH_MAX: usize = 24;

    pub(crate) fn value_depth(&self) -> usize {
        self.value_depth.min(Self::VALUE_DEPTH_MAX)
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            spans_per_request: 100_000,
            attributes_per_span: 1_024,
            value_depth: Self::VALUE_DEPTH_MAX,
            value_elements: 16_384,
            events_per_span: 1_024,
            links_per_span: 1_024,
        }
    }
}

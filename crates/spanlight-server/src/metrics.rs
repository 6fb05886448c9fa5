//! What the server counts about itself, and `/metrics`, which shows it to Prometheus.
//!
//! Each drop has a counter with a reason. What the store counts is read from it when somebody asks.

mod present;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use spanlight_store::Store;
use spanlight_wire::DecodeReport;

use crate::receive::Admission;
use present::Present;

/// Upper bounds of the buckets of acknowledgements and queries, in seconds.
const LATENCY_BUCKETS: [f64; 13] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// How a request for storing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    HttpProtobuf,
    HttpJson,
    Grpc,
}

impl EncodeLabelValue for Protocol {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let word = match self {
            Self::HttpProtobuf => "otlp_http_protobuf",
            Self::HttpJson => "otlp_http_json",
            Self::Grpc => "otlp_grpc",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProtocol {
    protocol: Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    protocol: Protocol,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    protocol: Protocol,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPart {
    protocol: Protocol,
    part: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: String,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByQuery {
    query: &'static str,
}

#[derive(Debug, Clone)]
struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(LATENCY_BUCKETS)
    }
}

type Count<L> = Family<L, Counter<u64, AtomicU64>>;
type Latencies<L> = Family<L, Histogram, Latency>;

/// Counters of the edge.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    spans_received: Count<ByProtocol>,
    spans_rejected: Count<ByReason>,
    parts_dropped: Count<ByPart>,
    receive_requests: Count<ByCode>,
    acknowledgements: Latencies<ByProtocol>,
    http_requests: Count<ByRoute>,
    queries: Latencies<ByQuery>,
    running_queries: Family<ByQuery, Gauge>,
    partial_answers: Count<ByReasonOnly>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReasonOnly {
    reason: &'static str,
}

/// A query that is being answered.
#[derive(Debug)]
pub(crate) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new(store: Store, admission: Arc<Admission>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("spanlight"),
            spans_received: Count::default(),
            spans_rejected: Count::default(),
            parts_dropped: Count::default(),
            receive_requests: Count::default(),
            acknowledgements: Latencies::new_with_constructor(Latency),
            http_requests: Count::default(),
            queries: Latencies::new_with_constructor(Latency),
            running_queries: Family::default(),
            partial_answers: Count::default(),
        };
        metrics.register();
        metrics
            .registry
            .register_collector(Box::new(Present::new(store, admission)));
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "spans_received",
            "Spans that were stored and acknowledged",
            self.spans_received.clone(),
        );
        registry.register(
            "spans_rejected",
            "Spans that were refused while their neighbours were stored",
            self.spans_rejected.clone(),
        );
        registry.register(
            "parts_dropped",
            "Attributes, events and links beyond a limit, of spans that were stored",
            self.parts_dropped.clone(),
        );
        registry.register(
            "receive_requests",
            "Requests to store spans, by the code of the answer",
            self.receive_requests.clone(),
        );
        registry.register_with_unit(
            "acknowledgement",
            "Time from a whole request to its acknowledgement",
            Unit::Seconds,
            self.acknowledgements.clone(),
        );
        registry.register(
            "http_requests",
            "Requests for pages and queries",
            self.http_requests.clone(),
        );
        registry.register_with_unit(
            "query",
            "Time that queries took",
            Unit::Seconds,
            self.queries.clone(),
        );
        registry.register(
            "running_queries",
            "Queries that are being answered",
            self.running_queries.clone(),
        );
        registry.register(
            "partial_answers",
            "Answers that were not complete",
            self.partial_answers.clone(),
        );
    }

    /// A request was stored.
    pub(crate) fn received(&self, protocol: Protocol, spans: u64, report: &DecodeReport) {
        self.spans_received
            .get_or_create(&ByProtocol { protocol })
            .inc_by(spans);
        for (reason, count) in report.rejections.iter() {
            let reason = reason.as_str();
            self.spans_rejected
                .get_or_create(&ByReason { protocol, reason })
                .inc_by(count);
        }
        for (part, count) in [
            ("attribute", report.dropped_attributes),
            ("event", report.dropped_events),
            ("link", report.dropped_links),
        ] {
            if count > 0 {
                self.parts_dropped
                    .get_or_create(&ByPart { protocol, part })
                    .inc_by(count);
            }
        }
    }

    /// A request was acknowledged.
    pub(crate) fn acknowledged(&self, protocol: Protocol, time: Duration) {
        self.acknowledgements
            .get_or_create(&ByProtocol { protocol })
            .observe(time.as_secs_f64());
    }

    /// A request to store was answered, whatever the answer.
    pub(crate) fn answered(&self, protocol: Protocol, code: &str) {
        let code = code.to_owned();
        self.receive_requests
            .get_or_create(&ByCode { protocol, code })
            .inc();
    }

    /// A request for a page or a query was answered. `route` is one of ours, not what the client wrote.
    pub(crate) fn served(&self, route: &str, code: u16) {
        let route = route.to_owned();
        self.http_requests
            .get_or_create(&ByRoute { route, code })
            .inc();
    }

    /// A query is being answered, until what this gives is dropped: with its answer, or because nobody waits for one.
    pub(crate) fn runs(&self, query: &'static str) -> Running {
        let gauge = self.running_queries.get_or_create(&ByQuery { query });
        gauge.inc();
        Running(gauge.clone())
    }

    /// A query was answered.
    pub(crate) fn queried(&self, query: &'static str, time: Duration) {
        self.queries
            .get_or_create(&ByQuery { query })
            .observe(time.as_secs_f64());
    }

    /// An answer was not complete.
    pub(crate) fn partial(&self, reason: &'static str) {
        self.partial_answers
            .get_or_create(&ByReasonOnly { reason })
            .inc();
    }

    /// Everything, in the text format of OpenMetrics.
    pub(crate) fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

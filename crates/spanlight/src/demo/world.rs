//! The world that the example systems live in: chance, ids, function environments that are warm or cold, and the
//! outbox of what their tracing libraries have yet to send.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::draft::{Context, Draft, attribute};
use super::resource::{Function, function_resource};

/// What one service sends in one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// When it is sent, in unix nanoseconds.
    pub due: u64,
    /// Who sends.
    pub resource: Vec<KeyValue>,
    /// The instrumentation that made the spans.
    pub scope: &'static str,
    /// The spans.
    pub spans: Vec<Span>,
}

/// A trace worth showing.
#[derive(Debug, Clone, Copy)]
pub struct Highlight {
    /// Where it is.
    pub trace_id: [u8; 16],
    /// When its last span ended, in unix nanoseconds.
    pub end: u64,
    /// How much there is to see; more is better.
    pub score: usize,
}

/// One invocation of a function.
#[derive(Debug)]
pub struct Invocation {
    /// When the handler starts, in unix nanoseconds: after the initialisation, if there is one.
    pub start: u64,
    /// How long the new environment took to initialise, in nanoseconds; `None` in a warm one.
    pub init: Option<u64>,
    /// The request id that Lambda gives.
    pub execution: String,
    /// The attributes of the environment it runs in.
    pub resource: Vec<KeyValue>,
    /// Whether a configured share of memory was used, in MB.
    pub memory_used_mb: i64,
}

struct Environment {
    busy_until: u64,
    stream: String,
}

/// Chance and memory of the example systems. The same seed and origin give the same spans.
pub struct World {
    chance: StdRng,
    origin: u64,
    environments: HashMap<&'static str, Vec<Environment>>,
    outbox: Vec<Export>,
    highlight: Option<Highlight>,
}

const SECOND: u64 = 1_000_000_000;
// An incident begins four minutes before the origin and comes back every ten.
const INCIDENT_PERIOD: u64 = 600 * SECOND;
const INCIDENT_OFFSET: u64 = 240 * SECOND;
const INCIDENT_LENGTH: u64 = 75 * SECOND;
const RECYCLED: f64 = 0.03;

impl World {
    /// A world in which it is `origin` (unix nanoseconds) when the demo starts.
    #[must_use]
    pub fn new(seed: u64, origin: u64) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            origin,
            environments: HashMap::new(),
            outbox: Vec::new(),
            highlight: None,
        }
    }

    /// A number that is at least `low` and below `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.chance.random_range(low..high)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.chance.random_bool(probability)
    }

    /// One of them, each as likely.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.chance.random_range(0..from.len())]
    }

    /// A log-normal number: half are below `median`, and a few are far above. Latencies are like that.
    pub fn skewed(&mut self, median: f64, spread: f64) -> f64 {
        // Box and Muller; 1 - u keeps the logarithm's argument above zero.
        let (u, v): (f64, f64) = (self.chance.random(), self.chance.random());
        let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        median * (spread * normal).exp()
    }

    /// A latency around `median` milliseconds, in nanoseconds.
    pub fn latency(&mut self, median_ms: f64) -> u64 {
        (self.skewed(median_ms, 0.35) * 1e6) as u64 + 1_000
    }

    /// The time to the next of events that come at `rate` a second, in nanoseconds.
    pub fn gap(&mut self, rate: f64) -> u64 {
        let u: f64 = self.chance.random();
        (-(1.0 - u).ln() / rate * 1e9) as u64
    }

    /// A user; some come much more often than others.
    pub fn user(&mut self) -> String {
        let u: f64 = self.chance.random();
        format!("user-{:04}", 1_000 + (u * u * 400.0) as u64)
    }

    /// Lower-case hexadecimal digits, two for each byte.
    pub fn hex(&mut self, bytes: usize) -> String {
        (0..bytes)
            .map(|_| format!("{:02x}", self.chance.random::<u8>()))
            .collect()
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let bits: u128 = self.chance.random();
        let bits = (bits & !(0xf << 76) | (4 << 76)) & !(0x3 << 62) | (0x2 << 62);
        let text = format!("{bits:032x}");
        format!(
            "{}-{}-{}-{}-{}",
            &text[..8],
            &text[8..12],
            &text[12..16],
            &text[16..20],
            &text[20..]
        )
    }

    /// Whether the weakest consumer is in trouble at this time.
    #[must_use]
    pub fn incident(&self, at: u64) -> bool {
        let shifted = (at + INCIDENT_PERIOD + INCIDENT_OFFSET).wrapping_sub(self.origin);
        shifted % INCIDENT_PERIOD < INCIDENT_LENGTH
    }

    /// The first span of a new trace.
    pub fn root(&mut self, name: &str, kind: SpanKind, start: u64) -> Draft {
        let trace_id = self.chance.random::<u128>().max(1).to_be_bytes();
        let span_id = self.span_id();
        Draft::new(Context { trace_id, span_id }, None, name, kind, start)
    }

    /// A span below another.
    pub fn child(&mut self, parent: Context, name: &str, kind: SpanKind, start: u64) -> Draft {
        let context = Context {
            trace_id: parent.trace_id,
            span_id: self.span_id(),
        };
        Draft::new(context, Some(parent), name, kind, start)
    }

    /// Runs a function at `at` for `duration`, in an environment that is free, or in a new one, which is a cold start.
    pub fn invoke(&mut self, function: &'static Function, at: u64, duration: u64) -> Invocation {
        let recycled = self.chance(RECYCLED);
        let pool = self.environments.entry(function.name).or_default();
        let mut free = pool
            .iter()
            .position(|environment| environment.busy_until <= at);
        if recycled && let Some(idle) = free.take() {
            pool.remove(idle);
        }
        let init = free.is_none().then(|| self.latency(function.init_ms));
        let start = at + init.unwrap_or(0);
        let busy_until = start + duration;
        let stream = self.occupy(function, free, busy_until);
        let used = self.skewed(0.36, 0.12).min(0.98);
        Invocation {
            start,
            init,
            execution: self.uuid(),
            resource: function_resource(function, &stream),
            memory_used_mb: (function.memory_mb as f64 * used) as i64,
        }
    }

    fn occupy(&mut self, function: &Function, free: Option<usize>, busy_until: u64) -> String {
        let stream = free.is_none().then(|| format!("[$LATEST]{}", self.hex(16)));
        let pool = self.environments.entry(function.name).or_default();
        if let Some(stream) = stream {
            pool.push(Environment {
                busy_until,
                stream: stream.clone(),
            });
            return stream;
        }
        let environment = &mut pool[free.unwrap_or(0)];
        environment.busy_until = busy_until;
        environment.stream.clone()
    }

    /// Gives the spans of one service to its tracing library, which sends them a little later, and now and then
    /// much later.
    pub fn export(&mut self, resource: Vec<KeyValue>, scope: &'static str, spans: Vec<Span>) {
        let end = spans.iter().map(|span| span.end_time_unix_nano).max();
        let delay = if self.chance(0.04) {
            self.latency(3_000.0)
        } else {
            self.latency(60.0)
        };
        self.outbox.push(Export {
            due: end.unwrap_or(self.origin) + delay,
            resource,
            scope,
            spans,
        });
    }

    /// Proposes a trace to point at.
    pub fn propose(&mut self, highlight: Highlight) {
        let better = self
            .highlight
            .is_none_or(|best| highlight.score >= best.score);
        if better && highlight.end < self.origin {
            self.highlight = Some(highlight);
        }
    }

    /// The best trace that had ended when the demo started.
    #[must_use]
    pub fn highlight(&self) -> Option<Highlight> {
        self.highlight
    }

    /// What was exported since the last call.
    pub fn take_exports(&mut self) -> Vec<Export> {
        std::mem::take(&mut self.outbox)
    }

    fn span_id(&mut self) -> [u8; 8] {
        self.chance.random::<u64>().max(1).to_be_bytes()
    }
}

impl Invocation {
    /// The attributes that a tracing library for functions sets on the span of the handler.
    #[must_use]
    pub fn attributes(&self) -> Vec<KeyValue> {
        vec![
            attribute("faas.coldstart", self.init.is_some()),
            attribute("faas.invocation_id", self.execution.as_str()),
        ]
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("origin", &self.origin)
            .field("waiting", &self.outbox.len())
            .finish_non_exhaustive()
    }
}

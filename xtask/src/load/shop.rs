//! The workload: a checkout that goes through six functions and a bus, ten spans of eleven attributes each.

use serde_json::{Value as Json, json};

use super::message::{Message, Value, paced};
use crate::random::Random;

pub(crate) const SERVICES: [&str; 6] = [
    "storefront",
    "ingress",
    "event-bus",
    "egress",
    "billing",
    "warehouse",
];

const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PRODUCER: u64 = 4;
const CONSUMER: u64 = 5;

/// A span of the trace.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) service: usize,
    pub(crate) name: &'static str,
    kind: u64,
    pub(crate) parent: Option<u8>,
    /// What it takes by itself, typically, beside what it waits for.
    own_ms: f64,
}

const fn shape(
    service: usize,
    name: &'static str,
    kind: u64,
    parent: Option<u8>,
    own_ms: f64,
) -> Shape {
    Shape {
        service,
        name,
        kind,
        parent,
        own_ms,
    }
}

/// Parents come before their children.
pub(crate) const SPANS: [Shape; 10] = [
    shape(0, "POST /checkout", SERVER, None, 12.0),
    shape(0, "validate cart", INTERNAL, Some(0), 6.0),
    shape(0, "POST /events", CLIENT, Some(0), 4.0),
    shape(1, "Validate Event", SERVER, Some(2), 9.0),
    shape(1, "orders publish", PRODUCER, Some(3), 7.0),
    shape(2, "orders process", CONSUMER, Some(4), 10.0),
    shape(2, "egress publish", PRODUCER, Some(5), 8.0),
    shape(3, "Forward Event", CONSUMER, Some(6), 14.0),
    shape(4, "POST /charges", SERVER, Some(7), 110.0),
    shape(5, "POST /reservations", SERVER, Some(7), 45.0),
];

/// What a failed span says.
pub(crate) const STATUS_MESSAGE: &str = "the upstream did not answer";
/// Name and version.
pub(crate) const SCOPE: [&str; 2] = ["shop.instrumentation", "0.51.0"];

const NANOS_PER_MS: f64 = 1e6;
const COLD_START_MS: f64 = 180.0;
/// From a producer's end to its consumer's start.
const QUEUE_MS: f64 = 20.0;

/// How one trace differs from the others in what is not patched.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// Start and end of each span after the trace's start, in nanoseconds, at a pace of one.
    after_nano: [(f64, f64); SPANS.len()],
    pub(crate) fails: Option<usize>,
    pub(crate) cold: Option<usize>,
}

/// An `ExportTraceServiceRequest` with its spans grouped by service, as a collector sends them.
pub(super) fn request(variants: &[Variant], needles: &[(u16, String)]) -> Message {
    let mut request = Message::default();
    for (service, name) in SERVICES.iter().enumerate() {
        let mut spans = Message::default();
        spans.message(1, &scope());
        for (trace, variant) in (0_u16..).zip(variants) {
            for (index, shape) in SPANS.iter().enumerate() {
                if shape.service == service {
                    // The last span is the one that has it.
                    let needle = needles
                        .iter()
                        .find(|(of, _)| *of == trace && index + 1 == SPANS.len());
                    spans.message(2, &span(trace, index, variant, needle));
                }
            }
        }
        let mut resource_spans = Message::default();
        resource_spans.message(1, &resource(name));
        resource_spans.message(2, &spans);
        request.message(1, &resource_spans);
    }
    request
}

impl Variant {
    pub(super) fn draw(random: &mut Random) -> Self {
        let one_span = |random: &mut Random, percent: f64| {
            (random.fraction() * 100.0 < percent).then(|| random.below(SPANS.len() as u64) as usize)
        };
        // One span of a hundred fails, two of a hundred start cold; a trace has ten.
        let (fails, cold) = (one_span(random, 10.0), one_span(random, 20.0));
        let mut variant = Self {
            after_nano: [(0.0, 0.0); SPANS.len()],
            fails,
            cold,
        };
        variant.lay_out(0, 0.0, random);
        variant
    }

    /// Gives a span and what it causes their times; returns its end. It calls one thing after the other; consumers
    /// start when their producer has ended.
    fn lay_out(&mut self, index: usize, start: f64, random: &mut Random) -> f64 {
        let cold = if self.cold == Some(index) {
            COLD_START_MS * NANOS_PER_MS
        } else {
            0.0
        };
        let own = SPANS[index].own_ms * NANOS_PER_MS * log_normal(random) + cold;
        let mut end = start + own / 2.0;
        let children = |asynchronous: bool| {
            (0..SPANS.len()).filter(move |&child| {
                SPANS[child].parent == Some(index as u8)
                    && (SPANS[child].kind == CONSUMER) == asynchronous
            })
        };
        for child in children(false) {
            end = self.lay_out(child, end, random);
        }
        end += own / 2.0;
        self.after_nano[index] = (start, end);
        for child in children(true) {
            self.lay_out(
                child,
                end + QUEUE_MS * NANOS_PER_MS * log_normal(random),
                random,
            );
        }
        end
    }

    /// Start and end of a span after the start of its trace, in nanoseconds, for a trace of this pace.
    pub(crate) fn times(&self, span: usize, pace: f64) -> (u64, u64) {
        let (start, end) = self.after_nano[span];
        (paced(start, pace), paced(end, pace))
    }
}

/// Around one: most are quick, a few are slow.
fn log_normal(random: &mut Random) -> f64 {
    let bell: f64 = (0..6).map(|_| random.fraction()).sum::<f64>() - 3.0;
    (0.8 * bell).exp()
}

pub(crate) fn resource_attributes(service: &str) -> [(&'static str, String); 5] {
    [
        ("service.name", service.to_owned()),
        ("service.version", "2.14.0".to_owned()),
        ("cloud.provider", "aws".to_owned()),
        ("cloud.region", "eu-west-1".to_owned()),
        ("faas.name", format!("shop-{service}-prod")),
    ]
}

fn resource(service: &str) -> Message {
    let mut resource = Message::default();
    for (key, value) in resource_attributes(service) {
        resource.message(1, &attribute(key, &text(&value)));
    }
    resource
}

fn scope() -> Message {
    let mut scope = Message::default();
    scope.text(1, SCOPE[0]);
    scope.text(2, SCOPE[1]);
    scope
}

fn span(trace: u16, index: usize, variant: &Variant, needle: Option<&(u16, String)>) -> Message {
    let shape = &SPANS[index];
    let (start, end) = variant.after_nano[index];
    let mut span = Message::default();
    span.later(1, trace, Value::TraceId);
    span.later(2, trace, Value::SpanId { span: index as u8 });
    if let Some(parent) = shape.parent {
        span.later(4, trace, Value::SpanId { span: parent });
    }
    span.text(5, shape.name);
    span.number(6, shape.kind);
    span.later(7, trace, Value::Time { after_nano: start });
    span.later(8, trace, Value::Time { after_nano: end });
    let fails = variant.fails == Some(index);
    attributes(&mut span, trace, shape, fails, variant.cold == Some(index));
    if let Some((_, value)) = needle {
        span.message(9, &attribute("rare.key", &text(value)));
    }
    if fails {
        span.message(11, &exception(trace, end));
        let mut status = Message::default();
        status.text(2, STATUS_MESSAGE);
        status.number(3, 2);
        span.message(15, &status);
    }
    span
}

/// Seven that every span has, and four of its kind: three of them differ from trace to trace.
fn attributes(span: &mut Message, trace: u16, shape: &Shape, fails: bool, cold: bool) {
    let mut add = |key: &str, value: Message| span.message(9, &attribute(key, &value));
    let later = |field: u32, value: Value| {
        let mut message = Message::default();
        message.later(field, trace, value);
        message
    };
    let service = shape.service as u8;
    add(
        "faas.invocation_id",
        later(1, Value::Invocation { service }),
    );
    add("user.id", later(1, Value::User));
    add("order.total", later(4, Value::OrderTotal));
    for (key, value) in shape.attributes(fails, cold) {
        add(key, any(&value));
    }
}

impl Shape {
    /// As TraceQL writes it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.kind {
            INTERNAL => "internal",
            SERVER => "server",
            CLIENT => "client",
            PRODUCER => "producer",
            _ => "consumer",
        }
    }

    /// The attributes that do not differ from trace to trace.
    pub(crate) fn attributes(&self, fails: bool, cold: bool) -> [(&'static str, Json); 8] {
        let messaging = self.kind == PRODUCER || self.kind == CONSUMER;
        let trigger = if messaging { "pubsub" } else { "http" };
        let [one, two, three, four] = if messaging {
            [
                ("messaging.system", json!("aws_sqs")),
                ("messaging.destination.name", json!("orders")),
                ("messaging.batch.message_count", json!(1)),
                ("messaging.message.body.size", json!(1_287)),
            ]
        } else if self.kind == INTERNAL {
            [
                ("code.function.name", json!("cart.validate")),
                ("code.file.path", json!("src/cart/validate.ts")),
                ("code.line.number", json!(87)),
                ("thread.name", json!("main")),
            ]
        } else {
            [
                ("http.request.method", json!("POST")),
                ("url.path", json!(self.name.trim_start_matches("POST "))),
                (
                    "http.response.status_code",
                    json!(if fails { 500 } else { 200 }),
                ),
                ("server.address", json!("api.shop.example")),
            ]
        };
        [
            ("faas.trigger", json!(trigger)),
            ("faas.coldstart", json!(cold)),
            ("cloud.account.id", json!("123456789012")),
            ("deployment.environment.name", json!("production")),
            one,
            two,
            three,
            four,
        ]
    }
}

fn exception(trace: u16, time: f64) -> Message {
    let mut event = Message::default();
    event.later(1, trace, Value::Time { after_nano: time });
    event.text(2, "exception");
    event.message(3, &attribute("exception.type", &text("TimeoutError")));
    event.message(3, &attribute("exception.message", &text(STATUS_MESSAGE)));
    event
}

fn attribute(key: &str, value: &Message) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, key);
    attribute.message(2, value);
    attribute
}

fn text(value: &str) -> Message {
    let mut any = Message::default();
    any.text(1, value);
    any
}

/// A text, a truth value or a whole number.
fn any(value: &Json) -> Message {
    let mut any = Message::default();
    match value {
        Json::Bool(truth) => any.number(2, u64::from(*truth)),
        Json::Number(number) => any.number(3, number.as_u64().unwrap_or_default()),
        _ => any.text(1, value.as_str().unwrap_or_default()),
    }
    any
}

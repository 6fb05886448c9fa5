//! The workload: a checkout that goes through six functions and a bus, ten spans of eleven attributes each.

use super::message::{Message, Value};
use crate::random::Random;

const SERVICES: [&str; 6] = [
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

/// A span of the trace: what it is, and where it lies in a trace of one second.
#[derive(Debug)]
pub(super) struct Shape {
    service: usize,
    name: &'static str,
    kind: u64,
    parent: Option<u8>,
    start_ms: u64,
    end_ms: u64,
}

const fn shape(
    service: usize,
    name: &'static str,
    kind: u64,
    parent: Option<u8>,
    start_ms: u64,
    end_ms: u64,
) -> Shape {
    Shape {
        service,
        name,
        kind,
        parent,
        start_ms,
        end_ms,
    }
}

/// Parents come before their children; consumers start after their producers have ended.
pub(super) const SPANS: [Shape; 10] = [
    shape(0, "POST /checkout", SERVER, None, 0, 310),
    shape(0, "validate cart", INTERNAL, Some(0), 5, 60),
    shape(0, "POST /events", CLIENT, Some(0), 70, 300),
    shape(1, "Validate Event", SERVER, Some(2), 90, 280),
    shape(1, "orders publish", PRODUCER, Some(3), 200, 260),
    shape(2, "orders process", CONSUMER, Some(4), 340, 420),
    shape(2, "egress publish", PRODUCER, Some(5), 380, 410),
    shape(3, "Forward Event", CONSUMER, Some(6), 470, 980),
    shape(4, "POST /charges", SERVER, Some(7), 500, 940),
    shape(5, "POST /reservations", SERVER, Some(7), 510, 720),
];

const NANOS_PER_MS: u64 = 1_000_000;
const COLD_START_MS: u64 = 180;

/// How one trace differs from the others in what is not patched.
#[derive(Debug)]
struct Variant {
    /// Its durations are those of the shape times this.
    pace: f64,
    fails: Option<usize>,
    cold: Option<usize>,
    total: f64,
}

/// An `ExportTraceServiceRequest` with its spans grouped by service, as a collector sends them.
pub(super) fn request(random: &mut Random, traces: u16) -> Message {
    let variants: Vec<Variant> = (0..traces).map(|_| Variant::draw(random)).collect();
    let mut request = Message::default();
    for (service, name) in SERVICES.iter().enumerate() {
        let mut spans = Message::default();
        spans.message(1, &scope());
        for (trace, variant) in variants.iter().enumerate() {
            for (index, shape) in SPANS.iter().enumerate() {
                if shape.service == service {
                    spans.message(2, &span(trace as u16, index, shape, variant));
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
    fn draw(random: &mut Random) -> Self {
        // Roughly log-normal: most are quick, a few are slow.
        let bell: f64 = (0..6).map(|_| random.fraction()).sum::<f64>() - 3.0;
        let one_span = |random: &mut Random, percent: f64| {
            (random.fraction() * 100.0 < percent).then(|| random.below(SPANS.len() as u64) as usize)
        };
        Self {
            pace: 0.25 * bell.exp(),
            // One span of a hundred fails, two of a hundred start cold; a trace has ten.
            fails: one_span(random, 10.0),
            cold: one_span(random, 20.0),
            total: (100 + random.below(50_000)) as f64 / 100.0,
        }
    }
}

fn resource(service: &str) -> Message {
    let mut resource = Message::default();
    for (key, value) in [
        ("service.name", service),
        ("service.version", "2.14.0"),
        ("cloud.provider", "aws"),
        ("cloud.region", "eu-west-1"),
        ("faas.name", &format!("shop-{service}-prod")),
    ] {
        resource.message(1, &attribute(key, &text(value)));
    }
    resource
}

fn scope() -> Message {
    let mut scope = Message::default();
    scope.text(1, "shop.instrumentation");
    scope.text(2, "0.51.0");
    scope
}

fn span(trace: u16, index: usize, shape: &Shape, variant: &Variant) -> Message {
    let cold = variant.cold == Some(index);
    let scaled = |ms: u64| (ms as f64 * variant.pace) as u64 * NANOS_PER_MS + index as u64 * 137;
    let start = scaled(shape.start_ms);
    let end = scaled(shape.end_ms)
        + if cold {
            COLD_START_MS * NANOS_PER_MS
        } else {
            0
        };
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
    attributes(&mut span, trace, shape, variant, cold);
    if variant.fails == Some(index) {
        span.message(11, &exception(trace, end));
        let mut status = Message::default();
        status.text(2, "the upstream did not answer");
        status.number(3, 2);
        span.message(15, &status);
    }
    span
}

/// Seven that every span has, and four of its kind.
fn attributes(span: &mut Message, trace: u16, shape: &Shape, variant: &Variant, cold: bool) {
    let mut add = |key: &str, value: Message| span.message(9, &attribute(key, &value));
    let later = |value: Value| {
        let mut message = Message::default();
        message.later(1, trace, value);
        message
    };
    let messaging = shape.kind == PRODUCER || shape.kind == CONSUMER;
    add(
        "faas.trigger",
        text(if messaging { "pubsub" } else { "http" }),
    );
    add("faas.coldstart", boolean(cold));
    add(
        "faas.invocation_id",
        later(Value::Invocation {
            function: shape.service as u8,
        }),
    );
    add("cloud.account.id", text("123456789012"));
    add("deployment.environment.name", text("production"));
    add("user.id", later(Value::User));
    add("order.total", double(variant.total));
    if messaging {
        add("messaging.system", text("aws_sqs"));
        add("messaging.destination.name", text("orders"));
        add("messaging.batch.message_count", integer(1));
        add("messaging.message.body.size", integer(1_287));
    } else if shape.kind == INTERNAL {
        add("code.function.name", text("cart.validate"));
        add("code.file.path", text("src/cart/validate.ts"));
        add("code.line.number", integer(87));
        add("thread.name", text("main"));
    } else {
        add("http.request.method", text("POST"));
        add("url.path", text(shape.name.trim_start_matches("POST ")));
        add("http.response.status_code", integer(200));
        add("server.address", text("api.shop.example"));
    }
}

fn exception(trace: u16, time: u64) -> Message {
    let mut event = Message::default();
    event.later(1, trace, Value::Time { after_nano: time });
    event.text(2, "exception");
    event.message(3, &attribute("exception.type", &text("TimeoutError")));
    event.message(
        3,
        &attribute("exception.message", &text("the upstream did not answer")),
    );
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

fn boolean(value: bool) -> Message {
    let mut any = Message::default();
    any.number(2, u64::from(value));
    any
}

fn integer(value: u64) -> Message {
    let mut any = Message::default();
    any.number(3, value);
    any
}

fn double(value: f64) -> Message {
    let mut any = Message::default();
    any.double(4, value);
    any
}

//! Traces to look at: made up, but in the manner of the systems that Spanlight is for.

use spanlight_model::{
    AnyValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId, Value,
};
use spanlight_web::TreeNode;

/// 2026-01-02 03:04:05.678 UTC.
pub(crate) const START: i64 = 1_767_323_045_678_000_000;
const MILLISECOND: i64 = 1_000_000;

/// A trace: its batch in tree order and the tree.
pub(crate) struct Fixture {
    pub(crate) trace_id: TraceId,
    pub(crate) batch: SpanBatch,
    pub(crate) nodes: Vec<TreeNode>,
}

/// A span in a few words; children follow their parent, one level deeper.
#[derive(Clone, Default)]
pub(crate) struct Sketch {
    pub(crate) depth: u32,
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) start_ms: f64,
    pub(crate) duration_ms: f64,
    pub(crate) error: Option<&'static str>,
    pub(crate) cold: bool,
    pub(crate) orphan: bool,
    pub(crate) asynchronous: bool,
    pub(crate) attributes: Vec<(&'static str, AnyValue)>,
    pub(crate) exception: bool,
    pub(crate) event: Option<(f64, &'static str)>,
    pub(crate) link_to: Option<u64>,
    pub(crate) anomaly: Option<&'static str>,
}

pub(crate) fn text(value: &str) -> AnyValue {
    AnyValue::String(value.to_owned())
}

pub(crate) fn span(
    depth: u32,
    service: &str,
    name: &str,
    kind: SpanKind,
    time: (f64, f64),
) -> Sketch {
    Sketch {
        depth,
        service: service.to_owned(),
        name: name.to_owned(),
        kind,
        start_ms: time.0,
        duration_ms: time.1,
        ..Sketch::default()
    }
}

pub(crate) fn span_id(row: usize) -> SpanId {
    SpanId(
        (row as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes(),
    )
}

fn nanos(milliseconds: f64) -> i64 {
    (milliseconds * MILLISECOND as f64) as i64
}

#[expect(
    clippy::unwrap_used,
    reason = "no id is zero and no column outgrows its offsets"
)]
pub(crate) fn build(trace_id: TraceId, sketches: &[Sketch]) -> Fixture {
    let nodes = tree(sketches);
    let mut builder = SpanBatchBuilder::new(START + 90 * 1_000 * MILLISECOND);
    let scope = {
        let mut scope = builder.begin_scope();
        scope.set_name("opentelemetry.instrumentation.fastapi");
        scope.set_version("0.66b1");
        scope.commit()
    };
    let mut resources = std::collections::HashMap::new();
    for (row, sketch) in sketches.iter().enumerate() {
        let resource = *resources
            .entry(sketch.service.clone())
            .or_insert_with(|| resource(&mut builder, &sketch.service));
        let parent = nodes[row].parent;
        let mut span = builder.begin_span(resource, scope);
        span.set_trace_id(trace_id);
        span.set_span_id(span_id(row));
        if sketch.orphan {
            span.set_parent_span_id(SpanId([0xee; 8]));
        } else if let Some(parent) = parent {
            span.set_parent_span_id(span_id(parent));
        }
        fill(&mut span, sketch, trace_id);
        span.commit().unwrap();
    }
    Fixture {
        trace_id,
        batch: builder.finish().unwrap(),
        nodes,
    }
}

fn resource(builder: &mut SpanBatchBuilder, service: &str) -> spanlight_model::ResourceIndex {
    let mut resource = builder.begin_resource();
    let mut attributes = resource.attributes();
    if !service.is_empty() {
        attributes.push("service.name", Value::String(service));
    }
    attributes.push("service.version", Value::String("2.14.0"));
    attributes.push("cloud.provider", Value::String("aws"));
    attributes.push("cloud.region", Value::String("eu-central-1"));
    attributes.push("telemetry.sdk.language", Value::String("python"));
    attributes.push("process.pid", Value::Int(8));
    resource.commit()
}

fn fill(span: &mut spanlight_model::SpanRow<'_>, sketch: &Sketch, trace_id: TraceId) {
    let start = START + nanos(sketch.start_ms);
    let start = if sketch.anomaly == Some("zero_time") {
        0
    } else {
        start
    };
    span.set_name(&sketch.name);
    span.set_kind(sketch.kind);
    span.set_start_time_unix_nano(start as u64);
    span.set_end_time_unix_nano((start + nanos(sketch.duration_ms)) as u64);
    if let Some(message) = sketch.error {
        span.set_status_code(StatusCode::Error);
        span.set_status_message(message);
    }
    let mut attributes = span.attributes();
    for (key, value) in &sketch.attributes {
        attributes.push_any(key, value);
    }
    if sketch.cold {
        attributes.push("faas.coldstart", Value::Bool(true));
    }
    if let Some(anomaly) = sketch.anomaly {
        attributes.push("spanlight.anomaly", Value::String(anomaly));
    }
    if let Some((offset_ms, name)) = sketch.event {
        let mut event = span.begin_event();
        event.set_time_unix_nano((start + nanos(offset_ms)) as u64);
        event.set_name(name);
        event.attributes().push("attempt", Value::Int(2));
        event.commit();
    }
    if sketch.exception {
        let mut event = span.begin_event();
        event.set_time_unix_nano((start + nanos(sketch.duration_ms * 0.92)) as u64);
        event.set_name("exception");
        let mut attributes = event.attributes();
        attributes.push(
            "exception.type",
            Value::String("payments.errors.CardDeclined"),
        );
        attributes.push(
            "exception.message",
            Value::String("card declined: insufficient funds (code 51)"),
        );
        attributes.push("exception.stacktrace", Value::String(STACK));
        attributes.push("exception.escaped", Value::Bool(false));
        event.commit();
    }
    if let Some(target) = sketch.link_to {
        let mut link = span.begin_link();
        link.set_trace_id(if target == 0 {
            trace_id
        } else {
            TraceId(u128::from(target).to_be_bytes())
        });
        link.set_span_id(span_id(1));
        link.attributes()
            .push("messaging.message.id", Value::String("5e7f-0012"));
        link.commit();
    }
}

const STACK: &str = r#"Traceback (most recent call last):
  File "/var/task/handler.py", line 41, in handle
    receipt = gateway.charge(order.total, order.card)
  File "/var/task/payments/gateway.py", line 88, in charge
    raise CardDeclined(response.code)
payments.errors.CardDeclined: card declined: insufficient funds (code 51)"#;

fn tree(sketches: &[Sketch]) -> Vec<TreeNode> {
    let mut nodes: Vec<TreeNode> = Vec::with_capacity(sketches.len());
    let mut path: Vec<usize> = Vec::new();
    for (row, sketch) in sketches.iter().enumerate() {
        path.truncate(sketch.depth as usize);
        let parent = path.last().copied();
        for &ancestor in &path {
            nodes[ancestor].descendant_count += 1;
        }
        if let Some(parent) = parent {
            nodes[parent].child_count += 1;
        }
        nodes.push(TreeNode {
            depth: sketch.depth,
            parent: if sketch.orphan { None } else { parent },
            orphan: sketch.orphan,
            asynchronous: sketch.asynchronous,
            ..TreeNode::default()
        });
        path.push(row);
    }
    nodes
}

/// A checkout: a cold function, a declined card, an event through a bus and a queue, an orphan, odd times.
pub(crate) fn checkout() -> Fixture {
    let sketches = [request(), payment(), event()].concat();
    let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128;
    build(TraceId(id.to_be_bytes()), &sketches)
}

fn request() -> Vec<Sketch> {
    use SpanKind::{Client, Internal, Server};
    vec![
        Sketch {
            error: Some("502 from payments"),
            attributes: vec![
                ("http.request.method", text("POST")),
                ("url.path", text("/checkout")),
                ("http.response.status_code", AnyValue::Int(502)),
                ("enduser.id", text("u-48213")),
            ],
            ..span(0, "web-shop", "POST /checkout", Server, (0.0, 1_240.0))
        },
        span(1, "web-shop", "validate cart", Internal, (4.0, 22.0)),
        span(2, "web-shop", "GET inventory.items", Client, (8.0, 14.0)),
        Sketch {
            error: Some("payments answered 502"),
            event: Some((480.0, "retry")),
            ..span(1, "web-shop", "invoke payments", Client, (31.0, 1_102.0))
        },
    ]
}

fn payment() -> Vec<Sketch> {
    use SpanKind::{Client, Internal, Server};
    vec![
        Sketch {
            error: Some("card declined: insufficient funds (code 51)"),
            cold: true,
            exception: true,
            attributes: payment_attributes(),
            ..span(2, "payments", "payments.handler", Server, (288.0, 838.0))
        },
        span(
            3,
            "payments",
            "load configuration",
            Internal,
            (296.0, 130.0),
        ),
        Sketch {
            error: Some("402 Payment Required"),
            ..span(3, "payments", "POST /v1/charges", Client, (440.0, 610.0))
        },
        span(4, "card-gateway", "charge", Server, (471.0, 560.0)),
        span(5, "card-gateway", "SELECT cards", Client, (480.0, 88.0)),
        span(5, "card-gateway", "risk score", Internal, (575.0, 401.0)),
    ]
}

fn event() -> Vec<Sketch> {
    use SpanKind::{Client, Consumer, Internal, Producer};
    let asynchronous = |sketch| Sketch {
        asynchronous: true,
        ..sketch
    };
    vec![
        Sketch {
            attributes: vec![("messaging.destination.name", text("orders"))],
            ..span(
                1,
                "web-shop",
                "order.rejected send",
                Producer,
                (1_150.0, 31.0),
            )
        },
        Sketch {
            link_to: Some(7),
            ..asynchronous(span(
                2,
                "event-bus",
                "orders route",
                Consumer,
                (1_196.0, 40.0),
            ))
        },
        Sketch {
            cold: true,
            ..asynchronous(span(
                3,
                "notify-mailer",
                "order.rejected process",
                Consumer,
                (1_410.0, 520.0),
            ))
        },
        span(
            4,
            "notify-mailer",
            "render template",
            Internal,
            (1_620.0, 71.0),
        ),
        span(4, "notify-mailer", "smtp send", Client, (1_700.0, 210.0)),
        asynchronous(span(
            3,
            "analytics",
            "order.rejected process",
            Consumer,
            (1_330.0, 96.0),
        )),
        Sketch {
            orphan: true,
            ..span(
                0,
                "fraud-check",
                "score rejected order",
                Internal,
                (1_480.0, 300.0),
            )
        },
        Sketch {
            anomaly: Some("zero_time"),
            ..span(1, "fraud-check", "PUT scores", Client, (1_640.0, 0.0))
        },
    ]
}

fn payment_attributes() -> Vec<(&'static str, AnyValue)> {
    vec![
        (
            "faas.invocation_id",
            text("79104eb2-7bd8-4a8d-9b2c-d6b8b8f1a001"),
        ),
        ("faas.trigger", text("http")),
        ("payment.amount", AnyValue::Double(118.5)),
        ("payment.currency", text("EUR")),
        ("payment.attempts", AnyValue::Int(3)),
        ("payment.retryable", AnyValue::Bool(false)),
        (
            "cart.items",
            AnyValue::Array(vec![text("sku-1"), text("sku-7"), text("sku-40")]),
        ),
        (
            "card",
            AnyValue::KeyValueList(vec![
                ("brand".to_owned(), text("visa")),
                (
                    "expires".to_owned(),
                    AnyValue::KeyValueList(vec![
                        ("year".to_owned(), AnyValue::Int(2028)),
                        ("month".to_owned(), AnyValue::Int(4)),
                    ]),
                ),
            ]),
        ),
        ("signature", AnyValue::Bytes(vec![0xde, 0xad, 0xbe, 0xef])),
        (
            "http.request.body",
            text(&"{\"order\":48213,\"note\":\"leave at the door\"} ".repeat(12)),
        ),
        ("my odd key", text("with \"quotes\"")),
    ]
}

/// A trace of any size, a tree of calls that fan out.
pub(crate) fn large(count: usize) -> Fixture {
    let services = [
        "gateway", "orders", "stock", "prices", "search", "images", "accounts",
    ];
    let sketches: Vec<Sketch> = (0..count)
        .map(|row| {
            let depth = match row {
                0 => 0,
                _ => 1 + (row % 10).min(4 + row % 3) as u32 / 2,
            };
            let depth = if row == 1 { 1 } else { depth };
            let start = row as f64 * 0.4;
            let mut sketch = span(
                depth,
                services[(row * 7 + depth as usize) % services.len()],
                &format!("operation {}", row % 97),
                SpanKind::ALL[row % 6],
                (
                    start,
                    if row == 0 {
                        count as f64 * 0.4 + 30.0
                    } else {
                        3.0 + (row * 37 % 200) as f64 / 4.0
                    },
                ),
            );
            if row % 113 == 7 {
                sketch.error = Some("failed");
            }
            sketch
        })
        .collect();
    build(TraceId((count as u128 | 1 << 100).to_be_bytes()), &sketches)
}

//! An event broker: producers → ingress (`Validate Event`) → event bus → queues → egress (`Forward Event`) →
//! consumers. Each event is one trace; the context travels in the event's envelope.
//!
//! Some producers are traced themselves, others are not, and then `Validate Event` is the root. Deliveries that
//! fail are tried again after the queue's visibility timeout; `delivery` has that side.

mod delivery;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::draft::{Context, Exception, attribute};
use super::resource::{Container, Function, Language, container_resource};
use super::world::World;

static INGRESS: Function = Function {
    service: "ebe-ingress",
    version: "3.14.0",
    name: "ebe-prod-ingress",
    language: Language::Python,
    memory_mb: 512,
    init_ms: 420.0,
};

const SCOPE: &str = "ebe_opentelemetry";
const MILLISECOND: u64 = 1_000_000;

struct Producer {
    application: &'static str,
    event_type: &'static str,
    version: &'static str,
    ingress_type: &'static str,
    /// The median size of its events, in bytes.
    size: f64,
    /// Set where the producer is traced.
    container: Option<Container>,
}

static PRODUCERS: [Producer; 3] = [
    Producer {
        application: "webshop",
        event_type: "OrderPlaced",
        version: "2.1",
        ingress_type: "api_gateway",
        size: 2_400.0,
        container: Some(Container {
            service: "webshop",
            version: "5.0.2",
            language: Language::Node,
            host: "webshop-5b9f7-qk4tn",
        }),
    },
    Producer {
        application: "iot",
        event_type: "ParcelScanned",
        version: "1.0",
        ingress_type: "lambda_function_url",
        size: 640.0,
        container: None,
    },
    Producer {
        application: "depot",
        event_type: "RouteClosed",
        version: "1.3",
        ingress_type: "sqs",
        size: 5_200.0,
        container: Some(Container {
            service: "depot-planning",
            version: "11.4.0",
            language: Language::Python,
            host: "planning-0",
        }),
    },
];

const SCHEMA_MISMATCH: Exception = Exception {
    class: "jsonschema.exceptions.ValidationError",
    message: "'postal_code' is a required property",
    stacktrace: "Traceback (most recent call last):
  File \"/var/task/ebe_ingress/handler.py\", line 71, in handle
    self._validator.validate(event)
  File \"/var/task/ebe_ingress/validation.py\", line 39, in validate
    jsonschema.validate(event[\"data\"], schema)
  File \"/opt/python/jsonschema/validators.py\", line 1332, in validate
    raise error
jsonschema.exceptions.ValidationError: 'postal_code' is a required property

On instance['data']['address']:
    {'street': 'Prinsengracht', 'number': 263, 'city': 'Amsterdam'}",
};

/// An event on the bus.
struct Published {
    /// What the envelope carries: `Validate Event`.
    context: Context,
    received: u64,
    /// When the queues have it.
    queued: u64,
    /// What the baggage in the envelope carries.
    baggage: Vec<KeyValue>,
}

/// One event, or a burst of them that reaches the queues together.
pub fn play(world: &mut World, at: u64) {
    let producer = &PRODUCERS[[0, 0, 1, 1, 1, 2][world.between(0, 6) as usize]];
    let burst = if world.chance(0.2) {
        world.between(2, 6)
    } else {
        1
    };
    let mut published = Vec::new();
    let mut sent = at;
    for _ in 0..burst {
        published.extend(produce(world, producer, sent));
        sent += world.latency(12.0);
    }
    if !published.is_empty() {
        delivery::deliver(world, producer.application, &published);
    }
}

/// The producer's side, if it is traced, around the ingress function.
fn produce(world: &mut World, producer: &'static Producer, at: u64) -> Option<Published> {
    let Some(container) = &producer.container else {
        return validate(world, producer, None, at).0;
    };
    let name = format!("publish {}", producer.event_type);
    let user = world.user();
    let mut root = world
        .root(&name, SpanKind::Producer, at)
        .with("app.event.producer.application", producer.application)
        .with("messaging.operation.type", "publish")
        .with("user.id", user);
    if producer.application == "webshop" {
        let value = (world.skewed(58.0, 0.7) * 100.0).round() / 100.0;
        let items = world.between(1, 7) as i64;
        root.set("app.order.value", value);
        root.set("app.order.item_count", items);
    }
    let arrived = at + world.latency(7.0);
    let context = root.context();
    let (published, answered) = validate(world, producer, Some(context), arrived);
    let end = answered + world.latency(5.0);
    if published.is_none() {
        root.set_error("the broker refused the event: 422");
    }
    world.export(
        container_resource(container),
        "producer",
        vec![root.end(end)],
    );
    published
}

/// The ingress function: gives the event if it is valid, and when it answered.
fn validate(
    world: &mut World,
    producer: &'static Producer,
    parent: Option<Context>,
    at: u64,
) -> (Option<Published>, u64) {
    let (checking, putting) = (world.latency(6.0), world.latency(14.0));
    let invocation = world.invoke(&INGRESS, at, checking + putting);
    let start = invocation.start;
    let size = world.skewed(producer.size, 0.5) as i64;
    let baggage = vec![
        attribute("app.event.producer.application", producer.application),
        attribute("app.event.producer.event_type", producer.event_type),
        attribute("app.event.producer.event_type_version", producer.version),
        attribute("app.event.producer.ingress_type", producer.ingress_type),
    ];
    let mut span = match parent {
        Some(parent) => world.child(parent, "Validate Event", SpanKind::Server, start),
        None => world.root("Validate Event", SpanKind::Server, start),
    }
    .with("faas.coldstart", invocation.init.is_some())
    .with("faas.execution", invocation.execution.as_str())
    .with("faas.memory_limit_in_mb", INGRESS.memory_mb)
    .with("app.ebe.ingress.original_payload_size_bytes", size)
    .with_all(baggage.clone());
    let checked = start + checking;
    if world.chance(0.015) {
        span.fail(checked, SCHEMA_MISMATCH);
        world.export(invocation.resource, SCOPE, vec![span.end(checked)]);
        return (None, checked);
    }
    let enriched = size + 412;
    span.set("app.ebe.ingress.eventbridge_payload_size_bytes", enriched);
    span.event("Event validated", checked, Vec::new());
    let end = checked + putting;
    let context = span.context();
    let put = world
        .child(
            context,
            "PutEvents",
            SpanKind::Producer,
            checked + MILLISECOND / 5,
        )
        .with("messaging.system", "aws_eventbridge")
        .with("messaging.operation.type", "publish")
        .with("messaging.destination.name", "ebe-bus")
        .with("rpc.service", "EventBridge")
        .with("messaging.message.body.size", enriched)
        .end(end - MILLISECOND / 5);
    world.export(invocation.resource, SCOPE, vec![put, span.end(end)]);
    let published = Published {
        context,
        received: at,
        // The bus matches its rules and fills the queues.
        queued: end + world.latency(180.0),
        baggage,
    };
    (Some(published), end)
}

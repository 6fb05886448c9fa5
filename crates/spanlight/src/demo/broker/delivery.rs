//! The broker's far side: a queue for each consumer, the egress function that empties it in batches, and the
//! consumers, one of which is weak.
//!
//! Lambda takes messages from a queue in batches, and a batch has no single parent: it is a trace of its own that
//! links to every event in it, and each event's `Forward Event` links back.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{Published, SCOPE};
use crate::demo::draft::{Context, Draft, Exception, attribute};
use crate::demo::resource::{Container, Function, Language, container_resource};
use crate::demo::world::{Highlight, Invocation, World};

static EGRESS: Function = Function {
    service: "ebe-egress",
    version: "3.14.0",
    name: "ebe-prod-egress",
    language: Language::Python,
    memory_mb: 512,
    init_ms: 450.0,
};

struct Consumer {
    application: &'static str,
    subscription_id: &'static str,
    target_endpoint: &'static str,
    /// Which producers it listens to.
    subscribed_to: &'static [&'static str],
    latency_ms: f64,
    failure_rate: f64,
    /// Its failure rate during an incident.
    incident_failure_rate: f64,
    container: Container,
}

static CONSUMERS: [Consumer; 4] = [
    Consumer {
        application: "track-and-trace",
        subscription_id: "sub-7f21",
        target_endpoint: "https://track-and-trace.example.com/events",
        subscribed_to: &["iot", "webshop"],
        latency_ms: 24.0,
        failure_rate: 0.004,
        incident_failure_rate: 0.004,
        container: Container {
            service: "track-and-trace",
            version: "8.2.0",
            language: Language::Python,
            host: "track-and-trace-2",
        },
    },
    Consumer {
        application: "returns-portal",
        subscription_id: "sub-c09e",
        target_endpoint: "https://returns.example.com/hooks/broker",
        subscribed_to: &["webshop"],
        latency_ms: 65.0,
        failure_rate: 0.06,
        incident_failure_rate: 0.8,
        container: Container {
            service: "returns-portal",
            version: "2.9.1",
            language: Language::Node,
            host: "returns-portal-0",
        },
    },
    Consumer {
        application: "billing",
        subscription_id: "sub-11d4",
        target_endpoint: "https://billing.example.com/v2/events",
        subscribed_to: &["webshop"],
        latency_ms: 48.0,
        failure_rate: 0.004,
        incident_failure_rate: 0.004,
        container: Container {
            service: "billing",
            version: "4.4.7",
            language: Language::Python,
            host: "billing-1",
        },
    },
    Consumer {
        application: "fleet",
        subscription_id: "sub-5a3b",
        target_endpoint: "https://fleet.example.com/inbox",
        subscribed_to: &["depot"],
        latency_ms: 31.0,
        failure_rate: 0.01,
        incident_failure_rate: 0.01,
        container: Container {
            service: "fleet",
            version: "1.1.0",
            language: Language::Node,
            host: "fleet-0",
        },
    },
];

const MILLISECOND: u64 = 1_000_000;
const VISIBILITY_TIMEOUT_MS: f64 = 6_000.0;
const ATTEMPTS_MAX: i64 = 4;

const DELIVERY_FAILED: Exception = Exception {
    class: "ebe_egress.errors.DeliveryFailed",
    message: "consumer answered 503 Service Unavailable",
    stacktrace: "Traceback (most recent call last):
  File \"/var/task/ebe_egress/forward.py\", line 88, in forward
    response.raise_for_status()
  File \"/opt/python/requests/models.py\", line 1026, in raise_for_status
    raise HTTPError(http_error_msg, response=self)
requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"/var/task/ebe_egress/handler.py\", line 54, in handle_record
    self._forwarder.forward(event)
  File \"/var/task/ebe_egress/forward.py\", line 91, in forward
    raise DeliveryFailed(response.status_code) from error
ebe_egress.errors.DeliveryFailed: consumer answered 503 Service Unavailable",
};

const POOL_EXHAUSTED: Exception = Exception {
    class: "ConnectionAcquireTimeoutError",
    message: "Operation timeout",
    stacktrace: "ConnectionAcquireTimeoutError [SequelizeConnectionAcquireTimeoutError]: Operation timeout
    at ConnectionManager.getConnection (/srv/node_modules/sequelize/lib/connection-manager.js:206:15)
    at async Sequelize.query (/srv/node_modules/sequelize/lib/sequelize.js:315:26)
    at async saveEvent (/srv/src/inbox.js:47:3)
    at async /srv/src/routes/broker.js:19:5",
};

/// Delivers the events to everyone who subscribed.
pub(super) fn deliver(world: &mut World, application: &str, events: &[Published]) {
    for consumer in &CONSUMERS {
        if consumer.subscribed_to.contains(&application) {
            deliver_to(world, consumer, events);
        }
    }
}

fn deliver_to(world: &mut World, consumer: &'static Consumer, events: &[Published]) {
    let mut pending: Vec<&Published> = events.iter().collect();
    let queued = events.iter().map(|event| event.queued).max().unwrap_or(0);
    let mut at = queued + world.latency(25.0);
    for attempt in 1..=ATTEMPTS_MAX {
        let batch = forward_batch(world, consumer, &pending, attempt, at);
        if attempt > 1 {
            propose(world, &pending, &batch, attempt);
        }
        pending = batch.failed;
        if pending.is_empty() {
            return;
        }
        at = batch.end + world.latency(VISIBILITY_TIMEOUT_MS);
    }
}

/// A delivery that took several attempts and went well in the end makes a good story.
fn propose(world: &mut World, pending: &[&Published], batch: &Batch<'_>, attempt: i64) {
    let delivered = pending.iter().find(|event| {
        let failed = |other: &&Published| other.context == event.context;
        !batch.failed.iter().any(failed)
    });
    if let Some(event) = delivered {
        world.propose(Highlight {
            trace_id: event.context.trace_id,
            end: batch.end,
            score: attempt as usize,
        });
    }
}

struct Batch<'a> {
    failed: Vec<&'a Published>,
    end: u64,
}

/// One invocation of the egress function.
fn forward_batch<'a>(
    world: &mut World,
    consumer: &'static Consumer,
    events: &[&'a Published],
    attempt: i64,
    at: u64,
) -> Batch<'a> {
    let duration = (consumer.latency_ms * 1e6) as u64 * events.len() as u64;
    let invocation = world.invoke(&EGRESS, at, duration);
    let mut batch = (events.len() > 1).then(|| batch_span(world, consumer, &invocation, events));
    let mut spans = Vec::new();
    let mut failed = Vec::new();
    let mut now = invocation.start + MILLISECOND;
    for event in events {
        let mut span = forward_span(world, consumer, &invocation, event, attempt, now);
        if let Some(batch) = &batch {
            let kind = attribute("app.ebe.link", "batch");
            span.link(batch.context(), vec![kind]);
        }
        let (post, delivered) = post(world, consumer, span.context(), now);
        now = post.end_time_unix_nano + MILLISECOND / 2;
        let latency = (now - event.received) as f64 / 1e6;
        if delivered {
            span.set("app.event.eventbroker_latency_ms", latency.round() as i64);
            span.event("Event delivered", now, Vec::new());
        } else {
            span.fail(now, DELIVERY_FAILED);
            span.set("app.event.consumer.last_attempt", attempt == ATTEMPTS_MAX);
            failed.push(*event);
        }
        spans.extend([post, span.end(now)]);
    }
    if let Some(mut batch) = batch.take() {
        if !failed.is_empty() {
            let count = failed.len() as i64;
            batch.set("app.ebe.egress.batch_item_failures", count);
        }
        spans.push(batch.end(now + MILLISECOND));
    }
    world.export(invocation.resource, SCOPE, spans);
    Batch { failed, end: now }
}

fn batch_span(
    world: &mut World,
    consumer: &Consumer,
    invocation: &Invocation,
    events: &[&Published],
) -> Draft {
    let mut batch = world
        .root("Process SQS Batch", SpanKind::Consumer, invocation.start)
        .with("messaging.system", "aws_sqs")
        .with("messaging.operation.type", "process")
        .with("messaging.destination.name", queue(consumer))
        .with("messaging.batch.message_count", events.len() as i64)
        .with("faas.coldstart", invocation.init.is_some())
        .with("faas.execution", invocation.execution.as_str())
        .with("faas.trigger", "pubsub");
    for event in events {
        batch.link(event.context, Vec::new());
    }
    batch
}

fn forward_span(
    world: &mut World,
    consumer: &Consumer,
    invocation: &Invocation,
    event: &Published,
    attempt: i64,
    start: u64,
) -> Draft {
    world
        .child(event.context, "Forward Event", SpanKind::Consumer, start)
        .with("faas.coldstart", invocation.init.is_some())
        .with("faas.execution", invocation.execution.as_str())
        .with("faas.memory_limit_in_mb", EGRESS.memory_mb)
        .with("messaging.system", "aws_sqs")
        .with("messaging.destination.name", queue(consumer))
        .with("app.ebe.egress.trigger_type", "SQS")
        .with("app.event.consumer.application", consumer.application)
        .with(
            "app.event.consumer.subscription_id",
            consumer.subscription_id,
        )
        .with("app.event.consumer.egress_type", "https")
        .with(
            "app.event.consumer.target_endpoint",
            consumer.target_endpoint,
        )
        .with("app.event.consumer.attempt_number", attempt)
        .with_all(event.baggage.clone())
}

fn queue(consumer: &Consumer) -> String {
    format!("ebe-{}-queue", consumer.application)
}

/// The request to the consumer, and whether it took the event.
fn post(world: &mut World, consumer: &Consumer, parent: Context, at: u64) -> (Span, bool) {
    let mut post = world
        .child(parent, "POST", SpanKind::Client, at + MILLISECOND / 3)
        .with("http.request.method", "POST")
        .with("url.full", consumer.target_endpoint);
    let rate = if world.incident(at) {
        consumer.incident_failure_rate
    } else {
        consumer.failure_rate
    };
    let delivered = !world.chance(rate);
    let arrived = at + world.latency(3.0);
    let answered = receive(world, consumer, post.context(), arrived, delivered);
    let status = if delivered { 202_i64 } else { 503 };
    post.set("http.response.status_code", status);
    if !delivered {
        post.set("error.type", "503");
        post.set_error("");
    }
    let end = answered + world.latency(2.0);
    (post.end(end), delivered)
}

/// The consumer's own spans; gives the time of its answer.
fn receive(
    world: &mut World,
    consumer: &Consumer,
    caller: Context,
    at: u64,
    delivered: bool,
) -> u64 {
    let mut server = world
        .child(caller, "POST /events", SpanKind::Server, at)
        .with("http.request.method", "POST")
        .with("http.route", "/events");
    let work = if delivered {
        world.latency(consumer.latency_ms)
    } else {
        world.latency(900.0)
    };
    let mut insert = world
        .child(
            server.context(),
            "INSERT inbox",
            SpanKind::Client,
            at + MILLISECOND,
        )
        .with("db.system.name", "postgresql")
        .with("db.operation.name", "INSERT")
        .with("db.collection.name", "inbox");
    let stored = at + MILLISECOND + work;
    let end = stored + world.latency(1.0);
    let status = if delivered { 202_i64 } else { 503 };
    server.set("http.response.status_code", status);
    if !delivered {
        insert.set_error(POOL_EXHAUSTED.message);
        server.fail(stored, POOL_EXHAUSTED);
    }
    let spans = vec![insert.end(stored), server.end(end)];
    world.export(
        container_resource(&consumer.container),
        "http-server",
        spans,
    );
    end
}

//! An Express route that calls N Lambda functions at once, and ends before they answer.
//!
//! `router` → `service-egress` (one a call) → `lambda-execution`. Now and then a call fails: the function throws,
//! or runs into its time limit and dies without a word, so that its span never comes.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::draft::{Context, Draft, Exception, attribute};
use super::resource::{Container, Function, Language, container_resource};
use super::world::World;

const ROUTER: Container = Container {
    service: "node-service",
    version: "2.3.1",
    language: Language::Node,
    host: "express-7d9c5b6f4-x2x8k",
};

static LAMBDA: Function = Function {
    service: "lambda_function",
    version: "1.8.0",
    name: "production-lambda-function",
    language: Language::Node,
    memory_mb: 256,
    init_ms: 310.0,
};

const SCOPE: &str = "opentelemetry.instrumentation.express";
const DESTINATION: &str = "xxx.us-east1.amazonaws.com/production/";
const MILLISECOND: u64 = 1_000_000;
const TIME_LIMIT: u64 = 3_000 * MILLISECOND;

const COUNT_MISSING: Exception = Exception {
    class: "BadRequestError",
    message: "Count not provided",
    stacktrace: "BadRequestError: Count not provided
    at /usr/src/app/routes/ot-gen.js:41:10
    at Layer.handle [as handle_request] (/usr/src/app/node_modules/express/lib/router/layer.js:95:5)
    at next (/usr/src/app/node_modules/express/lib/router/route.js:149:13)
    at Route.dispatch (/usr/src/app/node_modules/express/lib/router/route.js:119:3)",
};

const ITEM_MISSING: Exception = Exception {
    class: "TypeError",
    message: "Cannot read properties of undefined (reading 'Item')",
    stacktrace: "TypeError: Cannot read properties of undefined (reading 'Item')
    at loadProfile (/var/task/index.js:58:34)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at async exports.handler (/var/task/index.js:23:19)",
};

/// One request to the route.
pub fn play(world: &mut World, at: u64) {
    let count = if world.chance(0.015) {
        0
    } else {
        world.between(1, 8)
    };
    let user = world.user();
    let mut router = world
        .root("router", SpanKind::Server, at)
        .with("http.request.method", "GET")
        .with("http.route", "/ot-gen")
        .with("url.path", "/ot-gen")
        .with("user.id", user);
    if count == 0 {
        refuse(world, router, at);
        return;
    }
    router.set("url.query", format!("count={count}"));
    router.set("http.response.status_code", 200_i64);
    let context = router.context();
    let mut start = at;
    let mut spans = Vec::new();
    for _ in 0..count {
        start += world.latency(0.9);
        spans.push(call(world, context, start));
    }
    // The route answers as soon as the calls are under way; they outlive it.
    let answered = start + world.latency(1.5);
    spans.push(router.end(answered));
    world.export(container_resource(&ROUTER), SCOPE, spans);
}

fn refuse(world: &mut World, mut router: Draft, at: u64) {
    router.set("http.response.status_code", 400_i64);
    let end = at + world.latency(1.2);
    router.fail(end, COUNT_MISSING);
    world.export(container_resource(&ROUTER), SCOPE, vec![router.end(end)]);
}

enum Outcome {
    Answer,
    Throw,
    TimeOut,
}

fn call(world: &mut World, parent: Context, start: u64) -> Span {
    let mut egress = world
        .child(parent, "service-egress", SpanKind::Client, start)
        .with("http.request.method", "POST")
        .with("url.full", format!("https://{DESTINATION}"))
        .with("Destination", DESTINATION);
    let outcome = match world.between(0, 100) {
        0..2 => Outcome::Throw,
        2 => Outcome::TimeOut,
        _ => Outcome::Answer,
    };
    let arrived = start + world.latency(6.0);
    let function_end = execute(world, egress.context(), arrived, &outcome);
    let end = function_end + world.latency(4.0);
    let error = match outcome {
        Outcome::Answer => {
            egress.set("http.response.status_code", 200_i64);
            let response = attribute("response", r#"{"statusCode":200}"#);
            egress.event("remote request ok", end, vec![response]);
            return egress.end(end);
        }
        Outcome::Throw => (
            502,
            "StatusCodeError: 502 - {\"message\":\"Internal server error\"}",
        ),
        Outcome::TimeOut => (
            504,
            "StatusCodeError: 504 - {\"message\":\"Endpoint request timed out\"}",
        ),
    };
    egress.set("http.response.status_code", error.0);
    egress.set("error", "true");
    let attributes = vec![attribute("error", error.1)];
    egress.event("remote request failed", end, attributes);
    egress.set_error(error.1);
    egress.end(end)
}

/// Runs the function and gives the time of its end. A function that runs into its limit exports nothing.
fn execute(world: &mut World, caller: Context, at: u64, outcome: &Outcome) -> u64 {
    let work = world.latency(38.0);
    let duration = match outcome {
        Outcome::TimeOut => TIME_LIMIT,
        Outcome::Answer | Outcome::Throw => work + 2 * MILLISECOND,
    };
    let invocation = world.invoke(&LAMBDA, at, duration);
    let end = invocation.start + duration;
    if matches!(outcome, Outcome::TimeOut) {
        return end;
    }
    let mut handler = world
        .child(
            caller,
            "lambda-execution",
            SpanKind::Server,
            invocation.start,
        )
        .with("faas.trigger", "http")
        .with_all(invocation.attributes());
    let read_start = invocation.start + MILLISECOND;
    let read = world
        .child(
            handler.context(),
            "DynamoDB.GetItem",
            SpanKind::Client,
            read_start,
        )
        .with("db.system.name", "aws.dynamodb")
        .with("db.operation.name", "GetItem")
        .with("aws.dynamodb.table_names", &["profiles"][..])
        .end(read_start + work * 2 / 3);
    if matches!(outcome, Outcome::Throw) {
        handler.fail(end, ITEM_MISSING);
    }
    let spans = vec![read, handler.end(end)];
    world.export(invocation.resource, "lambda-handler", spans);
    end
}

//! A user registration function under active tracing: the platform's spans around the function's own.
//!
//! `InstrumentedFunction` → (`Initialization` on a cold start) → `Invocation` → `handler` → `submit_user` → HTTP.
//! Its plain sibling, `VanillaFunction`, has only the platform's spans.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::draft::{Context, Exception};
use super::resource::{Function, Language};
use super::world::{Invocation, World};

static INSTRUMENTED: Function = Function {
    service: "instrumented-user-registration",
    version: "1.2.0",
    name: "pycon-InstrumentedFunction-hQQueiDV6k81",
    language: Language::Python,
    memory_mb: 256,
    init_ms: 730.0,
};

static VANILLA: Function = Function {
    service: "vanilla-user-registration",
    version: "1.2.0",
    name: "pycon-VanillaFunction-k3vTqYb0Xw2c",
    language: Language::Python,
    memory_mb: 256,
    init_ms: 615.0,
};

const SCOPE: &str = "aws_lambda_powertools.tracing";
const MILLISECOND: u64 = 1_000_000;

const REGION_DOWN: Exception = Exception {
    class: "requests.exceptions.ReadTimeout",
    message: "HTTPSConnectionPool(host='api.users.example.com', port=443): Read timed out. (read timeout=5)",
    stacktrace: "Traceback (most recent call last):
  File \"/var/task/app.py\", line 62, in handler
    response = submit_user(user)
  File \"/var/task/app.py\", line 38, in submit_user
    result = requests.post(ENDPOINT, json=user, timeout=5)
  File \"/var/task/requests/api.py\", line 115, in post
    return request(\"post\", url, data=data, json=json, **kwargs)
  File \"/var/task/requests/adapters.py\", line 713, in send
    raise ReadTimeout(e, request=request)
requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='api.users.example.com', port=443): Read timed out. (read timeout=5)",
};

const MAIL_INVALID: Exception = Exception {
    class: "UserValidationError",
    message: "'email' is not a valid address",
    stacktrace: "Traceback (most recent call last):
  File \"/var/task/app.py\", line 57, in handler
    user = parse_user(event[\"body\"])
  File \"/var/task/model.py\", line 24, in parse_user
    raise UserValidationError(f\"{field!r} is not a valid address\")
UserValidationError: 'email' is not a valid address",
};

#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Registered,
    Invalid,
    TimedOut,
}

/// One registration.
pub fn play(world: &mut World, at: u64) {
    if world.chance(0.25) {
        vanilla(world, at);
        return;
    }
    let outcome = match world.between(0, 1_000) {
        0..18 => Outcome::Invalid,
        18..26 => Outcome::TimedOut,
        _ => Outcome::Registered,
    };
    let submission = match outcome {
        Outcome::TimedOut => 5_000 * MILLISECOND,
        Outcome::Invalid => 0,
        Outcome::Registered => world.latency(820.0),
    };
    let duration = submission + world.latency(14.0);
    let invocation = world.invoke(&INSTRUMENTED, at, duration);
    let (root, mut spans) = platform(world, "InstrumentedFunction", &invocation, at, duration);
    handler(
        world,
        root,
        &invocation,
        (duration, submission),
        outcome,
        &mut spans,
    );
    world.export(invocation.resource, SCOPE, spans);
}

fn vanilla(world: &mut World, at: u64) {
    let duration = world.latency(900.0);
    let invocation = world.invoke(&VANILLA, at, duration);
    let (_, spans) = platform(world, "VanillaFunction", &invocation, at, duration);
    world.export(invocation.resource, "aws.lambda", spans);
}

/// The spans that the platform makes itself; gives the one that the function's own hang under.
fn platform(
    world: &mut World,
    name: &str,
    invocation: &Invocation,
    at: u64,
    duration: u64,
) -> (Context, Vec<Span>) {
    let end = invocation.start + duration;
    let root = world
        .root(name, SpanKind::Server, at)
        .with("faas.trigger", "http")
        .with_all(invocation.attributes())
        .with(
            "aws.lambda.billed_duration_ms",
            (duration / MILLISECOND + 1) as i64,
        )
        .with("aws.lambda.max_memory_used_mb", invocation.memory_used_mb);
    let mut spans = Vec::new();
    if let Some(init) = invocation.init {
        let span = world
            .child(root.context(), "Initialization", SpanKind::Internal, at)
            .with("aws.lambda.init_duration_ms", init as f64 / 1e6)
            .end(invocation.start);
        spans.push(span);
    }
    let span = world.child(
        root.context(),
        "Invocation",
        SpanKind::Internal,
        invocation.start,
    );
    let context = span.context();
    spans.push(span.end(end));
    let overhead = world.child(root.context(), "Overhead", SpanKind::Internal, end);
    let done = end + world.latency(1.4);
    spans.push(overhead.end(done));
    spans.push(root.end(done));
    (context, spans)
}

fn handler(
    world: &mut World,
    parent: Context,
    invocation: &Invocation,
    (duration, submission): (u64, u64),
    outcome: Outcome,
    spans: &mut Vec<Span>,
) {
    let (start, end) = (invocation.start, invocation.start + duration);
    let user = world.user();
    let mut handler = world
        .child(parent, "handler", SpanKind::Internal, start + MILLISECOND)
        .with("ColdStart", invocation.init.is_some())
        .with("Service", INSTRUMENTED.service)
        .with("user.id", user.as_str());
    let last = end - MILLISECOND / 2;
    match outcome {
        Outcome::Invalid => handler.fail(last, MAIL_INVALID),
        Outcome::TimedOut => handler.fail(last, REGION_DOWN),
        Outcome::Registered => handler.set("registration.tier", *world.pick(&TIERS)),
    }
    if outcome != Outcome::Invalid {
        let parent = handler.context();
        let from = start + 3 * MILLISECOND;
        spans.extend(submit(
            world,
            parent,
            (from, from + submission),
            &user,
            outcome,
        ));
    }
    spans.push(handler.end(last));
}

const TIERS: [&str; 3] = ["free", "basic", "premium"];

fn submit(
    world: &mut World,
    parent: Context,
    (from, to): (u64, u64),
    user: &str,
    outcome: Outcome,
) -> [Span; 2] {
    let mut submit = world
        .child(parent, "submit_user", SpanKind::Internal, from)
        .with("user.id", user);
    let mut post = world
        .child(
            submit.context(),
            "POST",
            SpanKind::Client,
            from + MILLISECOND / 2,
        )
        .with("http.request.method", "POST")
        .with("url.full", "https://api.users.example.com/v1/users")
        .with("server.address", "api.users.example.com");
    if outcome == Outcome::TimedOut {
        post.set("error.type", REGION_DOWN.class);
        post.set_error(REGION_DOWN.message);
        submit.fail(to, REGION_DOWN);
    } else {
        post.set("http.response.status_code", 200_i64);
    }
    [post.end(to - MILLISECOND / 4), submit.end(to)]
}

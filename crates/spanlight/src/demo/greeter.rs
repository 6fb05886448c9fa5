//! Greetings as a service: two Fission functions with Kafka between them.
//!
//! `greeter` answers and ends; the record waits in the topic; the message queue trigger then calls `image`, whose
//! span starts long after its parent has ended. It names its cause twice, as a parent and as a link.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::draft::{Context, Exception, attribute};
use super::resource::{Container, FissionFunction, Language, container_resource, fission_resource};
use super::world::World;

const GREETER: FissionFunction = FissionFunction {
    name: "greeter",
    pod: "poolmgr-python-default-5f6d8c-greeter",
};

const IMAGE: FissionFunction = FissionFunction {
    name: "image",
    pod: "poolmgr-python-default-5f6d8c-image",
};

const TRIGGER: Container = Container {
    service: "mqtrigger-kafka",
    version: "1.20.3",
    language: Language::Node,
    host: "mqtrigger-kafka-6c7d4-9zq2p",
};

const SCOPE: &str = "lib.tracing";
const TOPIC: &str = "greetings";
const MILLISECOND: u64 = 1_000_000;

const FONT_MISSING: Exception = Exception {
    class: "OSError",
    message: "cannot open resource",
    stacktrace: "Traceback (most recent call last):
  File \"/app/lib/tracing.py\", line 31, in inner
    func_resp = func()
  File \"/userfunc/image.py\", line 22, in main
    font = ImageFont.truetype(font_for(text), 48)
  File \"/usr/local/lib/python3.12/site-packages/PIL/ImageFont.py\", line 880, in truetype
    return freetype(font)
OSError: cannot open resource",
};

const UNREADABLE: &str = "नमस्ते";
const GREETINGS: [&str; 6] = [
    "Hello",
    UNREADABLE,
    "Grüß Gott",
    "こんにちは",
    "Olá",
    "Merhaba",
];

/// One greeting.
pub fn play(world: &mut World, at: u64) {
    let user = world.user();
    let greeting = *world.pick(&GREETINGS);
    let greeter = world
        .root("greeter", SpanKind::Server, at)
        .with("http.request.method", "GET")
        .with("url.path", "/fission-function/greeter")
        .with("http.response.status_code", 200_i64)
        .with("greeting.text", greeting)
        .with("user.id", user);
    let send_start = at + world.latency(2.2);
    let offset = (send_start / 700_000_000 % 1_000_000) as i64;
    let send = world
        .child(
            greeter.context(),
            "send greetings",
            SpanKind::Producer,
            send_start,
        )
        .with("messaging.system", "kafka")
        .with("messaging.operation.type", "send")
        .with("messaging.destination.name", TOPIC)
        .with("messaging.kafka.offset", offset);
    let sent = send_start + world.latency(3.5);
    let context = send.context();
    let done = sent + world.latency(1.0);
    let spans = vec![send.end(sent), greeter.end(done)];
    world.export(fission_resource(&GREETER), SCOPE, spans);

    // The record waits until the trigger's next poll.
    let polled = done + world.latency(140.0);
    trigger(world, context, polled, offset, greeting);
}

fn trigger(world: &mut World, producer: Context, at: u64, offset: i64, greeting: &str) {
    let mut process = world
        .child(producer, "process greetings", SpanKind::Consumer, at)
        .with("messaging.system", "kafka")
        .with("messaging.operation.type", "process")
        .with("messaging.destination.name", TOPIC)
        .with("messaging.consumer.group.name", "mqtrigger-greetings")
        .with("messaging.kafka.offset", offset);
    process.link(producer, follows_from());
    let call_start = at + world.latency(0.8);
    let (answered, failed) = image(world, process.context(), call_start, greeting);
    if failed {
        process.set_error("function image answered 500");
    }
    let end = answered + world.latency(0.6);
    world.export(
        container_resource(&TRIGGER),
        "mqtrigger",
        vec![process.end(end)],
    );
}

fn image(world: &mut World, caller: Context, at: u64, greeting: &str) -> (u64, bool) {
    let start = at + world.latency(2.0);
    let mut image = world
        .child(caller, "image", SpanKind::Server, start)
        .with("http.request.method", "POST")
        .with("url.path", "/fission-function/image")
        .with("greeting.text", greeting);
    image.link(caller, follows_from());
    // One alphabet has no font on some nodes: the failures have a cause that the attributes show.
    if greeting == UNREADABLE && world.chance(0.2) {
        let end = start + world.latency(9.0);
        image.set("http.response.status_code", 500_i64);
        image.fail(end, FONT_MISSING);
        world.export(fission_resource(&IMAGE), SCOPE, vec![image.end(end)]);
        return (end, true);
    }
    image.set("http.response.status_code", 200_i64);
    let drawn = start + MILLISECOND + world.latency(85.0);
    let draw = world
        .child(
            image.context(),
            "draw",
            SpanKind::Internal,
            start + MILLISECOND,
        )
        .with("image.width", 640_i64)
        .with("image.height", 320_i64);
    let stored = drawn + world.latency(28.0);
    let bytes = world.skewed(48_000.0, 0.4) as i64;
    let put = world
        .child(image.context(), "PutObject", SpanKind::Client, drawn)
        .with("rpc.system", "aws-api")
        .with("rpc.service", "S3")
        .with("rpc.method", "PutObject")
        .with("aws.s3.bucket", "greeting-cards")
        .with("image.size_bytes", bytes);
    let end = stored + world.latency(1.0);
    let spans = vec![draw.end(drawn), put.end(stored), image.end(end)];
    world.export(fission_resource(&IMAGE), SCOPE, spans);
    (end, false)
}

fn follows_from() -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    vec![attribute("opentracing.ref_type", "follows_from")]
}

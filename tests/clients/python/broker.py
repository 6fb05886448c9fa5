"""An event broker for e-commerce, as three functions see it: ingress validates an event and wraps it in an envelope, a
queue hands two envelopes to egress in one batch, egress forwards each to its consumer, one of which fails and is tried
again.

Everything is said with the OpenTelemetry SDK and its exporters as they are published; where they send to is in the
standard variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_COMPRESSION). EXPORTER is `http` or `grpc`.
At the end the program prints, as JSON, each span that it has made.
"""

import json
import os

from opentelemetry import baggage, context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spans import describe

if os.environ["EXPORTER"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

PROPAGATOR = TraceContextTextMapPropagator()
SPANS = []


class Function:
    """One function with a tracer of its own, as each has in its own sandbox."""

    def __init__(self, service, component, memory):
        self.provider = TracerProvider(
            resource=Resource.create(
                {
                    "service.name": service,
                    "service.version": "1.4.2",
                    "service.subcomponent.name": component,
                    "cloud.provider": "aws",
                    "cloud.region": "eu-west-1",
                    "faas.name": f"{service}-{component}",
                    "faas.version": "$LATEST",
                    "faas.max_memory": memory,
                }
            )
        )
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self.provider.get_tracer(
            "event_broker", "0.1.0", attributes={"tracer.flavour": "plain"}
        )

    def span(self, name, **options):
        span = self.tracer.start_span(name, **options)
        SPANS.append(span)
        return span


def ingress(function, event_type, version, size):
    """Validates an event and returns the envelope that goes onto the bus."""
    span = function.span(
        "Validate Event",
        kind=SpanKind.SERVER,
        attributes={
            "faas.coldstart": True,
            "faas.invocation_id": "70b4cbee-0c9e-4d6e-a5f9-8b7a5f6c2d10",
            "app.event.producer.application": "checkout",
            "app.event.producer.event_type": event_type,
            "app.event.producer.event_type_version": version,
            "app.ebe.ingress.original_payload_size_bytes": size,
            "app.largest": 2**63 - 1,
            "app.smallest": -(2**63),
            "app.ratio": 0.1 + 0.2,
            "app.whole": 3.0,
            "app.empty": "",
            "app.tags": ["späti", "日本", "🛒"],
            "app.counts": [1, 2, 3],
            "app.weights": [0.5, 1.5],
            "app.flags": [True, False],
            "app.none": [],
            "app.digest": b"\x00\xff\x10",
            "app.customer": {"tier": "gold", "scores": [1, {"ratio": 2.5}], "address": {}},
            "app.mixed": [1, "one", True, b"\x01", 1.5],
            "app.nothing": None,
            "app.note": "line one\nline two\t\"quoted\" \\ <b>bold</b>",
        },
    )
    with trace.use_span(span, end_on_exit=True):
        span.add_event("schema loaded", {"schema.version": version, "schema.cached": False})
        span.add_event("event accepted")
        span.set_status(Status(StatusCode.OK))
        publish = function.span("orders publish", kind=SpanKind.PRODUCER)
        publish.set_attribute("messaging.system", "aws_sqs")
        publish.set_attribute("messaging.destination.name", "orders")
        carrier = {}
        PROPAGATOR.inject(carrier, trace.set_span_in_context(publish))
        publish.end()
    bag = context.get_current()
    bag = baggage.set_baggage("app.event.producer.application", "checkout", bag)
    return {
        "metadata": {"otel": {"traceparent": carrier, "baggage": dict(baggage.get_all(bag))}},
        "data": {},
    }


def egress(function, envelopes):
    """Takes a batch off the queue: the batch links to each producer, each delivery continues one trace."""
    producers = [PROPAGATOR.extract(envelope["metadata"]["otel"]["traceparent"]) for envelope in envelopes]
    batch = function.span(
        "orders receive",
        kind=SpanKind.CONSUMER,
        context=context.Context(),
        links=[
            Link(trace.get_current_span(producer).get_span_context(), {"messaging.batch.position": position})
            for position, producer in enumerate(producers)
        ],
        attributes={"messaging.batch.message_count": len(envelopes)},
    )
    for position, producer in enumerate(producers):
        for attempt in (1, 2) if position == 1 else (1,):
            forward(function, producer, batch, attempt, fails=position == 1 and attempt == 1)
    batch.end()


def forward(function, producer, batch, attempt, fails):
    span = function.span(
        "Forward Event",
        kind=SpanKind.CONSUMER,
        context=producer,
        links=[Link(batch.get_span_context())],
        attributes={
            "faas.coldstart": False,
            "app.event.consumer.application": "billing",
            "app.event.consumer.attempt_number": attempt,
            "app.event.eventbroker_latency_ms": 184.5,
        },
    )
    with trace.use_span(span, end_on_exit=True):
        call = function.span("POST", kind=SpanKind.CLIENT, attributes={"http.request.method": "POST"})
        if fails:
            try:
                raise TimeoutError("the consumer's endpoint did not answer")
            except TimeoutError as error:
                call.record_exception(error, {"app.event.consumer.timeout_ms": 3000})
                call.set_status(Status(StatusCode.ERROR, str(error)))
                span.set_status(Status(StatusCode.ERROR, "delivery failed"))
        else:
            call.set_attribute("http.response.status_code", 202)
        call.end()


def main():
    entrance = Function("ebe-ingress", "validate", 256 * 1024 * 1024)
    exit = Function("ebe-egress", "forward", 512 * 1024 * 1024)
    egress(exit, [ingress(entrance, "OrderPlaced", 3, 1287), ingress(entrance, "ParcelScanned", 1, 0)])
    entrance.provider.shutdown()
    exit.provider.shutdown()
    print(json.dumps([describe(span) for span in SPANS]))


main()

"""A serverless shop whose spans are known: makes them, sends them as OTLP JSON, and remembers what it sent."""

import json
import random
import threading
import time
import urllib.request

FUNCTIONS = {"storefront": "storefront-api", "payments": "charge-card", "warehouse": "reserve-stock"}
VERSIONS = ["1.4.0", "1.4.1"]


class Shop:
    """Sends a few traces a moment until it is stopped. `sent` has every span that was acknowledged, by its key."""

    def __init__(self, address, seed=7):
        self.url = f"http://{address}/v1/traces"
        self.random = random.Random(seed)
        self.sent = {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.failure = None

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def _run(self):
        try:
            while not self.stopping.is_set():
                self.send(20)
        except Exception as error:  # told by who waits for the spans
            self.failure = error

    def send(self, traces):
        spans = [span for _ in range(traces) for span in self.trace()]
        by_service = {}
        for span in spans:
            by_service.setdefault(span["service"], []).append(span)
        body = {"resourceSpans": [resource_spans(service, own) for service, own in by_service.items()]}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert answer == {}, answer
        self.sent.update({(span["traceId"], span["spanId"]): span for span in spans})

    def trace(self):
        """A checkout: a function, a message to another, which may take two attempts, and a call of a third."""
        draw = self.random
        trace_id = f"{draw.getrandbits(128):032x}"
        start = time.time_ns() - draw.randrange(1_000_000_000)
        user = f"user-{draw.randrange(200)}"
        spans = []

        def span(service, name, kind, parent, offset, length, attributes, error=None):
            made = {
                "traceId": trace_id,
                "spanId": f"{draw.getrandbits(64) or 1:016x}",
                "parentSpanId": parent["spanId"] if parent else "",
                "service": service,
                "version": VERSIONS[0] if service == "payments" else VERSIONS[1],
                "name": name,
                "kind": kind,
                "start": start + int(offset * 1e6),
                "end": start + int((offset + length) * 1e6),
                "attributes": {"user.id": user, "faas.name": FUNCTIONS[service], **attributes},
                "error": error,
            }
            spans.append(made)
            return made

        queue = draw.lognormvariate(3, 0.5)
        charge = draw.lognormvariate(4, 0.6)
        root = span("storefront", "POST /checkout", 2, None, 0, 40, {
            "faas.coldstart": draw.random() < 0.1,
            "faas.invocation_id": f"{draw.getrandbits(128):032x}",
            "http.response.status_code": 200,
        })
        publish = span("storefront", "orders publish", 4, root, 10, 5, {"messaging.destination.name": "orders"})
        failed = draw.random() < 0.2
        begin = 15 + queue
        for attempt in range(1, 3 if failed else 2):
            error = "card declined" if failed and attempt == 1 else None
            receive = span("payments", "orders process", 5, publish, begin, charge, {
                "messaging.destination.name": "orders",
                "messaging.delivery.attempt": attempt,
                "faas.coldstart": draw.random() < 0.3,
                "order.total": draw.randrange(1, 10_000) / 100,
            }, error)
            begin += charge + 100
        span("warehouse", "POST /reservations", 2, receive, begin, draw.lognormvariate(3, 0.4), {
            "faas.coldstart": False,
            "http.response.status_code": 201,
            "cart.items": ["book", "lamp"],
        })
        return spans


def value(plain):
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(item) for item in plain]}}
    return {"stringValue": plain}


def attributes(plain):
    return [{"key": key, "value": value(item)} for key, item in plain.items()]


def resource_spans(service, spans):
    def encoded(span):
        made = {
            "traceId": span["traceId"],
            "spanId": span["spanId"],
            "name": span["name"],
            "kind": span["kind"],
            "startTimeUnixNano": str(span["start"]),
            "endTimeUnixNano": str(span["end"]),
            "attributes": attributes(span["attributes"]),
            "status": {"code": 2, "message": span["error"]} if span["error"] else {},
        }
        if span["parentSpanId"]:
            made["parentSpanId"] = span["parentSpanId"]
        if span["error"]:
            made["events"] = [{
                "timeUnixNano": str(span["end"]),
                "name": "exception",
                "attributes": attributes({"exception.type": "Declined", "exception.message": span["error"]}),
            }]
        return made

    resource = {"service.name": service, "service.version": spans[0]["version"], "faas.max_memory": 512 << 20}
    return {
        "resource": {"attributes": attributes(resource)},
        "scopeSpans": [{"scope": {"name": "shop"}, "spans": [encoded(span) for span in spans]}],
    }

"""What the SDK itself says that a span is, as neutral JSON: read from its objects, not from what it sends."""

import base64
import math
from collections.abc import Mapping, Sequence

from opentelemetry.trace import StatusCode


def describe(span):
    made = span.get_span_context()
    return {
        "traceId": f"{made.trace_id:032x}",
        "spanId": f"{made.span_id:016x}",
        "parentSpanId": f"{span.parent.span_id:016x}" if span.parent else "",
        "traceState": made.trace_state.to_header(),
        "name": span.name,
        "kind": 1 + span.kind.value,
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.timestamp),
                "attributes": attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "traceId": f"{link.context.trace_id:032x}",
                "spanId": f"{link.context.span_id:016x}",
                "attributes": attributes(link.attributes),
            }
            for link in span.links
        ],
        "status": {
            "code": {StatusCode.UNSET: 0, StatusCode.OK: 1, StatusCode.ERROR: 2}[span.status.status_code],
            "message": span.status.description or "",
        },
        "resource": attributes(span.resource.attributes),
        "scope": {
            "name": span.instrumentation_scope.name,
            "version": span.instrumentation_scope.version or "",
            "attributes": attributes(span.instrumentation_scope.attributes),
        },
    }


def attributes(given):
    return {key: value(given[key]) for key in given or {}}


def value(given):
    if given is None:
        return {}
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        assert math.isfinite(given)
        return {"doubleValue": given}
    if isinstance(given, str):
        return {"stringValue": given}
    if isinstance(given, bytes):
        return {"bytesValue": base64.b64encode(given).decode()}
    if isinstance(given, Mapping):
        return {"kvlistValue": {"values": attributes(given)}}
    if isinstance(given, Sequence):
        return {"arrayValue": {"values": [value(one) for one in given]}}
    raise TypeError(f"an attribute of {type(given)}")

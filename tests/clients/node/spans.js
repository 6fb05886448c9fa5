// What the SDK itself says that a span is, as neutral JSON: read from its objects, not from what it sends.
'use strict';

exports.describe = (span) => ({
  traceId: span.spanContext().traceId,
  spanId: span.spanContext().spanId,
  parentSpanId: span.parentSpanContext?.spanId ?? '',
  traceState: span.spanContext().traceState?.serialize() ?? '',
  name: span.name,
  kind: 1 + span.kind,
  startTimeUnixNano: nanoseconds(span.startTime),
  endTimeUnixNano: nanoseconds(span.endTime),
  attributes: attributes(span.attributes),
  events: span.events.map((event) => ({
    name: event.name,
    timeUnixNano: nanoseconds(event.time),
    attributes: attributes(event.attributes),
  })),
  links: span.links.map((link) => ({
    traceId: link.context.traceId,
    spanId: link.context.spanId,
    attributes: attributes(link.attributes),
  })),
  status: { code: span.status.code, message: span.status.message ?? '' },
  resource: attributes(span.resource.attributes),
  scope: {
    name: span.instrumentationScope.name,
    version: span.instrumentationScope.version ?? '',
    attributes: {},
  },
});

function nanoseconds([seconds, nanoseconds]) {
  return String(BigInt(seconds) * 1000000000n + BigInt(nanoseconds));
}

function attributes(given = {}) {
  return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, value(one)]));
}

function value(given) {
  switch (typeof given) {
    case 'string': return { stringValue: given };
    case 'boolean': return { boolValue: given };
    // JavaScript has one kind of number; the SDK sends the whole ones as integers.
    case 'number': return Number.isInteger(given) ? { intValue: String(given) } : { doubleValue: given };
    default: return { arrayValue: { values: given.map(value) } };
  }
}

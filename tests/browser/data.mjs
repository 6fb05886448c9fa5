// Traces as functions send them, as OTLP JSON. Ids follow from names, so that a test can ask for what it sent.
import { createHash } from 'node:crypto';

const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };

export const traceId = (name) => hash(`trace ${name}`, 32);
export const spanId = (trace, name) => hash(`span ${trace} ${name}`, 16);

/** `spans`: { id, parent?, service, name, kind, at, ms, attributes?, events?, links?, error? }, times in ms. */
export function trace(name, startMs, spans) {
  const services = new Map();
  for (const span of spans) {
    const list = services.get(span.service) ?? [];
    list.push(encode(name, startMs, span));
    services.set(span.service, list);
  }
  return [...services].map(([service, encoded]) => ({
    resource: {
      attributes: attributes({
        'service.name': service,
        'service.version': '1.4.2',
        'cloud.provider': 'aws',
        'cloud.region': 'eu-west-1',
        'faas.name': `${service}-prod`,
        'faas.max_memory': 268435456,
      }),
    },
    scopeSpans: [{ scope: { name: 'event_broker', version: '0.1.0' }, spans: encoded }],
  }));
}

function encode(name, startMs, span) {
  return {
    traceId: traceId(name),
    spanId: spanId(name, span.id),
    parentSpanId: span.parent ? spanId(name, span.parent) : '',
    name: span.name,
    kind: KINDS[span.kind ?? 'internal'],
    startTimeUnixNano: nanoseconds(startMs + span.at),
    endTimeUnixNano: nanoseconds(startMs + span.at + span.ms),
    attributes: attributes(span.attributes ?? {}),
    events: (span.events ?? []).map((event) => ({
      name: event.name,
      timeUnixNano: nanoseconds(startMs + event.at),
      attributes: attributes(event.attributes ?? {}),
    })),
    links: (span.links ?? []).map((link) => ({
      traceId: traceId(link.trace ?? name),
      spanId: spanId(link.trace ?? name, link.span),
      attributes: attributes(link.attributes ?? {}),
    })),
    status: span.error ? { code: 2, message: span.error } : {},
  };
}

/** An order goes through the broker to two consumers, one of which fails and is tried again. */
export function brokerTrace(name, startMs) {
  const order = { 'app.event.producer.application': 'checkout', 'app.event.id': 'ord-20931' };
  const attempt = (number) => ({ ...order, 'app.event.consumer.attempt_number': number });
  const cold = { 'faas.coldstart': true, 'faas.trigger': 'http' };
  const timeout = {
    name: 'exception',
    at: 1480,
    attributes: {
      'exception.type': 'TimeoutError',
      'exception.message': 'the consumer did not answer within 500 ms',
      'exception.stacktrace': [
        'Traceback (most recent call last):',
        '  File "forward.py", line 41, in deliver',
        '    response = session.post(target.url, json=event, timeout=0.5)',
        'TimeoutError: the consumer did not answer within 500 ms',
      ].join('\n'),
    },
  };
  return trace(name, startMs, [
    { id: 'route', service: 'checkout', name: 'POST /orders', kind: 'server', at: 0, ms: 212, attributes: { 'http.request.method': 'POST', 'http.response.status_code': 202, 'user.id': 'u-4711' } },
    { id: 'cart', parent: 'route', service: 'checkout', name: 'validate cart', at: 6, ms: 31 },
    { id: 'stock', parent: 'route', service: 'checkout', name: 'GET /stock', kind: 'client', at: 40, ms: 44, attributes: { 'http.response.status_code': 200 } },
    { id: 'post', parent: 'route', service: 'checkout', name: 'POST /events', kind: 'client', at: 88, ms: 118 },
    { id: 'validate', parent: 'post', service: 'ebe-ingress', name: 'Validate Event', kind: 'server', at: 96, ms: 104, attributes: { ...order, ...cold, 'faas.trigger': 'http', 'app.ebe.ingress.original_payload_size_bytes': 1287 }, events: [{ name: 'schema loaded', at: 150, attributes: { 'schema.version': 3 } }] },
    { id: 'init', parent: 'validate', service: 'ebe-ingress', name: 'init', at: 96, ms: 48, attributes: { 'faas.coldstart': true } },
    { id: 'publish', parent: 'validate', service: 'ebe-ingress', name: 'orders publish', kind: 'producer', at: 168, ms: 24, attributes: { 'messaging.system': 'aws_eventbridge' } },
    { id: 'route-event', parent: 'publish', service: 'event-bus', name: 'orders route', kind: 'consumer', at: 260, ms: 90 },
    { id: 'queue-a', parent: 'route-event', service: 'event-bus', name: 'billing queue send', kind: 'producer', at: 280, ms: 22 },
    { id: 'queue-b', parent: 'route-event', service: 'event-bus', name: 'shipping queue send', kind: 'producer', at: 310, ms: 26 },
    { id: 'forward-a', parent: 'queue-a', service: 'ebe-egress', name: 'Forward Event', kind: 'consumer', at: 420, ms: 190, attributes: { ...attempt(1), 'app.event.consumer.application': 'billing' } },
    { id: 'charge', parent: 'forward-a', service: 'billing', name: 'POST /charges', kind: 'server', at: 440, ms: 150, attributes: { 'http.response.status_code': 201, 'order.total': 59.9 } },
    { id: 'forward-b', parent: 'queue-b', service: 'ebe-egress', name: 'Forward Event', kind: 'consumer', at: 940, ms: 560, attributes: { ...attempt(1), 'app.event.consumer.application': 'shipping' }, error: 'delivery failed', links: [{ span: 'queue-b', attributes: { 'messaging.batch.position': 0 } }] },
    { id: 'call-b', parent: 'forward-b', service: 'ebe-egress', name: 'POST /parcels', kind: 'client', at: 970, ms: 512, error: 'the consumer did not answer within 500 ms', events: [timeout] },
    { id: 'retry-b', parent: 'queue-b', service: 'ebe-egress', name: 'Forward Event', kind: 'consumer', at: 1720, ms: 240, attributes: { ...attempt(2), 'app.event.consumer.application': 'shipping' } },
    { id: 'parcel', parent: 'retry-b', service: 'shipping', name: 'POST /parcels', kind: 'server', at: 1750, ms: 190, attributes: { 'faas.coldstart': false, 'http.response.status_code': 201 } },
  ]);
}

/** Many small traces of several shapes, so that there is something to choose from. */
export function smallTraces(count, nowMs) {
  const functions = [
    ['checkout', 'GET /orders/{id}', 'read order'],
    ['catalogue', 'GET /products', 'query products'],
    ['user-registration', 'POST /users', 'store user'],
    ['greeter', 'greet', 'render greeting'],
    ['image-resize', 'resize image', 'encode image'],
  ];
  return Array.from({ length: count }, (_, number) => {
    const [service, name, work] = functions[number % functions.length];
    // Spread over three decades, the same each time.
    const ms = 3 * 10 ** (((number * 37) % 100) / 40);
    const error = number % 9 === 4 ? 'upstream failed' : undefined;
    return trace(`small ${number}`, nowMs - 20_000 - number * 26_000, [
      { id: 'root', service, name, kind: 'server', at: 0, ms, error, attributes: { 'faas.coldstart': number % 11 === 3, 'small.number': number } },
      { id: 'work', parent: 'root', service, name: work, at: ms * 0.2, ms: ms * 0.5 },
    ]);
  }).flat();
}

/** A trace of `count` spans below one root, a few levels deep. */
export function largeTrace(name, startMs, count) {
  const spans = [{ id: '0', service: 'fan-out', name: 'map 0', kind: 'server', at: 0, ms: count }];
  for (let number = 1; number < count; number += 1) {
    const parent = String(Math.floor((number - 1) / 10));
    spans.push({ id: String(number), parent, service: `worker-${number % 7}`, name: `item ${number}`, at: number * 0.9, ms: 3 });
  }
  return trace(name, startMs, spans);
}

function attributes(object) {
  return Object.entries(object).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value) {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

const nanoseconds = (ms) => String(BigInt(Math.round(ms * 1000)) * 1000n);
const hash = (text, length) => createHash('sha256').update(text).digest('hex').slice(0, length);

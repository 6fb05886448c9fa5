// A route of an Express application that calls a function several times, one of which fails. Everything is said with
// OpenTelemetry's Node SDK as it is published; where and how it sends comes from the standard OTEL_* variables.
// At the end the program prints, as JSON, each span that it has made.
'use strict';

const api = require('@opentelemetry/api');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { describe } = require('./spans.js');

const spans = [];
const sdk = new NodeSDK();
sdk.start();
const tracer = api.trace.getTracer('node-service', '1.0.0');
const lambda = api.trace.getTracer('lambda-function', '2.1.0');

function start(from, name, options, context = api.context.active()) {
  const span = from.startSpan(name, options, context);
  spans.push(span);
  return span;
}

/** What runs at the other end: it knows nothing but the request's headers. */
async function handler(headers, call) {
  const remote = api.propagation.extract(api.ROOT_CONTEXT, headers);
  const span = start(lambda, 'lambda_function', {
    kind: api.SpanKind.SERVER,
    attributes: {
      'faas.trigger': 'http',
      'faas.coldstart': call === 0,
      'faas.invocation_id': `d1f0c2a4-0000-4000-8000-00000000000${call}`,
      'cloud.account.id': '123456789012',
    },
  }, remote);
  await new Promise((resolve) => setTimeout(resolve, 2));
  try {
    if (call === 1) {
      throw new RangeError('example request failed: <script>alert("☃")</script>');
    }
    span.addEvent('example request ok', { 'response.size': 512, cached: false });
    return { statusCode: 200 };
  } catch (error) {
    span.recordException(error);
    span.setStatus({ code: api.SpanStatusCode.ERROR, message: error.message });
    return { statusCode: 502 };
  } finally {
    span.end();
  }
}

async function route(count) {
  const router = start(tracer, 'router', {
    kind: api.SpanKind.SERVER,
    attributes: {
      'http.request.method': 'GET',
      'http.route': '/ot-gen',
      'user.id': 'Zoë Müller',
      'app.count': count,
      'app.big': Number.MAX_SAFE_INTEGER,
      'app.negative': -7,
      'app.ratio': 0.1 + 0.2,
      'app.debug': false,
      'app.tags': ['a', 'ß', '日本'],
      'app.counts': [1, 2, 3],
      'app.flags': [true, false],
      'app.empty': '',
    },
  });
  const inside = api.trace.setSpan(api.context.active(), router);
  const calls = Array.from({ length: count }, async (_, call) => {
    const egress = start(tracer, 'service-egress', {
      kind: api.SpanKind.CLIENT,
      links: call === 0 ? [] : [{ context: router.spanContext(), attributes: { 'retry.of': call - 1 } }],
    }, inside);
    const headers = { 'content-type': 'application/json' };
    api.propagation.inject(api.trace.setSpan(inside, egress), headers);
    const response = await handler(headers, call);
    egress.setAttribute('http.response.status_code', response.statusCode);
    if (response.statusCode === 200) {
      egress.addEvent('remote request ok', { response: JSON.stringify(response) });
      egress.setStatus({ code: api.SpanStatusCode.OK });
    } else {
      egress.setAttribute('error', 'true');
      egress.addEvent('remote request failed', { error: 'bad gateway' });
      egress.setStatus({ code: api.SpanStatusCode.ERROR, message: 'remote request failed' });
    }
    egress.end();
  });
  await Promise.all(calls);
  router.end();
}

route(3)
  .then(() => sdk.shutdown())
  .then(() => console.log(JSON.stringify(spans.map(describe))));

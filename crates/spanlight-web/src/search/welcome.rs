//! What an empty store shows: how to send the first span, ready to paste.

use maud::{Markup, html};

use super::Welcome;
use crate::icon;

/// A way to send the first span.
struct Recipe {
    id: &'static str,
    name: &'static str,
    steps: Vec<Step>,
}

/// One thing to paste.
struct Step {
    title: &'static str,
    text: String,
}

pub(super) fn welcome(welcome: &Welcome, now_unix_nano: i64) -> Markup {
    let Some(endpoint) = &welcome.otlp_http else {
        return closed(welcome);
    };
    let recipes = [
        curl(endpoint, now_unix_nano),
        python(endpoint),
        node(endpoint),
        environment(endpoint),
    ];
    html! {
        section.welcome {
            h1 { "No span yet" }
            p {
                "This server takes OTLP at " code { (endpoint) } " (HTTP)"
                @if let Some(grpc) = &welcome.otlp_grpc { " and " code { (grpc) } " (gRPC)" }
                ". Send the first span, then reload: it is here before the sender has its answer."
            }
            div.tabs {
                @for (index, recipe) in recipes.iter().enumerate() {
                    input.visually-hidden type="radio" name="recipe" id={ "recipe-" (recipe.id) } checked[index == 0];
                    label for={ "recipe-" (recipe.id) } { (recipe.name) }
                }
                @for recipe in &recipes {
                    div.tab .{ "tab-" (recipe.id) } {
                        @for step in &recipe.steps {
                            p.step-title { (step.title) }
                            div.snippet { pre tabindex="0" { code { (step.text) } } (icon::copy_button(&step.text, "this")) }
                        }
                    }
                }
            }
            p { a.button.button-primary href="/" { "Look again" } }
        }
    }
}

fn closed(welcome: &Welcome) -> Markup {
    html! {
        section.welcome {
            h1 { "No span yet" }
            p {
                @match &welcome.otlp_grpc {
                    Some(grpc) => { "This server takes OTLP over gRPC at " code { (grpc) } "; its HTTP listener is off." },
                    None => { "This server takes no spans: both OTLP listeners are off. Set " code { "receivers.otlp_http" } " to an address to open one." },
                }
            }
        }
    }
}

fn curl(endpoint: &str, now_unix_nano: i64) -> Recipe {
    // Random ids and the present time come from the shell, so that pasting it twice sends two traces. The clock here
    // only picks the example's order number.
    let order = now_unix_nano.rem_euclid(9_000_000_000_000) / 1_000_000_000 % 9_000 + 1_000;
    let text = format!(
        r#"trace=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
span=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
now=$(date +%s)
curl -i {endpoint}/v1/traces -H 'Content-Type: application/json' -d '{{
  "resourceSpans": [{{
    "resource": {{"attributes": [{{"key": "service.name", "value": {{"stringValue": "hello"}}}}]}},
    "scopeSpans": [{{"spans": [{{
      "traceId": "'$trace'",
      "spanId": "'$span'",
      "name": "first span",
      "kind": 2,
      "startTimeUnixNano": "'$((now - 1))'750000000",
      "endTimeUnixNano": "'$now'000000000",
      "attributes": [{{"key": "order.id", "value": {{"intValue": "{order}"}}}}]
    }}]}}]
  }}]
}}'"#
    );
    Recipe {
        id: "curl",
        name: "curl",
        steps: vec![Step {
            title: "Paste into a shell",
            text,
        }],
    }
}

fn python(endpoint: &str) -> Recipe {
    Recipe {
        id: "python",
        name: "Python",
        steps: vec![
            Step {
                title: "Install",
                text: "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
                    .to_owned(),
            },
            Step {
                title: "first_span.py",
                text: format!(
                    r#"from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({{"service.name": "hello"}}))
provider.add_span_processor(
    BatchSpanProcessor(OTLPSpanExporter(endpoint="{endpoint}/v1/traces"))
)
trace.set_tracer_provider(provider)

with trace.get_tracer("hello").start_as_current_span("first span") as span:
    span.set_attribute("order.id", 1001)

provider.shutdown()  # sends what is left
"#
                ),
            },
        ],
    }
}

fn node(endpoint: &str) -> Recipe {
    Recipe {
        id: "node",
        name: "Node",
        steps: vec![
            Step {
                title: "Install",
                text: "npm install @opentelemetry/api @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-http"
                    .to_owned(),
            },
            Step {
                title: "first-span.js",
                text: format!(
                    r#"const {{ trace }} = require("@opentelemetry/api");
const {{ NodeSDK }} = require("@opentelemetry/sdk-node");
const {{ OTLPTraceExporter }} = require("@opentelemetry/exporter-trace-otlp-http");

const sdk = new NodeSDK({{
  serviceName: "hello",
  traceExporter: new OTLPTraceExporter({{ url: "{endpoint}/v1/traces" }}),
}});
sdk.start();

trace.getTracer("hello").startActiveSpan("first span", (span) => {{
  span.setAttribute("order.id", 1001);
  span.end();
}});

sdk.shutdown(); // sends what is left
"#
                ),
            },
        ],
    }
}

fn environment(endpoint: &str) -> Recipe {
    Recipe {
        id: "environment",
        name: "Already instrumented",
        steps: vec![Step {
            title: "Every OpenTelemetry SDK reads these",
            text: format!(
                "export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\n\
                 export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n\
                 export OTEL_SERVICE_NAME=my-service"
            ),
        }],
    }
}

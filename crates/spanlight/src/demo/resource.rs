//! Who sends: the resource attributes of Lambda functions, of containers, and of functions on Kubernetes.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::draft::attribute;

/// The language that a program is written in.
#[derive(Debug, Clone, Copy)]
pub enum Language {
    /// Python 3.12.
    Python,
    /// Node.js 20.
    Node,
}

/// A Lambda function.
#[derive(Debug)]
pub struct Function {
    /// `service.name`.
    pub service: &'static str,
    /// `service.version`.
    pub version: &'static str,
    /// `faas.name`.
    pub name: &'static str,
    /// What it is written in.
    pub language: Language,
    /// The configured memory, in MB.
    pub memory_mb: i64,
    /// The median of its initialisation, in milliseconds.
    pub init_ms: f64,
}

/// A program that runs all the time.
#[derive(Debug)]
pub struct Container {
    /// `service.name`.
    pub service: &'static str,
    /// `service.version`.
    pub version: &'static str,
    /// What it is written in.
    pub language: Language,
    /// The host it runs on.
    pub host: &'static str,
}

/// A function of Fission, which are pods on Kubernetes.
#[derive(Debug)]
pub struct FissionFunction {
    /// `service.name` and `faas.name`.
    pub name: &'static str,
    /// The pod that was specialised for it.
    pub pod: &'static str,
}

/// The resource of a function's environment; `stream` is the log stream, which is how Lambda names environments.
#[must_use]
pub fn function_resource(function: &Function, stream: &str) -> Vec<KeyValue> {
    let name = function.name;
    let mut attributes = service(function.service, function.version, function.language);
    attributes.extend([
        attribute("cloud.provider", "aws"),
        attribute("cloud.platform", "aws_lambda"),
        attribute("cloud.region", "eu-west-1"),
        attribute("cloud.account.id", "123456789012"),
        attribute(
            "cloud.resource_id",
            format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}"),
        ),
        attribute("faas.name", name),
        attribute("faas.version", "$LATEST"),
        attribute("faas.instance", stream),
        attribute("faas.max_memory", function.memory_mb * 1_048_576),
    ]);
    attributes
}

/// The resource of a container.
#[must_use]
pub fn container_resource(container: &Container) -> Vec<KeyValue> {
    let mut attributes = service(container.service, container.version, container.language);
    attributes.extend([
        attribute("host.name", container.host),
        attribute("process.pid", 1_i64),
    ]);
    attributes
}

/// The resource of a function of Fission.
#[must_use]
pub fn fission_resource(function: &FissionFunction) -> Vec<KeyValue> {
    let mut attributes = service(function.name, "1.4.0", Language::Python);
    attributes.extend([
        attribute("faas.name", function.name),
        attribute("faas.instance", function.pod),
        attribute("k8s.namespace.name", "fission-function"),
        attribute("k8s.pod.name", function.pod),
    ]);
    attributes
}

fn service(name: &str, version: &str, language: Language) -> Vec<KeyValue> {
    let (sdk_language, sdk_version, runtime, runtime_version) = match language {
        Language::Python => ("python", "1.38.0", "cpython", "3.12.8"),
        Language::Node => ("nodejs", "2.1.0", "nodejs", "20.18.1"),
    };
    vec![
        attribute("service.name", name),
        attribute("service.version", version),
        attribute("deployment.environment.name", "demo"),
        attribute("telemetry.sdk.name", "opentelemetry"),
        attribute("telemetry.sdk.language", sdk_language),
        attribute("telemetry.sdk.version", sdk_version),
        attribute("process.runtime.name", runtime),
        attribute("process.runtime.version", runtime_version),
    ]
}

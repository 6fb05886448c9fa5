//! Resources and scopes as OTLP JSON: one text a distinct resource, which a dictionary makes small, and which other
//! engines can take apart.

use serde_json::{Value as Json, json};
use spanlight_model::{AnyValue, AttributeSink, ResourceRef, ScopeRef, Value};

/// A resource as OTLP's `Resource`, with the `schemaUrl` of its `ResourceSpans`.
pub(crate) fn resource_to_json(resource: &ResourceRef<'_>) -> String {
    let mut text = String::from("{");
    push_attributes(&mut text, resource.attributes());
    push_rest(
        &mut text,
        resource.dropped_attributes_count(),
        resource.schema_url(),
    );
    text
}

/// A scope as OTLP's `InstrumentationScope`, with the `schemaUrl` of its `ScopeSpans`.
pub(crate) fn scope_to_json(scope: &ScopeRef<'_>) -> String {
    let mut text = String::from("{");
    let names = [("name", scope.name()), ("version", scope.version())];
    for (key, value) in names.into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("\"{key}\":{},", Json::from(value)));
    }
    push_attributes(&mut text, scope.attributes());
    push_rest(
        &mut text,
        scope.dropped_attributes_count(),
        scope.schema_url(),
    );
    text
}

fn push_attributes<'a>(text: &mut String, attributes: impl Iterator<Item = (&'a str, Value<'a>)>) {
    text.push_str("\"attributes\":[");
    for (position, (key, value)) in attributes.enumerate() {
        if position > 0 {
            text.push(',');
        }
        // Text forms come from the builder and are sound; one that is not is kept as it is.
        let value = value.to_any().unwrap_or_else(|_| {
            let (_, _, text) = value.lanes();
            AnyValue::String(text.to_owned())
        });
        text.push_str(&format!(
            "{{\"key\":{},\"value\":{}}}",
            Json::from(key),
            value.to_json()
        ));
    }
    text.push(']');
}

fn push_rest(text: &mut String, dropped: u32, schema_url: &str) {
    if dropped > 0 {
        text.push_str(&format!(",\"droppedAttributesCount\":{dropped}"));
    }
    if !schema_url.is_empty() {
        text.push_str(&format!(",\"schemaUrl\":{}", Json::from(schema_url)));
    }
    text.push('}');
}

/// A resource or scope read back.
pub(crate) struct Parsed {
    json: Json,
}

impl Parsed {
    /// Reads what the functions above wrote.
    pub(crate) fn of(text: &str) -> Result<Self, &'static str> {
        let json: Json = serde_json::from_str(text).map_err(|_| "not JSON")?;
        if json.is_object() {
            Ok(Self { json })
        } else {
            Err("not a JSON object")
        }
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or("")
    }

    pub(crate) fn dropped_attributes_count(&self) -> u32 {
        let count = self.json["droppedAttributesCount"].as_u64().unwrap_or(0);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    pub(crate) fn push_attributes(&self, sink: &mut AttributeSink<'_>) -> Result<(), &'static str> {
        let none = json!([]);
        let attributes = self.json.get("attributes").unwrap_or(&none);
        for entry in attributes.as_array().ok_or("attributes are no array")? {
            let key = entry["key"].as_str().ok_or("attribute without key")?;
            let value = AnyValue::from_json(&entry["value"].to_string())
                .map_err(|_| "attribute of unknown type")?;
            sink.push_any(key, &value);
        }
        Ok(())
    }
}

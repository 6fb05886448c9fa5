//! The OpenAPI document against the answers.

use serde_json::Value as Json;

use crate::fixture::{Fixture, hex, now_unix_nano, order, trace_id};

/// Every address of the document is there, and answers have the fields that it requires.
#[tokio::test]
async fn the_document_is_true() {
    let server = Fixture::start().await;
    server.send(&order(1, now_unix_nano())).await;
    let document = server.get("/api/v1/openapi.json").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() {
            continue;
        }
        let path = path.replace("{id}", &hex(&trace_id(1)));
        let path = path.replace("{field}", "name");
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let schema = &methods["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let schema = schema["oneOf"].get(0).unwrap_or(schema);
        if schema.is_object() {
            conforms(&document, schema, &answer.json(), &path);
        }
    }
    let failure = server.get("/api/v1/search?q=%7B").await.json();
    let schema = &document["components"]["schemas"]["Failure"];
    conforms(&document, schema, &failure, "failure");
}

fn conforms(document: &Json, schema: &Json, value: &Json, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return conforms(
            document,
            &document["components"]["schemas"][name],
            value,
            place,
        );
    }
    let kind = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let kinds = &schema["type"];
    let allowed = kinds == kind
        || (kinds == "number" && kind == "integer")
        || kinds
            .as_array()
            .is_some_and(|kinds| kinds.contains(&kind.into()));
    assert!(allowed, "{place} is {kind}, the document says {kinds}");
    for item in value.as_array().into_iter().flatten() {
        conforms(document, &schema["items"], item, &format!("{place}[]"));
    }
    let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        let name = required.as_str().unwrap();
        assert!(object.contains_key(name), "{place} has no {name}");
    }
    for (name, value) in object {
        let schema = properties.get(name);
        let schema = schema.unwrap_or_else(|| panic!("{place}.{name} is not in the document"));
        conforms(document, schema, value, &format!("{place}.{name}"));
    }
}

//! Spans as a program has made them against spans as the server gives them back, field by field.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// The sent spans by their trace's id.
pub(super) fn by_trace(sent: &[Value]) -> Result<BTreeMap<String, Vec<Value>>> {
    let mut traces = BTreeMap::<String, Vec<Value>>::new();
    for span in sent {
        let id = span["traceId"]
            .as_str()
            .context("the program printed a span without a trace id")?;
        traces.entry(id.to_owned()).or_default().push(span.clone());
    }
    Ok(traces)
}

/// What differs between the spans that were sent and the trace (OTLP JSON) that came back; each line names the place.
pub(super) fn differences(sent: &[Value], trace: &Value) -> Result<Vec<String>> {
    let mut returned = returned_spans(trace)?;
    let mut found = Vec::new();
    for span in sent {
        let id = text(span, "spanId");
        let name = text(span, "name");
        match returned.remove(&id).as_deref() {
            Some([one]) => compare(&format!("`{name}`"), &sent_span(span), one, &mut found),
            Some(more) => found.push(format!("`{name}` came back {} times", more.len())),
            None => found.push(format!("`{name}` ({id}) did not come back")),
        }
    }
    found.extend(
        returned
            .keys()
            .map(|id| format!("span {id} was never sent")),
    );
    Ok(found)
}

/// A span as the program printed it, in the form that both sides are compared in.
fn sent_span(span: &Value) -> Value {
    let mut span = span.clone();
    if let Some(resource) = span.get_mut("resource") {
        *resource = json!({ "attributes": resource.take() });
    }
    span
}

/// The spans of a trace in OTLP JSON, by id, each with its resource and scope, in the form that both are compared in.
fn returned_spans(trace: &Value) -> Result<BTreeMap<String, Vec<Value>>> {
    let mut spans = BTreeMap::<String, Vec<Value>>::new();
    for resource_spans in list(trace, "resourceSpans") {
        for scope_spans in list(resource_spans, "scopeSpans") {
            for span in list(scope_spans, "spans") {
                let id = span["spanId"]
                    .as_str()
                    .context("a span came back without an id")?;
                let scope = &scope_spans["scope"];
                let returned = json!({
                    "traceId": span["traceId"], "spanId": span["spanId"],
                    "parentSpanId": text(span, "parentSpanId"), "traceState": text(span, "traceState"),
                    "name": span["name"], "kind": span["kind"],
                    "startTimeUnixNano": span["startTimeUnixNano"], "endTimeUnixNano": span["endTimeUnixNano"],
                    "attributes": attributes(span),
                    "events": list(span, "events").iter().map(|event| json!({
                        "name": event["name"], "timeUnixNano": event["timeUnixNano"],
                        "attributes": attributes(event),
                    })).collect::<Vec<_>>(),
                    "links": list(span, "links").iter().map(|link| json!({
                        "traceId": link["traceId"], "spanId": link["spanId"], "attributes": attributes(link),
                    })).collect::<Vec<_>>(),
                    "status": {
                        "code": span["status"]["code"].as_u64().unwrap_or(0),
                        "message": text(&span["status"], "message"),
                    },
                    "resource": { "attributes": attributes(&resource_spans["resource"]) },
                    "scope": {
                        "name": text(scope, "name"), "version": text(scope, "version"),
                        "attributes": attributes(scope),
                    },
                });
                spans.entry(id.to_owned()).or_default().push(returned);
            }
        }
    }
    Ok(spans)
}

/// Key-value pairs as an object: their order means nothing, and a key that is there twice is a difference.
fn attributes(owner: &Value) -> Value {
    let mut object = Map::new();
    for pair in list(owner, "attributes") {
        let mut key = text(pair, "key");
        while object.contains_key(&key) {
            key.push_str(" (again)");
        }
        object.insert(key, any_value(&pair["value"]));
    }
    Value::Object(object)
}

/// Protobuf's JSON may write a 64-bit integer as a number, and leave an empty list or a value that is none out.
fn any_value(value: &Value) -> Value {
    if let Some(number) = value["intValue"].as_i64() {
        return json!({ "intValue": number.to_string() });
    }
    if value.get("arrayValue").is_some() {
        let values: Vec<Value> = list(&value["arrayValue"], "values")
            .iter()
            .map(any_value)
            .collect();
        return json!({ "arrayValue": { "values": values } });
    }
    if value.get("kvlistValue").is_some() {
        let pairs = json!({ "attributes": value["kvlistValue"]["values"] });
        return json!({ "kvlistValue": { "values": attributes(&pairs) } });
    }
    if value.is_null() {
        return json!({});
    }
    value.clone()
}

/// Notes each place where the two differ.
fn compare(place: &str, sent: &Value, returned: &Value, found: &mut Vec<String>) {
    match (sent, returned) {
        (Value::Object(sent), Value::Object(returned)) => {
            for (key, value) in sent {
                compare(
                    &format!("{place}.{key}"),
                    value,
                    returned.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
            for key in returned.keys().filter(|key| !sent.contains_key(*key)) {
                found.push(format!(
                    "{place}.{key}: was not sent, came back as {}",
                    returned[key]
                ));
            }
        }
        (Value::Array(sent), Value::Array(returned)) if sent.len() == returned.len() => {
            for (index, (sent, returned)) in sent.iter().zip(returned).enumerate() {
                compare(&format!("{place}[{index}]"), sent, returned, found);
            }
        }
        // 3 and 3.0 are one double.
        _ if sent.as_f64().is_some() && sent.as_f64() == returned.as_f64() => {}
        _ if sent == returned => {}
        _ => found.push(format!("{place}: sent {sent}, came back as {returned}")),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// A string field; protobuf's JSON may leave an empty one out.
fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Value {
        json!({
            "traceId": "0af7", "spanId": "b7ad", "parentSpanId": "", "traceState": "", "name": "router", "kind": 2,
            "startTimeUnixNano": "1", "endTimeUnixNano": "2",
            "attributes": {"count": {"intValue": "3"}, "none": {"arrayValue": {"values": []}}, "whole": {"doubleValue": 3.0}},
            "events": [{"name": "ok", "timeUnixNano": "1", "attributes": {}}], "links": [],
            "status": {"code": 0, "message": ""}, "resource": {"service.name": {"stringValue": "shop"}},
            "scope": {"name": "gas", "version": "", "attributes": {}},
        })
    }

    fn returned(span: &Value) -> Value {
        json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"scope": {"name": "gas"}, "spans": [span]}],
        }]})
    }

    fn span() -> Value {
        json!({
            "traceId": "0af7", "spanId": "b7ad", "name": "router", "kind": 2, "flags": 257,
            "startTimeUnixNano": "1", "endTimeUnixNano": "2",
            "attributes": [
                {"key": "none", "value": {"arrayValue": {}}},
                {"key": "count", "value": {"intValue": 3}},
                {"key": "whole", "value": {"doubleValue": 3}},
            ],
            "events": [{"name": "ok", "timeUnixNano": "1"}],
        })
    }

    fn check(trace: &Value) -> Vec<String> {
        differences(&[sent()], trace).unwrap()
    }

    #[test]
    fn what_json_may_write_in_two_ways_is_the_same() {
        assert_eq!(check(&returned(&span())), [""; 0]);
    }

    #[test]
    fn a_difference_names_its_place() {
        let mut other = span();
        other["attributes"][1]["value"] = json!({"stringValue": "3"});
        other["events"][0]["timeUnixNano"] = json!("0");
        assert_eq!(
            check(&returned(&other)),
            [
                "`router`.attributes.count.intValue: sent \"3\", came back as null",
                "`router`.attributes.count.stringValue: was not sent, came back as \"3\"",
                "`router`.events[0].timeUnixNano: sent \"1\", came back as \"0\"",
            ]
        );
    }

    #[test]
    fn a_span_comes_back_once() {
        assert_eq!(
            check(&json!({"resourceSpans": []})),
            ["`router` (b7ad) did not come back"]
        );
        let mut twice = returned(&span());
        twice["resourceSpans"][0]["scopeSpans"][0]["spans"] = json!([span(), span()]);
        assert_eq!(check(&twice), ["`router` came back 2 times"]);
        let mut more = returned(&span());
        let mut stranger = span();
        stranger["spanId"] = json!("ffff");
        more["resourceSpans"][0]["scopeSpans"][0]["spans"] = json!([span(), stranger]);
        assert_eq!(check(&more), ["span ffff was never sent"]);
    }
}

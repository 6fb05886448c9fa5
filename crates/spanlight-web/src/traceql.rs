//! Writing TraceQL: the query that finds the spans with an attribute's value.

use std::fmt::Write as _;

use spanlight_model::AnyValue;

/// Where an attribute sits, in TraceQL's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Span,
    Resource,
    Event,
    Link,
    Instrumentation,
}

/// Longer texts are no sensible search, and no sensible address.
const TEXT_BYTES_MAX: usize = 1_000;

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
        }
    }
}

/// `{ span.key = value }`; `None` for values that TraceQL cannot name.
pub(crate) fn equals(scope: Scope, key: &str, value: &AnyValue) -> Option<String> {
    let value = literal(value)?;
    (!key.is_empty()).then(|| format!("{{ {}.{} = {value} }}", scope.as_str(), name(key)))
}

/// `{ resource.service.name = "checkout" }`.
pub(crate) fn service(service_name: &str) -> String {
    format!("{{ resource.service.name = {} }}", text(service_name))
}

/// A search for what another finds, where fields have these values; `None` where one cannot be named.
pub(crate) fn and_labels(query: &str, labels: &[(&str, Option<&AnyValue>)]) -> Option<String> {
    if labels.is_empty() {
        return Some(query.to_owned());
    }
    let conditions = labels.iter().map(|(field, value)| {
        let value = match value {
            None => "nil".to_owned(),
            Some(AnyValue::String(word)) if is_of_words(field) => {
                let is_bare = |c: char| c.is_alphanumeric() || c == '.';
                word.chars().all(is_bare).then(|| word.clone())?
            }
            Some(value) => literal(value)?,
        };
        Some(format!("{field} = {value}"))
    });
    let conditions = conditions.collect::<Option<Vec<_>>>()?.join(" && ");
    Some(format!("{query} | {{ {conditions} }}"))
}

/// Whether the values of a field are words or lengths of time of the language, which series have as text.
fn is_of_words(field: &str) -> bool {
    let name = field.strip_prefix("parent.").unwrap_or(field);
    matches!(
        name,
        "status" | "kind" | "duration" | "traceDuration" | "event:timeSinceStart"
    )
}

fn literal(value: &AnyValue) -> Option<String> {
    match value {
        AnyValue::String(value) => (value.len() <= TEXT_BYTES_MAX).then(|| text(value)),
        AnyValue::Bool(value) => Some(value.to_string()),
        AnyValue::Int(value) => Some(value.to_string()),
        // A float needs its point, or it would be an integer; `{:?}` writes it, but may write an exponent.
        AnyValue::Double(value) => value.is_finite().then(|| {
            let plain = value.to_string();
            if plain.contains('.') {
                plain
            } else {
                format!("{plain}.0")
            }
        }),
        AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::Array(_) | AnyValue::KeyValueList(_) => {
            None
        }
    }
}

/// A key after its scope's dot: bare where that is surely one name, else quoted.
fn name(key: &str) -> String {
    let mut characters = key.chars();
    let starts = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let continues = characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if starts && continues && !key.ends_with('.') && !key.contains("..") {
        key.to_owned()
    } else {
        text(key)
    }
}

/// A string literal, with Go's escapes.
fn text(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 2);
    literal.push('"');
    for character in value.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(literal, "\\u{:04x}", u32::from(control));
            }
            plain => literal.push(plain),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &AnyValue, query: &str) {
        assert_eq!(equals(Scope::Span, key, value).as_deref(), Some(query));
    }

    #[test]
    fn values_keep_their_type() {
        check("a", &AnyValue::String("x".into()), r#"{ span.a = "x" }"#);
        check("a", &AnyValue::String("5".into()), r#"{ span.a = "5" }"#);
        check("a", &AnyValue::Int(-5), "{ span.a = -5 }");
        check("a", &AnyValue::Bool(true), "{ span.a = true }");
        check("a", &AnyValue::Double(5.0), "{ span.a = 5.0 }");
        check(
            "a",
            &AnyValue::Double(0.000_001_5),
            "{ span.a = 0.0000015 }",
        );
        check(
            "a",
            &AnyValue::Double(1e21),
            "{ span.a = 1000000000000000000000.0 }",
        );
    }

    #[test]
    fn the_labels_of_a_series_narrow_its_query() {
        let text = |text: &str| AnyValue::String(text.to_owned());
        let (service, kind, code) = (text("a \"b\""), text("server"), AnyValue::Int(5));
        let labels = [
            ("resource.service.name", Some(&service)),
            ("kind", Some(&kind)),
            ("span.code", Some(&code)),
            ("span.none", None),
        ];
        assert_eq!(
            and_labels("{ }", &labels).as_deref(),
            Some(
                r#"{ } | { resource.service.name = "a \"b\"" && kind = server && span.code = 5 && span.none = nil }"#
            )
        );
        assert_eq!(and_labels("{ }", &[]).as_deref(), Some("{ }"));
        let hostile = text("ok } | rate(");
        assert_eq!(and_labels("{ }", &[("status", Some(&hostile))]), None);
        assert_eq!(
            and_labels("{ }", &[("span.a", Some(&AnyValue::Bytes(vec![1])))]),
            None
        );
    }

    #[test]
    fn texts_are_escaped() {
        check(
            "a",
            &AnyValue::String("say \"hi\"\\\n\t\u{1} é // {}".into()),
            r#"{ span.a = "say \"hi\"\\\n\t\u0001 é // {}" }"#,
        );
    }

    #[test]
    fn keys_are_quoted_where_a_bare_name_would_end() {
        let one = || AnyValue::Int(1);
        check("http.status_code", &one(), "{ span.http.status_code = 1 }");
        check("x-request-id", &one(), "{ span.x-request-id = 1 }");
        check("my key", &one(), r#"{ span."my key" = 1 }"#);
        check("5xx", &one(), r#"{ span."5xx" = 1 }"#);
        check("a\"b", &one(), r#"{ span."a\"b" = 1 }"#);
        check("käse", &one(), r#"{ span."käse" = 1 }"#);
        check("a..b", &one(), r#"{ span."a..b" = 1 }"#);
        check("a}", &one(), r#"{ span."a}" = 1 }"#);
    }

    #[test]
    fn what_has_no_literal_has_no_query() {
        let none = |value| assert_eq!(equals(Scope::Event, "a", &value), None);
        none(AnyValue::Double(f64::NAN));
        none(AnyValue::Bytes(vec![1]));
        none(AnyValue::Array(vec![]));
        none(AnyValue::Empty);
        none(AnyValue::String("x".repeat(1_001)));
        assert_eq!(equals(Scope::Span, "", &AnyValue::Int(1)), None);
    }
}

//! The search from before TraceQL: `tags` in logfmt, `minDuration`, `maxDuration`, as a TraceQL query.

use std::fmt::Write as _;

use super::PlainError;
use crate::api::Parameters;

/// The query that the parameters stand for; `None` where there are none of them.
pub(super) fn query(parameters: &Parameters) -> Result<Option<String>, PlainError> {
    let mut conditions = Vec::new();
    if let Some(tags) = parameters.get("tags") {
        for (key, value) in logfmt(tags)? {
            conditions.push(condition(&key, &value));
        }
    }
    for (name, operator) in [("minDuration", ">="), ("maxDuration", "<=")] {
        if let Some(duration) = parameters.get(name) {
            check_duration(name, duration)?;
            conditions.push(format!("traceDuration {operator} {duration}"));
        }
    }
    Ok((!conditions.is_empty()).then(|| format!("{{ {} }}", conditions.join(" && "))))
}

/// Values match where they are contained.
fn condition(key: &str, value: &str) -> String {
    let pattern = quote(&format!(".*{}.*", escape_pattern(value)));
    match key {
        "name" => format!("name =~ {pattern}"),
        "root.name" => format!("rootName =~ {pattern}"),
        "root.service.name" => format!("rootServiceName =~ {pattern}"),
        "error" if value == "true" => "status = error".to_owned(),
        "status.code" | "status" if matches!(value, "error" | "ok" | "unset") => {
            format!("status = {value}")
        }
        key => format!(".{} =~ {pattern}", quote(key)),
    }
}

fn check_duration(name: &str, text: &str) -> Result<(), PlainError> {
    let unit =
        text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let number = &text[..text.len() - unit.len()];
    if !matches!(unit, "ns" | "us" | "µs" | "ms" | "s" | "m" | "h")
        || number.parse::<f64>().is_err()
    {
        return Err(PlainError::bad(format!(
            "invalid {name}: {text:?} is no duration such as 100ms"
        )));
    }
    Ok(())
}

fn logfmt(text: &str) -> Result<Vec<(String, String)>, PlainError> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = token(rest, &['=', ' '])?;
        let (value, after) = match after.strip_prefix('=') {
            Some(after) => token(after, &[' '])?,
            None => (String::new(), after),
        };
        if key.is_empty() {
            return Err(PlainError::bad(format!("invalid tags: no key at {rest:?}")));
        }
        pairs.push((key, value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// A word up to one of the ends, or a quoted text.
fn token<'a>(text: &'a str, ends: &[char]) -> Result<(String, &'a str), PlainError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(ends).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    Err(PlainError::bad("invalid tags: a quoted text does not end"))
}

fn escape_pattern(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if character.is_ascii_punctuation() && character != '_' {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\n' => quoted.push_str("\\n"),
            // Writing to a string cannot fail.
            other => {
                let _ = write!(quoted, "{other}");
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn check(parameters: &str) -> String {
        match query(&Parameters::parse(parameters.as_bytes())) {
            Ok(query) => query.unwrap_or_else(|| "none".to_owned()),
            Err(error) => format!("error: {}", error.message),
        }
    }

    #[test]
    fn tags_become_traceql() {
        assert_snapshot!(check("q=%7B%7D"), @"none");
        assert_snapshot!(check("tags=service.name%3Dlong%20name%3DL&minDuration=5ms"), @r#"{ ."service.name" =~ ".*long.*" && name =~ ".*L.*" && traceDuration >= 5ms }"#);
        assert_snapshot!(check("tags=http.url%3D%22a%20%5C%22b%22%20error%3Dtrue&maxDuration=1.5s"), @r#"{ ."http.url" =~ ".*a \\\"b.*" && status = error && traceDuration <= 1.5s }"#);
        assert_snapshot!(check("tags=a%3D%22b"), @"error: invalid tags: a quoted text does not end");
        assert_snapshot!(check("tags=%3Db"), @r#"error: invalid tags: no key at "=b""#);
        assert_snapshot!(check("minDuration=5"), @r#"error: invalid minDuration: "5" is no duration such as 100ms"#);
    }
}

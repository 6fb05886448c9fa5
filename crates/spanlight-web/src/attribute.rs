//! Attributes as a table: values shown by their type, each with a search for it and a copy of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use spanlight_model::AnyValue;

use crate::address::SearchAddress;
use crate::icon;
use crate::trace::AttributeFacts;
use crate::traceql::{self, Scope};

/// Texts longer than this, or of more lines, are folded.
const FOLD_CHARACTERS: usize = 240;
const FOLD_LINES: usize = 4;
const SUMMARY_CHARACTERS: usize = 100;

/// The attributes of one owner.
pub(crate) fn table(scope: Scope, attributes: &[AttributeFacts]) -> Markup {
    html! {
        dl.attributes {
            @for attribute in attributes {
                div.attribute {
                    dt { (attribute.key) }
                    dd {
                        (value(&attribute.value))
                        span.attribute-tools {
                            @if let Some(query) = traceql::equals(scope, &attribute.key, &attribute.value) {
                                a.tool href=(SearchAddress::of_query(query.as_str()).href())
                                    title={ "Search for this value: " (query) } {
                                    (icon::search()) span.visually-hidden { "Search for this value" }
                                }
                            }
                            (icon::copy_button(&plain(&attribute.value), "value"))
                        }
                    }
                }
            }
        }
    }
}

/// A value as it is read; its type is a class, and for the less common types a word.
pub(crate) fn value(value: &AnyValue) -> Markup {
    match value {
        AnyValue::Empty => html! { span.value.value-empty { "no value" } },
        AnyValue::String(text) if text.is_empty() => {
            html! { span.value.value-empty { "empty text" } }
        }
        AnyValue::String(text) => long_text(text),
        AnyValue::Bool(truth) => html! { span.value.value-bool { (truth) } },
        AnyValue::Int(number) => html! { span.value.value-number { (number) } },
        AnyValue::Double(number) => html! { span.value.value-number { (double(*number)) } },
        AnyValue::Bytes(bytes) => html! {
            span.value-type { (bytes.len()) " bytes, base64" } " " (long_text(&STANDARD.encode(bytes)))
        },
        AnyValue::Array(_) | AnyValue::KeyValueList(_) => long_text(&plain(value)),
    }
}

/// A value in a few words, for rows.
pub(crate) fn short(value: &AnyValue) -> String {
    shorten(&plain(value), 60)
}

fn long_text(text: &str) -> Markup {
    let folded = text.lines().count() > FOLD_LINES || text.chars().count() > FOLD_CHARACTERS;
    html! {
        @if folded {
            details.value.value-long {
                summary { (shorten(text, SUMMARY_CHARACTERS)) }
                pre { (text) }
            }
        } @else {
            span.value.value-text { (text) }
        }
    }
}

fn shorten(text: &str, characters: usize) -> String {
    // Nested values and stack traces begin with little: their lines are joined.
    let mut short = String::new();
    for (count, word) in text.split_whitespace().enumerate() {
        if count > 0 {
            short.push(' ');
        }
        short.push_str(word);
        if short.len() > characters * 4 {
            break;
        }
    }
    match short.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &short[..end]),
        None => short,
    }
}

/// A value as text, to copy: nested ones indented, in the manner of JSON.
pub(crate) fn plain(value: &AnyValue) -> String {
    let mut text = String::new();
    write_plain(value, 0, &mut text);
    text
}

fn write_plain(value: &AnyValue, level: usize, text: &mut String) {
    match value {
        AnyValue::Empty => text.push_str("null"),
        AnyValue::String(value) if level == 0 => text.push_str(value),
        AnyValue::String(value) => text.push_str(&format!("{value:?}")),
        AnyValue::Bool(value) => text.push_str(&value.to_string()),
        AnyValue::Int(value) => text.push_str(&value.to_string()),
        AnyValue::Double(value) => text.push_str(&double(*value)),
        AnyValue::Bytes(bytes) => text.push_str(&STANDARD.encode(bytes)),
        AnyValue::Array(values) => {
            let items = values.iter().map(|value| (None, value));
            write_items(['[', ']'], items, level, text);
        }
        AnyValue::KeyValueList(entries) => {
            let items = entries
                .iter()
                .map(|(key, value)| (Some(key.as_str()), value));
            write_items(['{', '}'], items, level, text);
        }
    }
}

/// Short lists of scalars stay on one line.
fn write_items<'a>(
    [open, close]: [char; 2],
    items: impl ExactSizeIterator<Item = (Option<&'a str>, &'a AnyValue)> + Clone,
    level: usize,
    text: &mut String,
) {
    let scalar =
        |value: &AnyValue| !matches!(value, AnyValue::Array(_) | AnyValue::KeyValueList(_));
    let flat = items.len() <= 8
        && items
            .clone()
            .all(|(key, value)| key.is_none() && scalar(value));
    text.push(open);
    let count = items.len();
    for (number, (key, value)) in items.enumerate() {
        if !flat {
            text.push('\n');
            text.push_str(&"  ".repeat(level + 1));
        }
        if let Some(key) = key {
            text.push_str(&format!("{key:?}: "));
        }
        write_plain(value, level + 1, text);
        if number + 1 < count {
            text.push_str(if flat { ", " } else { "," });
        }
    }
    if !flat && count > 0 {
        text.push('\n');
        text.push_str(&"  ".repeat(level));
    }
    text.push(close);
}

fn double(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "∞" } else { "−∞" }.to_owned()
    } else if number != 0.0 && !(1e-7..1e17).contains(&number.abs()) {
        format!("{number:e}")
    } else {
        format!("{number:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_are_indented() {
        let value = AnyValue::KeyValueList(vec![
            (
                "list".into(),
                AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Double(2.0)]),
            ),
            ("empty".into(), AnyValue::Array(vec![])),
            (
                "inner".into(),
                AnyValue::KeyValueList(vec![("text".into(), AnyValue::String("a\"b".into()))]),
            ),
        ]);
        insta::assert_snapshot!(plain(&value), @r#"
        {
          "list": [1, 2.0],
          "empty": [],
          "inner": {
            "text": "a\"b"
          }
        }
        "#);
    }

    #[test]
    fn long_texts_are_folded_and_kept_whole() {
        let text = "é".repeat(500);
        let markup = value(&AnyValue::String(text.clone())).into_string();
        assert!(markup.contains("<details"));
        assert!(markup.contains(&text));
        assert!(
            !value(&AnyValue::String("short".into()))
                .into_string()
                .contains("<details")
        );
        assert_eq!(short(&AnyValue::String("one\ntwo".into())), "one two");
    }

    #[test]
    fn doubles_are_told_from_integers() {
        assert_eq!(double(5.0), "5.0");
        assert_eq!(double(1e300), "1e300");
        assert_eq!(double(f64::NAN), "NaN");
        assert_eq!(double(f64::NEG_INFINITY), "−∞");
    }
}

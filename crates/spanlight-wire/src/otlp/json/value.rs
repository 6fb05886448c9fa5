//! Attributes and their values.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use spanlight_model::{AnyValue, AttributeSink};

use super::read::{Double, Elements, Integer, List, Members, Object, Text};
use crate::otlp::notes::{Dropped, Notes};

/// A list of `KeyValue` that goes to a row.
pub(super) struct AttributeList<'x, 'n> {
    pub(super) sink: AttributeSink<'x>,
    pub(super) notes: &'x mut Notes<'n>,
    pub(super) dropped: &'x mut Dropped,
}

impl<'de> List<'de> for AttributeList<'_, '_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        if self.sink.count() >= self.notes.limits.attributes_per_span {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(false);
            }
            self.dropped.add();
            self.notes.dropped_attribute("too many attributes");
            return Ok(true);
        }
        let mut budget = Budget::of(self.notes);
        let mut entry = KeyValue::new(self.notes.limits.value_depth(), &mut budget);
        if seq.next_element_seed(Members(&mut entry))?.is_none() {
            return Ok(false);
        }
        let (key, value) = (entry.key, entry.value);
        let key = self.notes.text(&key);
        if budget.repaired {
            self.notes.invalid_text();
        }
        if let Some(problem) = budget.exceeded {
            self.dropped.add();
            self.notes.dropped_attribute_named(&key, problem);
        } else {
            self.sink.push_any(&key, &value);
        }
        Ok(true)
    }
}

/// How much of an attribute's value may still come, and whether it was too much.
struct Budget {
    elements_left: usize,
    exceeded: Option<&'static str>,
    repaired: bool,
}

impl Budget {
    fn of(notes: &Notes<'_>) -> Self {
        Self {
            elements_left: notes.limits.value_elements,
            exceeded: None,
            repaired: false,
        }
    }

    fn text(&mut self, bytes: Cow<'_, [u8]>) -> String {
        String::from_utf8(bytes.into_owned()).unwrap_or_else(|error| {
            self.repaired = true;
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        })
    }

    /// Takes one element; without one left, the rest of the value is only stepped over.
    fn take(&mut self) -> bool {
        match self.elements_left.checked_sub(1) {
            Some(left) => {
                self.elements_left = left;
                true
            }
            None => {
                self.exceeded = Some("has too many values in it");
                false
            }
        }
    }
}

struct KeyValue<'de, 'b> {
    key: Cow<'de, [u8]>,
    value: AnyValue,
    levels_left: usize,
    budget: &'b mut Budget,
}

impl<'b> KeyValue<'_, 'b> {
    fn new(levels_left: usize, budget: &'b mut Budget) -> Self {
        Self {
            key: Cow::Borrowed(b""),
            value: AnyValue::Empty,
            levels_left,
            budget,
        }
    }
}

impl<'de> Object<'de> for KeyValue<'de, '_> {
    const EXPECTED: &'static str = "an attribute of key and value";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "key" => self.key = map.next_value_seed(Text)?.unwrap_or_default(),
            "value" => {
                let mut value = Value {
                    value: AnyValue::Empty,
                    levels_left: self.levels_left,
                    budget: self.budget,
                };
                map.next_value_seed(Members(&mut value))?;
                self.value = value.value;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

struct Value<'b> {
    value: AnyValue,
    levels_left: usize,
    budget: &'b mut Budget,
}

impl<'de> Object<'de> for Value<'_> {
    const EXPECTED: &'static str = "a value such as {\"stringValue\": …}";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let value = match key {
            "stringValue" => map
                .next_value_seed(Text)?
                .map(|text| AnyValue::String(self.budget.text(text))),
            "boolValue" => map.next_value::<Option<bool>>()?.map(AnyValue::Bool),
            "intValue" => Integer::read(map, "a 64-bit integer")?.map(AnyValue::Int),
            "doubleValue" => map.next_value_seed(Double)?.map(AnyValue::Double),
            "bytesValue" => match map.next_value_seed(Text)?.map(|text| from_base64(&text)) {
                Some(Err(problem)) => {
                    self.budget.exceeded = Some(problem);
                    None
                }
                bytes => bytes.and_then(Result::ok).map(AnyValue::Bytes),
            },
            "arrayValue" | "kvlistValue" if self.levels_left == 0 => {
                self.budget.exceeded = Some("is nested too deeply");
                return Ok(false);
            }
            "arrayValue" => {
                let mut array = Array(Nested::new(self.levels_left - 1, self.budget));
                map.next_value_seed(Members(&mut array))?;
                Some(AnyValue::Array(array.0.values))
            }
            "kvlistValue" => {
                let mut list = KeyValueList(Nested::new(self.levels_left - 1, self.budget));
                map.next_value_seed(Members(&mut list))?;
                Some(AnyValue::KeyValueList(list.0.values))
            }
            _ => return Ok(false),
        };
        self.value = value.unwrap_or_default();
        Ok(true)
    }
}

/// The elements of a nested value.
struct Nested<'b, T> {
    values: Vec<T>,
    levels_left: usize,
    budget: &'b mut Budget,
}

impl<'b, T> Nested<'b, T> {
    fn new(levels_left: usize, budget: &'b mut Budget) -> Self {
        Self {
            values: Vec::new(),
            levels_left,
            budget,
        }
    }
}

struct Array<'b>(Nested<'b, AnyValue>);

impl<'de> Object<'de> for Array<'_> {
    const EXPECTED: &'static str = "an array such as {\"values\": […]}";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key == "values" {
            map.next_value_seed(Elements(self))?;
        }
        Ok(key == "values")
    }
}

impl<'de> List<'de> for Array<'_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let nested = &mut self.0;
        if nested.budget.elements_left == 0 {
            return skip_element(seq, nested.budget);
        }
        let mut value = Value {
            value: AnyValue::Empty,
            levels_left: nested.levels_left,
            budget: nested.budget,
        };
        if seq.next_element_seed(Members(&mut value))?.is_none() {
            return Ok(false);
        }
        let value = value.value;
        if nested.budget.take() {
            nested.values.push(value);
        }
        Ok(true)
    }
}

struct KeyValueList<'b>(Nested<'b, (String, AnyValue)>);

impl<'de> Object<'de> for KeyValueList<'_> {
    const EXPECTED: &'static str = "a list such as {\"values\": […]}";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key == "values" {
            map.next_value_seed(Elements(self))?;
        }
        Ok(key == "values")
    }
}

impl<'de> List<'de> for KeyValueList<'_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let nested = &mut self.0;
        if nested.budget.elements_left == 0 {
            return skip_element(seq, nested.budget);
        }
        let mut entry = KeyValue::new(nested.levels_left, nested.budget);
        if seq.next_element_seed(Members(&mut entry))?.is_none() {
            return Ok(false);
        }
        let (key, value) = (entry.key, entry.value);
        let key = nested.budget.text(key);
        if nested.budget.take() {
            nested.values.push((key, value));
        }
        Ok(true)
    }
}

fn skip_element<'de, A: SeqAccess<'de>>(
    seq: &mut A,
    budget: &mut Budget,
) -> Result<bool, A::Error> {
    let has_element = seq.next_element::<IgnoredAny>()?.is_some();
    if has_element {
        budget.take();
    }
    Ok(has_element)
}

/// Either alphabet, with padding or without, as protobuf's JSON says.
fn from_base64(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, LENIENT)
        .decode(text)
        .or_else(|_| GeneralPurpose::new(&URL_SAFE, LENIENT).decode(text))
        .map_err(|_| "has a bytesValue that is not base64")
}

//! Reading JSON member by member, without a tree: objects, lists, and the spellings that protobuf's JSON allows
//! for numbers. `null` is the same as absent everywhere.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

/// Something that takes the members of an object as they come.
pub(super) trait Object<'de> {
    /// What to say was expected, where there is something else.
    const EXPECTED: &'static str;

    /// Reads the value of a member from `map`; says whether it is a known one.
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Something that takes the elements of a list as they come.
pub(super) trait List<'de> {
    /// Reads an element from `seq`; says whether there was one.
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error>;
}

/// Fills an [`Object`].
pub(super) struct Members<'x, T>(pub(super) &'x mut T);

impl<'de, T: Object<'de>> DeserializeSeed<'de> for Members<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for Members<'_, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            if !self.0.member(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Fills a [`List`].
pub(super) struct Elements<'x, T>(pub(super) &'x mut T);

impl<'de, T: List<'de>> DeserializeSeed<'de> for Elements<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: List<'de>> Visitor<'de> for Elements<'_, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.0.element(&mut seq)? {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A member's name.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A string, as bytes: JavaScript may cut a string between the two halves of a character, and writes the half
/// that is left as an escape of its own, which is no UTF-8.
pub(super) struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Option<Cow<'de, [u8]>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Option<Cow<'de, [u8]>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(bytes.to_vec())))
    }
}

/// An integer: a number, or the string that 64-bit integers are written as. With names, an enum.
pub(super) struct Integer {
    pub(super) expected: &'static str,
    pub(super) names: &'static [&'static str],
}

impl Integer {
    /// An integer of a type that `T` has the range of.
    pub(super) fn read<'de, T, A>(
        map: &mut A,
        expected: &'static str,
    ) -> Result<Option<T>, A::Error>
    where
        T: TryFrom<i128>,
        A: MapAccess<'de>,
    {
        let seed = Self {
            expected,
            names: &[],
        };
        map.next_value_seed(seed)?
            .map(|number| {
                T::try_from(number).map_err(|_| {
                    Error::custom(format_args!(
                        "{number} is out of range, expected {expected}"
                    ))
                })
            })
            .transpose()
    }

    /// A value of an enum, by number or by name; of what is unknown, zero.
    pub(super) fn read_enum<'de, A: MapAccess<'de>>(
        map: &mut A,
        names: &'static [&'static str],
    ) -> Result<Option<i64>, A::Error> {
        let expected = "a number or a name";
        let number = map.next_value_seed(Self { expected, names })?;
        Ok(number.map(|number| i64::try_from(number).unwrap_or(0)))
    }

    fn parse<E: Error>(&self, text: &str) -> Result<i128, E> {
        if let Some(number) = self.names.iter().position(|&name| name == text) {
            return Ok(number as i128);
        }
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) if !self.names.is_empty() => Ok(0),
            Err(_) => Err(E::invalid_value(
                Unexpected::Str(&shortened(text)),
                &self.expected,
            )),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Integer {
    type Value = Option<i128>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Integer {
    type Value = Option<i128>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        if number.fract() == 0.0 && number.abs() < 1e30 {
            Ok(Some(number as i128))
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.parse(text).map(Some)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A float: a number, or a string, as which infinities and NaN are written.
pub(super) struct Double;

impl<'de> DeserializeSeed<'de> for Double {
    type Value = Option<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Double {
    type Value = Option<f64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // Reads the three names, too.
        text.parse()
            .map(Some)
            .map_err(|_| E::invalid_value(Unexpected::Str(&shortened(text)), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A text for a message, which need not repeat a megabyte.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

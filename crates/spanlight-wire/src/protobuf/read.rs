//! Reading the fields of a message in place, in the order sent.

use crate::DecodeError;

/// Groups inside one another that are skipped; nothing that is still in use nests them.
const GROUP_DEPTH_MAX: usize = 64;

/// What a decoder of protobuf returns while it is inside a body.
pub(crate) type Read<T> = Result<T, Box<Malformed>>;

/// Why and where bytes are no message.
#[derive(Debug)]
pub(crate) struct Malformed {
    problem: &'static str,
    /// The address of the byte; readers know only their part of the body.
    address: usize,
    /// The number of the field that was being read, until [`Within::of_message`] gives it a name.
    field: Option<u32>,
    /// Innermost first.
    path: Vec<String>,
}

impl Malformed {
    #[cold]
    fn new(problem: &'static str, at: &[u8]) -> Box<Self> {
        Box::new(Self {
            problem,
            address: at.as_ptr() as usize,
            field: None,
            path: Vec::new(),
        })
    }

    #[cold]
    fn of_message(mut self: Box<Self>, names: &[&str]) -> Box<Self> {
        if let Some(number) = self.field.take() {
            let name = names.get(number as usize);
            self.path
                .push(name.map_or_else(|| format!("field {number}"), |&name| name.to_owned()));
        }
        self
    }

    #[cold]
    fn within(mut self: Box<Self>, part: String) -> Box<Self> {
        self.path.push(part);
        self
    }

    /// The error for the one who sent `body`, which the bytes were a part of.
    pub(crate) fn into_error(mut self, body: &[u8]) -> DecodeError {
        self.path.reverse();
        DecodeError::Protobuf {
            problem: self.problem,
            offset: self.address.saturating_sub(body.as_ptr() as usize),
            path: if self.path.is_empty() {
                "the request".to_owned()
            } else {
                self.path.join(".")
            },
        }
    }
}

/// Adds to an error which field it happened in.
pub(crate) trait Within: Sized {
    /// In one of the fields of this message, whose names are given by their numbers.
    fn of_message(self, names: &[&str]) -> Self;
    /// In a field.
    fn within(self, field: &'static str) -> Self;
    /// In an element of a repeated field.
    fn within_element(self, field: &'static str, index: usize) -> Self;
}

// Always inlined: a call would copy the result of every field that is fine.
impl<T> Within for Read<T> {
    #[inline(always)]
    fn of_message(self, names: &[&str]) -> Self {
        match self {
            Ok(value) => Ok(value),
            Err(malformed) => Err(malformed.of_message(names)),
        }
    }

    #[inline(always)]
    fn within(self, field: &'static str) -> Self {
        match self {
            Ok(value) => Ok(value),
            Err(malformed) => Err(malformed.within(field.to_owned())),
        }
    }

    #[inline(always)]
    fn within_element(self, field: &'static str, index: usize) -> Self {
        match self {
            Ok(value) => Ok(value),
            Err(malformed) => Err(malformed.within(format!("{field}[{index}]"))),
        }
    }
}

/// A field as it was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Wire<'a>,
}

/// The value of a field, by wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field; groups, which no message here has, are passed over.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Read<Option<Field<'a>>> {
        while !self.rest.is_empty() {
            let start = self.rest;
            let (number, wire_type) = self.tag()?;
            match self.value(number, wire_type, start) {
                Ok(Some(value)) => return Ok(Some(Field { number, value })),
                Ok(None) => {}
                Err(mut malformed) => {
                    malformed.field = Some(number);
                    return Err(malformed);
                }
            }
        }
        Ok(None)
    }

    /// The value behind a tag; none for a group.
    #[inline(always)]
    fn value(&mut self, number: u32, wire_type: u8, start: &[u8]) -> Read<Option<Wire<'a>>> {
        Ok(Some(match wire_type {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(*self.fixed(start)?)),
            2 => Wire::Bytes(self.bytes(start)?),
            3 => {
                self.skip_group(number, start)?;
                return Ok(None);
            }
            5 => Wire::Fixed32(u32::from_le_bytes(*self.fixed(start)?)),
            4 => return Err(Malformed::new("end of a group that did not begin", start)),
            _ => return Err(Malformed::new("unknown wire type", start)),
        }))
    }

    #[inline]
    fn tag(&mut self) -> Read<(u32, u8)> {
        let start = self.rest;
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >= 8 => Ok((tag >> 3, (tag & 7) as u8)),
            _ => Err(Malformed::new("field number out of range", start)),
        }
    }

    #[inline]
    fn varint(&mut self) -> Read<u64> {
        match *self.rest {
            [byte, ref rest @ ..] if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte carries one bit that counts; what is beyond 64 bits is dropped, as protobuf says.
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::new(
            if self.rest.len() < 10 {
                "truncated number"
            } else {
                "number of more than ten bytes"
            },
            self.rest,
        ))
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, start: &[u8]) -> Read<&'a [u8; N]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(Malformed::new("truncated number", start)),
        }
    }

    #[inline]
    fn bytes(&mut self, start: &[u8]) -> Read<&'a [u8]> {
        let length = self.varint()?;
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        match split {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(Malformed::new("truncated message", start)),
        }
    }

    #[cold]
    fn skip_group(&mut self, number: u32, start: &[u8]) -> Read<()> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let at = self.rest;
            if at.is_empty() {
                return Err(Malformed::new("group without end", start));
            }
            let (number, wire_type) = self.tag()?;
            match wire_type {
                0 => _ = self.varint()?,
                1 => _ = self.fixed::<8>(at)?,
                2 => _ = self.bytes(at)?,
                3 if open.len() < GROUP_DEPTH_MAX => open.push(number),
                3 => return Err(Malformed::new("groups nested too deeply", at)),
                4 if number == innermost => _ = open.pop(),
                4 => return Err(Malformed::new("end of another group", at)),
                5 => _ = self.fixed::<4>(at)?,
                _ => return Err(Malformed::new("unknown wire type", at)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, String> {
        let mut reader = Reader::new(message);
        let mut fields = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(field)) => fields.push(field),
                Ok(None) => return Ok(fields),
                Err(malformed) => return Err(malformed.into_error(message).to_string()),
            }
        }
    }

    fn field(number: u32, value: Wire<'_>) -> Field<'_> {
        Field { number, value }
    }

    #[test]
    fn every_wire_type_is_read() {
        let message = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x11, 1, 0, 0, 0, 0, 0, 0, 0, // 2: fixed64 1
            0x1a, 2, b'h', b'i', // 3: "hi"
            0x25, 2, 0, 0, 0, // 4: fixed32 2
            0x82, 0x01, 0, // 16: ""
        ];
        assert_eq!(
            fields(&message),
            Ok(vec![
                field(1, Wire::Varint(150)),
                field(2, Wire::Fixed64(1)),
                field(3, Wire::Bytes(b"hi")),
                field(4, Wire::Fixed32(2)),
                field(16, Wire::Bytes(b"")),
            ])
        );
    }

    #[test]
    fn a_number_may_take_ten_bytes_and_no_more() {
        let mut message = [0xff; 11];
        message[0] = 0x08;
        message[10] = 0x01;
        assert_eq!(fields(&message), Ok(vec![field(1, Wire::Varint(u64::MAX))]));
        message[10] = 0x81;
        assert_eq!(
            fields(&[&message[..], &[1]].concat()),
            Err("number of more than ten bytes at byte 1, in the request".to_owned())
        );
    }

    #[test]
    fn groups_are_passed_over_with_all_that_is_in_them() {
        let message = [
            0x0b, // 1: group
            0x10, 1, // 2: varint
            0x1b, 0x1a, 1, 9, 0x1c, // 3: group with 3: bytes
            0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0x2d, 0, 0, 0, 0,    // 4, 5: fixed
            0x0c, // end
            0x10, 7,
        ];
        assert_eq!(fields(&message), Ok(vec![field(2, Wire::Varint(7))]));
        assert_eq!(
            fields(&message[..10]),
            Err("truncated number at byte 8, in the request".to_owned())
        );
        assert_eq!(
            fields(&[0x0b, 0x14]),
            Err("end of another group at byte 1, in the request".to_owned())
        );
        assert_eq!(
            fields(&[0x0b; 100]),
            Err("groups nested too deeply at byte 64, in the request".to_owned())
        );
        assert_eq!(
            fields(&[0x0b]),
            Err("group without end at byte 0, in the request".to_owned())
        );
        assert_eq!(
            fields(&[0x0c]),
            Err("end of a group that did not begin at byte 0, in the request".to_owned())
        );
    }

    #[test]
    fn what_is_cut_off_or_impossible_is_refused() {
        for (message, error) in [
            (&[0x0a, 5, 1][..], "truncated message at byte 0"),
            (
                &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1],
                "truncated message at byte 0",
            ),
            (&[0x80], "truncated number at byte 0"),
            (&[0x09, 1], "truncated number at byte 0"),
            (&[0x00, 1], "field number out of range at byte 0"),
            (&[0x08, 1, 0x0f], "unknown wire type at byte 2"),
            (
                &[0x80, 0x80, 0x80, 0x80, 0x10, 1],
                "field number out of range at byte 0",
            ),
        ] {
            assert_eq!(fields(message), Err(format!("{error}, in the request")));
        }
    }
}

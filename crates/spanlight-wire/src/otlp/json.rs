//! From the JSON of a trace request into columns, in one pass where members come in the usual order.
//!
//! OTLP's own rules on top of protobuf's JSON: lowerCamelCase names only, ids as hexadecimal digits, enums as
//! numbers (names are read, too), unknown members ignored. Where spans come before their resource or scope, their
//! text is put aside and read afterwards.

mod read;
mod row;
mod value;

use serde::de::{DeserializeSeed as _, Error, IgnoredAny, MapAccess, SeqAccess};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use spanlight_model::{ResourceIndex, ScopeIndex, SpanBatchBuilder};

use super::notes::Notes;
use crate::{DecodeError, DecodeLimits, Decoded};
use read::{Elements, List, Members, Object, Text};
use row::{Resource, Scope, Span};

pub(super) fn decode(
    body: &[u8],
    received_at_unix_nano: i64,
    limits: &DecodeLimits,
) -> Result<Decoded, DecodeError> {
    let mut notes = Notes::new(limits);
    let text = notes.text(body);
    let mut request = Request {
        builder: SpanBatchBuilder::new(received_at_unix_nano),
        notes,
        text_address: text.as_ptr() as usize,
        aside_error: None,
    };
    let mut deserializer = Deserializer::from_str(&text);
    let result = Members(&mut request)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    if let Err(error) = result {
        return Err(match request.aside_error.take() {
            Some((error, offset)) => json_error(&error, &text[..offset.min(text.len())]),
            None => json_error(&error, ""),
        });
    }
    Ok(Decoded {
        batch: request.builder.finish()?,
        report: request.notes.finish(),
    })
}

/// `before` is the text before the part that was read.
fn json_error(error: &serde_json::Error, before: &str) -> DecodeError {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let lines = before.matches('\n').count();
    let last_line = before.rsplit('\n').next().unwrap_or(before);
    DecodeError::Json {
        problem: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
        line: error.line() + lines,
        column: if error.line() == 1 {
            error.column() + last_line.len()
        } else {
            error.column()
        },
    }
}

/// The request, and everything that its parts are read into.
struct Request<'l> {
    builder: SpanBatchBuilder,
    notes: Notes<'l>,
    text_address: usize,
    /// An error in a text that was put aside, with the offset of that text in the body.
    aside_error: Option<(serde_json::Error, usize)>,
}

impl<'de> Object<'de> for Request<'_> {
    const EXPECTED: &'static str = "an export request such as {\"resourceSpans\": […]}";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key == "resourceSpans" {
            map.next_value_seed(Elements(&mut ResourceSpansList {
                request: self,
                index: 0,
            }))?;
        }
        Ok(key == "resourceSpans")
    }
}

/// Reads a text that was put aside. Its errors have places of their own, which the outer reader does not know.
fn read_aside<'de, E: Error>(
    list: &mut impl List<'de>,
    text: &'de RawValue,
) -> Result<(), (serde_json::Error, E)> {
    let mut deserializer = Deserializer::from_str(text.get());
    Elements(list)
        .deserialize(&mut deserializer)
        .map_err(|error| (error, E::custom("in a part that was put aside")))
}

impl Request<'_> {
    fn note_aside<E>(&mut self, text: &RawValue, (error, outer): (serde_json::Error, E)) -> E {
        // The innermost one knows best.
        let offset = text.get().as_ptr() as usize - self.text_address;
        self.aside_error.get_or_insert((error, offset));
        outer
    }
}

struct ResourceSpansList<'x, 'l> {
    request: &'x mut Request<'l>,
    index: usize,
}

impl<'de> List<'de> for ResourceSpansList<'_, '_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        self.request.notes.place.resource_spans = self.index;
        self.index += 1;
        let mut object = ResourceSpans {
            request: self.request,
            resource: None,
            schema_url: None,
            aside: None,
        };
        if seq.next_element_seed(Members(&mut object))?.is_none() {
            return Ok(false);
        }
        object.finish()?;
        Ok(true)
    }
}

struct ResourceSpans<'x, 'l, 'de> {
    request: &'x mut Request<'l>,
    resource: Option<ResourceIndex>,
    schema_url: Option<String>,
    aside: Option<&'de RawValue>,
}

impl<'de> Object<'de> for ResourceSpans<'_, '_, 'de> {
    const EXPECTED: &'static str = "a resource with its scopeSpans";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match (key, self.resource) {
            ("resource", Some(_)) => return Err(A::Error::duplicate_field("resource")),
            ("resource", None) => {
                let Request { builder, notes, .. } = &mut *self.request;
                let mut resource = Resource::new(builder.begin_resource(), notes);
                map.next_value_seed(Members(&mut resource))?;
                self.resource = Some(resource.commit());
            }
            ("scopeSpans", Some(resource)) => {
                let mut list = ScopeSpansList::new(self.request, resource);
                map.next_value_seed(Elements(&mut list))?;
            }
            ("scopeSpans", None) if self.aside.is_some() => {
                return Err(A::Error::duplicate_field("scopeSpans"));
            }
            ("scopeSpans", None) => self.aside = map.next_value()?,
            ("schemaUrl", _) => {
                let text = map.next_value_seed(Text)?;
                self.schema_url = text.map(|text| self.request.notes.text(&text).into_owned());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> ResourceSpans<'_, '_, 'de> {
    fn finish<E: Error>(self) -> Result<(), E> {
        let request = self.request;
        let mut resource = self.resource;
        if let Some(text) = self.aside {
            let resource =
                *resource.get_or_insert_with(|| request.builder.begin_resource().commit());
            read_aside(&mut ScopeSpansList::new(request, resource), text)
                .map_err(|error| request.note_aside(text, error))?;
        }
        if let (Some(resource), Some(url)) = (resource, self.schema_url) {
            request.builder.set_resource_schema_url(resource, &url);
        }
        Ok(())
    }
}

struct ScopeSpansList<'x, 'l> {
    request: &'x mut Request<'l>,
    resource: ResourceIndex,
    index: usize,
}

impl<'x, 'l> ScopeSpansList<'x, 'l> {
    fn new(request: &'x mut Request<'l>, resource: ResourceIndex) -> Self {
        Self {
            request,
            resource,
            index: 0,
        }
    }
}

impl<'de> List<'de> for ScopeSpansList<'_, '_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        self.request.notes.place.scope_spans = Some(self.index);
        self.index += 1;
        let mut object = ScopeSpans {
            request: self.request,
            resource: self.resource,
            scope: None,
            schema_url: None,
            aside: None,
        };
        let has_element = seq.next_element_seed(Members(&mut object))?.is_some();
        if has_element {
            object.finish()?;
        }
        self.request.notes.place.scope_spans = None;
        Ok(has_element)
    }
}

struct ScopeSpans<'x, 'l, 'de> {
    request: &'x mut Request<'l>,
    resource: ResourceIndex,
    scope: Option<ScopeIndex>,
    schema_url: Option<String>,
    aside: Option<&'de RawValue>,
}

impl<'de> Object<'de> for ScopeSpans<'_, '_, 'de> {
    const EXPECTED: &'static str = "a scope with its spans";

    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match (key, self.scope) {
            ("scope", Some(_)) => return Err(A::Error::duplicate_field("scope")),
            ("scope", None) => {
                let Request { builder, notes, .. } = &mut *self.request;
                let mut scope = Scope::new(builder.begin_scope(), notes);
                map.next_value_seed(Members(&mut scope))?;
                self.scope = Some(scope.commit());
            }
            ("spans", Some(scope)) => {
                let mut list = SpanList::new(self.request, self.resource, scope);
                map.next_value_seed(Elements(&mut list))?;
            }
            ("spans", None) if self.aside.is_some() => {
                return Err(A::Error::duplicate_field("spans"));
            }
            ("spans", None) => self.aside = map.next_value()?,
            ("schemaUrl", _) => {
                let text = map.next_value_seed(Text)?;
                self.schema_url = text.map(|text| self.request.notes.text(&text).into_owned());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> ScopeSpans<'_, '_, 'de> {
    fn finish<E: Error>(self) -> Result<(), E> {
        let request = self.request;
        let mut scope = self.scope;
        if let Some(text) = self.aside {
            let scope = *scope.get_or_insert_with(|| request.builder.begin_scope().commit());
            read_aside(&mut SpanList::new(request, self.resource, scope), text)
                .map_err(|error| request.note_aside(text, error))?;
        }
        if let (Some(scope), Some(url)) = (scope, self.schema_url) {
            request.builder.set_scope_schema_url(scope, &url);
        }
        Ok(())
    }
}

struct SpanList<'x, 'l> {
    request: &'x mut Request<'l>,
    resource: ResourceIndex,
    scope: ScopeIndex,
    index: usize,
}

impl<'x, 'l> SpanList<'x, 'l> {
    fn new(request: &'x mut Request<'l>, resource: ResourceIndex, scope: ScopeIndex) -> Self {
        Self {
            request,
            resource,
            scope,
            index: 0,
        }
    }
}

impl<'de> List<'de> for SpanList<'_, '_> {
    fn element<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let Request { builder, notes, .. } = &mut *self.request;
        notes.place.span = Some(self.index);
        self.index += 1;
        let has_element = if notes.is_full() {
            let has_element = seq.next_element::<IgnoredAny>()?.is_some();
            if has_element {
                notes.too_many_spans(1);
            }
            has_element
        } else {
            let row = builder.begin_span(self.resource, self.scope);
            let mut span = Span::new(row, notes);
            let has_element = seq.next_element_seed(Members(&mut span))?.is_some();
            if has_element {
                span.commit();
            }
            has_element
        };
        self.request.notes.place.span = None;
        Ok(has_element)
    }
}

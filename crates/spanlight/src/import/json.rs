//! Splits JSON where a resource's spans begin and end, by counting brackets: documents of any size pass in one go, and
//! whether they stand on lines of their own or are indented makes no difference.

use std::io::{self, BufRead as _};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::input::Input;
use super::{Flaw, Format, Item, Place, Sink, UNIT_BYTES_MAX, Unit, too_large};

/// The lists of resources: OTLP's, in both of protobuf's spellings, and that of Tempo's first API.
const LISTS: [&[u8]; 3] = [b"resourceSpans", b"resource_spans", b"batches"];
/// A line that begins like this begins a document, whatever the line before it left open.
const DOCUMENT: &[u8] = b"{\"resourceSpans\"";
const KEY_BYTES_MAX: usize = 64;
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

pub(super) fn split(input: &mut Input, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut splitter = Splitter::new(Arc::clone(&input.name));
    loop {
        let block = input.fill_buf()?;
        let length = block.len();
        if length == 0 {
            splitter.end();
        } else {
            splitter.block(block);
        }
        input.consume(length);
        for item in splitter.found.drain(..) {
            if !sink(item) {
                return Ok(());
            }
        }
        if length == 0 {
            return Ok(());
        }
    }
}

struct Splitter {
    file: Arc<str>,
    offset: u64,
    line: u64,
    line_offset: u64,
    /// Brackets that are open; the list around several documents does not count.
    depth: usize,
    in_list_of_documents: bool,
    in_string: bool,
    escaped: bool,
    /// The last text directly inside the document.
    key: Vec<u8>,
    /// Inside the document's list of resources.
    in_resources: bool,
    document: Option<Document>,
    unit: Option<Place>,
    bytes: Vec<u8>,
    /// What is no JSON lasts until the end of the line.
    skipping: bool,
    /// Bytes of this line, from its beginning, that are those of [`DOCUMENT`]; `None` when it cannot be one.
    begins: Option<usize>,
    found: Vec<Item>,
}

struct Document {
    place: Place,
    has_resources: bool,
    /// Its first key.
    first: Option<String>,
}

impl Splitter {
    fn new(file: Arc<str>) -> Self {
        Self {
            file,
            offset: 0,
            line: 1,
            line_offset: 0,
            depth: 0,
            in_list_of_documents: false,
            in_string: false,
            escaped: false,
            key: Vec::new(),
            in_resources: false,
            document: None,
            unit: None,
            bytes: Vec::new(),
            skipping: false,
            begins: None,
            found: Vec::new(),
        }
    }

    fn block(&mut self, block: &[u8]) {
        let mut unit_from = self.unit.is_some().then_some(0);
        for (at, &byte) in block.iter().enumerate() {
            let was_inside = self.unit.is_some();
            let done = self.byte(byte);
            match (was_inside, self.unit.is_some()) {
                (false, true) => unit_from = Some(at),
                (true, false) => unit_from = None,
                (true, true) if done => {
                    let from = unit_from.take().unwrap_or(0);
                    self.bytes.extend_from_slice(&block[from..=at]);
                    self.finish_unit();
                }
                _ => {}
            }
            self.offset += 1;
        }
        if let Some(from) = unit_from {
            self.bytes.extend_from_slice(&block[from..]);
            self.limit_unit();
        }
    }

    /// Whether the byte is the last of a unit.
    fn byte(&mut self, byte: u8) -> bool {
        if self.begins.is_some() {
            self.begin_again(byte);
        }
        if byte == b'\n' {
            self.next_line();
            return false;
        }
        if self.in_string {
            self.in_text(byte);
            return false;
        }
        match byte {
            _ if self.skipping => false,
            b'"' if self.depth > 0 => {
                self.in_string = true;
                if self.depth == 1 {
                    self.key.clear();
                }
                false
            }
            b'{' | b'[' => {
                self.open(byte);
                false
            }
            b'}' | b']' => self.close(byte),
            _ => {
                self.between(byte);
                false
            }
        }
    }

    fn in_text(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                if self.depth == 1 {
                    self.note_key();
                }
                return;
            }
            _ => {}
        }
        if self.depth == 1 && self.key.len() < KEY_BYTES_MAX {
            self.key.push(byte);
        }
    }

    fn note_key(&mut self) {
        if let Some(document) = &mut self.document
            && document.first.is_none()
        {
            document.first = Some(String::from_utf8_lossy(&self.key).into_owned());
        }
    }

    fn open(&mut self, byte: u8) {
        match self.depth {
            0 if byte == b'[' && !self.in_list_of_documents => {
                self.in_list_of_documents = true;
                return;
            }
            0 => {
                self.document = Some(Document {
                    place: self.place(),
                    has_resources: false,
                    first: None,
                });
                self.key.clear();
            }
            1 if byte == b'[' && LISTS.contains(&self.key.as_slice()) => {
                self.in_resources = true;
                if let Some(document) = &mut self.document {
                    document.has_resources = true;
                }
            }
            2 if byte == b'{' && self.in_resources => self.unit = Some(self.place()),
            _ => {}
        }
        self.depth += 1;
    }

    fn close(&mut self, byte: u8) -> bool {
        if self.depth == 0 {
            if byte == b']' && self.in_list_of_documents {
                self.in_list_of_documents = false;
            } else {
                self.no_json(byte);
            }
            return false;
        }
        self.depth -= 1;
        match self.depth {
            2 => return self.unit.is_some(),
            1 => self.in_resources = false,
            0 => self.finish_document(),
            _ => {}
        }
        false
    }

    fn between(&mut self, byte: u8) {
        if self.depth > 0 || byte.is_ascii_whitespace() {
            return;
        }
        let separates = byte == b',' && self.in_list_of_documents;
        let marks = self.line == 1 && BYTE_ORDER_MARK.contains(&byte);
        if !separates && !marks {
            self.no_json(byte);
        }
    }

    fn no_json(&mut self, byte: u8) {
        let problem = if byte.is_ascii_graphic() {
            format!("expected a JSON document, found `{}`", char::from(byte))
        } else {
            "expected a JSON document".to_owned()
        };
        self.flaw(self.place(), problem);
        self.skipping = true;
    }

    fn next_line(&mut self) {
        self.skipping = false;
        self.line += 1;
        self.line_offset = self.offset + 1;
        self.begins = (self.depth > 0).then_some(0);
    }

    /// A line that a crash cut off must not take those after it with it.
    fn begin_again(&mut self, byte: u8) {
        let Some(at) = self.begins.filter(|&at| DOCUMENT[at] == byte) else {
            self.begins = None;
            return;
        };
        if at + 1 < DOCUMENT.len() {
            self.begins = Some(at + 1);
            return;
        }
        self.cut_off();
        // As it would be had the line been read from its beginning, this last byte not yet.
        self.document = Some(Document {
            place: Place {
                offset: self.line_offset,
                line: Some((self.line, 1)),
                file: Arc::clone(&self.file),
            },
            has_resources: false,
            first: None,
        });
        self.depth = 1;
        self.in_string = true;
        self.key = DOCUMENT[2..DOCUMENT.len() - 1].to_vec();
    }

    fn cut_off(&mut self) {
        if let Some(document) = self.document.take() {
            self.flaw(document.place, "this document is cut off".to_owned());
        }
        self.unit = None;
        self.bytes.clear();
        self.depth = 0;
        self.in_string = false;
        self.escaped = false;
        self.in_resources = false;
        self.begins = None;
    }

    fn end(&mut self) {
        self.cut_off();
    }

    fn finish_document(&mut self) {
        let Some(document) = self.document.take() else {
            return;
        };
        if let Some(first) = document.first.filter(|_| !document.has_resources) {
            let problem = format!("this document has no resourceSpans, but {first:?}");
            self.flaw(document.place, problem);
        }
    }

    fn finish_unit(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let Some(place) = self.unit.take() else {
            return;
        };
        match count_spans(&bytes) {
            Ok(spans) => self.found.push(Item::Unit(Unit {
                format: Format::Json,
                bytes,
                spans,
                place,
            })),
            Err(error) => {
                let problem = without_place(&error);
                let place = place.within(error.line(), error.column());
                self.flaw(place, problem);
            }
        }
    }

    fn limit_unit(&mut self) {
        if self.bytes.len() > UNIT_BYTES_MAX
            && let Some(place) = self.unit.take()
        {
            self.flaw(place, too_large("a resource with its spans"));
            self.bytes = Vec::new();
        }
    }

    fn flaw(&mut self, place: Place, problem: String) {
        self.found.push(Item::Flaw(Flaw { place, problem }));
    }

    fn place(&self) -> Place {
        Place {
            file: Arc::clone(&self.file),
            offset: self.offset,
            line: Some((self.line, self.offset - self.line_offset + 1)),
        }
    }
}

impl Place {
    /// The place of a line and a column, from 1, in what begins here.
    #[must_use]
    pub fn within(self, line: usize, column: usize) -> Self {
        let line = self.line.map(|(first, begin)| match line {
            0 | 1 => (first, begin + (column as u64).saturating_sub(1)),
            later => (first + later as u64 - 1, column as u64),
        });
        Self { line, ..self }
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default, rename = "scopeSpans", alias = "scope_spans")]
    scopes: Option<Vec<Scope>>,
}

#[derive(Deserialize)]
struct Scope {
    #[serde(default)]
    spans: Option<Vec<IgnoredAny>>,
}

fn count_spans(unit: &[u8]) -> serde_json::Result<usize> {
    let resource: Resource = serde_json::from_slice(unit)?;
    let scopes = resource.scopes.unwrap_or_default();
    let spans = scopes
        .into_iter()
        .filter_map(|scope| scope.spans)
        .map(|spans| spans.len());
    Ok(spans.sum())
}

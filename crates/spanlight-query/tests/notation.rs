//! Spans as text, one a line: indentation is the tree, the rest is what the span says.
//!
//! ```text
//! trace 1                         the id; spans follow, a child deeper than its parent
//!   checkout 0+100 @shop          name, start and duration in milliseconds, service
//!     pay 10+50 @bank kind:client status:error message:"no money" .amount=5 resource.zone="eu"
//!   late 200+5 id:9 parent:7      ids where they matter; otherwise spans are numbered through the trace
//!   sent 0+1 state:"ot=th:8"      trace state
//!   log 0+1 event:exception@3{type="E" n=1} link:2/1{why="x"} scope:lib/1.0{lang="rust"}
//! ---                             what follows arrives in a later batch
//! ```

use spanlight_model::{
    AnyValue, AttributeSink, ResourceIndex, ScopeIndex, SpanBatch, SpanBatchBuilder, SpanId,
    SpanKind, SpanRow, StatusCode, TraceId,
};

/// The time that `0` of the notation stands for.
pub(crate) const EPOCH: i64 = 1_700_000_000_000_000_000;

const MILLI: f64 = 1e6;

/// The trace of a number.
pub(crate) fn trace_id(number: u128) -> TraceId {
    TraceId(number.to_be_bytes())
}

fn span_id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

/// The batches of a text.
pub(crate) fn batches(text: &str) -> Vec<SpanBatch> {
    let mut reader = Reader {
        builder: SpanBatchBuilder::new(EPOCH),
        trace: TraceId::ZERO,
        next_id: 1,
        above: Vec::new(),
        built: Vec::new(),
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        reader.line(line);
    }
    reader.close();
    reader.built
}

struct Reader {
    builder: SpanBatchBuilder,
    trace: TraceId,
    next_id: u64,
    /// Indentation and id of the spans that the next may be below.
    above: Vec<(usize, u64)>,
    built: Vec<SpanBatch>,
}

impl Reader {
    fn close(&mut self) {
        let received = EPOCH + 1 + self.built.len() as i64;
        let builder = std::mem::replace(&mut self.builder, SpanBatchBuilder::new(received));
        self.built.push(builder.finish().unwrap());
    }

    fn line(&mut self, line: &str) {
        let indent = line.len() - line.trim_start().len();
        let words = words(line.trim());
        match &words[..] {
            [dashes] if dashes == "---" => self.close(),
            [word, number] if word == "trace" => {
                self.trace = trace_id(u128::from_str_radix(number, 16).unwrap());
                self.next_id = 1;
                self.above.clear();
            }
            [name, times, details @ ..] => self.span(indent, name, times, details),
            _ => panic!("no span: {line}"),
        }
    }

    fn span(&mut self, indent: usize, name: &str, times: &str, details: &[String]) {
        self.above.retain(|&(above, _)| above < indent);
        let number = |prefix: &str| {
            let word = details.iter().find_map(|word| word.strip_prefix(prefix))?;
            Some(u64::from_str_radix(word, 16).unwrap())
        };
        let id = number("id:").unwrap_or(self.next_id);
        self.next_id += 1;
        let parent = number("parent:").or(self.above.last().map(|&(_, id)| id));
        self.above.push((indent, id));
        let resource = resource(&mut self.builder, details);
        let scope = scope(&mut self.builder, details);
        let mut span = self.builder.begin_span(resource, scope);
        span.set_trace_id(self.trace);
        span.set_span_id(span_id(id));
        span.set_parent_span_id(span_id(parent.unwrap_or(0)));
        span.set_name(unquoted(name));
        let (start, duration) = times.split_once('+').unwrap();
        let start = time(start);
        span.set_start_time_unix_nano(start);
        let length = (duration.parse::<f64>().unwrap() * MILLI) as i64;
        span.set_end_time_unix_nano(start.saturating_add_signed(length));
        for word in details {
            detail(&mut span, start, word);
        }
        span.commit().unwrap();
    }
}

fn time(millis: &str) -> u64 {
    (EPOCH + (millis.parse::<f64>().unwrap() * MILLI) as i64) as u64
}

fn resource(builder: &mut SpanBatchBuilder, details: &[String]) -> ResourceIndex {
    let mut row = builder.begin_resource();
    for word in details {
        if let Some(service) = word.strip_prefix('@') {
            let value = AnyValue::String(unquoted(service).to_owned());
            row.attributes().push_any("service.name", &value);
        } else if let Some(entry) = word.strip_prefix("resource.") {
            attribute(&mut row.attributes(), entry);
        }
    }
    row.commit()
}

fn scope(builder: &mut SpanBatchBuilder, details: &[String]) -> ScopeIndex {
    let mut row = builder.begin_scope();
    if let Some(text) = details.iter().find_map(|word| word.strip_prefix("scope:")) {
        let (head, attributes) = braces(text);
        let (name, version) = head.split_once('/').unwrap_or((head, ""));
        row.set_name(name);
        row.set_version(version);
        for entry in words(attributes) {
            attribute(&mut row.attributes(), &entry);
        }
    }
    row.commit()
}

fn detail(span: &mut SpanRow<'_>, start: u64, word: &str) {
    if let Some(entry) = word.strip_prefix('.') {
        attribute(&mut span.attributes(), entry);
    } else if let Some(kind) = word.strip_prefix("kind:") {
        let found = SpanKind::ALL.into_iter().find(|it| it.as_str() == kind);
        span.set_kind(found.unwrap());
    } else if let Some(state) = word.strip_prefix("state:") {
        span.set_trace_state(unquoted(state));
    } else if let Some(status) = word.strip_prefix("status:") {
        let found = StatusCode::ALL.into_iter().find(|it| it.as_str() == status);
        span.set_status_code(found.unwrap());
    } else if let Some(message) = word.strip_prefix("message:") {
        span.set_status_message(unquoted(message));
    } else if let Some(text) = word.strip_prefix("event:") {
        let (head, attributes) = braces(text);
        let (name, at) = head.split_once('@').unwrap();
        let mut event = span.begin_event();
        event.set_name(unquoted(name));
        let since = (at.parse::<f64>().unwrap() * MILLI) as i64;
        event.set_time_unix_nano(start.saturating_add_signed(since));
        for entry in words(attributes) {
            attribute(&mut event.attributes(), &entry);
        }
        event.commit();
    } else if let Some(text) = word.strip_prefix("link:") {
        let (head, attributes) = braces(text);
        let (trace, id) = head.split_once('/').unwrap();
        let mut link = span.begin_link();
        link.set_trace_id(trace_id(u128::from_str_radix(trace, 16).unwrap()));
        link.set_span_id(span_id(u64::from_str_radix(id, 16).unwrap()));
        for entry in words(attributes) {
            attribute(&mut link.attributes(), &entry);
        }
        link.commit();
    } else {
        let known = ["@", "resource.", "scope:", "id:", "parent:"];
        assert!(known.iter().any(|it| word.starts_with(it)), "{word}");
    }
}

fn attribute(sink: &mut AttributeSink<'_>, entry: &str) {
    let (key, value) = entry.split_once('=').unwrap();
    sink.push_any(unquoted(key), &value_of(value));
}

/// `5`, `5.0`, `NaN`, `true`, `"text"`, `null`, `bytes`, `map`, `[1,2]`.
fn value_of(text: &str) -> AnyValue {
    if let Some(list) = text.strip_prefix('[') {
        let list = list.strip_suffix(']').unwrap();
        let items = list.split(',').filter(|item| !item.is_empty());
        return AnyValue::Array(items.map(value_of).collect());
    }
    match text {
        "true" | "false" => AnyValue::Bool(text == "true"),
        "null" => AnyValue::Empty,
        "bytes" => AnyValue::Bytes(vec![1, 2]),
        "map" => AnyValue::KeyValueList(vec![("k".to_owned(), AnyValue::Int(1))]),
        _ if text.starts_with('"') => AnyValue::String(unquoted(text).to_owned()),
        _ => match text.parse() {
            Ok(number) => AnyValue::Int(number),
            Err(_) => AnyValue::Double(text.parse().unwrap()),
        },
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}

/// `head{inside}`.
fn braces(text: &str) -> (&str, &str) {
    match text.split_once('{') {
        Some((head, rest)) => (head, rest.strip_suffix('}').unwrap()),
        None => (text, ""),
    }
}

/// Splits at blanks outside quotes and braces.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut depth) = (false, 0);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth -= 1,
            _ => {}
        }
        if letter == ' ' && !quoted && depth == 0 {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(letter);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

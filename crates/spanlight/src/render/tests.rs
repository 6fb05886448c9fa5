//! What answers look like, on terminals of several widths.

use jiff::tz::TimeZone;

use super::terminal::{cut, fit, width};
use super::{Fault, Terminal, duration, fault, traces, waterfall};
use crate::answer::{Partial, SearchAnswer, TraceAnswer, TraceSpan, TraceSummary};

const START: i64 = 1_777_000_000_000_000_000;
const MS: i64 = 1_000_000;

const WIDE: Terminal = Terminal {
    width: 110,
    colour: false,
};

fn span(depth: usize, name: &str, service: &str, start_ms: i64, length_ms: i64) -> TraceSpan {
    TraceSpan {
        name: name.to_owned(),
        service_name: Some(service.to_owned()),
        start_time_unix_nano: START + start_ms * MS,
        duration_nano: length_ms * MS,
        depth,
        ..TraceSpan::default()
    }
}

fn story() -> TraceAnswer {
    let mut spans = vec![
        span(0, "publish OrderPlaced", "webshop", 0, 60),
        span(1, "Validate Event", "ebe-ingress", 10, 42),
        span(2, "PutEvents", "ebe-ingress", 20, 30),
        span(2, "Forward Event", "ebe-egress", 240, 900),
        span(3, "POST", "ebe-egress", 241, 898),
        span(2, "Forward Event", "ebe-egress", 7_300, 70),
        span(0, "注文を受け付ける", "billing", 7_310, 1),
    ];
    spans[1].cold_start = true;
    spans[3].error = true;
    spans[3].asynchronous = true;
    spans[3].status_message = "DeliveryFailed: consumer answered 503".to_owned();
    spans[5].asynchronous = true;
    spans[6].orphan = true;
    TraceAnswer {
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        start_time_unix_nano: START,
        duration_nano: 7_370 * MS,
        span_count: spans.len(),
        error_count: 1,
        spans,
        partial: Vec::new(),
    }
}

fn drawn(answer: &TraceAnswer, terminal: Terminal) -> String {
    waterfall(answer, terminal, &TimeZone::UTC)
}

#[test]
fn waterfall_on_a_wide_terminal() {
    insta::assert_snapshot!(drawn(&story(), WIDE), @r"
    webshop publish OrderPlaced
    4bf92f3577b34da6a3ce929d0e0e4736  2026-04-24 03:06:40.000 UTC · 7.37 s · 7 spans · 1 error · 1 cold start
    ■ ebe-egress 3  ■ ebe-ingress 2  ■ billing 1  ■ webshop 1

                                       0                               3.69 s                     7.37 s
    publish OrderPlaced   webshop      ▌                                                                   60.0 ms
    └╴Validate Event ❄    ebe-ingress  ▌                                                                   42.0 ms
      ├╴PutEvents         ebe-ingress  ▌                                                                   30.0 ms
      ├╴Forward Event ✗⇢  ebe-egress     ████████                                                           900 ms
      │ └╴POST            ebe-egress     ████████                                                           898 ms
      └╴Forward Event ⇢   ebe-egress                                                                   █   70.0 ms
    注文を受け付ける ?    billing                                                                      ▌   1.00 ms

    ✗ Forward Event (+240 ms): DeliveryFailed: consumer answered 503

    ✗ error   ❄ cold start   ⇢ the parent did not wait   ? parent not received
    ");
}

#[test]
fn waterfall_on_a_narrow_terminal() {
    let narrow = Terminal {
        width: 60,
        colour: false,
    };
    let text = drawn(&story(), narrow);
    let rows = text.lines().skip(4).take(8);
    assert!(rows.map(width).all(|columns| columns <= 60), "{text}");
    insta::assert_snapshot!(text, @r"
    webshop publish OrderPlaced
    4bf92f3577b34da6a3ce929d0e0e4736  2026-04-24 03:06:40.000 UTC · 7.37 s · 7 spans · 1 error · 1 cold start
    ■ ebe-egress 3  ■ ebe-ingress 2  ■ billing 1  ■ webshop 1

                                    0           7.37 s
    publish OrderPlaced  webshop    ▏                    60.0 ms
    └╴Validate Event ❄   ebe-ingr…  ▏                    42.0 ms
      ├╴PutEvents        ebe-ingr…  ▏                    30.0 ms
      ├╴Forward Eve… ✗⇢  ebe-egre…  ██▊                   900 ms
      │ └╴POST           ebe-egre…  ██▊                   898 ms
      └╴Forward Event ⇢  ebe-egre…                   █   70.0 ms
    注文を受け付ける ?   billing                     ▉   1.00 ms

    ✗ Forward Event (+240 ms): DeliveryFailed: consumer answere…

    ✗ error   ❄ cold start   ⇢ the parent did not wait   ? parent not received
    ");
}

#[test]
fn waterfall_cuts_a_huge_trace_with_a_note() {
    let mut answer = story();
    answer.spans.truncate(2);
    let text = drawn(&answer, WIDE);
    assert!(
        text.contains("… 5 spans more; --limit 7 shows all"),
        "{text}"
    );
    assert!(!text.contains("PutEvents"));
}

#[test]
fn waterfall_of_hostile_spans_keeps_the_terminal() {
    let mut answer = story();
    answer.spans[0].name = "\u{1b}[2J\u{202e}evil\n".to_owned();
    answer.spans[0].service_name = Some("\u{7}bell".to_owned());
    answer.spans[3].status_message = "\u{1b}]0;title\u{7}".to_owned();
    answer.spans[4].start_time_unix_nano = 0;
    answer.spans[5].start_time_unix_nano = i64::MAX;
    answer.spans[6].duration_nano = i64::MAX;
    answer.spans[6].depth = 5_000;
    answer.duration_nano = i64::MAX;
    let text = drawn(&answer, WIDE);
    let steers = |character: char| character.is_control() && character != '\n';
    assert!(!text.contains(steers), "{text:?}");
    assert!(!text.contains('\u{202e}'));
    assert!(
        text.contains("··evil") || text.contains("·[2J·evil·"),
        "{text}"
    );
}

#[test]
fn colours_only_where_they_are_wanted() {
    let coloured = Terminal {
        width: 110,
        colour: true,
    };
    let text = drawn(&story(), coloured);
    assert!(text.contains("\u{1b}[1;31m"));
    let mut plain = String::new();
    let mut inside = false;
    for character in text.chars() {
        match character {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            _ if !inside => plain.push(character),
            _ => {}
        }
    }
    assert_eq!(plain, drawn(&story(), WIDE));
}

#[test]
fn empty_trace_is_no_problem() {
    let answer = TraceAnswer::default();
    assert!(drawn(&answer, WIDE).contains("0 spans"));
}

fn found() -> SearchAnswer {
    let trace = |id: u128, service: Option<&str>, root: Option<&str>| TraceSummary {
        trace_id: format!("{id:032x}"),
        root_service_name: service.map(str::to_owned),
        root_name: root.map(str::to_owned),
        start_time_unix_nano: START - id as i64 * 1_000_000_000,
        duration_nano: 1_234_567 * (id as i64 + 1),
        span_count: 3 * id as usize,
        ..TraceSummary::default()
    };
    let mut answer = SearchAnswer {
        traces: vec![
            trace(1, Some("webshop"), Some("publish OrderPlaced")),
            trace(2, Some("node-service"), Some("router")),
            trace(1_000, None, None),
        ],
        ..SearchAnswer::default()
    };
    answer.traces[0].has_cold_start = true;
    answer.traces[1].error_count = 2;
    answer
}

#[test]
fn search_results_are_a_table() {
    let text = traces(&found(), WIDE, &TimeZone::UTC);
    insta::assert_snapshot!(text, @r"
    TIME            DURATION  SERVICE       ROOT                   SPANS   ERR  TRACE
    04-24 03:06:39   2.47 ms  webshop       publish OrderPlaced ❄      3     0  00000000000000000000000000000001
    04-24 03:06:38   3.70 ms  node-service  router                     6     2  00000000000000000000000000000002
    04-24 02:50:00    1.24 s  –             (root not received)     3000     0  000000000000000000000000000003e8
    3 traces
    ");
}

#[test]
fn search_results_say_when_there_are_more_or_none() {
    let mut answer = found();
    answer.next_cursor = Some("older".to_owned());
    let text = traces(&answer, WIDE, &TimeZone::UTC);
    assert!(text.ends_with("3 traces; there are older ones: --limit shows more\n"));
    let none = traces(&SearchAnswer::default(), WIDE, &TimeZone::UTC);
    assert!(none.starts_with("no trace matches"));
    let incomplete = SearchAnswer {
        partial: vec![Partial {
            message: "the search stopped".to_owned(),
        }],
        ..SearchAnswer::default()
    };
    let none_yet = traces(&incomplete, WIDE, &TimeZone::UTC);
    insta::assert_snapshot!(none_yet, @"no trace found in what was searched; there may be some in the rest");
}

#[test]
fn durations_have_three_digits() {
    let cases = [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (9_996, "10.0 µs"),
        (12_345, "12.3 µs"),
        (999_499, "999 µs"),
        (999_500, "1.00 ms"),
        (4_560_000, "4.56 ms"),
        (1_028_490_000, "1.03 s"),
        (59_949_999_999, "59.9 s"),
        (59_950_000_000, "1m 00s"),
        (123_000_000_000, "2m 03s"),
        (3_600_000_000_000, "1h 00m"),
    ];
    for (nanoseconds, text) in cases {
        assert_eq!(duration(nanoseconds), text);
    }
}

#[test]
fn text_fits_whatever_its_script() {
    assert_eq!(fit("abc", 5), "abc  ");
    assert_eq!(fit("abcdef", 5), "abcd…");
    assert_eq!(fit("こんにちは", 5), "こん…");
    assert_eq!(cut("abc", 0), "");
    assert_eq!(width(&fit("こんにちは", 6)), 6);
}

fn fault_at(query: &str, at: std::ops::Range<usize>) -> String {
    let shown = Fault {
        query,
        message: "unknown operator",
        position: Some(&at),
        ..Fault::default()
    };
    fault(shown, WIDE)
}

#[test]
fn fault_is_marked_where_it_is() {
    let query = "{ span.größe >> 3 }";
    let at = query.find(">>").unwrap();
    let shown = Fault {
        query,
        message: "spans cannot be compared here",
        position: Some(&(at..at + 2)),
        expected: &["=", ">", "<"].map(str::to_owned),
        hint: Some("did you mean >?"),
    };
    insta::assert_snapshot!(fault(shown, WIDE), @r"
    error: spans cannot be compared here
      { span.größe >> 3 }
                   ^^
    expected: =, > or <
    hint: did you mean >?
    ");
    let long = format!("{{ name = \"{}\" }} ~ {{ }}", "x".repeat(500));
    let at = long.find('~').unwrap();
    let text = fault_at(&long, at..at + 1);
    let lines: Vec<&str> = text.lines().collect();
    let mark = lines[2].find('^').unwrap();
    assert_eq!(lines[1].chars().nth(mark), Some('~'), "{text}");
}

#[test]
fn fault_stands_any_position() {
    for (start, end) in [(0, 0), (5, 2), (3, 400), (900, 901), (8, 9)] {
        let text = fault_at("{ größe\n} x", start..end);
        assert!(text.contains('^'), "{text}");
    }
    assert!(fault_at("", 0..1).contains('^'));
}

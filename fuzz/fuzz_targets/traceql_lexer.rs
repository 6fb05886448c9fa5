//! Any text as a query in an editor: its pieces are in order and leave out nothing but blanks.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut end = 0;
    for token in spanlight_traceql::tokens(text) {
        assert!(token.range.start >= end && token.range.end > token.range.start);
        assert!(is_blank(&text[end..token.range.start]));
        end = token.range.end;
    }
    if text.len() <= spanlight_traceql::TEXT_BYTES_MAX {
        assert!(is_blank(&text[end..]));
    }
});

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| " \t\r\n".contains(c))
}

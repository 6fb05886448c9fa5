//! Any text as a query: a tree whose canonical text is the same tree, or an error with its place.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match spanlight_traceql::parse(text) {
        Ok(query) => {
            let printed = query.to_string();
            assert_eq!(spanlight_traceql::parse(&printed).as_ref(), Ok(&query));
        }
        Err(error) => {
            assert!(text.get(error.position.clone()).is_some());
            assert!(error.line >= 1 && error.column >= 1 && !error.message.is_empty());
        }
    }
});

//! Words of the language in any order, so that more texts follow the grammar than random characters do and the type
//! rules are reached: a query that passes them prints and passes again, one that does not says why.
#![no_main]

use libfuzzer_sys::fuzz_target;

const WORDS: [&str; 64] = [
    "{", "}", "(", ")", "|", "&&", "||", "=", "!=", "<", ">=", "=~", "!~", "!", "-", "+", "*", "/", "%", "^",
    ">>", "!>", "&~", ",", ".a", "span.b", "resource.service.name", "event.c", "link.d", "parent.e", "name",
    "duration", "status", "kind", "rootName", "event:name", "trace:id", "nestedSetLeft", "5", "0.5", "1s",
    "\"x\"", "true", "nil", "error", "server", "count()", "avg(", "quantile(", "by(", "select(", "coalesce()",
    "order by(", "desc", "limit", "first(", "rate()", "sum_over_time(", "quantile_over_time(", "compare(",
    "topk(3)", "with(", "// c\n", "minInt",
];

fuzz_target!(|picks: &[u8]| {
    let words = picks.iter().map(|&it| WORDS[usize::from(it) % WORDS.len()]);
    let text = words.collect::<Vec<_>>().join(" ");
    match spanlight_traceql::parse(&text) {
        Ok(query) => {
            let printed = query.to_string();
            assert_eq!(spanlight_traceql::parse(&printed).as_ref(), Ok(&query));
            query.for_each_field(&mut |field| assert!(!field.to_string().is_empty()));
        }
        Err(error) => assert!(text.get(error.position).is_some() && !error.message.is_empty()),
    }
});

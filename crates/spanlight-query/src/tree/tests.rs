//! Shapes of traces, in a notation of one word a span.

use super::*;

/// A span a word: `id`, `id<parent`, then `@start`, `+duration`, `#received`, and `c`, `s`, `p` or `q` for kinds after `:`.
fn places(text: &str) -> Vec<Place> {
    text.split_whitespace().map(place).collect()
}

fn place(word: &str) -> Place {
    let field = |mark: char| {
        let rest = word.split_once(mark)?.1;
        Some(rest.split(['<', '@', '+', '#', ':']).next().unwrap())
    };
    let number = |mark: char| field(mark).map_or(0, |text| text.parse::<i64>().unwrap());
    let id = |text: &str| SpanId(text.parse::<u64>().unwrap().to_be_bytes());
    let start = number('@');
    Place {
        span_id: id(word.split(['<', '@', '+', '#', ':']).next().unwrap()),
        parent: field('<').map(id),
        start,
        end: start + number('+'),
        kind: match field(':') {
            Some("c") => SpanKind::Client,
            Some("s") => SpanKind::Server,
            Some("p") => SpanKind::Producer,
            Some("q") => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        },
        received_at: number('#'),
    }
}

/// The tree as `depth:id`, with `?` after orphans and `!` after cuts.
fn shape(text: &str, shared: SharedIds) -> String {
    let places = places(text);
    let tree = Tree::build(&places, shared);
    let words: Vec<String> = tree
        .order
        .iter()
        .map(|&at| {
            let at = at as usize;
            let id = u64::from_be_bytes(places[at].span_id.0);
            let mark = match (tree.orphans[at], tree.is_cut(at)) {
                (true, _) => "?",
                (_, true) => "!",
                _ => "",
            };
            format!("{}:{id}{mark}", tree.depths[at])
        })
        .collect();
    words.join(" ")
}

#[test]
fn siblings_and_roots_go_by_start_time() {
    assert_eq!(
        shape("3<1@9 2<1@5 1@0 4<2@6 5@3", SharedIds::Nested),
        "0:1 1:2 2:4 1:3 0:5"
    );
}

#[test]
fn an_orphan_stands_among_the_roots_at_its_time() {
    assert_eq!(
        shape("1@0 2<1@1 3<9@2 4<3@3 5@4", SharedIds::Nested),
        "0:1 1:2 0:3? 1:4 0:5"
    );
}

#[test]
fn cycles_are_cut_above_their_earliest_span() {
    assert_eq!(
        shape("1<2@5 2<1@3 3<1@6", SharedIds::Nested),
        "0:2! 1:1 2:3"
    );
    assert_eq!(shape("1<1@0 2<1@1", SharedIds::Nested), "0:1! 1:2");
    // A tail that leads into a cycle.
    assert_eq!(
        shape("4<3@0 1<3@1 2<1@2 3<2@3", SharedIds::Nested),
        "0:1! 1:2 2:3 3:4"
    );
}

#[test]
fn a_shared_id_is_a_client_and_a_server() {
    let text = "1@0 2<1@1:c 2<1@2:s 3<2@3";
    assert_eq!(shape(text, SharedIds::Nested), "0:1 1:2 2:2 3:3");
    assert_eq!(shape(text, SharedIds::AsSent), "0:1 1:2 1:2 2:3");
    assert_eq!(distinct(&places(text)), [0, 1, 2, 3]);
}

#[test]
fn the_record_received_last_stands() {
    assert_eq!(distinct(&places("1#1 1#3 1#2 2#1")), [1, 3]);
    // An early record without a kind is no third span.
    assert_eq!(distinct(&places("1#1 1:c#2 1:s#3")), [1, 2]);
    assert_eq!(distinct(&places("1:c#2 1#3")), [1]);
}

#[test]
fn counts_are_of_what_is_below() {
    let places = places("1@0 2<1@1 3<1@2 4<2@3");
    let tree = Tree::build(&places, SharedIds::Nested);
    assert_eq!(tree.child_counts, [2, 1, 0, 0]);
    assert_eq!(tree.descendant_counts, [3, 1, 0, 0]);
}

#[test]
fn a_chain_of_100_000_spans_needs_no_stack() {
    let chain: Vec<Place> = (0..100_000_u64)
        .map(|at| Place {
            parent: (at > 0).then(|| SpanId(at.to_be_bytes())),
            span_id: SpanId((at + 1).to_be_bytes()),
            ..place("1")
        })
        .collect();
    let tree = Tree::build(&chain, SharedIds::Nested);
    assert_eq!(tree.depths[99_999], 99_999);
    assert_eq!(tree.descendant_counts[0], 99_999);
}

#[test]
fn consumers_and_late_children_are_asynchronous() {
    let parent = place("1@0+10");
    assert!(!is_asynchronous(&parent, &place("2<1@10+5")));
    assert!(is_asynchronous(&parent, &place("2<1@11+5")));
    assert!(is_asynchronous(&place("1@0+10:p"), &place("2<1@5+5:q")));
    assert!(!is_asynchronous(&place("1@0+10:c"), &place("2<1@5+5:s")));
}

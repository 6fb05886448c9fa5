//! Laws that hold for any filter: what a span satisfies it satisfies under every way of asking.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::cases::{Loaded, load, request};

const SPANS: &str = r#"
trace 1
  R 0+1000 @front kind:server .a=1 resource.zone="eu"
    A 10+400 @front kind:client .a=2 .s="x" .list=["x","y"]
      A1 20+200 @mid .a=2.5 .s="y" status:error
    B 450+300 @back .a="2" .b=true event:e@1
trace 2
  O 2000+10 @o parent:77 .a=-1 .b=false .s="x"
    O1 2001+5 .a=null .list=[1,2]
trace 3
  W2 3005+10 .s="long text"
  W1 3000+10 @front .b=true resource.a=2
---
trace 1
  C 700+10 id:9 parent:1 .a=2
"#;

/// Conditions of every sort: fast and general, of the span and of the trace.
const CONDITIONS: [&str; 22] = [
    ".a = 2",
    ".a != 2",
    ".a > 1.5",
    ".a = nil",
    ".a + 1 = 3",
    ".a * .a > 3",
    ".b",
    ".s = \"x\"",
    ".s !~ \"x|y\"",
    ".list = \"x\"",
    ".list != 1",
    "resource.zone = \"eu\"",
    "resource.service.name =~ \"f.*|m.*\"",
    ".service.name != nil",
    "name < \"C\"",
    "duration >= 200ms",
    "status = error",
    "kind = server",
    "rootName = \"R\"",
    "rootName = \"\"",
    "span:childCount > 0",
    "nestedSetLeft = 2",
];

fn filters() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(&CONDITIONS[..]).prop_map(str::to_owned);
    condition.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| format!("!(({it}) = true)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) || ({b})")),
        ]
    })
}

/// The spans that a query finds, as trace and name.
async fn spans(loaded: &Loaded, query: &str) -> BTreeSet<(u8, String)> {
    let answer = loaded.engine.search(request(query)).await.unwrap();
    assert_eq!(answer.partial, []);
    let traces = answer.traces.into_iter();
    traces
        .flat_map(|trace| {
            let id = trace.trace_id.0[15];
            trace.spans.into_iter().map(move |span| (id, span.name))
        })
        .collect()
}

#[test]
fn filters_obey_the_laws_of_logic() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let loaded = runtime.block_on(load(SPANS));
    let find = |query: &str| runtime.block_on(spans(&loaded, query));
    let every = find("{ }");
    assert_eq!(every.len(), 9);
    let algorithm = RngAlgorithm::ChaCha;
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::with_cases(48),
        TestRng::deterministic_rng(algorithm),
    );
    runner
        .run(&(filters(), filters()), |(f, g)| {
            let (in_f, in_g) = (find(&format!("{{ {f} }}")), find(&format!("{{ {g} }}")));
            let neither: BTreeSet<_> = every.difference(&in_f).cloned().collect();
            prop_assert_eq!(find(&format!("{{ !(({f}) = true) }}")), neither);
            let both: BTreeSet<_> = in_f.intersection(&in_g).cloned().collect();
            prop_assert_eq!(find(&format!("{{ ({f}) && ({g}) }}")), both.clone());
            prop_assert_eq!(find(&format!("{{ {f} }} | {{ {g} }}")), both);
            let either: BTreeSet<_> = in_f.union(&in_g).cloned().collect();
            prop_assert_eq!(find(&format!("{{ ({f}) || ({g}) }}")), either.clone());
            prop_assert_eq!(find(&format!("{{ {f} }} || {{ {g} }}")), either);
            Ok(())
        })
        .unwrap();
}

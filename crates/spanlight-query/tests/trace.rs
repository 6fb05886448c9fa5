//! Traces by id.

use spanlight_query::{QueryError, QueryLimits};

use crate::cases::{load, load_with};
use crate::notation::{batches, trace_id};

#[tokio::test]
async fn a_trace_is_whole_with_all_that_its_spans_say() {
    let text = "trace 1\n  a 0+9 @front kind:server .x=[1,2] event:e@1{n=1} scope:lib/2\n---\n\
                trace 1\n  b 1+2 id:2 parent:1 @back link:5/6{l=true}";
    let loaded = load(text).await;
    let trace = loaded.engine.trace(trace_id(1)).await.unwrap().unwrap();
    assert_eq!(trace.batch.num_spans(), 2);
    let (a, b) = (trace.batch.span(0), trace.batch.span(1));
    let sent = batches(text);
    assert_eq!(a.attribute("x"), sent[0].span(0).attribute("x"));
    assert_eq!(a.events().next().unwrap().name(), "e");
    assert_eq!(a.scope().version(), "2");
    assert_eq!(b.links().next().unwrap().trace_id(), trace_id(5));
    assert_eq!(b.resource().service_name(), Some("back"));
    assert_eq!(trace.nodes[1].parent, Some(0));
}

#[tokio::test]
async fn an_unknown_trace_is_none() {
    let loaded = load("trace 1\n  a 0+1").await;
    assert!(loaded.engine.trace(trace_id(2)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_trace_beyond_the_memory_is_refused_by_name() {
    let limits = QueryLimits {
        memory_bytes: 100,
        ..QueryLimits::default()
    };
    let loaded = load_with("trace 1\n  a 0+1", limits).await;
    let error = loaded.engine.trace(trace_id(1)).await.unwrap_err();
    assert!(matches!(error, QueryError::Memory { limit_bytes: 100 }));
}

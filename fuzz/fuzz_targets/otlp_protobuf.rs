//! Any bytes as OTLP protobuf: an answer, never a panic, and what was understood survives being sent on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanlight_wire::DecodeLimits;
use spanlight_wire::otlp::{decode_protobuf, encode_protobuf};

fuzz_target!(|body: &[u8]| {
    let limits = DecodeLimits::default();
    let Ok(decoded) = decode_protobuf(body, 1, &limits) else {
        return;
    };
    let encoded = encode_protobuf(&decoded.batch);
    let again = decode_protobuf(encoded.as_ref(), 1, &limits).expect("our own bytes");
    assert_eq!(again.batch.num_spans(), decoded.batch.num_spans());
    assert_eq!(again.report.rejected_spans, 0);
});

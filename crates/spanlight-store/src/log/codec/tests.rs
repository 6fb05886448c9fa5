//! Batches survive the codec; bytes that are no batch are refused, never a panic.

use proptest::prelude::*;

use super::{decode, encode};
use crate::sample;

fn encoded(batch: &spanlight_model::SpanBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(batch, &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_batch_survives(seed in any::<u32>(), spans in 0_usize..40) {
        let batch = sample::batch(u64::from(seed), spans);
        let back = decode(&encoded(&batch)).unwrap();
        prop_assert_eq!(sample::describe(&back), sample::describe(&batch));
    }

    #[test]
    fn a_slice_survives(seed in any::<u32>(), offset in 0_usize..20, length in 0_usize..20) {
        let batch = sample::batch(u64::from(seed), 40).slice(offset, length);
        let back = decode(&encoded(&batch)).unwrap();
        prop_assert_eq!(sample::describe(&back), sample::describe(&batch));
    }

    #[test]
    fn damaged_bytes_do_not_panic(
        seed in any::<u8>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encoded(&sample::batch(u64::from(seed), 10));
        for (place, value) in flips {
            let at = place.index(bytes.len());
            bytes[at] ^= value;
        }
        if let Ok(batch) = decode(&bytes) {
            // Whatever it is now, it can be read.
            sample::describe(&batch);
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }
}

#[test]
fn truncated_bytes_are_refused() {
    let bytes = encoded(&sample::batch(1, 5));
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn one_span_is_small() {
    let bytes = encoded(&sample::batch(3, 1));
    assert!(bytes.len() < 1_200, "{} bytes", bytes.len());
}

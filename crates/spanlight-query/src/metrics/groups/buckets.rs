//! The buckets of a histogram: each ends at a power of two.

use rustc_hash::FxHashMap;
use spanlight_traceql::ast::Intrinsic;

use super::{GroupValue, UNKNOWN, Values};
use crate::metrics::measure::{Sample, sample};
use crate::predicate::{Accessor, Bound};

/// The number of the bucket of each row's value; [`UNKNOWN`] for what is no number.
pub(super) fn buckets(
    values: &mut Values,
    bound: &Bound<'_>,
    slot: usize,
    rows: &[u32],
) -> Vec<u32> {
    let is_duration = matches!(
        bound.accessor(slot),
        Accessor::Intrinsic(Intrinsic::Duration)
    );
    let (starts, ends) = (&bound.columns.start_times, &bound.columns.end_times);
    let sample = |row: usize| match is_duration {
        true => {
            let nanos = ends.value(row).saturating_sub(starts.value(row));
            Sample::Duration(nanos.max(0) as u64)
        }
        false => sample(bound, Some(slot), row),
    };
    // There are no more buckets than exponents.
    let mut known: FxHashMap<u64, u32> = FxHashMap::default();
    let mut last = (f64::NAN.to_bits(), UNKNOWN);
    let mut bucket = |row: usize| {
        let bits = bucket_of(sample(row))?.to_bits();
        if last.0 != bits {
            let code = known.entry(bits);
            let code = code.or_insert_with(|| values.number(&GroupValue::Float(bits)));
            last = (bits, *code);
        }
        Some(last.1)
    };
    rows.iter()
        .map(|&row| bucket(row as usize).unwrap_or(UNKNOWN))
        .collect()
}

/// The least power of two that is no less than the value, of durations in nanoseconds but shown in seconds; zero for
/// what is not above it.
fn bucket_of(sample: Sample) -> Option<f64> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    match sample {
        Sample::Nothing => None,
        Sample::Duration(0) => Some(0.0),
        Sample::Duration(nanos) => Some(nanos.next_power_of_two() as f64 / 1e9),
        Sample::Number(number) if number.is_nan() => None,
        Sample::Number(number) if number <= 0.0 => Some(0.0),
        Sample::Number(number) => {
            let (exponent, fraction) = (
                number.to_bits() >> FRACTION_BITS,
                number.to_bits() & ((1 << FRACTION_BITS) - 1),
            );
            // The exponent beyond the greatest is that of infinity.
            let above = exponent + u64::from(fraction > 0 && number.is_finite());
            Some(f64::from_bits(above.max(1) << FRACTION_BITS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_end_at_powers_of_two() {
        for (number, greatest) in [
            (-1.0, 0.0),
            (0.0, 0.0),
            (0.3, 0.5),
            (1.0, 1.0),
            (1.5, 2.0),
            (2.0, 2.0),
            (1_025.0, 2_048.0),
            (f64::MAX, f64::INFINITY),
            (f64::INFINITY, f64::INFINITY),
        ] {
            assert_eq!(
                bucket_of(Sample::Number(number)),
                Some(greatest),
                "{number}"
            );
        }
        assert_eq!(bucket_of(Sample::Number(f64::NAN)), None);
        assert_eq!(bucket_of(Sample::Duration(1_048_576)), Some(0.001_048_576));
        assert_eq!(bucket_of(Sample::Duration(1_048_577)), Some(0.002_097_152));
        assert_eq!(bucket_of(Sample::Duration(0)), Some(0.0));
    }
}

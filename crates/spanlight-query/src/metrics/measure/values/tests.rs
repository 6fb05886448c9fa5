//! Ranks among values that are kept, counted and sought, against those of sorted lists.

use super::*;

#[test]
fn keys_stand_in_the_order_of_their_numbers() {
    let numbers = [
        f64::NEG_INFINITY,
        -2.5,
        -0.0,
        0.0,
        1e-300,
        7.0,
        f64::INFINITY,
    ];
    let keys: Vec<u64> = numbers
        .iter()
        .map(|&number| key_of_number(number))
        .collect();
    assert!(keys.is_sorted());
    for (key, number) in keys.into_iter().zip(numbers) {
        assert_eq!(number_of_key(key).to_bits(), number.to_bits());
    }
}

#[test]
fn the_value_of_a_rank_is_that_of_the_sorted_list() {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 20
    };
    let values: Vec<u64> = (0..9_000).map(|_| next() >> (next() % 40)).collect();
    let mut sorted = values.clone();
    sorted.sort_unstable();
    let (one, two) = values.split_at(1_234);
    for rank in [0, 1, 17, 4_500, 8_998, 8_999] {
        assert_eq!(select(&[one, two], rank, 16, u64::BITS), Some(sorted[rank]));
    }
    assert_eq!(select(&[one, two], 9_000, 16, u64::BITS), None);
    let cell = |values: &[u64]| {
        let mut cell = CellValues::default();
        values
            .iter()
            .for_each(|&nanos| cell.push_duration(nanos << 12));
        cell
    };
    let cells = [&cell(one), &cell(two)];
    assert_eq!(quantile_of(&cells, 0.9), Some(sorted[8_099] << 12));
}

#[test]
fn a_value_that_stands_for_several_counts_as_often() {
    for (quantile, expected) in [(0.0, 10), (0.2, 10), (0.25, 20), (0.7, 20), (0.9, 30)] {
        let cell = || {
            let mut cell = CellValues::default();
            cell.push(Sample::Duration(10), 1.0);
            cell.push(Sample::Duration(20), 2.5);
            cell.push(Sample::Duration(30), 1.0);
            cell
        };
        let (sought, mut counted) = (cell(), cell());
        counted.condense();
        let found = counted_quantile(&[&counted], std::iter::once(&sought), quantile);
        assert_eq!(found, Some(expected), "{quantile}");
        assert_eq!(quantile_of(&[&cell()], quantile), Some(expected));
    }
}

/// Durations and numbers of all sizes.
fn samples() -> [Vec<Sample>; 2] {
    let mut state = 3_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 20) >> (state % 41)
    };
    let durations = (0..30_000).map(|_| Sample::Duration(next())).collect();
    let numbers = (0..30_000).map(|_| Sample::Number(next() as f64 - 9e5));
    [durations, numbers.collect()]
}

fn kept(samples: &[Sample]) -> CellValues {
    let mut kept = CellValues::default();
    samples.iter().for_each(|&sample| kept.push(sample, 1.0));
    kept
}

#[test]
fn values_that_were_counted_are_found_again() {
    for samples in samples() {
        let (one, two) = samples.split_at(11_234);
        let (exact, single) = (kept(one), kept(two));
        let mut counted = kept(one);
        counted.condense();
        assert!(counted.is_counted() && counted.keys().count() == 0);
        for quantile in [0.0, 0.001, 0.5, 0.9, 0.99, 1.0] {
            let parts = [&counted, &single];
            let buckets = buckets_of(parts.into_iter(), &[quantile]);
            assert!(!know(parts.into_iter(), &buckets));
            let sought = Sought::new(vec![buckets]);
            let found = one.iter().filter(|sample| sought.has(0, **sample));
            let found = kept(&found.copied().collect::<Vec<_>>());
            let count = found.keys().count();
            assert!(count < one.len() / 2, "{count} of {}", one.len());
            assert_eq!(
                counted_quantile(&parts, std::iter::once(&found), quantile),
                quantile_of(&[&exact, &single], quantile),
                "{quantile}"
            );
        }
    }
}

#[test]
fn of_many_values_those_near_the_ranks_are_kept() {
    for samples in samples() {
        for quantiles in [&[0.9][..], &[0.0], &[1.0], &[0.5, 0.9, 0.99]] {
            let (one, two) = samples.split_at(17_234);
            let focused = |samples: &[Sample]| {
                let mut cell = CellValues::default();
                for samples in samples.chunks(3_000) {
                    samples.iter().for_each(|&sample| cell.push(sample, 1.0));
                    cell.focus(quantiles);
                }
                cell
            };
            let (one, two, all) = (focused(one), focused(two), kept(&samples));
            let count = one.keys().count() + two.keys().count();
            assert!(count < 15_000, "{count} of {}", samples.len());
            let buckets = buckets_of([&one, &two].into_iter(), quantiles);
            assert!(know([&one, &two].into_iter(), &buckets));
            for &quantile in quantiles {
                assert_eq!(
                    counted_quantile(&[&one, &two], std::iter::empty(), quantile),
                    quantile_of(&[&all], quantile),
                    "{quantile}"
                );
            }
        }
    }
}

#[test]
fn values_that_come_to_be_others_are_not_taken_for_known() {
    let mut cell = CellValues::default();
    for nanos in (0..100_000_u64).map(|nanos| nanos * nanos) {
        cell.push_duration(nanos);
        cell.focus(&[0.5]);
    }
    let buckets = buckets_of(std::iter::once(&cell), &[0.5]);
    assert!(!know(std::iter::once(&cell), &buckets));
}

#[test]
fn ranks_that_lie_close_share_what_is_kept() {
    let steps: Vec<f64> = (1..20).map(|step| f64::from(step) * 0.05).collect();
    for quantiles in [&[0.99, 0.999, 0.9999][..], &steps] {
        let (mut cell, mut all) = (CellValues::default(), Vec::new());
        for count in 0..200_000_u32 {
            // Nearly all are the same.
            let number = match count % 64 {
                0 => 404.0 + f64::from(count % 97),
                1 => 500.0,
                _ => 200.0,
            };
            cell.push(Sample::Number(number), 1.0);
            all.push(number);
            if count % 1_000 == 0 {
                cell.focus(quantiles);
                let kept = cell.focus.as_ref().map_or(0, |focus| focus.kept.len());
                assert!(kept <= quantiles.len(), "{kept} after {count}");
            }
        }
        all.sort_by(f64::total_cmp);
        let buckets = buckets_of(std::iter::once(&cell), quantiles);
        assert!(know(std::iter::once(&cell), &buckets));
        for &quantile in quantiles {
            let key = match cell.is_counted() {
                true => counted_quantile(&[&cell], std::iter::empty(), quantile),
                false => quantile_of(&[&cell], quantile),
            };
            let rank = rank_of(quantile, all.len() as u64).unwrap() as usize;
            assert_eq!(key.map(number_of_key), Some(all[rank]), "{quantile}");
        }
    }
}

#[test]
fn ranges_are_joined_and_overlap_in_order() {
    let joined = joined(vec![7..=9, 0..=2, 3..=4, 8..=8, 20..=u32::MAX, 30..=40]);
    assert_eq!(joined, [0..=4, 7..=9, 20..=u32::MAX]);
    let both = overlaps(&joined, &[2..=7, 9..=9, 11..=12, 19..=20, 50..=60]);
    assert_eq!(*both, [2..=4, 7..=7, 9..=9, 20..=20, 50..=60]);
    let in_both: Vec<u32> = (0..70).filter(|bucket| contain(&both, *bucket)).collect();
    let expected: Vec<u32> = [2, 3, 4, 7, 9, 20].into_iter().chain(50..=60).collect();
    assert_eq!(in_both, expected);
}

#[test]
fn counts_take_less_memory_than_what_they_are_of() {
    let mut cell = CellValues::default();
    for count in 0..20_000_u32 {
        cell.push(Sample::Number(f64::from(count % 2)), 1.0);
    }
    cell.condense();
    assert!(cell.is_counted());
    assert!(cell.byte_size() < 4 << 10, "{}", cell.byte_size());
    // Where hardly two are in the same bucket, nothing is gained.
    let mut cell = CellValues::default();
    for count in 0..6_000 {
        let number = 1.1_f64.powi(count - 3_000);
        cell.push(Sample::Number(number), 1.0);
        let before = cell.byte_size();
        cell.focus(&[0.5]);
        assert!(cell.byte_size() <= before);
        cell.condense();
        assert!(cell.byte_size() <= before);
    }
    assert_eq!(cell.count(), 6_000);
}

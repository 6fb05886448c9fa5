//! The rows of a batch that are counted, and where each counts: its side and interval in one number.

use rustc_hash::FxHashMap;

use super::super::weights::Weights;

/// Sums that are kept in a table of all, not only of those that occur.
const DENSE_SUMS: usize = 1 << 20;

/// The rows of a batch that are counted.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Ascending.
    pub(super) rows: Vec<u32>,
    /// By position among the rows.
    places: Vec<u32>,
    /// The same; none where each row counts once.
    weights: Vec<f64>,
    /// By place: all rows.
    pub(super) sums: Vec<f64>,
}

impl Chosen {
    pub(super) fn new(
        rows: Vec<u32>,
        places: Vec<u32>,
        weights: &Weights<'_>,
        places_in_all: usize,
    ) -> Self {
        let mut chosen = Self {
            weights: match weights.are_one() {
                true => Vec::new(),
                false => rows.iter().map(|&row| weights.at(row as usize)).collect(),
            },
            rows,
            places,
            sums: Vec::new(),
        };
        let mut sums = vec![0.0; places_in_all];
        chosen
            .each()
            .for_each(|(_, place, weight)| sums[place as usize] += weight);
        chosen.sums = sums;
        chosen
    }

    pub(super) fn places_in_all(&self) -> usize {
        self.sums.len()
    }

    /// Row, place and weight of each.
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, u32, f64)> + '_ {
        let rows = self.rows.iter().zip(&self.places).enumerate();
        rows.map(|(at, (&row, &place))| {
            let weight = self.weights.get(at).copied().unwrap_or(1.0);
            (row as usize, place, weight)
        })
    }

    /// By place, the rows of each index that occurs.
    pub(super) fn sums_by(&self, indices: &[i32], count: usize) -> Vec<(usize, Vec<f64>)> {
        let places = self.places_in_all();
        if count.saturating_mul(places) > DENSE_SUMS {
            let mut sums: FxHashMap<i32, Vec<f64>> = FxHashMap::default();
            for (row, place, weight) in self.each() {
                let sums = sums.entry(indices[row]);
                sums.or_insert_with(|| vec![0.0; places])[place as usize] += weight;
            }
            let sums = sums.into_iter();
            return sums.map(|(index, sums)| (index as usize, sums)).collect();
        }
        let mut sums = vec![0.0; count * places];
        for (row, place, weight) in self.each() {
            sums[indices[row] as usize * places + place as usize] += weight;
        }
        let sums = sums.chunks(places).enumerate();
        let met = sums.filter(|(_, sums)| sums.iter().any(|sum| *sum > 0.0));
        met.map(|(index, sums)| (index, sums.to_vec())).collect()
    }
}

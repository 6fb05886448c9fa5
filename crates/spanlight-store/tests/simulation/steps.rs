//! What can happen to a store.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// A step, and where its own chances come from: leaving one out does not change the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Some clients send at once.
    Append,
    /// A client sends, and hangs up before the answer.
    AppendAndLeave,
    /// Move what is hot to the recent level.
    Seal,
    /// Move what is hot and recent to the cold tier.
    Flush,
    /// Do what is due.
    Maintain,
    /// Join the files of the table.
    Join,
    /// Queries: everything, some traces, a range of time, few columns.
    Query,
    /// Time goes on, or jumps.
    Clock,
    /// The process is stopped and started.
    Restart,
    /// After some more operations on the disk the process is killed,
    Kill,
    /// or the power goes.
    PowerCut,
    /// The disk fails at random, for some steps.
    Weather,
    /// The disk is nearly full, for some steps.
    FullDisk,
    /// All that is wrong with the disk ends.
    Repair,
    /// A flush stands still in the middle, and life goes on around it.
    SlowFlush,
    /// A bit of a file changes.
    BitFlip,
    /// Traces are deleted for good.
    Delete,
}

/// How often each happens.
const WEIGHTS: [(Kind, u32); 17] = [
    (Kind::Append, 30),
    (Kind::AppendAndLeave, 2),
    (Kind::Seal, 10),
    (Kind::Flush, 7),
    (Kind::Maintain, 10),
    (Kind::Join, 4),
    (Kind::Query, 8),
    (Kind::Clock, 6),
    (Kind::Restart, 4),
    (Kind::Kill, 5),
    (Kind::PowerCut, 8),
    (Kind::Weather, 5),
    (Kind::FullDisk, 3),
    (Kind::Repair, 7),
    (Kind::SlowFlush, 4),
    (Kind::BitFlip, 3),
    (Kind::Delete, 3),
];

pub(super) fn plan(seed: u64, steps: u64) -> Vec<Step> {
    let mut random = SmallRng::seed_from_u64(seed);
    let total: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let draw = |random: &mut SmallRng| {
        let mut left = random.random_range(0..total);
        for (kind, weight) in WEIGHTS {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Kind::Append
    };
    (0..steps)
        .map(|_| Step {
            kind: draw(&mut random),
            seed: random.random(),
        })
        .collect()
}

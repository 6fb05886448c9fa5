//! When what happens: requests arrive at random, and what their services send comes out in the order of its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::world::{Export, World};
use super::{broker, express, greeter, registration};

/// The example systems under load. The same seed, origin and rate give the same exports.
#[derive(Debug)]
pub struct Traffic {
    world: World,
    rate: f64,
    next_request: u64,
    waiting: BinaryHeap<Reverse<Waiting>>,
    count: u64,
}

#[derive(Debug)]
struct Waiting {
    due: u64,
    // Keeps the order of exports that are due at the same time.
    number: u64,
    export: Export,
}

impl Traffic {
    /// Traffic of `rate` requests a second from `start` on; both times in unix nanoseconds.
    #[must_use]
    pub fn new(world: World, rate: f64, start: u64) -> Self {
        Self {
            world,
            rate,
            next_request: start,
            waiting: BinaryHeap::new(),
            count: 0,
        }
    }

    /// What is due at `now` or was before, oldest first.
    pub fn due(&mut self, now: u64) -> Vec<Export> {
        while self.next_request <= now {
            let at = self.next_request;
            self.request(at);
            self.next_request += self.world.gap(self.rate).max(1);
        }
        let mut due = Vec::new();
        while let Some(Reverse(first)) = self.waiting.peek() {
            if first.due > now {
                break;
            }
            due.extend(self.waiting.pop().map(|Reverse(waiting)| waiting.export));
        }
        due
    }

    /// The world behind the traffic.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    fn request(&mut self, at: u64) {
        match self.world.between(0, 100) {
            0..40 => broker::play(&mut self.world, at),
            40..65 => express::play(&mut self.world, at),
            65..85 => registration::play(&mut self.world, at),
            _ => greeter::play(&mut self.world, at),
        }
        for export in self.world.take_exports() {
            self.count += 1;
            self.waiting.push(Reverse(Waiting {
                due: export.due,
                number: self.count,
                export,
            }));
        }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

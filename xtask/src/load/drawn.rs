//! What is one trace's own, drawn from the seed and its number: ids, user, total, pace and invocations.

use super::SERVICES;
use crate::random::Random;

pub(crate) const UUID_LENGTH: usize = 36;

/// How many users the shop has.
const USERS: u64 = 100_000;

/// Everything that differs between two traces of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(super) trace_id: [u8; 16],
    span_word: u64,
    /// Six digits.
    pub(super) user: [u8; 6],
    cents: u64,
    /// How slow this trace is beside others of its shape; log-normal.
    pub(crate) pace: f64,
    pub(super) invocations: [[u8; UUID_LENGTH]; SERVICES.len()],
}

impl Drawn {
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        let mut invocations = [[0; UUID_LENGTH]; SERVICES.len()];
        for (service, place) in invocations.iter_mut().enumerate() {
            *place = invocation_id(seed, number, service);
        }
        let mut random = Random::at(seed ^ 0x70, number);
        let bell: f64 = (0..6).map(|_| random.fraction()).sum::<f64>() - 3.0;
        Self {
            trace_id: trace_id(seed, number),
            span_word: span_word(seed, number),
            user: digits(user(seed, number)),
            cents: 100 + random.below(50_000),
            pace: (0.7 * bell).exp(),
            invocations,
        }
    }

    pub(super) fn span_id(&self, span: usize) -> [u8; 8] {
        numbered(self.span_word, span)
    }

    pub(crate) fn order_total(&self) -> f64 {
        self.cents as f64 / 100.0
    }
}

/// The ids of trace number `number`.
pub(crate) fn trace_id(seed: u64, number: u64) -> [u8; 16] {
    let mut random = Random::at(seed, number << 1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.next().to_be_bytes());
    id[8..].copy_from_slice(&(random.next() | 1).to_be_bytes());
    id
}

/// The id of a span of trace number `number`; never zero, and different for each span of it.
pub(crate) fn span_id(seed: u64, number: u64, span: usize) -> [u8; 8] {
    numbered(span_word(seed, number), span)
}

fn span_word(seed: u64, number: u64) -> u64 {
    Random::at(seed, (number << 1) | 1).next()
}

fn numbered(word: u64, span: usize) -> [u8; 8] {
    // All bits are drawn; adding the span's number tells the spans of one trace apart.
    let id = word.wrapping_add((span as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (id | 1 << 63).to_be_bytes()
}

/// Who ordered: the number of `user-000000`.
pub(crate) fn user(seed: u64, number: u64) -> u64 {
    Random::at(seed ^ 0x75, number).below(USERS)
}

/// The invocation of one of the functions in a trace, a UUID of version 4.
pub(crate) fn invocation_id(seed: u64, number: u64, service: usize) -> [u8; UUID_LENGTH] {
    let mut random = Random::at(seed ^ 0x69, number << 4 | service as u64);
    uuid([random.next(), random.next()])
}

fn digits(mut number: u64) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    digits
}

fn uuid(words: [u64; 2]) -> [u8; UUID_LENGTH] {
    let mut nibbles = (u128::from(words[0]) << 64) | u128::from(words[1]);
    let mut text = [b'-'; UUID_LENGTH];
    for (index, letter) in text.iter_mut().enumerate() {
        *letter = match index {
            8 | 13 | 18 | 23 => continue,
            14 => b'4',
            19 => b'8',
            _ => {
                let nibble = (nibbles & 0xf) as usize;
                nibbles >>= 4;
                b"0123456789abcdef"[nibble]
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_dashes_and_its_version() {
        assert_eq!(&uuid([1, 0xffff]), b"ffff0000-0000-4000-8010-000000000000");
    }

    #[test]
    fn a_user_has_six_digits() {
        assert_eq!(&digits(1_203), b"001203");
    }

    #[test]
    fn paces_are_around_one() {
        let mut paces: Vec<f64> = (0..1_001).map(|number| Drawn::of(1, number).pace).collect();
        paces.sort_by(f64::total_cmp);
        assert!((0.9..1.1).contains(&paces[500]), "{}", paces[500]);
        assert!(paces[990] > 2.0, "{}", paces[990]);
    }
}

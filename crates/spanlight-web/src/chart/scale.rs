//! Axes: round numbers and round times, and how values are written.

use crate::format;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Marks of an axis of values, about.
const VALUE_TICKS: f64 = 4.0;
/// Marks of an axis of times, at most.
const TIME_TICKS: i64 = 7;

/// Steps between times that people think in.
const TIME_STEPS: [i64; 19] = [
    SECOND / 1_000,
    SECOND / 100,
    SECOND / 10,
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
];

/// Steps between lengths of time beyond a second, in seconds.
const SECONDS_STEPS: [f64; 17] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
    21_600.0, 43_200.0, 86_400.0,
];

/// What values are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Counts, sizes, and whatever else is a number.
    #[default]
    Number,
    /// How many a second.
    PerSecond,
    /// Lengths of time, in seconds.
    Seconds,
}

impl Unit {
    /// A value with the digits that matter.
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Number => number(value),
            Self::PerSecond => format!("{}/s", number(value)),
            Self::Seconds => format::duration((value * 1e9).round() as i64),
        }
    }
}

/// Three digits that matter: `0.0123`, `4.56`, `12,345`.
fn number(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "−" } else { "" };
    let text = match size {
        0.0 => "0".to_owned(),
        ..0.000_1 | 1e15.. => format!("{size:.2e}"),
        ..0.01 => format!("{size:.5}"),
        ..1.0 => format!("{size:.3}"),
        ..10.0 => format!("{size:.2}"),
        ..100.0 => format!("{size:.1}"),
        _ => format::count(size.round() as u64),
    };
    let text = match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{sign}{text}")
}

/// An axis of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// From round number to round number, over all of the values and zero.
    pub(crate) fn of(values: impl Iterator<Item = f64>, unit: Unit) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((0.0_f64, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        // What does not fit a number is drawn as far as one can go.
        let (low, high) = (low.max(-1e300), high.min(1e300));
        let high = if high - low < 1e-300 { low + 1.0 } else { high };
        let step = round_step((high - low) / VALUE_TICKS, unit);
        Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    /// Where a value is, from 0 to 1.
    pub(crate) fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Marks, and where they are.
    pub(crate) fn marks(&self, unit: Unit) -> Vec<(f64, String)> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        let values = (0..=count).map(|index| self.low + self.step * index as f64);
        values
            .map(|value| {
                // Where steps add up to nothing but for rounding.
                let value = if value.abs() < self.step / 1e6 {
                    0.0
                } else {
                    value
                };
                (self.share(value), unit.text(value))
            })
            .collect()
    }
}

fn round_step(least: f64, unit: Unit) -> f64 {
    if unit == Unit::Seconds && least > 0.5 {
        let step = SECONDS_STEPS.into_iter().find(|&step| step >= least);
        return step.unwrap_or_else(|| (least / 86_400.0).ceil() * 86_400.0);
    }
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= least * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// Round times within a range, few of them.
pub(crate) fn time_ticks(start: i64, end: i64) -> Vec<i64> {
    let length = end.saturating_sub(start).max(1);
    let step = TIME_STEPS
        .into_iter()
        .find(|step| length / step <= TIME_TICKS);
    let step = step.unwrap_or_else(|| (length / TIME_TICKS / DAY + 1).saturating_mul(DAY));
    let first = start.saturating_add(step - 1).div_euclid(step);
    (first..=end.div_euclid(step))
        .map(|number| number.saturating_mul(step))
        .take(TIME_TICKS as usize + 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_the_digits_that_matter() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_34, "0.012"),
            (0.004_56, "0.00456"),
            (1.0 / 3.0, "0.333"),
            (4.56, "4.56"),
            (12.345, "12.3"),
            (1_234_567.0, "1,234,567"),
            (-4.0, "−4"),
            (1e-9, "1.00e-9"),
        ] {
            assert_eq!(Unit::Number.text(value), text, "{value}");
        }
        assert_eq!(Unit::PerSecond.text(2.5), "2.5/s");
        assert_eq!(Unit::Seconds.text(0.0123), "12.3 ms");
    }

    #[test]
    fn axes_are_round_and_hold_every_value() {
        let marks = |values: &[f64], unit| {
            let scale = Scale::of(values.iter().copied(), unit);
            for &value in values {
                let share = (value - scale.low) / (scale.high - scale.low);
                assert!((0.0..=1.0).contains(&share), "{value} of {scale:?}");
            }
            let marks = scale.marks(unit).into_iter();
            marks.map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(marks(&[3.0, 17.0], Unit::Number), "0 5 10 15 20");
        assert_eq!(marks(&[-3.0, 7.0], Unit::Number), "−5 0 5 10");
        assert_eq!(
            marks(&[0.31], Unit::PerSecond),
            "0/s 0.1/s 0.2/s 0.3/s 0.4/s"
        );
        assert_eq!(marks(&[250.0], Unit::Seconds), "0 2 min 4 min 6 min");
        assert_eq!(marks(&[0.09], Unit::Seconds), "0 50 ms 100 ms");
        assert_eq!(marks(&[], Unit::Number), "0 0.5 1");
        for values in [&[f64::MAX][..], &[f64::INFINITY], &[f64::NAN], &[5e-324]] {
            let count = Scale::of(values.iter().copied(), Unit::Number)
                .marks(Unit::Number)
                .len();
            assert!((2..=7).contains(&count), "{values:?} {count}");
        }
    }

    #[test]
    fn times_are_round_and_few() {
        assert_eq!(
            time_ticks(90 * SECOND, 8 * MINUTE),
            [2, 3, 4, 5, 6, 7, 8].map(|minute| minute * MINUTE)
        );
        for length in [1, 1_000, SECOND, HOUR, DAY, 400 * DAY, i64::MAX] {
            let ticks = time_ticks(0, length);
            assert!(ticks.len() <= 8, "{length} {}", ticks.len());
            assert!(ticks.iter().all(|tick| (0..=length).contains(tick)));
        }
        assert!(time_ticks(i64::MIN, i64::MAX).len() <= 8);
    }
}

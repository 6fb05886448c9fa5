//! The time range of a request, in whole seconds.

use std::ops::Range;
use std::time::Duration;

use super::PlainError;
use crate::api::{Parameters, parse_end, parse_start};
use crate::clock::unix_nano_now;

const SECOND: i64 = 1_000_000_000;

/// Both ends in whole seconds, both included; or neither, which means recent spans.
pub(super) fn time_range(parameters: &Parameters) -> Result<Range<i64>, PlainError> {
    let (start, end) = (seconds(parameters, "start")?, seconds(parameters, "end")?);
    match (start, end) {
        (0, 0) => Ok(recent()),
        (_, 0) | (0, _) => Err(PlainError::bad(
            "invalid time range: give both start and end, or neither",
        )),
        (start, end) if start >= end => Err(PlainError::bad(format!(
            "invalid time range: start={start} is not before end={end}"
        ))),
        // A span that starts within the last second is included: `end` was cut to whole seconds by the client.
        (start, end) => {
            Ok(start.saturating_mul(SECOND)..end.saturating_add(1).saturating_mul(SECOND) - 1)
        }
    }
}

/// The last hour, and clocks that run ahead.
pub(super) fn recent() -> Range<i64> {
    let now = unix_nano_now();
    // Neither is a text that could be wrong.
    parse_start(None, now).unwrap_or(now)..parse_end(None, now).unwrap_or(now)
}

fn seconds(parameters: &Parameters, name: &str) -> Result<i64, PlainError> {
    let Some(text) = parameters.get(name) else {
        return Ok(0);
    };
    text.parse::<u32>().map(i64::from).map_err(|_| {
        PlainError::bad(format!(
            "invalid {name}: {text:?} is no unix time in seconds"
        ))
    })
}

/// A length of time: seconds, or numbers with units as Go writes them, such as `1h30m` or `1.5s`; and days.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut sum, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let is_number = |character: char| character.is_ascii_digit() || character == '.';
        let number = rest.find(|character| !is_number(character))?;
        let (number, after) = rest.split_at(number);
        let unit = after.find(is_number).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        sum = sum.checked_add(part)?;
        rest = after;
    }
    (sum > Duration::ZERO).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_what_go_writes() {
        for (text, milliseconds) in [
            ("30", 30_000),
            ("60.5", 60_500),
            ("1e1", 10_000),
            ("30s", 30_000),
            ("1m0s", 60_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("1d", 86_400_000),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(go_duration(text), Some(expected), "{text}");
        }
        for text in ["", "s", "5x", "1h-5m", "-1", "..s", "1h30", "0s"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}

//! Times as people and programs write them.

use std::time::Duration;

use jiff::Timestamp;

/// Spans of clocks that run ahead are in "now"; see "Semantics" in `ARCHITECTURE.md`.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// What a text is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time; write unix seconds or nanoseconds, 2026-01-31T12:00:00Z, now or now-1h (units ms, s, m, h, d, w)"
)]
pub(crate) struct TimeError(String);

/// The start of a range, in unix nanoseconds; an hour ago where there is no text.
pub(crate) fn parse_start(text: Option<&str>, now: i64) -> Result<i64, TimeError> {
    parse(text.unwrap_or("now-1h"), now)
}

/// The end of a range, in unix nanoseconds. Nothing, and `now`, include clocks that run up to five minutes ahead.
pub(crate) fn parse_end(text: Option<&str>, now: i64) -> Result<i64, TimeError> {
    match text {
        None | Some("now") => Ok(now.saturating_add(AHEAD.as_nanos() as i64)),
        Some(text) => parse(text, now),
    }
}

fn parse(text: &str, now: i64) -> Result<i64, TimeError> {
    let text = text.trim();
    relative(text, now)
        .or_else(|| unix(text))
        .or_else(|| {
            let time = text.parse::<Timestamp>().ok()?;
            i64::try_from(time.as_nanosecond()).ok()
        })
        .ok_or_else(|| TimeError(text.to_owned()))
}

fn relative(text: &str, now: i64) -> Option<i64> {
    let rest = text.strip_prefix("now")?;
    if rest.is_empty() {
        return Some(now);
    }
    let (sign, amount) = rest.split_at_checked(1)?;
    let nano = duration_nano(amount)?;
    match sign {
        "-" => Some(now.saturating_sub(nano)),
        "+" | " " => Some(now.saturating_add(nano)),
        _ => None,
    }
}

/// A length of time: seconds, or a number and a unit.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let nano = duration_nano(text)?;
    u64::try_from(nano).ok().map(Duration::from_nanos)
}

fn duration_nano(text: &str) -> Option<i64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let scale: i64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(scale)
}

/// Unix time in the unit that its size tells: seconds until the year 5138, milliseconds and microseconds from 1973.
fn unix(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    let scale = match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let part = match fraction {
        "" => 0,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let share: f64 = format!("0.{digits}").parse().ok()?;
            (share * scale as f64) as i64
        }
        _ => return None,
    };
    number.checked_mul(scale)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;

    #[test]
    fn every_spelling_of_a_time_is_read() {
        for (text, expected) in [
            ("now", NOW),
            ("now-1h", NOW - 3_600_000_000_000),
            ("now-90m", NOW - 5_400_000_000_000),
            ("now+250ms", NOW + 250_000_000),
            ("1800000000", NOW),
            ("1800000000.5", NOW + 500_000_000),
            ("1800000000000", NOW),
            ("1800000000000000", NOW),
            ("1800000000000000001", NOW + 1),
            ("0", 0),
            ("2027-01-15T08:00:00Z", NOW),
            ("2027-01-15T09:00:00+01:00", NOW),
        ] {
            assert_eq!(parse(text, NOW), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "soon",
            "now-",
            "now-1",
            "now-1y",
            "now*2h",
            "1.2.3",
            "1e9",
            "2027-01-15",
            "-",
            "now-é",
        ] {
            assert!(parse(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn the_present_includes_clocks_that_run_ahead() {
        assert_eq!(parse_end(None, NOW), parse_end(Some("now"), NOW));
        assert_eq!(parse_end(None, NOW), Ok(NOW + 300_000_000_000));
        assert_eq!(parse_end(Some("now-1m"), NOW), Ok(NOW - 60_000_000_000));
    }
}

//! Numbers, durations and times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const UNITS: [(&str, i64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// A duration with three significant digits: `1.23 ms`, `45 µs`, `2 min 5 s`.
pub(crate) fn duration(nano: i64) -> String {
    if nano < 0 {
        return match nano.checked_neg() {
            Some(positive) => format!("−{}", duration(positive)),
            None => "−∞".to_owned(),
        };
    }
    if nano == 0 {
        return "0".to_owned();
    }
    // Rounding can carry into the next unit (999.9 µs is 1 ms), so each unit begins where its rounding does.
    let position = UNITS
        .iter()
        .position(|&(_, size)| nano >= size - size / 2_000)
        .unwrap_or(UNITS.len() - 1);
    let (name, size) = UNITS[position];
    if position < 3 {
        let (small_name, small) = UNITS[position + 1];
        let rounded = nano.saturating_add(small / 2) / small * small;
        let (large, rest) = (rounded / size, rounded % size / small);
        return if rest == 0 {
            format!("{large} {name}")
        } else {
            format!("{large} {name} {rest} {small_name}")
        };
    }
    let value = nano as f64 / size as f64;
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{} {name}", trim_zeros(&format!("{value:.decimals$}")))
}

/// A time on a ruler that ends at `end` and has a tick each `step`: every tick in the same unit, with the same decimals.
pub(crate) fn ruler_time(nano: i64, end: i64, step: i64) -> String {
    if nano == 0 {
        return "0".to_owned();
    }
    // Minutes and up are not written with decimals.
    let (name, size) = UNITS
        .into_iter()
        .find(|&(_, size)| size <= end && (size <= 1_000_000_000 || step % size == 0))
        .unwrap_or(("ns", 1));
    let mut decimals = 0;
    let mut smallest = size;
    while step % smallest != 0 && decimals < 9 {
        smallest = (smallest / 10).max(1);
        decimals += 1;
    }
    if decimals == 0 {
        format!("{} {name}", count((nano / size).unsigned_abs()))
    } else {
        format!("{:.decimals$} {name}", nano as f64 / size as f64)
    }
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A count with thousands separated: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 span`, `1,234 spans`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// A size: `4.2 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1023.95 {
            let decimals = usize::from(unit != "B" && value < 99.95);
            return format!("{} {unit}", trim_zeros(&format!("{value:.decimals$}")));
        }
        value /= 1024.0;
    }
    format!("{} TiB", trim_zeros(&format!("{value:.1}")))
}

/// A fraction as an SVG length: `12.345%`.
pub(crate) fn percent(fraction: f64) -> String {
    let text = format!("{:.3}", fraction * 100.0);
    format!("{}%", trim_zeros(&text))
}

/// A time in RFC 3339, UTC, with milliseconds, for machines: `2026-01-02T03:04:05.678Z`.
pub(crate) fn rfc3339(unix_nano: i64) -> String {
    timestamp(unix_nano)
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

/// A time in UTC, for people: `2026-01-02 03:04:05.678 UTC`.
pub(crate) fn utc(unix_nano: i64) -> String {
    timestamp(unix_nano)
        .strftime("%Y-%m-%d %H:%M:%S%.3f UTC")
        .to_string()
}

/// A time on an axis that spans `span_nano`: the date only where days matter.
pub(crate) fn axis_time(unix_nano: i64, span_nano: i64) -> String {
    let time = timestamp(unix_nano).to_zoned(TimeZone::UTC);
    let pattern = if span_nano >= 2 * 86_400_000_000_000 {
        "%m-%d %H:%M"
    } else if span_nano >= 600_000_000_000 {
        "%H:%M"
    } else if span_nano >= 5_000_000_000 {
        "%H:%M:%S"
    } else {
        "%H:%M:%S%.3f"
    };
    time.strftime(pattern).to_string()
}

/// How long ago, or how far ahead, in one unit: `just now`, `3 min ago`, `in 2 d`.
pub(crate) fn relative(unix_nano: i64, now_unix_nano: i64) -> String {
    let distance = now_unix_nano.saturating_sub(unix_nano);
    let seconds = distance.unsigned_abs() / 1_000_000_000;
    let text = match seconds {
        0 => return "just now".to_owned(),
        1..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=86_399 => format!("{} h", seconds / 3_600),
        86_400..=31_535_999 => format!("{} d", seconds / 86_400),
        _ => format!("{} y", seconds / 31_536_000),
    };
    if distance >= 0 {
        format!("{text} ago")
    } else {
        format!("in {text}")
    }
}

/// Every `i64` of nanoseconds lies in jiff's range, so the fallback is never seen.
fn timestamp(unix_nano: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(unix_nano)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits() {
        let cases = [
            (0, "0"),
            (1, "1 ns"),
            (999, "999 ns"),
            (1_000, "1 µs"),
            (1_234, "1.23 µs"),
            (45_600, "45.6 µs"),
            (999_960, "1 ms"),
            (12_345_678, "12.3 ms"),
            (400_000_000, "400 ms"),
            (1_500_000_000, "1.5 s"),
            (59_990_000_000, "1 min"),
            (63_000_000_000, "1 min 3 s"),
            (3_600_000_000_000, "1 h"),
            (7_500_000_000_000, "2 h 5 min"),
            (90_000_000_000_000, "1 d 1 h"),
            (-1_500_000, "−1.5 ms"),
            (i64::MIN, "−∞"),
        ];
        for (nano, text) in cases {
            assert_eq!(duration(nano), text, "{nano}");
        }
    }

    #[test]
    fn counts_and_sizes() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(counted(1, "span"), "1 span");
        assert_eq!(counted(2_000, "span"), "2,000 spans");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(4_404_019), "4.2 MiB");
        assert_eq!(percent(0.123_456), "12.346%");
        assert_eq!(percent(1.0), "100%");
    }

    #[test]
    fn times_of_any_age() {
        let time = 1_767_323_045_678_000_000;
        assert_eq!(rfc3339(time), "2026-01-02T03:04:05.678Z");
        assert_eq!(utc(time), "2026-01-02 03:04:05.678 UTC");
        assert_eq!(utc(0), "1970-01-01 00:00:00.000 UTC");
        assert!(utc(i64::MAX).starts_with("2262-"));
        assert!(utc(i64::MIN).starts_with("1677-"));
        assert_eq!(relative(time, time), "just now");
        assert_eq!(relative(time, time + 185_000_000_000), "3 min ago");
        assert_eq!(relative(time + 7_200_000_000_000, time), "in 2 h");
        assert_eq!(axis_time(time, 60_000_000_000), "03:04:05");
    }
}

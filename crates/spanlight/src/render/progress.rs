//! A line that shows how far something is.

use super::duration::duration;
use super::terminal::grouped;

const CELLS: usize = 24;
/// Eighths of a cell.
const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar that is filled in part, and the part in percent: `fraction` from 0 to 1.
#[must_use]
pub fn part(fraction: f64) -> String {
    format!("{} {:3.0} %", bar(fraction), fraction * 100.0)
}

fn bar(fraction: f64) -> String {
    let eighths = (fraction.clamp(0.0, 1.0) * (CELLS * 8) as f64) as usize;
    let full = eighths / 8;
    let mut text = "█".repeat(full);
    text.push_str(PARTS[eighths % 8]);
    let drawn = full + usize::from(!eighths.is_multiple_of(8));
    text.push_str(&"░".repeat(CELLS - drawn));
    text
}

/// Bytes, with three digits that matter, such as `1.23 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut number = count as f64;
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    let decimals = match number {
        _ if unit == 0 => 0,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {}", UNITS[unit])
}

/// How many a second, of a count that took some seconds.
#[must_use]
pub fn rate(count: u64, seconds: f64) -> String {
    if seconds <= 0.0 {
        return "–".to_owned();
    }
    format!("{}/s", grouped((count as f64 / seconds) as usize))
}

/// What is left, when `fraction` took some seconds; nothing where that cannot be told yet.
#[must_use]
pub fn left(fraction: f64, seconds: f64) -> Option<String> {
    if fraction < 0.01 || seconds < 1.0 {
        return None;
    }
    let left = seconds / fraction * (1.0 - fraction).max(0.0);
    Some(format!("{} left", duration(((left.round()) * 1e9) as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_of_one_width() {
        for fraction in [-1.0, 0.0, 0.01, 0.5, 0.99, 1.0, 7.0] {
            assert_eq!(bar(fraction).chars().count(), CELLS, "{fraction}");
        }
        assert!(bar(0.0).starts_with('░'));
        assert!(bar(1.0).ends_with('█'));
    }

    #[test]
    fn bytes_have_three_digits() {
        let texts = [0, 999, 1_000, 1_536, 1 << 20, 40 << 30].map(bytes);
        assert_eq!(
            texts,
            [
                "0 B", "999 B", "0.98 KiB", "1.50 KiB", "1.00 MiB", "40.0 GiB"
            ]
        );
    }
}

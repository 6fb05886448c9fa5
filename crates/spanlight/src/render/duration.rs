//! Durations for people: three digits that matter, and a unit.

/// A duration of nanoseconds as text, such as `1.23 ms`.
#[must_use]
pub fn duration(nanoseconds: i64) -> String {
    let number = nanoseconds as f64;
    // Each border is where the smaller unit would round up to the next one.
    if nanoseconds < 1_000 {
        format!("{nanoseconds} ns")
    } else if nanoseconds < 999_500 {
        scaled(number / 1e3, "µs")
    } else if nanoseconds < 999_500_000 {
        scaled(number / 1e6, "ms")
    } else if nanoseconds < 59_950_000_000 {
        scaled(number / 1e9, "s")
    } else if nanoseconds < 3_600_000_000_000 {
        let seconds = (nanoseconds + 500_000_000) / 1_000_000_000;
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    } else {
        let minutes = nanoseconds / 60_000_000_000;
        format!("{}h {:02}m", minutes / 60, minutes % 60)
    }
}

fn scaled(number: f64, unit: &str) -> String {
    let decimals = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {unit}")
}

//! How many spans a span stands for, where not all were sent.

/// The weight that OpenTelemetry's consistent probability sampling gives a span: `ot=th:HEX` in its trace state is the
/// threshold below which spans were not sent, as a fraction of 2^56 without trailing zeros. One where there is none.
#[must_use]
pub fn weight(trace_state: &str) -> f64 {
    threshold(trace_state).map_or(1.0, |threshold| {
        let all = (1_u64 << 56) as f64;
        all / (all - threshold as f64)
    })
}

fn threshold(trace_state: &str) -> Option<u64> {
    if trace_state.is_empty() {
        return None;
    }
    let members = trace_state.split(',').map(str::trim);
    let member = members
        .filter_map(|member| member.strip_prefix("ot="))
        .next()?;
    let digits = member
        .split(';')
        .find_map(|part| part.strip_prefix("th:"))?;
    if digits.is_empty() || digits.len() > 14 {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    Some(value << (4 * (14 - digits.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_says_what_a_span_stands_for() {
        for (trace_state, expected) in [
            ("", 1.0),
            ("vendor=1", 1.0),
            ("ot=th:0", 1.0),
            ("ot=th:8", 2.0),
            ("vendor=1, ot=rv:0123456789abcd;th:c", 4.0),
            ("ot=th:", 1.0),
            ("ot=th:xyz", 1.0),
            ("ot=th:123456789abcdef", 1.0),
        ] {
            assert_eq!(weight(trace_state), expected, "{trace_state}");
        }
    }
}

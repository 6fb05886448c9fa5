//! The time range of a request, in whole seconds.

use std::ops::Range;

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

//! Our own clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in unix nanoseconds; the ends of the representable range where the clock is outside of it.
pub(crate) fn unix_nano_now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nano| -nano),
    }
}

//! What a commit says of a file's content, as the Delta protocol has it: bounds that are exact, since there are engines
//! that answer `min` and `max` from them.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::schema::{
    DURATION_NANO, END_TIME_UNIX_NANO, RECEIVED_AT_UNIX_NANO, START_TIME, START_TIME_UNIX_NANO,
};
use super::{ColdFile, FileTimes};

/// A file's statistics.
pub(crate) fn stats(file: &ColdFile) -> String {
    let times = &file.times;
    let timestamp = |nanos: i64| {
        let time = Timestamp::from_microsecond(nanos.div_euclid(1_000)).ok()?;
        Some(Json::from(time.to_string()))
    };
    let columns = [
        (
            START_TIME,
            timestamp(times.start_min).zip(timestamp(times.start_max)),
        ),
        (DURATION_NANO, known(times.duration_min, times.duration_max)),
        (
            RECEIVED_AT_UNIX_NANO,
            known(times.received_min, times.received_max),
        ),
    ];
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (column, bounds) in columns {
        if let Some((min, max)) = bounds {
            least.insert(column.to_owned(), min);
            greatest.insert(column.to_owned(), max);
            nulls.insert(column.to_owned(), Json::from(0));
        }
    }
    let text = json!({
        "numRecords": file.spans,
        "minValues": least,
        "maxValues": greatest,
        "nullCount": nulls,
    });
    text.to_string()
}

/// Bounds, unless they stand for none.
fn known(min: i64, max: i64) -> Option<(Json, Json)> {
    let is_known = min <= max && (min, max) != (i64::MIN, i64::MAX);
    is_known.then(|| (Json::from(min), Json::from(max)))
}

/// The count and the bounds of a file from its statistics. What they do not say excludes nothing.
pub(crate) fn parse_stats(text: &str) -> Option<(u64, FileTimes)> {
    let stats: Json = serde_json::from_str(text).ok()?;
    let bound = |side: &str, column: &str| stats[side][column].as_i64();
    let spans = stats["numRecords"].as_u64()?;
    let received_min = bound("minValues", RECEIVED_AT_UNIX_NANO)?;
    let received_max = bound("maxValues", RECEIVED_AT_UNIX_NANO)?;
    let mut times = FileTimes {
        received_min,
        received_max,
        ..FileTimes::ANY
    };
    if let Some(start_min) = bound("minValues", START_TIME_UNIX_NANO) {
        times.start_min = start_min;
        times.start_max = bound("maxValues", START_TIME_UNIX_NANO)?;
        times.end_min = bound("minValues", END_TIME_UNIX_NANO)?;
        times.end_max = bound("maxValues", END_TIME_UNIX_NANO)?;
        return Some((spans, times));
    }
    let nanos = |side: &str| {
        let time: Timestamp = stats[side][START_TIME].as_str()?.parse().ok()?;
        time.as_microsecond().checked_mul(1_000)
    };
    times.start_min = nanos("minValues")?;
    times.start_max = nanos("maxValues")?.saturating_add(999);
    let durations = bound("minValues", DURATION_NANO).zip(bound("maxValues", DURATION_NANO));
    if let Some((min, max)) = durations {
        times.duration_min = min;
        times.duration_max = max;
        times.end_min = times.start_min.saturating_add(min);
        times.end_max = times.start_max.saturating_add(max);
    }
    Some((spans, times))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn bounds_survive() {
        let mut times = FileTimes::NONE;
        times.include(1_700_000_000_123_456_789, 1_700_000_000_123_456_700, 5);
        times.include(0, i64::MAX, 7);
        let file = ColdFile {
            name: String::new(),
            path: PathBuf::new(),
            bytes: 0,
            spans: 2,
            times,
            columns: std::sync::Arc::default(),
        };
        let text = stats(&file);
        assert!(text.contains("2023-11-14T22:13:20.123456Z"), "{text}");
        let (spans, back) = parse_stats(&text).unwrap();
        assert_eq!(spans, 2);
        assert_eq!(
            (back.start_min, back.start_max),
            (0, 1_700_000_000_123_456_999)
        );
        assert_eq!((back.received_min, back.received_max), (5, 7));
        assert_eq!((back.duration_min, back.duration_max), (-89, i64::MAX));
        assert!(back.end_min <= 1_700_000_000_123_456_700 && back.end_max == i64::MAX);
    }

    #[test]
    fn statistics_of_the_first_version_are_understood() {
        let text = r#"{"numRecords":3,"minValues":{"start_time_unix_nano":1,"end_time_unix_nano":2,"received_at_unix_nano":3},
            "maxValues":{"start_time_unix_nano":4,"end_time_unix_nano":5,"received_at_unix_nano":6}}"#;
        let (spans, times) = parse_stats(text).unwrap();
        assert_eq!(spans, 3);
        assert_eq!(
            (times.start_max, times.end_max, times.received_max),
            (4, 5, 6)
        );
    }
}

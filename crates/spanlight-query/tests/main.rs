//! Questions asked of a real store in a temporary directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agreement;
mod attributes;
mod cases;
mod laws;
mod metrics;
mod notation;
mod paging;
mod reference;
mod search;
mod series;
mod sql;
mod trace;

//! Spanlight's own API.

mod attributes;
mod complete;
mod document;
mod figures;
mod search;
mod sql;
mod trace;

const START: u64 = 1_700_000_000_000_000_000;

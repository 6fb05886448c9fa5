//! The pages as whole documents: what must be on them, and what must never be.

mod fixture;
mod pages;

mod escaping;
mod metrics;
mod search;
mod trace;

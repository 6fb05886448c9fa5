//! Questions asked of a real store in a temporary directory.

mod cases;
mod notation;
mod paging;
mod search;
mod trace;

//! How answers look in a terminal: pure functions from answers to text.

mod duration;
mod fault;
mod terminal;
mod traces;
mod waterfall;

pub use duration::duration;
pub use fault::{Fault, fault};
pub use terminal::Terminal;
pub use traces::traces;
pub use waterfall::waterfall;

#[cfg(test)]
mod tests;

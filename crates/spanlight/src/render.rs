//! How answers look in a terminal: pure functions from answers to text.

mod chart;
mod duration;
mod fault;
mod progress;
mod rows;
mod table;
mod terminal;
mod traces;
mod waterfall;

pub use chart::series;
pub use duration::duration;
pub use fault::{Fault, fault};
pub use progress::{bytes, left, part, rate};
pub use rows::rows;
pub use table::{Align, table};
pub use terminal::{Terminal, clean, counted, cut, grouped};
pub use traces::traces;
pub use waterfall::waterfall;

#[cfg(test)]
mod tests;

//! The parts of the command line that need no engine: the arguments, the example systems of the demo, reading files
//! of spans, and how answers look in a terminal. The binary beside it connects them to the server.

pub mod answer;
pub mod arguments;
pub mod demo;
pub mod import;
pub mod render;

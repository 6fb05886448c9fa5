//! The reader on small traces.

//! The language at its boundary: text in, tree or error out.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod corpus;
mod limits;
mod property;
mod random;
mod tokens;
mod tree;

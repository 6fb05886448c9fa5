//! The language at its boundary: text in, tree or error out.

mod corpus;
mod limits;
mod property;
mod random;
mod tokens;
mod tree;

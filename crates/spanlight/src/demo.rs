//! The example systems of `spanlight demo`: what they do is made up, how they tell of it is real OTLP.
//!
//! [`express`], [`broker`], [`registration`] and [`greeter`] each play one request; [`Traffic`] makes them arrive,
//! and [`Sender`] sends what their services export. Nothing here knows the server.

pub mod broker;
pub mod draft;
pub mod express;
pub mod greeter;
pub mod registration;
pub mod resource;
mod sender;
mod traffic;
mod world;

pub use sender::{SendError, Sender, encode};
pub use traffic::Traffic;
pub use world::{Export, Highlight, Invocation, World};

#[cfg(test)]
mod tests;

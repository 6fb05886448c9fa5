//! The store from outside: spans in, the process or the machine stopped at any moment, spans out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod backup;
mod basics;
mod counters;
mod crash;
mod damage;
mod delete;
mod faults;
mod levels;
mod remote;
mod simulation;
mod support;
mod upgrade;
mod verify;

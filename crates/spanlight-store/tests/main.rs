//! The store from outside: spans in, the process or the machine stopped at any moment, spans out.

mod basics;
mod support;

//! Configuration: every setting once, with its name, kind, default and words ([`Settings`]), and the ways to set it.
//!
//! A setting has one name in three places, the later winning: a TOML file, the environment
//! (`SPANLIGHT_SECTION__KEY`) and `--set section.key=value`. Whatever is unknown or does not fit is an error that
//! says where it stands. What the settings do is up to those who read them.

mod cold;
mod error;
mod layers;
mod origin;
mod print;
mod registry;
mod retention;
mod value;
mod warning;

pub use cold::ColdOptions;
pub use error::{ConfigError, Place};
pub use layers::{Override, Sources};
pub use origin::Origin;
pub use registry::{Limits, Log, Receivers, Settings, Storage};
pub use value::{Address, ByteSize, Fsync, LogFormat, LogLevel};

pub(crate) use value::write_duration;

#[cfg(test)]
mod tests;

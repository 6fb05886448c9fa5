//! The write-ahead log: what makes an acknowledgement a promise. `log/FORMAT.md` describes its bytes.

pub(crate) mod codec;
pub(crate) mod format;
pub(crate) mod recovery;
pub(crate) mod segment;
pub(crate) mod writer;

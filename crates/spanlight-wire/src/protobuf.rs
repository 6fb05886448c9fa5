//! The protobuf wire format, without messages: <https://protobuf.dev/programming-guides/encoding/>.

mod read;
mod write;

pub(crate) use read::{Field, Malformed, Read, Reader, Wire, Within};
pub(crate) use write::Writer;

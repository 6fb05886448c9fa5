//! The protobuf wire format, without messages: <https://protobuf.dev/programming-guides/encoding/>.

mod write;

pub(crate) use write::Writer;

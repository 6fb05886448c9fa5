//! What a partition tells of attributes by themselves.

use std::sync::Arc;

use arrow_array::{Array as _, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow_buffer::NullBuffer;
use spanlight_model::AttributeType;

/// How many spans of a partition have an attribute: told without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeCount {
    /// The key.
    pub key: String,
    /// The type of the values that were counted.
    pub kind: AttributeType,
    /// Spans with such a value; those that the request's range or filter leaves out are among them.
    pub spans: u64,
}

/// An attribute of the spans of a batch, by itself.
#[derive(Debug, Clone)]
pub struct AttributeColumn {
    /// The key.
    pub key: String,
    /// The values, by row of the batch.
    pub values: AttributeValues,
}

/// What an attribute is in each row; null where a row has none.
#[derive(Debug, Clone)]
pub enum AttributeValues {
    /// Texts: the place of each row's among those that there are.
    Texts(Int32Array, StringArray),
    /// Integers.
    Ints(Int64Array),
    /// Floats.
    Doubles(Float64Array),
    /// Truth values.
    Bools(BooleanArray),
    /// The same text in every row that has one, which are all where there are no nulls.
    Same(Arc<str>, Option<NullBuffer>),
    /// Only the rows that have one are told; all where there are no nulls.
    Present(Option<NullBuffer>),
}

impl AttributeValues {
    /// The rows that have a value; all where there are no nulls.
    #[must_use]
    pub fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Texts(codes, _) => codes.nulls(),
            Self::Ints(ints) => ints.nulls(),
            Self::Doubles(doubles) => doubles.nulls(),
            Self::Bools(bools) => bools.nulls(),
            Self::Same(_, nulls) | Self::Present(nulls) => nulls.as_ref(),
        }
    }

    /// Bytes of memory that they keep alive; texts may be those of other batches, too.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        match self {
            Self::Texts(codes, texts) => {
                codes.get_buffer_memory_size() + texts.get_buffer_memory_size()
            }
            Self::Ints(ints) => ints.get_buffer_memory_size(),
            Self::Doubles(doubles) => doubles.get_buffer_memory_size(),
            Self::Bools(bools) => bools.get_buffer_memory_size(),
            Self::Same(_, nulls) | Self::Present(nulls) => {
                nulls.as_ref().map_or(0, |nulls| nulls.buffer().capacity())
            }
        }
    }
}

//! A batch of spans as bytes: the schema's columns one after the other, without a schema in each record.
//!
//! The schema is fixed (its version is in the segment's header), so both sides walk it. Integers are written as
//! differences from their minimum in as few bytes as the largest needs: most columns of a batch shrink to a quarter,
//! the constant ones to nothing. Decoding trusts no byte: lengths, offsets, indices and text are all checked, and the
//! memory taken is bounded before it is taken.

mod decode;
mod encode;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

/// Integers of a column, whatever their type.
trait Integer: Copy + Ord {
    const BYTES: usize;
    fn to_i64(self) -> i64;
    /// Cuts silently: the caller knows that it fits.
    fn of_i64(value: i64) -> Self;
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Integer for $type {
            const BYTES: usize = size_of::<$type>();
            fn to_i64(self) -> i64 { i64::from(self) }
            fn of_i64(value: i64) -> Self { value as $type }
        }
    )*};
}
integer!(i8, i32, i64, u32);

#[cfg(test)]
mod tests;

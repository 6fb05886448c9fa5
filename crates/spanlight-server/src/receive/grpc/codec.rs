//! Messages as bytes: no structs are made of them.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::receive::admission::Reservation;

/// The codec of one call.
#[derive(Debug)]
pub(crate) struct RawCodec {
    /// What its messages are counted in; `None` where their length alone bounds them.
    pub(crate) reservation: Option<Arc<Reservation>>,
}

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = RawEncoder;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> RawDecoder {
        RawDecoder {
            reservation: self.reservation.clone(),
        }
    }
}

/// Writes a message as it is.
#[derive(Debug)]
pub(crate) struct RawEncoder;

impl Encoder for RawEncoder {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, destination: &mut EncodeBuf<'_>) -> Result<(), Status> {
        destination.put_slice(&item);
        Ok(())
    }
}

/// Takes a message as it is.
#[derive(Debug)]
pub(crate) struct RawDecoder {
    reservation: Option<Arc<Reservation>>,
}

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        // Counted here because this is where a packed message has just been unpacked; one that was not packed has
        // been counted as it came, and is copied.
        if let Some(reservation) = &self.reservation {
            let grown = reservation.grow(source.remaining());
            grown.map_err(|refusal| refusal.grpc_status())?;
        }
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}

//! Reading and unpacking bodies, bounded in bytes and time.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;

use super::ReceiveLimits;
use super::admission::Reservation;
use super::refusal::Refusal;

/// Output of decompression is taken and counted in steps of this size.
const STEP_BYTES: usize = 256 << 10;
/// The largest window that zstd may ask for, as a power of two: 8 MiB, which every level but "ultra" stays within.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// How long the rest of a refused body is read and thrown away. A connection that is closed with bytes unread is
/// reset, and the client then sees the reset and not the answer.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    pub(crate) const ACCEPTED: &str = "gzip, zstd, deflate, identity";

    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else {
            return Ok(Self::Identity);
        };
        let name = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        match name.trim() {
            "" | "identity" | "none" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            other => Err(Refusal::UnsupportedType(format!(
                "content-encoding {other:?} is not supported; send one of {}",
                Self::ACCEPTED
            ))),
        }
    }
}

/// The whole body as sent. A refused one is read on for a moment, so that the client hears the answer.
pub(crate) async fn read(
    mut body: Body,
    headers: &HeaderMap,
    limits: &ReceiveLimits,
    reservation: &Reservation,
) -> Result<Bytes, Refusal> {
    let reading = collect(&mut body, headers, limits, reservation);
    let outcome = tokio::time::timeout(limits.read_time, reading)
        .await
        .unwrap_or_else(|_| Err(Refusal::too_slow(limits.read_time)));
    if matches!(
        outcome,
        Err(Refusal::TooLarge(_) | Refusal::Overloaded { .. })
    ) {
        discard(body).await;
    }
    outcome
}

async fn collect(
    body: &mut Body,
    headers: &HeaderMap,
    limits: &ReceiveLimits,
    reservation: &Reservation,
) -> Result<Bytes, Refusal> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = announced {
        check_size(length, limits)?;
        reservation.grow(length)?;
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Refusal::Malformed(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        check_size(length, limits)?;
        if announced.is_none() {
            reservation.grow(data.len())?;
        }
        match first.take() {
            // Most bodies come in one piece, which is then not copied.
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(begin) => {
                rest.reserve(announced.unwrap_or(begin.len() + data.len()));
                rest.extend_from_slice(&begin);
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

/// Whether a body of this length, as sent, is still allowed.
pub(crate) fn check_size(length: usize, limits: &ReceiveLimits) -> Result<(), Refusal> {
    if length > limits.bytes {
        return Err(Refusal::TooLarge(format!(
            "the body is larger than {} bytes (limits.request_bytes); send smaller batches",
            limits.bytes
        )));
    }
    Ok(())
}

/// Reads what is left of a body, for a moment, and keeps nothing of it.
pub(crate) async fn discard(mut body: Body) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    // What takes longer is cut off with the connection.
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
}

/// The body as it was before it was packed. Takes time: large ones belong on a blocking thread.
pub(crate) fn decompress(
    body: Bytes,
    encoding: Encoding,
    bytes_max: usize,
    reservation: &Reservation,
) -> Result<Bytes, Refusal> {
    let unpacked = match encoding {
        Encoding::Identity => {
            if body.len() > bytes_max {
                return Err(too_large(bytes_max));
            }
            return Ok(body);
        }
        Encoding::Gzip => unpack(MultiGzDecoder::new(&body[..]), bytes_max, reservation),
        Encoding::Deflate => unpack(ZlibDecoder::new(&body[..]), bytes_max, reservation),
        Encoding::Zstd => zstd::stream::read::Decoder::with_buffer(&body[..])
            .and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Ok(decoder)
            })
            .map_err(Unpack::Damaged)
            .and_then(|decoder| unpack(decoder, bytes_max, reservation)),
    };
    unpacked.map_err(|problem| match problem {
        Unpack::Refused(refusal) => refusal,
        Unpack::Damaged(error) => Refusal::Malformed(match error.kind() {
            ErrorKind::UnexpectedEof => {
                format!(
                    "the body is cut off: its {} data has no end",
                    encoding.name()
                )
            }
            _ => format!(
                "the body is not {}, as its content-encoding says: {error}",
                encoding.name()
            ),
        }),
    })
}

enum Unpack {
    Refused(Refusal),
    Damaged(std::io::Error),
}

fn unpack(
    mut decoder: impl Read,
    bytes_max: usize,
    reservation: &Reservation,
) -> Result<Bytes, Unpack> {
    let mut output = Vec::new();
    loop {
        // Counted before it is filled: a body of 1,000 times its packed size must not take memory first.
        reservation.grow(STEP_BYTES).map_err(Unpack::Refused)?;
        let step = (&mut decoder)
            .take(STEP_BYTES as u64)
            .read_to_end(&mut output)
            .map_err(Unpack::Damaged)?;
        if output.len() > bytes_max {
            return Err(Unpack::Refused(too_large(bytes_max)));
        }
        if step < STEP_BYTES {
            return Ok(Bytes::from(output));
        }
    }
}

/// For a body that unpacks to more than is allowed.
pub(crate) fn too_large(bytes_max: usize) -> Refusal {
    Refusal::TooLarge(format!(
        "the decompressed body is larger than {bytes_max} bytes (limits.request_bytes_decompressed); send smaller \
         batches"
    ))
}

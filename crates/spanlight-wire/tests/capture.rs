//! Requests that real clients sent, recorded as HTTP/1.1; see `data/README.md`.

use std::io::Read as _;
use std::path::Path;

/// The body of a recorded request, without chunks and compression.
pub(crate) fn body(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let request = std::fs::read(path).unwrap();
    let end = request
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&request[..end])
        .unwrap()
        .to_ascii_lowercase();
    let mut body = request[end + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = without_chunks(&body);
    }
    if head.contains("content-encoding: gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut plain)
            .unwrap();
        body = plain;
    }
    body
}

fn without_chunks(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunks
            .windows(2)
            .position(|bytes| bytes == b"\r\n")
            .unwrap();
        let size = std::str::from_utf8(&chunks[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[line + 2..][..size]);
        chunks = &chunks[line + 2 + size + 2..];
    }
}

//! A small HTTP/1.1 client over one kept connection: enough for our own server, quick enough to load it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// Answers beyond this are a fault of the server.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A connection to one address; opened when first used and again after a failure.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Of `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, and no JSON: {}", self.status, self.text()))
    }

    /// The body for a message, cut where it is long.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body)
            .chars()
            .take(500)
            .collect()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.get_as(path, "application/json")
    }

    pub(crate) fn get_as(&mut self, path: &str, accept: &str) -> Result<Answer> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: {accept}\r\n\r\n",
            self.address
        );
        self.exchange(&head, &[])
            .with_context(|| format!("GET {path}"))
    }

    /// `headers` are whole lines, each with its line end.
    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.exchange(&head, body)
            .with_context(|| format!("POST {path}"))
    }

    fn exchange(&mut self, head: &str, body: &[u8]) -> Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::with_capacity(64 << 10, connect(self.address)?),
        };
        let stream = connection.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (answer, keep) = read_answer(&mut connection)?;
        if keep {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// Reads one answer, and whether the connection can be used again.
fn read_answer(input: &mut impl BufRead) -> Result<(Answer, bool)> {
    let first = read_line(input)?;
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| anyhow!("not an HTTP answer: {first:?}"))?;
    let (mut length, mut chunked, mut keep, mut retry_after) = (None, false, true, None);
    loop {
        let line = read_line(input)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse::<usize>()?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep = !value.eq_ignore_ascii_case("close"),
            "retry-after" => retry_after = value.parse().ok(),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(input, &mut body)?;
    } else if let Some(length) = length {
        read_exactly(input, length, &mut body)?;
    } else if status != 204 {
        input.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut body)?;
        keep = false;
    }
    Ok((
        Answer {
            status,
            retry_after,
            body,
        },
        keep,
    ))
}

fn read_chunks(input: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let line = read_line(input)?;
        let length = line.split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(length.trim(), 16).context("the length of a chunk")?;
        if length == 0 {
            while !read_line(input)?.is_empty() {}
            return Ok(());
        }
        read_exactly(input, length, body)?;
        read_line(input)?;
    }
}

fn read_exactly(input: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> Result<()> {
    let start = body.len();
    if length > ANSWER_BYTES_MAX - start.min(ANSWER_BYTES_MAX) {
        bail!("an answer of more than {ANSWER_BYTES_MAX} bytes");
    }
    body.resize(start + length, 0);
    input.read_exact(&mut body[start..])?;
    Ok(())
}

fn read_line(input: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    if input.take(64 << 10).read_until(b'\n', &mut line)? == 0 {
        bail!("the connection was closed");
    }
    let line = String::from_utf8(line).context("a header that is not UTF-8")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Answer, bool) {
        read_answer(&mut text.as_bytes()).unwrap()
    }

    #[test]
    fn bodies_come_with_a_length_in_chunks_or_until_the_end() {
        let (answer, keep) = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd");
        assert_eq!(
            (answer.status, answer.text().as_str(), keep),
            (200, "ab", true)
        );
        let (answer, keep) = read(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
        );
        assert_eq!((answer.text().as_str(), keep), ("abc", true));
        let (answer, keep) = read("HTTP/1.1 200 OK\r\n\r\nabcd");
        assert_eq!((answer.text().as_str(), keep), ("abcd", false));
    }

    #[test]
    fn what_a_sender_must_know_is_read() {
        let (answer, keep) = read(
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        assert_eq!(
            (answer.status, answer.retry_after, keep),
            (429, Some(3), false)
        );
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        assert!(
            read_answer(&mut "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".as_bytes()).is_err()
        );
        assert!(read_answer(&mut "".as_bytes()).is_err());
    }
}

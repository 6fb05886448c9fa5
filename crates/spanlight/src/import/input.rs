//! Where the bytes come from: a file or standard input, counted, unpacked.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read as IoRead};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

const BUFFER_BYTES: usize = 256 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];
pub(super) const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const MAGIC_BYTES: usize = 4;

/// Bytes that were read so far, as they are on the disk.
#[derive(Debug, Clone, Default)]
pub struct Read(Arc<AtomicU64>);

impl Read {
    /// How many.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// An open file of spans.
pub struct Input {
    /// For messages.
    pub(super) name: Arc<str>,
    reader: BufReader<Box<dyn IoRead + Send>>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Input")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Input {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened or its first bytes cannot be read.
    pub fn open(path: &Path, read: &Read) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Self::of("standard input", io::stdin(), read);
        }
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Self::of(&path.display().to_string(), file, read)
    }

    /// Anything that can be read.
    ///
    /// # Errors
    /// When its first bytes cannot be read.
    pub fn of(name: &str, reader: impl IoRead + Send + 'static, read: &Read) -> io::Result<Self> {
        let reader = Counted {
            reader,
            read: read.clone(),
        };
        let (start, reader) = peek(reader)?;
        let reader: Box<dyn IoRead + Send> = if start.starts_with(&GZIP) {
            Box::new(MultiGzDecoder::new(reader))
        } else if start.starts_with(&ZSTD) {
            Box::new(zstd::stream::read::Decoder::new(reader)?)
        } else {
            Box::new(reader)
        };
        Ok(Self {
            name: Arc::from(name),
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
        })
    }

    /// The first byte; `None` when there is none.
    pub(super) fn first_byte(&mut self) -> io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    /// Whether the first bytes, as far as they are there, are empty lines and the begin of a document.
    pub(super) fn begins_as_json(&mut self) -> io::Result<bool> {
        let text = self.reader.fill_buf()?.trim_ascii_start();
        Ok(text.is_empty() || text.starts_with(b"{\""))
    }
}

impl IoRead for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, and a reader that still has them.
fn peek<R: IoRead>(mut reader: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    let most = MAGIC_BYTES as u64;
    reader.by_ref().take(most).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(reader)))
}

struct Counted<R> {
    reader: R,
    read: Read,
}

impl<R: IoRead> IoRead for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read(buffer)?;
        self.read.0.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

//! Kinds of values: how each is read from text, and how it is written back.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A value as a source holds it, before its kind is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    /// One value.
    Text(String),
    /// A TOML array of values.
    List(Vec<String>),
}

/// A kind of setting.
pub(crate) trait Kind: Sized {
    /// Reads a value; the error completes the sentence "expected …".
    fn read(raw: &Raw) -> Result<Self, String>;
    /// The value in TOML.
    fn write(&self) -> String;
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Nowhere: `off`.
    Off,
    /// At `host:port`; port 0 takes a free one.
    At(String),
}

impl Address {
    /// The loopback address at a port.
    pub(crate) fn loopback(port: u16) -> Self {
        Self::At(format!("127.0.0.1:{port}"))
    }
}

/// A number of bytes, written `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// So many MiB.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes, for code that counts memory.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 >= 1 << shift && self.0.is_multiple_of(1 << shift) {
                return write!(formatter, "{}{unit}", self.0 >> shift);
            }
        }
        write!(formatter, "{}B", self.0)
    }
}

/// Declares a kind with a few named values.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// The word that configurations use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl Kind for $name {
            fn read(raw: &Raw) -> Result<Self, String> {
                match text(raw).unwrap_or_default() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("one of {}", [$($word),+].join(", "))),
                }
            }
            fn write(&self) -> String {
                quote(self.as_str())
            }
        }
    };
}

choice! {
    /// Whether the log is synced to the disk before an ack.
    Fsync {
        /// Every ack waits for the disk.
        Always = "always",
        /// An ack waits for the operating system only: a power cut may lose acknowledged spans.
        Never = "never",
    }
}

choice! {
    /// What the program's own log tells.
    LogLevel {
        /// Only what needs a person.
        Error = "error",
        /// And what may soon.
        Warn = "warn",
        /// And what happened.
        Info = "info",
        /// And why.
        Debug = "debug",
        /// And everything else.
        Trace = "trace",
    }
}

choice! {
    /// How the program's own log looks.
    LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

impl Kind for Address {
    fn read(raw: &Raw) -> Result<Self, String> {
        let expected = || "an address such as 127.0.0.1:4318, or off".to_owned();
        let text = text(raw).ok_or_else(expected)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(expected());
        }
        Ok(Self::At(text.to_owned()))
    }

    fn write(&self) -> String {
        match self {
            Self::Off => quote("off"),
            Self::At(address) => quote(address),
        }
    }
}

impl Kind for ByteSize {
    fn read(raw: &Raw) -> Result<Self, String> {
        let expected = || "a size such as 64MiB, at least 1B".to_owned();
        let (number, unit) = split_unit(text(raw).ok_or_else(expected)?);
        let scale = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(expected()),
        };
        let bytes = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(scale));
        bytes
            .filter(|bytes| *bytes > 0)
            .map(Self)
            .ok_or_else(expected)
    }

    fn write(&self) -> String {
        quote(&self.to_string())
    }
}

impl Kind for Duration {
    fn read(raw: &Raw) -> Result<Self, String> {
        let expected = || "a duration such as 500ms, 10s, 15m, 6h or 30d".to_owned();
        let (number, unit) = split_unit(text(raw).ok_or_else(expected)?);
        let scale_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return Err(expected()),
        };
        let milliseconds = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(scale_ms));
        milliseconds
            .filter(|ms| *ms > 0)
            .map(Self::from_millis)
            .ok_or_else(expected)
    }

    fn write(&self) -> String {
        quote(&write_duration(*self))
    }
}

impl Kind for Option<Duration> {
    fn read(raw: &Raw) -> Result<Self, String> {
        if text(raw) == Some("off") {
            return Ok(None);
        }
        Duration::read(raw)
            .map(Some)
            .map_err(|expected| format!("{expected}, or off"))
    }

    fn write(&self) -> String {
        self.map_or_else(|| quote("off"), |duration| Kind::write(&duration))
    }
}

impl Kind for Option<ByteSize> {
    fn read(raw: &Raw) -> Result<Self, String> {
        if text(raw) == Some("off") {
            return Ok(None);
        }
        ByteSize::read(raw)
            .map(Some)
            .map_err(|expected| format!("{expected}, or off"))
    }

    fn write(&self) -> String {
        self.map_or_else(|| quote("off"), |size| Kind::write(&size))
    }
}

impl Kind for usize {
    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw)
            .and_then(|text| text.replace('_', "").parse().ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| "a whole number, at least 1".to_owned())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Kind for PathBuf {
    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw)
            .filter(|text| !text.is_empty())
            .map(Self::from)
            .ok_or_else(|| "a path".to_owned())
    }

    fn write(&self) -> String {
        quote(&self.display().to_string())
    }
}

/// A duration in the largest unit that holds it without a rest.
pub(crate) fn write_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, scale) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if milliseconds >= scale && milliseconds.is_multiple_of(scale) {
            return format!("{}{unit}", milliseconds / scale);
        }
    }
    format!("{milliseconds}ms")
}

pub(super) fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) => Some(text.trim()),
        Raw::List(_) => None,
    }
}

/// The items of a list, which outside the file is written `a,b`, or as the file has it: `["a", "b"]`.
pub(super) fn list(raw: &Raw) -> Vec<String> {
    let text = match raw {
        Raw::List(items) => return items.clone(),
        Raw::Text(text) => text,
    };
    if let Ok(toml_edit::Value::Array(items)) = text.trim().parse() {
        let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
        if let Some(texts) = texts.collect() {
            return texts;
        }
    }
    text.split(',')
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

fn split_unit(text: &str) -> (&str, &str) {
    let at = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim_start())
}

pub(super) fn quote(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

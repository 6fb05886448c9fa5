//! The literals of a query.

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Static {
    /// `nil`: no value.
    Nil,
    /// A whole number.
    Int(i64),
    /// A number with a point or an exponent; always finite.
    Float(f64),
    /// Text.
    String(String),
    /// `true`, `false`.
    Bool(bool),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A value of `status`.
    Status(Status),
    /// A value of `kind`.
    Kind(Kind),
}

/// The words for a span's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// `unset`.
    Unset,
    /// `ok`.
    Ok,
    /// `error`.
    Error,
}

/// The words for a span's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `unspecified`.
    Unspecified,
    /// `internal`.
    Internal,
    /// `server`.
    Server,
    /// `client`.
    Client,
    /// `producer`.
    Producer,
    /// `consumer`.
    Consumer,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Unset, Self::Ok, Self::Error];

    /// TraceQL's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    /// TraceQL's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

impl Static {
    /// The number or duration with the other sign; nothing for other literals and for the least number.
    #[must_use]
    pub fn negated(&self) -> Option<Self> {
        match self {
            Self::Int(number) => number.checked_neg().map(Self::Int),
            Self::Float(number) => Some(Self::Float(-number)),
            Self::Duration(nanos) => nanos.checked_neg().map(Self::Duration),
            _ => None,
        }
    }
}

//! The list of settings. Adding one is adding its lines here: the struct, the file, the environment, `--set` and
//! the printed configuration follow from them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::cold::ColdOptions;
use super::error::Place;
use super::origin::Origin;
use super::retention::ServiceRetention;
use super::value::{Address, ByteSize, Fsync, Kind, LogFormat, LogLevel, Raw};

/// A setting of the list, with its value as the printed configuration shows it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Empty for the settings before the first section.
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    pub(crate) doc: Vec<&'static str>,
    pub(crate) value: String,
}

macro_rules! settings {
    (
        { $($(#[doc = $top_doc:literal])+ $top:ident : $top_kind:ty = $top_default:expr,)+ }
        $(
            $(#[doc = $section_doc:literal])+
            $section:ident : $type:ident {
                $($(#[doc = $doc:literal])+ $key:ident : $kind:ty = $default:expr,)+
            }
        )+
    ) => {
        /// Every setting of the server.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $($(#[doc = $top_doc])+ pub $top: $top_kind,)+
            $($(#[doc = $section_doc])+ pub $section: $type,)+
            /// Where the values that are not defaults come from.
            pub(crate) places: BTreeMap<&'static str, Place>,
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq)]
            pub struct $type {
                $($(#[doc = $doc])+ pub $key: $kind,)+
            }
        )+

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $($top: $top_default,)+
                    $($section: $type { $($key: $default,)+ },)+
                    places: BTreeMap::new(),
                }
            }
        }

        impl Settings {
            /// The names of all settings, `section.key`.
            pub(crate) const NAMES: &[&str] = &[
                $(stringify!($top),)+
                $($(concat!(stringify!($section), ".", stringify!($key)),)+)+
            ];

            /// The names of all sections.
            pub(crate) const SECTIONS: &[&str] = &[$(stringify!($section),)+];

            /// Sets one value. `None`: no setting has the name. The error completes "expected …".
            pub(crate) fn set(&mut self, name: &str, raw: &Raw, place: Place) -> Option<Result<(), String>> {
                let known = Self::NAMES.iter().find(|known| **known == name)?;
                let outcome = self.assign(name, raw);
                self.places.insert(known, place);
                Some(outcome)
            }

            fn assign(&mut self, name: &str, raw: &Raw) -> Result<(), String> {
                $(if name == stringify!($top) { self.$top = Kind::read(raw)?; })+
                $($(if name == concat!(stringify!($section), ".", stringify!($key)) {
                    self.$section.$key = Kind::read(raw)?;
                })+)+
                Ok(())
            }

            /// All settings, in the order of the list.
            pub(crate) fn entries(&self) -> Vec<Entry> {
                vec![
                    $(Entry {
                        section: "",
                        key: stringify!($top),
                        name: stringify!($top),
                        doc: vec![$($top_doc,)+],
                        value: self.$top.write(),
                    },)+
                    $($(Entry {
                        section: stringify!($section),
                        key: stringify!($key),
                        name: concat!(stringify!($section), ".", stringify!($key)),
                        doc: vec![$($doc,)+],
                        value: self.$section.$key.write(),
                    },)+)+
                ]
            }
        }
    };
}

settings! {
    {
        /// Web pages, the query APIs, `/metrics`, `/healthz` and `/readyz`.
        http: Address = Address::loopback(7900),
    }

    /// Where spans come in. An address of `off` disables a listener; port 0 takes a free port.
    receivers: Receivers {
        /// OTLP over gRPC.
        otlp_grpc: Address = Address::loopback(4317),
        /// OTLP over HTTP, protobuf and JSON, at `/v1/traces`.
        otlp_http: Address = Address::loopback(4318),
        /// Origins whose pages may send spans from a browser, such as `https://shop.example`, or `*` for any.
        cors_origins: Vec<Origin> = Vec::new(),
    }

    /// Where spans are kept, and for how long.
    storage: Storage {
        /// The directory that holds everything.
        data_dir: PathBuf = PathBuf::from("spanlight-data"),
        /// Where the table is: `s3://bucket/prefix`, `gs://…`, `az://…` or `file:///directory`; `off` is below data_dir.
        cold_url: Option<String> = None,
        /// What else there is to know of that place, as `name=value`; secrets belong into the environment (`AWS_…`).
        cold_options: ColdOptions = ColdOptions::default(),
        /// Disk space for a copy of what was read of a table on an object store.
        cache_max: ByteSize = ByteSize::mebibytes(1024),
        /// How long every span stays in memory and in local files before it moves to the table.
        hot_window: Duration = Duration::from_secs(15 * 60),
        /// How long spans are kept after they were received; `off` keeps them for ever.
        retention: Option<Duration> = Some(Duration::from_secs(14 * 24 * 3600)),
        /// Services whose spans are kept for less long, as `checkout=3d`; one that is named here never for longer than `retention`.
        service_retention: ServiceRetention = ServiceRetention::default(),
        /// Bytes that log, local files and a table on the disk may take; the oldest spans are deleted beyond them. `off` for no bound.
        max_disk: Option<ByteSize> = None,
        /// Bytes that local files may take before their spans are in the table; beyond them senders are told to retry.
        recent_max: ByteSize = ByteSize::mebibytes(4 << 10),
        /// How long a file that left the table stays on the disk, for other programs that still read it.
        vacuum_grace: Duration = Duration::from_secs(10 * 60),
        /// `always`: an ack means that the spans are on the disk. `never`: a power cut may lose the last of them.
        fsync: Fsync = Fsync::Always,
    }

    /// Bounds. What goes beyond one is refused, or cut, and counted; the message names the setting.
    limits: Limits {
        /// Largest request body, as sent.
        request_bytes: ByteSize = ByteSize::mebibytes(16),
        /// Largest request body, decompressed.
        request_bytes_decompressed: ByteSize = ByteSize::mebibytes(64),
        /// Bytes of requests that are being received, over the whole process; beyond them senders are told to retry.
        in_flight_bytes: ByteSize = ByteSize::mebibytes(80),
        /// How long a request's body may take to arrive, and a connection's first byte.
        request_read_time: Duration = Duration::from_secs(30),
        /// How long a connection may be silent between requests, and how long a request's head may take.
        idle_time: Duration = Duration::from_secs(120),
        /// Connections open at one time, on each listener.
        connections: usize = 4096,
        /// Memory of spans that are not in a file yet; they are written early, and at all of it senders are told to retry.
        hot_bytes: ByteSize = ByteSize::mebibytes(150),
        /// Spans in one request; the rest is refused.
        spans_per_request: usize = 100_000,
        /// Attributes of one span, event, link, resource or scope; the rest is dropped and counted on the span.
        attributes_per_span: usize = 1_024,
        /// Events of one span.
        events_per_span: usize = 1_024,
        /// Links of one span.
        links_per_span: usize = 1_024,
        /// Depth of nested attribute values; deeper values are dropped.
        value_depth: usize = 24,
        /// How long a search may take; then it answers with what it has and says so.
        search_time: Duration = Duration::from_secs(10),
        /// Traces that one search may return.
        search_results_max: usize = 1_000,
        /// Rows that one statement of SQL may return.
        sql_rows_max: usize = 100_000,
        /// Memory of all running searches together; then they answer with what they have and say so.
        search_bytes: ByteSize = ByteSize::mebibytes(96),
        /// Searches that run at one time; further ones wait.
        searches: usize = 8,
        /// How long a clean shutdown waits for requests that are being answered.
        drain_time: Duration = Duration::from_secs(10),
    }

    /// The server's own log, on standard error.
    log: Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: LogLevel = LogLevel::Info,
        /// `text` or `json`.
        format: LogFormat = LogFormat::Text,
    }
}

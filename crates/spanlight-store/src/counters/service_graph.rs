//! Calls between services: a span and its parent, or a span and one that it links to, where their services differ.

use std::collections::HashMap;

use arrow_array::FixedSizeBinaryArray;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use spanlight_model::{SpanColumns, SpanId, SpanKind, StatusCode, TraceId, Value, sampling};

use super::Place;
use super::histogram::DurationHistogram;
use super::waiting::{Key, Side, Waiting};

/// Pairs of services that are told apart; calls beyond count as unmatched.
const CALLS_MAX: usize = 10_000;
/// What databases are called by, newest convention first.
const DATABASE_KEYS: [&str; 2] = ["db.system.name", "db.system"];
/// What others that send no spans are called by.
const PEER_KEYS: [&str; 1] = ["peer.service"];

/// Who calls whom, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// The calling service; empty where it has no name.
    pub client: String,
    /// The called service, or what the caller calls it.
    pub server: String,
    /// How.
    pub kind: CallKind,
}

/// How services are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A request and its answer.
    Request,
    /// A message: the consumer may start after the producer ended.
    Messaging,
    /// A request to a database, which sends no spans itself.
    Database,
    /// A request to something else that sends no spans, by the name that the caller gives it.
    Peer,
}

/// Counts of a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CallCounts {
    /// Calls.
    pub calls: f64,
    /// Calls of which either side failed.
    pub errors: f64,
    /// Durations of the called side; of the caller where only that one is known.
    pub durations: DurationHistogram,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub(super) struct ServiceGraph {
    positions: HashMap<Call, usize>,
    saved: Saved,
}

/// What is kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Saved {
    calls: Vec<(Call, CallCounts)>,
    /// Calling spans whose other side has not come.
    clients: Waiting,
    /// Called spans whose other side has not come, by the caller's key.
    servers: Waiting,
    unmatched: u64,
}

impl ServiceGraph {
    /// Counts the calls of some spans of one trace.
    pub(super) fn count(&mut self, batches: &[SpanColumns<'_>], spans: &[Place]) {
        let ids = spans
            .iter()
            .map(|place| (batches[place.batch].span_id(place.row), *place));
        let by_id: FxHashMap<SpanId, Place> = ids.collect();
        let mut has_server = vec![false; spans.len()];
        let position = |place: Place| spans.iter().position(|other| *other == place);
        for &place in spans {
            let columns = &batches[place.batch];
            let Some(parent) = columns.parent_span_id(place.row) else {
                continue;
            };
            let Some(&client) = by_id.get(&parent) else {
                if is_server(columns, place.row) {
                    let key = Key::new(columns.trace_id(place.row), parent);
                    self.match_server(key, side(columns, place.row));
                }
                continue;
            };
            let calling = &batches[client.batch];
            if calling.service_name(client.row) != columns.service_name(place.row) {
                let (client_side, server_side) =
                    (side(calling, client.row), side(columns, place.row));
                self.add_pair(&client_side, &server_side);
                if let Some(at) = position(client) {
                    has_server[at] = true;
                }
            }
        }
        for (&place, has_server) in spans.iter().zip(has_server) {
            let columns = &batches[place.batch];
            self.count_links(columns, place.row);
            if !has_server && is_client(columns, place.row) {
                self.count_client(columns, place.row);
            }
        }
    }

    /// A consumer of several messages has a link to the producer of each.
    fn count_links(&mut self, columns: &SpanColumns<'_>, row: usize) {
        if !is_server(columns, row) {
            return;
        }
        for link in columns.links.range(row) {
            let id = |array: &FixedSizeBinaryArray| array.value(link).to_vec();
            let trace_id = <[u8; 16]>::try_from(id(columns.links.trace_ids));
            let span_id = <[u8; 8]>::try_from(id(columns.links.span_ids));
            if let (Ok(trace_id), Ok(span_id)) = (trace_id, span_id) {
                let key = Key::new(TraceId(trace_id), SpanId(span_id));
                self.match_server(key, side(columns, row));
            }
        }
    }

    /// A calling span none of whose children is in another service, as far as is known here.
    fn count_client(&mut self, columns: &SpanColumns<'_>, row: usize) {
        let client = side(columns, row);
        if let Some((kind, name)) = silent_peer(columns, row) {
            let call = Call {
                client: client.service_name.clone(),
                server: name.to_owned(),
                kind,
            };
            self.add(call, client.weight, client.failed, client.duration_nano);
            return;
        }
        let key = Key::new(columns.trace_id(row), columns.span_id(row));
        let servers = self.saved.servers.take(&key);
        if servers.is_empty() {
            self.saved.unmatched += self.saved.clients.insert(key, client);
            return;
        }
        for server in servers {
            self.add_pair(&client, &server);
        }
    }

    /// A called span whose caller is not among the spans that are counted with it.
    fn match_server(&mut self, key: Key, server: Side) {
        let clients = self.saved.clients.get(&key).first().cloned();
        match clients {
            // It stays: a message may have more consumers.
            Some(client) => {
                self.add_pair(&client, &server);
                self.saved.clients.set_matched(&key);
            }
            None => self.saved.unmatched += self.saved.servers.insert(key, server),
        }
    }

    fn add_pair(&mut self, client: &Side, server: &Side) {
        if client.service_name == server.service_name {
            return;
        }
        let is_message = [client.kind(), server.kind()]
            .iter()
            .any(|kind| matches!(kind, SpanKind::Producer | SpanKind::Consumer));
        let call = Call {
            client: client.service_name.clone(),
            server: server.service_name.clone(),
            kind: if is_message {
                CallKind::Messaging
            } else {
                CallKind::Request
            },
        };
        let failed = client.failed || server.failed;
        self.add(call, server.weight, failed, server.duration_nano);
    }

    fn add(&mut self, call: Call, weight: f64, failed: bool, duration_nano: i64) {
        let calls = &mut self.saved.calls;
        let position = match self.positions.get(&call) {
            Some(position) => *position,
            None if calls.len() >= CALLS_MAX => {
                self.saved.unmatched += 1;
                return;
            }
            None => {
                self.positions.insert(call.clone(), calls.len());
                calls.push((call, CallCounts::default()));
                calls.len() - 1
            }
        };
        let counts = &mut calls[position].1;
        counts.calls += weight;
        counts.errors += if failed { weight } else { 0.0 };
        counts.durations.add(duration_nano, weight);
    }

    pub(super) fn expire(&mut self, received_before_unix_nano: i64) {
        let saved = &mut self.saved;
        saved.unmatched += saved.clients.expire(received_before_unix_nano);
        saved.unmatched += saved.servers.expire(received_before_unix_nano);
    }

    pub(super) fn list(&self) -> Vec<(Call, CallCounts)> {
        let mut list = self.saved.calls.clone();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }

    pub(super) fn unmatched(&self) -> u64 {
        self.saved.unmatched
    }
}

impl From<Saved> for ServiceGraph {
    fn from(saved: Saved) -> Self {
        let calls = saved.calls.iter().enumerate();
        Self {
            positions: calls.map(|(at, (call, _))| (call.clone(), at)).collect(),
            saved,
        }
    }
}

impl From<ServiceGraph> for Saved {
    fn from(graph: ServiceGraph) -> Self {
        graph.saved
    }
}

fn kind(columns: &SpanColumns<'_>, row: usize) -> SpanKind {
    SpanKind::from_number(i64::from(columns.kinds.value(row)))
}

fn is_client(columns: &SpanColumns<'_>, row: usize) -> bool {
    matches!(kind(columns, row), SpanKind::Client | SpanKind::Producer)
}

fn is_server(columns: &SpanColumns<'_>, row: usize) -> bool {
    matches!(kind(columns, row), SpanKind::Server | SpanKind::Consumer)
}

fn side(columns: &SpanColumns<'_>, row: usize) -> Side {
    let (start, end) = (columns.start_times.value(row), columns.end_times.value(row));
    Side {
        service_name: columns.service_name(row).unwrap_or_default().to_owned(),
        kind: kind(columns, row) as u8,
        failed: columns.status_codes.value(row) == StatusCode::Error as i8,
        weight: sampling::weight(columns.trace_states.value(row)),
        duration_nano: end.saturating_sub(start),
        received_at_unix_nano: columns.received_at.value(row),
        matched: false,
    }
}

/// The called side, where it sends no spans of its own.
fn silent_peer<'a>(columns: &SpanColumns<'a>, row: usize) -> Option<(CallKind, &'a str)> {
    if kind(columns, row) != SpanKind::Client {
        return None;
    }
    let text = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| match columns.attributes.get(row, key) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            })
    };
    text(&DATABASE_KEYS)
        .map(|name| (CallKind::Database, name))
        .or_else(|| text(&PEER_KEYS).map(|name| (CallKind::Peer, name)))
}

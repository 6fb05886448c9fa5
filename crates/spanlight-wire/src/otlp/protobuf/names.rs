//! The fields of OTLP's messages, each at the place of its number, for errors.

pub(super) const REQUEST: &[&str] = &["", "resource_spans"];

pub(super) const RESOURCE_SPANS: &[&str] = &["", "resource", "scope_spans", "schema_url"];

pub(super) const SCOPE_SPANS: &[&str] = &["", "scope", "spans", "schema_url"];

pub(super) const RESOURCE: &[&str] = &["", "attributes", "dropped_attributes_count"];

pub(super) const SCOPE: &[&str] = &[
    "",
    "name",
    "version",
    "attributes",
    "dropped_attributes_count",
];

pub(super) const SPAN: &[&str] = &[
    "",
    "trace_id",
    "span_id",
    "trace_state",
    "parent_span_id",
    "name",
    "kind",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "attributes",
    "dropped_attributes_count",
    "events",
    "dropped_events_count",
    "links",
    "dropped_links_count",
    "status",
    "flags",
];

pub(super) const STATUS: &[&str] = &["", "", "message", "code"];

pub(super) const EVENT: &[&str] = &[
    "",
    "time_unix_nano",
    "name",
    "attributes",
    "dropped_attributes_count",
];

pub(super) const LINK: &[&str] = &[
    "",
    "trace_id",
    "span_id",
    "trace_state",
    "attributes",
    "dropped_attributes_count",
    "flags",
];

pub(super) const KEY_VALUE: &[&str] = &["", "key", "value"];

pub(super) const ANY_VALUE: &[&str] = &[
    "",
    "string_value",
    "bool_value",
    "int_value",
    "double_value",
    "array_value",
    "kvlist_value",
    "bytes_value",
];

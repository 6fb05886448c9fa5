//! Names of attributes that Spanlight itself reads or writes. OpenTelemetry's semantic conventions, older
//! spellings that real clients still send, and Spanlight's own under `spanlight.`.

/// The service that a resource belongs to.
pub const SERVICE_NAME: &str = "service.name";
/// `true` on the first invocation in a new environment.
pub const FAAS_COLDSTART: &str = "faas.coldstart";
/// The name of an event that records an exception.
pub const EXCEPTION_EVENT: &str = "exception";
/// An exception event's type.
pub const EXCEPTION_TYPE: &str = "exception.type";
/// An exception event's message.
pub const EXCEPTION_MESSAGE: &str = "exception.message";
/// An exception event's stack trace.
pub const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";

/// Set by Spanlight on a span whose times cannot be right; the values are the `ANOMALY_*` constants, joined by
/// commas. The times themselves are kept as sent.
pub const ANOMALY: &str = "spanlight.anomaly";
/// The span ends before it starts.
pub const ANOMALY_END_BEFORE_START: &str = "end_before_start";
/// The start or the end is zero.
pub const ANOMALY_ZERO_TIME: &str = "zero_time";
/// The span starts more than five minutes after it was received.
pub const ANOMALY_FUTURE: &str = "future_time";
/// A time is beyond the year 2262, the end of signed 64-bit nanoseconds, and was cut to it.
pub const ANOMALY_TIME_CUT: &str = "time_cut";

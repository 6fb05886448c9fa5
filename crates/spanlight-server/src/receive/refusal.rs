//! Why a request is refused as a whole, and what that is in HTTP and in gRPC.

use std::time::Duration;

use http::StatusCode;
use spanlight_store::AppendError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::config::write_duration;

/// When a sender that found the process full should try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request of which nothing is kept.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refusal {
    /// The body is not what it says it is.
    #[error("{0}")]
    Malformed(String),
    /// The body is of a type or encoding that is not read.
    #[error("{0}")]
    UnsupportedType(String),
    /// The request is larger than a limit.
    #[error("{0}")]
    TooLarge(String),
    /// The request did not arrive in time.
    #[error("{0}")]
    TooSlow(String),
    /// There is no room now.
    #[error("{message}")]
    Overloaded {
        message: String,
        retry_after: Duration,
    },
    /// Spans cannot be kept now.
    #[error("{message}")]
    Unavailable {
        message: String,
        retry_after: Duration,
    },
    /// A defect of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Refusal {
    pub(crate) fn overloaded_in_flight(limit: usize) -> Self {
        Self::Overloaded {
            message: format!(
                "the server is receiving as much as it may (limits.in_flight_bytes, {limit} bytes); retry in 1 s"
            ),
            retry_after: RETRY_AFTER,
        }
    }

    pub(crate) fn too_slow(read_time: Duration) -> Self {
        Self::TooSlow(format!(
            "the request did not arrive within {} (limits.request_read_time)",
            write_duration(read_time)
        ))
    }

    pub(crate) fn http_status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::UnsupportedType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn grpc_code(&self) -> Code {
        match self {
            Self::Malformed(_) | Self::UnsupportedType(_) => Code::InvalidArgument,
            Self::TooLarge(_) | Self::Overloaded { .. } => Code::ResourceExhausted,
            Self::TooSlow(_) => Code::DeadlineExceeded,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// When the same request may succeed; `None`: it should not be sent again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// OTLP clients retry `RESOURCE_EXHAUSTED` only with `RetryInfo`.
    pub(crate) fn grpc_status(&self) -> Status {
        match self.retry_after() {
            Some(delay) => Status::with_error_details(
                self.grpc_code(),
                self.to_string(),
                ErrorDetails::with_retry_info(Some(delay)),
            ),
            None => Status::new(self.grpc_code(), self.to_string()),
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let message = error.to_string();
        match (&error, error.retry_after()) {
            (AppendError::Overloaded { .. }, Some(retry_after)) => Self::Overloaded {
                message,
                retry_after,
            },
            (AppendError::TooLarge { .. }, _) => Self::TooLarge(message),
            (_, Some(retry_after)) => Self::Unavailable {
                message,
                retry_after,
            },
            (_, None) => Self::Internal(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_store_is_said_in_both_protocols() {
        let retry_after = Duration::from_millis(1_500);
        for (error, status, code) in [
            (
                AppendError::Overloaded {
                    what: "memory",
                    retry_after,
                },
                429,
                Code::ResourceExhausted,
            ),
            (
                AppendError::Unwritable {
                    reason: "no space".to_owned(),
                    retry_after,
                },
                503,
                Code::Unavailable,
            ),
            (AppendError::ShuttingDown, 503, Code::Unavailable),
            (
                AppendError::TooLarge { bytes: 2, limit: 1 },
                413,
                Code::ResourceExhausted,
            ),
        ] {
            let retryable = error.retry_after().is_some();
            let refusal = Refusal::from(error);
            assert_eq!(refusal.http_status().as_u16(), status);
            let grpc = refusal.grpc_status();
            assert_eq!(grpc.code(), code);
            // What may be retried says when; what may not must not, or clients would.
            assert_eq!(grpc.get_details_retry_info().is_some(), retryable);
        }
    }
}

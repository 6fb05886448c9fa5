//! Which pages may send spans from a browser.

use std::time::Duration;

use http::{HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::config::Origin;

/// How long a browser may remember the answer.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// The layer for the origins of `receivers.cors_origins`; `None` without any. `*` stands for every origin.
pub(crate) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origin = if origins.iter().any(Origin::is_any) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()),
        )
    };
    Some(
        CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([Method::POST])
            // Exporters send the headers that their users configure.
            .allow_headers(AllowHeaders::mirror_request())
            .max_age(MAX_AGE),
    )
}

//! What the port of pages and queries answers before the store is open: that the process lives, and why it is not
//! ready. Recovery after a crash can take seconds, and whoever watches must be able to tell it from a hang.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::{Request, StatusCode, header};
use tower::{ServiceExt as _, service_fn};

/// The routes of a port that are not there yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stage {
    routes: Arc<OnceLock<Router>>,
}

impl Stage {
    /// Answers from now on with these routes; the first time counts.
    pub(crate) fn open(&self, routes: Router) {
        let _ = self.routes.set(routes);
    }

    /// What to put on the port.
    pub(crate) fn router(&self) -> Router {
        let routes = Arc::clone(&self.routes);
        Router::new().fallback_service(service_fn(move |request: Request<Body>| {
            let routes = Arc::clone(&routes);
            async move {
                match routes.get() {
                    Some(router) => router.clone().oneshot(request).await,
                    None => Ok::<_, Infallible>(not_yet(request.uri().path())),
                }
            }
        }))
    }
}

fn not_yet(path: &str) -> Response {
    const REASON: &str = "the store is being opened and recovered";
    if path == "/healthz" {
        return "ok\n".into_response();
    }
    let retry = [(header::RETRY_AFTER, "1")];
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    if path == "/readyz" {
        let body = serde_json::json!({ "ready": false, "reasons": [REASON], "warnings": [] });
        return (unavailable, retry, Json(body)).into_response();
    }
    (
        unavailable,
        retry,
        format!("{REASON}; try again in a moment\n"),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    async fn status(router: &Router, path: &str) -> u16 {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        response.status().as_u16()
    }

    #[tokio::test]
    async fn the_port_says_that_it_is_not_ready_until_it_is() {
        let stage = Stage::default();
        let router = stage.router();
        assert_eq!(status(&router, "/healthz").await, 200);
        assert_eq!(status(&router, "/readyz").await, 503);
        assert_eq!(status(&router, "/").await, 503);
        stage.open(Router::new().route("/", get(|| async { "page" })));
        assert_eq!(status(&router, "/").await, 200);
        assert_eq!(status(&router, "/readyz").await, 404);
    }
}

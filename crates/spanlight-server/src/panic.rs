//! A defect of ours must not look like an empty answer, nor take a connection with it.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;

type Handler = fn(Box<dyn std::any::Any + Send>) -> Response;

/// Turns a panic into status 500, and a line in the log.
pub(crate) fn layer() -> CatchPanicLayer<Handler> {
    CatchPanicLayer::custom(answer as Handler)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the layer's"
)]
fn answer(panic: Box<dyn std::any::Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    tracing::error!(error = message, "a request panicked");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal error; the log of the server says more\n",
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        async fn defect() -> &'static str {
            panic!("on purpose")
        }
        let router = Router::new().route("/", get(defect)).layer(super::layer());
        let request = Request::get("/").body(Body::empty()).unwrap();
        assert_eq!(router.oneshot(request).await.unwrap().status(), 500);
    }
}

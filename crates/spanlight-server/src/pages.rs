//! The pages: addresses in, `spanlight-web`'s structs filled, HTML out.

mod search;
mod trace;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use spanlight_web::{FailurePage, asset, failure_page};

use crate::api::{Failure, typed};
use crate::app::App;

const HTML: &str = "text/html; charset=utf-8";

/// The routes of the pages, their fragments and what they load.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(search::get))
        .route("/trace/{id}", get(trace::page))
        .route("/trace/{id}/rows", get(trace::rows))
        .route("/trace/{id}/span/{span_id}", get(trace::span))
        .route("/assets/{name}", get(assets))
}

async fn assets(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = asset(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // The addresses in the pages have the hash of the content in them.
    let cache = [
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::ETAG, asset.etag),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(&HeaderValue::from_static(asset.etag)) {
        return (StatusCode::NOT_MODIFIED, cache).into_response();
    }
    (cache, typed(asset.content_type, asset.bytes.into())).into_response()
}

/// A page, which depends on the moment: it is asked for again, but for the browser's way back.
fn html(text: String) -> Response {
    (
        [(header::CACHE_CONTROL, "no-cache")],
        typed(HTML, text.into()),
    )
        .into_response()
}

fn failure(page: &FailurePage) -> Response {
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, html(failure_page(page))).into_response()
}

/// The page of an error that has no page of its own.
fn failed(error: Failure) -> Response {
    failure(&FailurePage {
        status: error.status.as_u16(),
        title: "No answer".to_owned(),
        message: error.body.message,
        suggestions: error.body.hint.into_iter().collect(),
    })
}

pub(crate) fn not_found(path: &str) -> Response {
    failure(&FailurePage {
        status: 404,
        title: "Page not found".to_owned(),
        message: format!("There is no page at {path}."),
        suggestions: vec![
            "The search page is at /, a trace at /trace/ and its id.".to_owned(),
            "Spans are received on other ports; see the server's log or addresses.json.".to_owned(),
        ],
    })
}

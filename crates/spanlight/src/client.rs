//! The HTTP API as the commands ask it.

use std::ops::Range;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use spanlight_server::Addresses;

use crate::failure::Failure;

/// A server to ask.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
}

/// What the server said against a question.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) position: Option<Range<usize>>,
    pub(crate) expected: Vec<String>,
    pub(crate) hint: Option<String>,
}

/// What is needed of `/api/v1/status`.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) addresses: Addresses,
}

/// An answer, or why there is none.
pub(crate) type Answer = Result<String, Refusal>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ADDRESS_BYTES_MAX: usize = 4_096;
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

impl Client {
    /// A client of the server at an address such as `http://127.0.0.1:7900`; the scheme may be left out.
    pub(crate) fn new(address: &str) -> Result<Self, Failure> {
        let text = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let wrong = |why: String| Failure::usage(&format!("--server {address}: {why}"));
        let mut base = Url::parse(&text).map_err(|error| wrong(error.to_string()))?;
        if base.scheme() != "http" {
            return Err(wrong("only http:// is supported".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|source| Failure::of("cannot make an HTTP client", &source))?;
        Ok(Self { http, base })
    }

    /// The address of the server.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether a server is there.
    pub(crate) async fn probe(&self) -> Result<(), reqwest::Error> {
        let url = self.url("healthz", &[]);
        let request = self.http.get(url).timeout(PROBE_TIMEOUT);
        request.send().await?.error_for_status().map(drop)
    }

    /// What the server says about itself.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        let body = match self.ask("api/v1/status", &[]).await? {
            Ok(body) => body,
            Err(refusal) => return Err(Failure::failed(&refusal.message)),
        };
        serde_json::from_str(&body).map_err(|source| {
            Failure::of(
                "the server's status is not understood; is it of the same version?",
                &source,
            )
        })
    }

    /// The body of the answer to `GET path?parameters`; parameters that are too long for an address go as a form.
    pub(crate) async fn ask(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<Answer, Failure> {
        let failed = |source: reqwest::Error| self.broken(&source);
        let mut url = self.url(path, parameters);
        let form = url.query().filter(|query| query.len() > ADDRESS_BYTES_MAX);
        let request = match form.map(str::to_owned) {
            None => self.http.get(url),
            Some(form) => {
                url.set_query(None);
                let request = self.http.post(url).body(form);
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            }
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = response.text().await.map_err(failed)?;
        Ok(if status.is_success() {
            Ok(body)
        } else {
            Err(refusal(status, &body))
        })
    }

    /// The answer to `POST path` with JSON, which may take as long as it takes.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Response, Failure> {
        let request = self.http.post(self.url(path, &[])).json(body);
        let response = request
            .send()
            .await
            .map_err(|source| self.broken(&source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        let refusal = refusal(status, &body);
        Err(match status {
            StatusCode::BAD_REQUEST => Failure::usage(&refusal.message),
            _ => Failure::failed(&refusal.message),
        })
    }

    /// The answer to `POST path?parameters` with a text, of a media type.
    pub(crate) async fn ask_text(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        text: &str,
        accept: &'static str,
    ) -> Result<Result<Response, Refusal>, Failure> {
        let request = self.http.post(self.url(path, parameters));
        let request = request.header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let request = request.header(ACCEPT, accept).body(text.to_owned());
        let response = request.send().await;
        let response = response.map_err(|source| self.broken(&source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Ok(response));
        }
        let body = response.text().await.unwrap_or_default();
        Ok(Err(refusal(status, &body)))
    }

    fn url(&self, path: &str, parameters: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url
    }

    fn broken(&self, source: &reqwest::Error) -> Failure {
        let message = format!("no answer from {}", self.base);
        if source.is_connect() {
            return Failure::unreachable(&message, Some(source));
        }
        Failure::of(&message, source)
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorFields,
}

#[derive(Deserialize)]
struct ErrorFields {
    message: String,
    #[serde(default)]
    position: Option<Position>,
    #[serde(default)]
    expected: Vec<String>,
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Position {
    start: usize,
    end: usize,
}

fn refusal(status: StatusCode, body: &str) -> Refusal {
    match serde_json::from_str::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => Refusal {
            status,
            message: error.message,
            position: error.position.map(|at| at.start..at.end),
            expected: error.expected,
            hint: error.hint,
        },
        // Something else than Spanlight answers there, or in between.
        Err(_) => Refusal {
            status,
            message: format!("the server answered {status}"),
            position: None,
            expected: Vec::new(),
            hint: None,
        },
    }
}

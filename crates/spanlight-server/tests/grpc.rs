//! gRPC by hand, so that a test can also say what no library would.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// The outcome of a call.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u32,
    pub(crate) message: String,
    /// `google.rpc.Status` in base64, with the details of an error.
    pub(crate) details: String,
    /// The message, without its frame.
    pub(crate) body: Vec<u8>,
}

/// A message in its frame.
pub(crate) fn frame(compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(compressed)];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

pub(crate) async fn call(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    // An error without a message has its status in the headers.
    let field = |name: &str| {
        let value = trailers.get(name).or_else(|| parts.headers.get(name));
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    };
    Reply {
        code: field("grpc-status").parse().unwrap(),
        message: field("grpc-message").replace("%20", " "),
        details: field("grpc-status-details-bin"),
        body: collected.to_bytes().get(5..).unwrap_or_default().to_vec(),
    }
}

//! Serves every page with made-up content on a loopback port, to look at while working on them:
//! `cargo run -p spanlight-web --example gallery -- 127.0.0.1:7999`.

#[path = "../tests/fixture.rs"]
mod fixture;
#[path = "../tests/pages.rs"]
mod pages;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use fixture::Fixture;
use spanlight_model::SpanId;
use spanlight_web::{
    CONTENT_SECURITY_POLICY, FailurePage, SearchAddress, TraceReader, TraceView, asset,
    failure_page, search_page, span_panel, trace_page, trace_rows,
};

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let huge = std::env::args().nth(2).and_then(|count| count.parse().ok());
    let mut traces = vec![
        fixture::checkout(),
        fixture::large(300),
        fixture::large(10_000),
    ];
    traces.extend(huge.map(fixture::large));
    let traces = Arc::new(traces);
    let listener = TcpListener::bind(address)?;
    let mut output = std::io::stdout();
    writeln!(output, "http://{}/", listener.local_addr()?)?;
    for path in [
        "/welcome",
        "/nothing",
        "/problem",
        "/rates",
        "/histogram",
        "/comparison",
    ] {
        writeln!(output, "  {path}")?;
    }
    for trace in traces.iter() {
        writeln!(
            output,
            "  /trace/{} ({} spans)",
            trace.trace_id,
            trace.nodes.len()
        )?;
    }
    for stream in listener.incoming() {
        let (stream, traces) = (stream?, Arc::clone(&traces));
        std::thread::spawn(move || serve(&stream, &traces));
    }
    Ok(())
}

fn serve(stream: &TcpStream, traces: &[Fixture]) -> std::io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut line)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let target = line.split(' ').nth(1).unwrap_or("/");
    let (path, query_string) = target.split_once('?').unwrap_or((target, ""));
    let (status, content_type, body) = answer(path, query_string, traces);
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
         content-security-policy: {CONTENT_SECURITY_POLICY}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

fn answer(path: &str, query_string: &str, traces: &[Fixture]) -> (u16, &'static str, Vec<u8>) {
    let html = |status, text: String| (status, "text/html; charset=utf-8", text.into_bytes());
    let mut parts = path.trim_matches('/').split('/');
    match (
        parts.next().unwrap_or(""),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        ("", ..) => html(
            200,
            search_page(&pages::results(SearchAddress::parse(query_string))),
        ),
        ("welcome", ..) => html(200, search_page(&pages::welcome())),
        ("nothing", ..) => html(200, search_page(&pages::nothing())),
        ("rates", ..) => html(200, search_page(&pages::rates())),
        ("histogram", ..) => html(200, search_page(&pages::histogram())),
        ("comparison", ..) => html(200, search_page(&pages::comparison())),
        ("problem", ..) => html(400, search_page(&pages::problem())),
        ("assets", Some(name), ..) => match asset(name) {
            Some(asset) => (200, asset.content_type, asset.bytes.to_vec()),
            None => html(404, String::new()),
        },
        ("trace", Some(id), fragment, span) => {
            let Some(trace) = traces.iter().find(|trace| trace.trace_id.to_string() == id) else {
                return html(404, failure_page(&FailurePage::trace_not_found(id)));
            };
            let reader = TraceReader::new(trace.trace_id, &trace.batch, &trace.nodes, vec![]);
            let view = TraceView::parse(query_string);
            match (fragment, span.map(SpanId::parse)) {
                (Some("rows"), _) => html(200, trace_rows(&reader.rows(&view))),
                (Some("span"), Some(Ok(span))) => match reader.span(&view, span) {
                    Some(panel) => html(200, span_panel(&panel)),
                    None => html(404, String::new()),
                },
                _ => html(200, trace_page(&reader.page(&view))),
            }
        }
        _ => html(404, failure_page(&FailurePage::trace_not_found(path))),
    }
}

//! The search page as its readers see it: its text, without the markup.

use spanlight_web::{SearchAddress, SearchBody, Welcome, search_page};

use crate::pages;

/// The text of a document's main part, a line for each block that has some.
pub(crate) fn text_of(document: &str) -> String {
    let main = document.split("<main").nth(1).unwrap_or(document);
    let main = main.split("</main>").next().unwrap_or(main);
    let mut lines = String::new();
    for piece in main.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or(("", piece));
        let name = tag.trim_start_matches('/').split(' ').next().unwrap_or("");
        let inline = [
            "span", "a", "strong", "code", "mark", "kbd", "svg", "path", "button", "rect", "time",
            "circle",
        ];
        if !inline.contains(&name) {
            lines.push('\n');
        } else if !text.trim().is_empty() {
            lines.push(' ');
        }
        let unseen = name == "title" || tag.contains("visually-hidden");
        if !unseen || tag.starts_with('/') {
            lines.push_str(&text.replace('\n', " "));
        }
    }
    let unescaped = lines
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let trimmed: Vec<String> = unescaped
        .lines()
        .map(words)
        .filter(|line| !line.is_empty())
        .collect();
    trimmed.join("\n")
}

#[test]
fn a_result_says_what_happened_where_and_when() {
    let mut page = pages::results(SearchAddress::default());
    if let SearchBody::Results(results) = &mut page.body {
        results.traces.truncate(1);
        results.partial = vec!["one file could not be read".to_owned()];
    }
    let text = text_of(&search_page(&page));
    let start = text.find("Not complete").unwrap();
    let end = text.find("Queries to start from").unwrap();
    insta::assert_snapshot!(&text[start..end], @r#"
    Not complete: one file could not be read
    Newest 1 trace 128,400 spans read, 3.2 MiB, 8.2 ms
    1 s
    2 s
    03:04:05.178
    03:04:05.428
    03:04:05.678
    03:04:05.928
    03:04:06.178
    errors 1
    cold starts 1
    analytics 1
    card-gateway 1
    event-bus 1
    fraud-check 1
    notify-mailer 1
    payments 1
    web-shop 1
    web-shop POST /checkout 1 error cold start
    3 spans web-shop 1 payments 4 1 card-gateway 7 event-bus 10 notify-mailer 13 analytics 16 +1
    1.93 s
    3 min ago
    charge 88 ms http.response.status_code =402
    risk score 176 ms http.response.status_code =402
    Older traces
    "#);
}

#[test]
fn the_older_page_keeps_the_search() {
    let address = SearchAddress::parse("q=%7B+status+%3D+error+%7D&start=now-6h&limit=20");
    let page = search_page(&pages::results(address));
    assert!(page.contains(
        "/?q=%7B+status+%3D+error+%7D&amp;start=now-6h&amp;limit=20&amp;cursor=eyJ0IjoxfQ"
    ));
}

#[test]
fn an_error_is_shown_under_its_token() {
    let page = search_page(&pages::problem());
    assert!(page.contains("{ <mark>nam</mark> = "), "{page}");
    assert!(text_of(&page).contains("nam is neither an attribute nor an intrinsic"));
    assert!(page.contains("aria-invalid=\"true\""));
}

#[test]
fn an_empty_store_and_an_empty_answer_are_told_apart() {
    let welcome = text_of(&search_page(&pages::welcome()));
    let nothing = text_of(&search_page(&pages::nothing()));
    assert!(welcome.contains("No span yet") && !welcome.contains("No trace matches"));
    assert!(nothing.contains("No trace matches") && !nothing.contains("No span yet"));
    for recipe in [
        "curl -i http://127.0.0.1:4318/v1/traces",
        "OTLPSpanExporter(endpoint=\"http://127.0.0.1:4318/v1/traces\")",
        "new OTLPTraceExporter({ url: \"http://127.0.0.1:4318/v1/traces\" })",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318",
    ] {
        assert!(welcome.contains(recipe), "{recipe}");
    }
}

#[test]
fn closed_listeners_are_said_to_be_closed() {
    let mut page = pages::welcome();
    page.body = SearchBody::Welcome(Welcome::default());
    assert!(text_of(&search_page(&page)).contains("both OTLP listeners are off"));
}

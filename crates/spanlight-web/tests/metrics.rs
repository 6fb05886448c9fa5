//! Charts on the search page as their readers see them: what is drawn, what is written, and where it leads.

use spanlight_web::{SearchBody, search_page};

use crate::pages;
use crate::search::text_of;

/// The parts of the document between a text and another.
fn parts<'d>(document: &'d str, from: &str, to: &str) -> Vec<&'d str> {
    let parts = document.split(from).skip(1);
    parts.filter_map(|part| part.split(to).next()).collect()
}

#[test]
fn series_are_drawn_named_and_tabled() {
    let document = search_page(&pages::rates());
    let text = text_of(&document);
    let start = text.find("rate 3 series").unwrap();
    insta::assert_snapshot!(&text[start..], @r#"
    rate 3 series, a point for each 1 min 5,000 spans read, 87.9 KiB, 3 ms
    0/s
    2/s
    4/s
    6/s
    8/s
    02:10
    02:20
    02:30
    02:40
    02:50
    03:00
    web-shop
    payments
    card-gateway
    resource.service.name
    Mean
    Greatest
    Last
    web-shop
    6.5/s
    7/s
    6.6/s
    payments
    4.5/s
    5/s
    5/s
    card-gateway
    2.5/s
    3/s
    2.3/s
    "#);
    assert_eq!(document.matches("<g class=\"chart-line").count(), 3);
    // The line of the third breaks once.
    let moves = parts(&document, "<path d=\"", "\"").into_iter();
    let moves: Vec<usize> = moves.map(|path| path.matches('M').count()).collect();
    assert!(moves.contains(&2), "{moves:?}");
}

#[test]
fn a_column_says_what_it_has_and_leads_to_its_spans() {
    let document = search_page(&pages::rates());
    let columns = parts(&document, "<a class=\"chart-column\"", "</a>");
    // An hour, and the minute that has begun; what is in the future has nothing.
    assert_eq!(columns.len(), 61);
    let column = columns[20];
    assert!(
        column.contains("web-shop: 6.8/s\npayments: 4.6/s</title>"),
        "{column}"
    );
    assert!(
        column.contains("href=\"/?q=%7B+kind+%3D+server+%7D&amp;start="),
        "{column}"
    );
}

#[test]
fn a_series_leads_to_its_spans() {
    let document = search_page(&pages::rates());
    let query = "%7B+kind+%3D+server+%7D+%7C+%7B+resource.service.name+%3D+%22payments%22+%7D";
    assert!(document.contains(&format!("href=\"/?q={query}\"")));
}

#[test]
fn one_interval_is_a_table_of_values() {
    let mut page = pages::rates();
    if let SearchBody::Metrics(results) = &mut page.body {
        results.step_nano = None;
        for series in &mut results.series {
            series.points.truncate(1);
        }
    }
    let document = search_page(&page);
    assert!(!document.contains("chart-line"));
    insta::assert_snapshot!(text_of(&document).split("3 ms").last().unwrap(), @r#"
    resource.service.name
    Value
    web-shop
    6/s
    payments
    4/s
    card-gateway
    2/s
    "#);
}

#[test]
fn histograms_are_heat_maps() {
    let document = search_page(&pages::histogram());
    assert!(document.contains("<g class=\"chart-heat\">") && !document.contains("chart-line"));
    let marks = parts(&document, "text-anchor=\"end\">", "<");
    assert_eq!(marks, ["4 ms", "16 ms", "64 ms", "256 ms"]);
    let columns = parts(&document, "<a class=\"chart-column\"", "</a>");
    assert!(
        columns[1].contains("≤ 256 ms: 10\n≤ 128 ms: 9"),
        "{}",
        columns[1]
    );
}

#[test]
fn comparisons_show_first_what_differs_most() {
    let document = search_page(&pages::comparison());
    insta::assert_snapshot!(text_of(&document).split("What differs most").last().unwrap(), @r#"
     comes first.
    Attribute
    Value
    Selection
    Baseline
    span.http.route
    /pay
    75.0 %
    25.0 %
    span.http.route
    /cart
    25.0 %
    75.0 %
    span.coupon
    WINTER
    0.0 %
    5.0 %
    "#);
    assert!(document.contains("%7C+%7B+span.http.route+%3D+%22%2Fpay%22+%7D"));
}

#[test]
fn an_answer_without_series_says_so() {
    let page = pages::metrics(
        "{ name = \"nowhere\" } | rate() by (name)",
        vec![],
        |_, _| None,
    );
    let text = text_of(&search_page(&page));
    assert!(
        text.contains("No series") && text.contains("Look at the last 24 h"),
        "{text}"
    );
}

#[test]
fn many_series_are_not_all_drawn_and_the_page_says_so() {
    let labels = (0..300).map(|number| vec![("span.number", pages::label(&number.to_string()))]);
    let page = pages::metrics(
        "{ } | rate() by (span.number)",
        labels.collect(),
        |series, _| Some(series as f64),
    );
    let document = search_page(&page);
    assert_eq!(document.matches("<g class=\"chart-line").count(), 20);
    let text = text_of(&document);
    assert!(text.contains("The 20 largest are drawn."), "{text}");
    assert!(text.contains("100 more are not in the table."), "{text}");
    assert!(text.contains("and 10 more") || document.contains("and 10 more"));
}

//! Names and room of attribute columns.

use super::*;

fn names(catalogue: &Catalogue) -> Vec<&str> {
    let columns = catalogue.columns().iter();
    columns.map(|column| column.name.as_str()).collect()
}

#[test]
fn names_need_no_quotes_and_never_collide() {
    let mut catalogue = Catalogue::default();
    for (scope, key, kind) in [
        (AttributeScope::Span, "http.route", ColumnType::String),
        (AttributeScope::Span, "http_route", ColumnType::String),
        (AttributeScope::Span, "HTTP.Route", ColumnType::String),
        (AttributeScope::Span, "order.total", ColumnType::Double),
        (AttributeScope::Span, "order.total", ColumnType::Int),
        (AttributeScope::Span, "order.total.int", ColumnType::Int),
        (AttributeScope::Span, "id", ColumnType::String),
        (AttributeScope::Resource, "a key, (odd)", ColumnType::Bool),
    ] {
        assert!(catalogue.promote(scope, key, kind), "{key}");
        assert!(catalogue.promote(scope, key, kind), "again: {key}");
    }
    assert_eq!(
        names(&catalogue),
        [
            "span_http_route",
            "span_http_route_2",
            "span_HTTP_Route_3",
            "span_order_total",
            "span_order_total_int",
            "span_order_total_int_2",
            "span_id_2",
            "resource_a_key___odd_",
        ]
    );
    assert_eq!(
        Catalogue::from_json(&catalogue.to_json()).unwrap(),
        catalogue
    );
    let schema = schema::table_schema(&catalogue);
    assert_eq!(Catalogue::of_schema(&schema), catalogue);
}

#[test]
fn keys_that_no_engine_would_like_stay_in_the_tail() {
    let mut catalogue = Catalogue::default();
    for key in ["", "κλειδί", "a\nb", &"x".repeat(101)] {
        assert!(!catalogue.promote(AttributeScope::Span, key, ColumnType::String));
    }
    assert!(catalogue.columns().is_empty());
}

#[test]
fn others_leave_room_for_well_known_keys() {
    let mut catalogue = Catalogue::default();
    let mut promote = |key: &str| catalogue.promote(AttributeScope::Span, key, ColumnType::String);
    let others = (0..1_000)
        .filter(|number| promote(&format!("key{number}")))
        .count();
    let known = (0..1_000)
        .filter(|number| promote(&format!("http.key{number}")))
        .count();
    assert_eq!((others, known), (COLUMNS_MAX - RESERVED, RESERVED));
}

#[test]
fn a_union_keeps_what_is_there() {
    let mut one = Catalogue::default();
    one.promote(AttributeScope::Span, "a", ColumnType::String);
    let mut two = one.clone();
    assert_eq!(one.union(&two), None);
    two.promote(AttributeScope::Span, "b", ColumnType::Int);
    assert_eq!(names(&one.union(&two).unwrap()), ["span_a", "span_b"]);
    // Another table's column of the same name.
    let mut other = Catalogue::default();
    other.promote(AttributeScope::Span, "A", ColumnType::String);
    assert_eq!(one.union(&other), None);
}

#[test]
fn well_known_words_are_sorted() {
    assert!(is_well_known("http.route") && is_well_known("user_agent.original"));
    assert!(is_well_known("aws.region") && is_well_known("url.path"));
    assert!(!is_well_known("http") && !is_well_known("httpx.y"));
}

//! Search pages to look at.

use spanlight_model::{AnyValue, SpanId, TraceId};
use spanlight_web::{
    Inspected, MatchedSpan, ProblemField, QueryProblem, SearchAddress, SearchBody, SearchPage,
    SearchResults, ServiceSummary, TraceSummary, Welcome,
};

use crate::fixture::START;

const SECOND: i64 = 1_000_000_000;
const NOW: i64 = START + 200 * SECOND;

fn page(address: SearchAddress, body: SearchBody) -> SearchPage {
    SearchPage {
        address,
        now_unix_nano: NOW,
        body,
    }
}

pub(crate) fn welcome() -> SearchPage {
    page(
        SearchAddress::default(),
        SearchBody::Welcome(Welcome {
            otlp_http: Some("http://127.0.0.1:4318".to_owned()),
            otlp_grpc: Some("http://127.0.0.1:4317".to_owned()),
        }),
    )
}

pub(crate) fn nothing() -> SearchPage {
    page(
        SearchAddress::of_query("{ span.http.route = \"/nowhere\" }"),
        SearchBody::Results(SearchResults::default()),
    )
}

pub(crate) fn problem() -> SearchPage {
    page(
        SearchAddress::of_query("{ nam = \"checkout\" && status = error }"),
        SearchBody::Problem(QueryProblem {
            field: ProblemField::Query,
            message: "`nam` is neither an attribute nor an intrinsic".to_owned(),
            position: Some(2..5),
            expected: vec![
                "an attribute such as `span.http.route`".to_owned(),
                "an intrinsic".to_owned(),
            ],
            hint: Some(
                "Did you mean `name`? Attributes have a scope, or begin with a dot: `.nam`."
                    .to_owned(),
            ),
        }),
    )
}

pub(crate) fn results(address: SearchAddress) -> SearchPage {
    let traces = (0..28).map(trace).collect();
    page(
        address,
        SearchBody::Results(SearchResults {
            traces,
            next_cursor: Some("eyJ0IjoxfQ".to_owned()),
            partial: vec![],
            inspected: Inspected {
                spans: 128_400,
                bytes: 3_400_000,
                elapsed_nano: 8_200_000,
            },
        }),
    )
}

const ROOTS: [(&str, &str, &[&str]); 6] = [
    (
        "web-shop",
        "POST /checkout",
        &[
            "web-shop",
            "payments",
            "card-gateway",
            "event-bus",
            "notify-mailer",
            "analytics",
            "fraud-check",
        ],
    ),
    (
        "greeter",
        "GET /greet",
        &["greeter", "kafka-bridge", "image-resizer"],
    ),
    (
        "accounts",
        "POST /register",
        &["accounts", "user-registration", "mailer"],
    ),
    ("web-shop", "GET /products", &["web-shop", "search"]),
    (
        "ingress",
        "order.created",
        &["ingress", "event-bus", "egress", "stock"],
    ),
    ("cron", "nightly report", &["cron"]),
];

fn trace(number: usize) -> TraceSummary {
    let (service, name, services) = ROOTS[number * 5 % ROOTS.len()];
    let error = number.is_multiple_of(5);
    let first = number == 0;
    let id = if first {
        0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736
    } else {
        0xabc0 + number as u128
    };
    let duration = 4_000_000 + (number as i64 * 7_919 % 97).pow(4) * 25;
    TraceSummary {
        trace_id: TraceId(id.to_be_bytes()),
        root_service_name: (number != 9).then(|| service.to_owned()),
        root_name: (number != 9).then(|| name.to_owned()),
        start_time_unix_nano: START
            - number as i64 * 41 * SECOND
            - (number as i64 * 13 % 7) * SECOND,
        duration_nano: if first { 1_930_000_000 } else { duration },
        span_count: 3 + number as u64 * 17 % 90,
        error_count: if error { 1 + number as u64 % 3 } else { 0 },
        has_cold_start: number % 4 == 1 || first,
        services: services
            .iter()
            .enumerate()
            .map(|(index, name)| ServiceSummary {
                name: Some((*name).to_owned()),
                span_count: 1 + index as u64 * 3,
                error_count: u64::from(error && index == 1),
            })
            .collect(),
        matched: if number.is_multiple_of(3) { 2 } else { 0 },
        spans: if number.is_multiple_of(3) {
            matched(number)
        } else {
            vec![]
        },
        attributes: if number % 7 == 3 {
            vec![("count()".to_owned(), AnyValue::Int(4))]
        } else {
            vec![]
        },
    }
}

fn matched(number: usize) -> Vec<MatchedSpan> {
    ["charge", "risk score"]
        .into_iter()
        .enumerate()
        .map(|(index, name)| MatchedSpan {
            span_id: SpanId((number as u64 * 10 + index as u64 + 1).to_be_bytes()),
            name: name.to_owned(),
            service_name: Some("card-gateway".to_owned()),
            start_time_unix_nano: START,
            duration_nano: 88_000_000 * (index as i64 + 1),
            attributes: vec![("http.response.status_code".to_owned(), AnyValue::Int(402))],
        })
        .collect()
}

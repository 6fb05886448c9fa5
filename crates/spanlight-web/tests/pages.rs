//! Search pages to look at.

use spanlight_model::{AnyValue, SpanId, TraceId};
use spanlight_web::{
    Inspected, MatchedSpan, MetricsResults, MetricsSeries, ProblemField, QueryProblem,
    SearchAddress, SearchBody, SearchPage, SearchResults, ServiceSummary, TraceSummary, Unit,
    Welcome,
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

const MINUTE: i64 = 60 * SECOND;

/// Time series of a query, each with a point a minute for an hour; `value` is of a series' number and a minute's.
pub(crate) fn metrics(
    query: &str,
    labels: Vec<Vec<(&str, Option<AnyValue>)>>,
    value: impl Fn(usize, usize) -> Option<f64>,
) -> SearchPage {
    let first = (NOW - 60 * MINUTE) / MINUTE * MINUTE;
    let series = labels.into_iter().enumerate().map(|(number, labels)| {
        let points = (0..60).filter_map(|minute| {
            let time = first + minute as i64 * MINUTE;
            Some((time, value(number, minute)?))
        });
        let labels = labels.into_iter();
        MetricsSeries {
            labels: labels.map(|(key, value)| (key.to_owned(), value)).collect(),
            points: points.collect(),
        }
    });
    let results = MetricsResults {
        name: "rate".to_owned(),
        unit: Unit::PerSecond,
        bucket_unit: Unit::Seconds,
        series: series.collect(),
        time_range: first..NOW + 5 * MINUTE,
        step_nano: Some(MINUTE),
        spans_query: Some("{ kind = server }".to_owned()),
        partial: vec![],
        inspected: Inspected {
            spans: 5_000,
            bytes: 90_000,
            elapsed_nano: 3_000_000,
        },
    };
    page(SearchAddress::of_query(query), SearchBody::Metrics(results))
}

pub(crate) fn label(text: &str) -> Option<AnyValue> {
    Some(AnyValue::String(text.to_owned()))
}

/// A line for each of some services; the last has nothing for a while.
pub(crate) fn rates() -> SearchPage {
    let services = ["web-shop", "payments", "card-gateway"];
    let labels = services.map(|name| vec![("resource.service.name", label(name))]);
    metrics(
        "{ kind = server } | rate() by (resource.service.name)",
        labels.into(),
        |series, minute| match (series, minute) {
            (2, 10..30) => None,
            _ => Some((3 - series) as f64 * 2.0 + (minute * (7 + series) % 11) as f64 / 10.0),
        },
    )
}

/// Durations in buckets.
pub(crate) fn histogram() -> SearchPage {
    let bucket = |power: i32| {
        vec![(
            "__bucket",
            Some(AnyValue::Double(0.002 * 2_f64.powi(power))),
        )]
    };
    metrics(
        "{ kind = server } | histogram_over_time(duration)",
        (0..8).map(bucket).collect(),
        |row, minute| (row != 5).then(|| (minute * (row + 3) % 13) as f64),
    )
}

/// What errors have in common.
pub(crate) fn comparison() -> SearchPage {
    let side = |side: &str, value: Option<AnyValue>| {
        vec![("__meta_type", label(side)), ("span.http.route", value)]
    };
    // What few spans have, all of them on one side.
    let rare = |side: &str, value: Option<AnyValue>| {
        vec![("__meta_type", label(side)), ("span.coupon", value)]
    };
    let labels = vec![
        rare("baseline", label("WINTER")),
        rare("baseline_total", None),
        side("selection", label("/pay")),
        side("selection", label("/cart")),
        side("selection_total", None),
        side("baseline", label("/cart")),
        side("baseline", label("/pay")),
        side("baseline_total", None),
    ];
    let counts = [10.0, 10.0, 30.0, 10.0, 40.0, 150.0, 50.0, 200.0];
    metrics(
        "{ kind = server } | compare({ status = error })",
        labels,
        |series, minute| (minute == 0).then(|| counts[series]),
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

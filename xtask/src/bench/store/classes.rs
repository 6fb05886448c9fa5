//! The kinds of questions of the store's table.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    bench::{
        question::{
            Ask, Class, LIMIT, Question, Right, by_id, counted, metrics, quantiles, search,
        },
        truth::{Load, Trace},
    },
    load::{resource_attributes, trace_id, user},
    random::Random,
};

const BELOW_INGRESS: &str = "{ resource.service.name = \"ingress\" } >> { status = error }";
/// The first span of the service `ingress`, which calls or causes all that come after it.
const INGRESS_SPAN: usize = 3;
/// The span of the warehouse.
const RESERVATION: usize = 9;

pub(in crate::bench) const ALL: [Class; 12] = [
    Class::new("by-id", 2.0, Ask::Each(any_trace))
        .cold(10.0)
        .peers("VictoriaTraces 12, Tempo 154"),
    Class::new("by-id-absent", 1.0, Ask::Each(no_trace)).peers("Tempo 8, VictoriaTraces 146"),
    Class::new("user", 10.0, Ask::Each(one_user)).peers("VictoriaTraces 46, Tempo 1,335"),
    Class::new(
        "newest",
        10.0,
        Ask::Newest(
            "{ resource.service.name = \"warehouse\" && span.http.response.status_code = 500 }",
            |trace| u64::from(trace.fails() == Some(RESERVATION)),
        ),
    )
    .peers("VictoriaTraces 47, Tempo 305, not the newest"),
    Class::new("needle", 5.0, Ask::Each(needle)).peers("VictoriaTraces 11, Tempo 786"),
    Class::new("no-match", 2.0, Ask::Each(no_match)).peers("VictoriaTraces 2.9, Tempo 441"),
    Class::new("regex-user", 100.0, Ask::Each(regex_user)),
    Class::new("regex-invocation", 1_500.0, Ask::Each(regex_invocation)),
    Class::new("p90-by-service", 200.0, Ask::Same(p90_by_service)).peers("Tempo 2,165, in buckets"),
    Class::new("cold-starts", 100.0, Ask::Same(cold_starts)).peers("Tempo 3,913"),
    Class::new(
        "structural",
        20.0,
        Ask::Newest(BELOW_INGRESS, is_below_ingress),
    )
    .peers("Tempo 119, not the newest"),
    Class::new(
        "structural-count",
        500.0,
        Ask::Counted(BELOW_INGRESS, is_below_ingress),
    ),
];

/// Classes of which the growth with the number of spans is of interest.
pub(super) fn of_growth() -> Vec<&'static Class> {
    let is_one = |class: &&Class| ["by-id", "by-id-absent", "no-match"].contains(&class.name);
    ALL.iter().filter(is_one).collect()
}

fn is_below_ingress(trace: &Trace<'_>) -> u64 {
    u64::from(trace.fails().is_some_and(|span| span > INGRESS_SPAN))
}

fn any_trace(load: &Load, random: &mut Random) -> Question {
    let number = random.below(load.traces);
    by_id(&trace_id(load.seed, number), Right::Trace(number))
}

fn no_trace(load: &Load, random: &mut Random) -> Question {
    let id = trace_id(load.seed ^ 0xabe, random.next() >> 8);
    by_id(&id, Right::NotFound)
}

fn one_user(load: &Load, random: &mut Random) -> Question {
    // One who ordered.
    let wanted = user(load.seed, random.below(load.traces));
    search(
        load,
        &format!("{{ span.user.id = \"user-{wanted:06}\" }}"),
        1_000,
        Right::Traces(load.of_users(|user| user == wanted)),
    )
}

fn needle(load: &Load, random: &mut Random) -> Question {
    let (text, number) = load.needle(random.next());
    let query = format!("{{ span.rare.key = \"{text}\" }}");
    search(load, &query, LIMIT, Right::Traces([number].into()))
}

fn no_match(load: &Load, random: &mut Random) -> Question {
    let nobody = random.below(1_000_000);
    let query = format!("{{ span.user.id = \"nobody-{nobody:06}\" }}");
    search(load, &query, LIMIT, Right::Traces(BTreeSet::new()))
}

fn regex_user(load: &Load, random: &mut Random) -> Question {
    let tens = random.below(10_000);
    search(
        load,
        &format!("{{ span.user.id =~ \"user-0?{tens:05}[0-9]|user-{tens:05}[02468]x*\" }}"),
        1_000,
        Right::Traces(load.of_users(|user| user / 10 == tens)),
    )
}

fn regex_invocation(load: &Load, random: &mut Random) -> Question {
    let part = format!("{:06x}", random.below(1 << 24));
    search(
        load,
        &format!("{{ span.faas.invocation_id =~ \".*{part}.*\" }}"),
        1_000,
        Right::Traces(load.of_invocations(part.as_bytes())),
    )
}

fn p90_by_service(load: &Load) -> Question {
    metrics(
        load,
        "{ } | quantile_over_time(duration, .9) by (resource.service.name)",
        Right::Series(quantiles(
            load,
            &[0.9],
            |form, p| json!({"resource.service.name": form.service(), "p": p}),
        )),
    )
}

fn cold_starts(load: &Load) -> Question {
    let label = |service: &str| {
        let [.., (key, name)] = resource_attributes(service);
        json!({ format!("resource.{key}"): name })
    };
    metrics(
        load,
        "{ span.faas.coldstart = true } | count_over_time() by (resource.faas.name)",
        Right::Series(counted(load, 1.0, |form| {
            form.is_cold.then(|| label(form.service()))
        })),
    )
}

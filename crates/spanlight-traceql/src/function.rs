//! The functions of the language: the one list of their names, with what completion says of them. How each is read is the
//! parser's.

/// A function, or what is written like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it makes of what.
    pub kind: FunctionKind,
    /// How a call of it begins, or a whole one where there is little to say.
    pub call: &'static str,
    /// What it gives, in a few words.
    pub meaning: &'static str,
}

/// What a function makes of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// A number of the spans of a set; a comparison follows.
    Aggregate,
    /// Sets of spans of sets of spans.
    Stage,
    /// Time series of spans; `by (…)` may follow.
    Metrics,
    /// Time series of time series.
    SecondStage,
    /// Hints, at the end of a query.
    Hints,
}

use FunctionKind::{Aggregate, Hints, Metrics, SecondStage, Stage};

/// Every function, those that are used most first.
pub const FUNCTIONS: [Function; 24] = [
    function("count", Aggregate, "count() > ", "how many spans"),
    function("rate", Metrics, "rate()", "spans a second, over time"),
    function(
        "count_over_time",
        Metrics,
        "count_over_time()",
        "spans, over time",
    ),
    function(
        "quantile_over_time",
        Metrics,
        "quantile_over_time(duration, .9)",
        "a quantile, over time",
    ),
    function("by", Stage, "by(", "groups"),
    function("select", Stage, "select(", "show these fields"),
    function("avg", Aggregate, "avg(", "mean"),
    function("max", Aggregate, "max(", "greatest"),
    function("min", Aggregate, "min(", "least"),
    function("sum", Aggregate, "sum(", "sum"),
    function("quantile", Aggregate, "quantile(", "a quantile"),
    function(
        "avg_over_time",
        Metrics,
        "avg_over_time(",
        "mean, over time",
    ),
    function(
        "max_over_time",
        Metrics,
        "max_over_time(",
        "greatest, over time",
    ),
    function(
        "min_over_time",
        Metrics,
        "min_over_time(",
        "least, over time",
    ),
    function("sum_over_time", Metrics, "sum_over_time(", "sum, over time"),
    function(
        "histogram_over_time",
        Metrics,
        "histogram_over_time(",
        "how values are spread, over time",
    ),
    function(
        "compare",
        Metrics,
        "compare({",
        "what sets these spans apart",
    ),
    function(
        "order",
        Stage,
        "order by(",
        "the spans of each trace in order",
    ),
    function("first", Stage, "first(1)", "the first spans of each trace"),
    function("last", Stage, "last(1)", "the last spans of each trace"),
    function("coalesce", Stage, "coalesce()", "groups together again"),
    function("topk", SecondStage, "topk(10)", "the greatest"),
    function("bottomk", SecondStage, "bottomk(10)", "the least"),
    function("with", Hints, "with(", "hints"),
];

const fn function(
    name: &'static str,
    kind: FunctionKind,
    call: &'static str,
    meaning: &'static str,
) -> Function {
    Function {
        name,
        kind,
        call,
        meaning,
    }
}

impl Function {
    /// The function of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    /// Whether fields stand between its parentheses: numbers stand between those of others, and a filter between
    /// those of `compare`.
    #[must_use]
    pub fn is_of_fields(&self) -> bool {
        match self.kind {
            Aggregate | Metrics => self.name != "compare",
            Stage => !matches!(self.name, "first" | "last" | "coalesce"),
            SecondStage | Hints => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, parse};

    /// A query that calls the function.
    fn call(function: &Function) -> String {
        let arguments = match function.name {
            "count" | "rate" | "count_over_time" | "coalesce" => "()",
            "quantile" | "quantile_over_time" => "(duration, .5)",
            "order" => " by(duration)",
            "first" | "last" | "topk" | "bottomk" => "(2)",
            "compare" => "({ status = error })",
            "with" => "(exemplars = true)",
            _ => "(duration)",
        };
        let call = format!("{}{arguments}", function.name);
        match function.kind {
            Aggregate => format!("{{ }} | {call} > 1"),
            Stage | Metrics => format!("{{ }} | {call}"),
            SecondStage => format!("{{ }} | rate() | {call}"),
            Hints => format!("{{ }} {call}"),
        }
    }

    #[test]
    fn each_is_read_and_its_misspelling_is_known() {
        for function in &FUNCTIONS {
            let text = call(function);
            let is_duration = |error: &Error| error.message.contains("duration");
            if let Err(error) = parse(&text) {
                assert!(is_duration(&error), "{text}: {error}");
            }
            assert!(function.call.starts_with(function.name), "{function:?}");
            if function.kind != Hints {
                let wrong = text.replacen(function.name, &format!("{}q", function.name), 1);
                let hint = parse(&wrong).unwrap_err().hint.unwrap_or_default();
                assert!(hint.contains(function.name), "{wrong}: {hint}");
            }
        }
    }
}

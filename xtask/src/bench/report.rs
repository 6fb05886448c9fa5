//! The table of figures, with budgets and verdicts.

use serde_json::{Value, json};

use super::{
    fill::Filled, ingest::Seen, milliseconds, percentile, probe::Asked, question::Class,
    settle::Settled, truth::Load,
};

/// Figures as they come.
#[derive(Debug)]
pub(super) struct Report {
    bench: &'static str,
    lines: Vec<Line>,
    json: bool,
}

#[derive(Debug)]
struct Line {
    what: String,
    value: String,
    /// What is allowed.
    budget: String,
    verdict: &'static str,
    more: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Budget {
    AtLeast(f64),
    AtMost(f64),
    None,
}

pub(super) const MIB: f64 = 1_048_576.0;

impl Report {
    pub(super) fn new(bench: &'static str, json: bool) -> Self {
        Self {
            bench,
            lines: Vec::new(),
            json,
        }
    }

    pub(super) fn ingest(&mut self, load: &Load, filled: &Filled, settled: &Settled) {
        let spans = load.spans() as f64;
        let rate = spans / filled.elapsed.as_secs_f64();
        let per_cpu = spans / settled.cpu.as_secs_f64();
        let ack = |percent| milliseconds(percentile(&filled.acks, percent));
        let busy = format!("{} told to come back later", filled.busy);
        self.line(
            "ingest, spans/s",
            rate.round(),
            Budget::AtLeast(250_000.0),
            &busy,
        );
        let cpu = format!(
            "{:.1} s of CPU, {:.1} s at the last ack",
            settled.cpu.as_secs_f64(),
            filled.cpu.as_secs_f64()
        );
        let what = "ingest, spans per server CPU second, settled";
        self.line(what, per_cpu.round(), Budget::AtLeast(150_000.0), &cpu);
        let more = format!("p50 {}, worst {}", ack(50), ack(100));
        self.line("ingest, ack p99, ms", ack(99), Budget::AtMost(100.0), &more);
        let memory = (settled.memory_max as f64 / MIB).round();
        let files = format!("{} files in the table", settled.files);
        self.line("ingest, VmHWM, MiB", memory, Budget::AtMost(512.0), &files);
        let what = "ingest, acknowledged but not in the next answer";
        let asked = format!("asked {} times", filled.fresh_asked);
        self.line(
            what,
            filled.fresh_missing as f64,
            Budget::AtMost(0.0),
            &asked,
        );
    }

    pub(super) fn paced(&mut self, rate: u64, seen: &Seen) {
        let ack = |percent| milliseconds(percentile(&seen.acks, percent));
        let more = format!(
            "p50 {}, worst {}, {} told to come back later",
            ack(50),
            ack(100),
            seen.busy
        );
        let what = format!("ingest at {rate} spans/s, ack p99, ms");
        self.line(&what, ack(99), Budget::AtMost(10.0), &more);
    }

    pub(super) fn disk(&mut self, load: &Load, bytes: u64) {
        let per_span = hundredths(bytes as f64 / load.spans() as f64);
        let more = format!("{:.0} MiB", bytes as f64 / MIB);
        self.line("disk, bytes a span", per_span, Budget::AtMost(40.0), &more);
    }

    /// Budgets are for p50; infinity is none.
    pub(super) fn query(&mut self, class: &Class, state: &str, budget_ms: f64, asked: &Asked) {
        let time = |percent| milliseconds(percentile(&asked.times, percent));
        let cpu = asked.cpu.as_secs_f64() * 1_000.0 / asked.times.len().max(1) as f64;
        let mut more = format!("p90 {}, worst {}, CPU {cpu:.2}", time(90), time(100));
        if asked.wrong > 0 {
            more.push_str(&format!(", {} of {} wrong", asked.wrong, asked.times.len()));
        }
        if asked.memory > 0 {
            more.push_str(&format!(", {:.0} MiB more", asked.memory as f64 / MIB));
        }
        if !class.peers.is_empty() {
            more.push_str(&format!("; {}", class.peers));
        }
        if let Some(wrong) = &asked.first_wrong {
            eprintln!("{}, {state}: {wrong}", class.name);
        }
        let budget = match budget_ms {
            budget if budget.is_finite() => Budget::AtMost(budget),
            _ => Budget::None,
        };
        let mut line = Line::of(
            &format!("{}, {state}, p50 ms", class.name),
            time(50),
            budget,
            &more,
        );
        if asked.wrong > 0 {
            line.verdict = "**wrong**";
        }
        self.show(line);
    }

    pub(super) fn line(&mut self, what: &str, value: f64, budget: Budget, more: &str) {
        self.show(Line::of(what, value, budget, more));
    }

    fn show(&mut self, line: Line) {
        println!("{}", line.text());
        if self.json {
            println!("{}", line.json(self.bench));
        }
        self.lines.push(line);
    }

    /// All figures, as the page about measurements has them.
    pub(super) fn table(&self) {
        println!("\n| figure | measured | budget | | more |\n|---|---|---|---|---|");
        for line in &self.lines {
            let Line {
                what,
                value,
                budget,
                verdict,
                more,
            } = line;
            println!("| {what} | {value} | {budget} | {verdict} | {more} |");
        }
    }
}

impl Line {
    fn of(what: &str, value: f64, budget: Budget, more: &str) -> Self {
        let (budget, is_met) = match budget {
            Budget::AtLeast(least) => (format!("≥ {least}"), Some(value >= least)),
            Budget::AtMost(most) => (format!("≤ {most}"), Some(value <= most)),
            Budget::None => (String::new(), None),
        };
        Self {
            what: what.to_owned(),
            value: value.to_string(),
            budget,
            verdict: match is_met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "",
            },
            more: more.to_owned(),
        }
    }

    fn text(&self) -> String {
        format!(
            "{:<50} {:>10}  {:<10} {:<10} {}",
            self.what, self.value, self.budget, self.verdict, self.more
        )
    }

    fn json(&self, bench: &str) -> Value {
        json!({
            "bench": bench, "figure": self.what, "value": self.value.parse::<f64>().ok(),
            "budget": self.budget, "verdict": self.verdict.trim_matches('*'), "more": self.more,
        })
    }
}

pub(super) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

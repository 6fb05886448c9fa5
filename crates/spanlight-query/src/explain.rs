//! What a question took: its steps, each with what of the store it considered, left out and read.

use std::fmt::Write as _;
use std::time::Duration;

use spanlight_store::ScanFigures;

/// What an answer took.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// In the order in which they began.
    pub steps: Vec<ExplainedStep>,
}

/// One way of reading the store, once or several times.
#[derive(Debug, Clone, Default)]
pub struct ExplainedStep {
    /// What was done.
    pub name: &'static str,
    /// The condition by which the store could leave out spans, if there was one.
    pub filter: Option<String>,
    /// How often it was done.
    pub rounds: u64,
    /// How long it took in all.
    pub elapsed: Duration,
    /// What the store considered, left out and read. What is neither was not reached: the question had its answer.
    pub figures: ScanFigures,
}

impl Explanation {
    /// Adds a round of a step.
    pub(crate) fn add(&mut self, round: ExplainedStep) {
        match self.steps.iter_mut().find(|it| it.name == round.name) {
            Some(step) => {
                step.rounds += round.rounds;
                step.elapsed += round.elapsed;
                step.figures.add(&round.figures);
            }
            None => self.steps.push(round),
        }
    }

    /// As a tree of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let rounds = match step.rounds {
                0 | 1 => String::new(),
                rounds => format!(", {rounds} times"),
            };
            let elapsed = step.elapsed.as_secs_f64() * 1e3;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} ({elapsed:.1} ms{rounds})", step.name);
            if let Some(filter) = &step.filter {
                let _ = writeln!(text, "  where {filter}");
            }
            for (name, figures) in step.figures.kinds() {
                if figures.considered > 0 || figures.read > 0 {
                    let _ = writeln!(text, "  {name}: {figures}");
                }
            }
            if step.figures.footers_read > 0 {
                let _ = writeln!(text, "  footers read: {}", step.figures.footers_read);
            }
        }
        text
    }
}

//! How many spans each span stands for, where the sender sampled.

use spanlight_model::{SpanColumns, sampling};

/// The weights of the rows of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'a> {
    /// `None` where no span has a trace state.
    states: Option<&'a arrow_array::StringArray>,
}

impl<'a> Weights<'a> {
    pub(crate) fn of(columns: &SpanColumns<'a>) -> Self {
        let states = columns.trace_states;
        Self {
            states: (!states.value_data().is_empty()).then_some(states),
        }
    }

    /// Whether every span stands for itself alone.
    pub(crate) fn are_one(self) -> bool {
        self.states.is_none()
    }

    pub(crate) fn at(self, row: usize) -> f64 {
        self.states
            .map_or(1.0, |states| sampling::weight(states.value(row)))
    }
}

//! Repetition and definition levels: which values are there, and which list they are in. From a column of rows to its
//! leaves.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// A leaf of a column: its values, and where they belong.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) values: ArrayRef,
    pub(super) levels: Arc<Levels>,
}

/// Where values of a leaf belong.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    pub(super) rows: usize,
    /// Values and nulls.
    pub(super) slots: usize,
    pub(super) repetition_max: u8,
    pub(super) definition_max: u8,
    /// For each slot; empty when `repetition_max` is zero.
    pub(super) repetition: Vec<u8>,
    /// For each slot; empty when every slot has `definition_all`.
    pub(super) definition: Vec<u8>,
    pub(super) definition_all: u8,
    /// The value of each slot that has one; empty when slots and values are the same.
    pub(super) values: Vec<u32>,
    /// The first slot of each row, and the number of slots; empty when a row is a slot.
    pub(super) first_slots: Vec<u32>,
}

impl Levels {
    fn flat(rows: usize) -> Self {
        Self {
            rows,
            slots: rows,
            repetition_max: 0,
            definition_max: 0,
            repetition: Vec::new(),
            definition: Vec::new(),
            definition_all: 0,
            values: Vec::new(),
            first_slots: Vec::new(),
        }
    }

    /// Whether every slot has a value.
    pub(super) fn is_full(&self) -> bool {
        self.definition.is_empty() && self.definition_all == self.definition_max
    }

    /// How many slots have a value.
    pub(super) fn present(&self) -> usize {
        if self.is_full() {
            self.slots
        } else {
            self.values.len()
        }
    }

    /// The slots of some rows.
    pub(super) fn slots_of(&self, rows: std::ops::Range<usize>) -> std::ops::Range<usize> {
        if self.first_slots.is_empty() {
            return rows;
        }
        self.first_slots[rows.start] as usize..self.first_slots[rows.end] as usize
    }

    fn definition_of(&self, slot: usize) -> u8 {
        self.definition
            .get(slot)
            .copied()
            .unwrap_or(self.definition_all)
    }

    /// The same, one step further in: a value may be null.
    fn optional(&self, array: &dyn Array) -> Self {
        let mut inner = self.clone();
        inner.definition_max += 1;
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        if self.present() == 0 {
            return inner;
        }
        let Some(nulls) = nulls else {
            if self.is_full() {
                inner.definition_all = inner.definition_max;
            } else {
                for level in &mut inner.definition {
                    *level += u8::from(*level == self.definition_max);
                }
            }
            return inner;
        };
        let present = 0..self.present();
        let value_at = |at: usize| self.values.get(at).map_or(at, |&value| value as usize);
        inner.values = present
            .map(value_at)
            .filter(|&value| nulls.is_valid(value))
            .map(|value| value as u32)
            .collect();
        let mut at = 0;
        inner.definition = (0..self.slots)
            .map(|slot| {
                let level = self.definition_of(slot);
                if level < self.definition_max {
                    return level;
                }
                at += 1;
                level + u8::from(nulls.is_valid(value_at(at - 1)))
            })
            .collect();
        inner
    }

    /// The same, one step further in: a value is a list, and its elements are the values.
    fn repeated(&self, offsets: &[i32]) -> Self {
        let mut inner = Self {
            rows: self.rows,
            slots: 0,
            repetition_max: self.repetition_max + 1,
            definition_max: self.definition_max + 1,
            repetition: Vec::new(),
            definition: Vec::new(),
            definition_all: 0,
            values: Vec::new(),
            first_slots: Vec::new(),
        };
        let first = offsets.first().copied().unwrap_or(0);
        if self.present() == 0 || offsets.last().copied().unwrap_or(0) == first {
            // Lists without elements: nothing is to be said of each.
            inner.slots = self.slots;
            inner.repetition.clone_from(&self.repetition);
            inner.definition.clone_from(&self.definition);
            inner.definition_all = self.definition_all;
            inner.first_slots.clone_from(&self.first_slots);
            if inner.repetition.is_empty() {
                inner.repetition = vec![0; inner.slots];
            }
            return inner;
        }
        let mut at = 0;
        for slot in 0..self.slots {
            let repetition = self.repetition.get(slot).copied().unwrap_or(0);
            let level = self.definition_of(slot);
            if repetition == 0 {
                inner.first_slots.push(inner.repetition.len() as u32);
            }
            let mut elements = 0..0;
            if level == self.definition_max {
                let list = self.values.get(at).map_or(at, |&list| list as usize);
                elements = offsets[list]..offsets[list + 1];
                at += 1;
            }
            if elements.is_empty() {
                inner.repetition.push(repetition);
                inner.definition.push(level);
                continue;
            }
            for (number, element) in elements.enumerate() {
                let continued = if number == 0 {
                    repetition
                } else {
                    inner.repetition_max
                };
                inner.repetition.push(continued);
                inner.definition.push(inner.definition_max);
                inner.values.push(element as u32);
            }
        }
        inner.slots = inner.repetition.len();
        inner.first_slots.push(inner.slots as u32);
        inner
    }
}

/// The leaves of a column, in the order of the file's schema.
pub(super) fn leaves(column: &ArrayRef, is_nullable: bool) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    push_leaves(column, is_nullable, Levels::flat(column.len()), &mut leaves);
    leaves
}

fn push_leaves(array: &ArrayRef, is_nullable: bool, levels: Levels, leaves: &mut Vec<Leaf>) {
    let levels = if is_nullable {
        levels.optional(array.as_ref())
    } else {
        levels
    };
    match array.data_type() {
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let levels = levels.repeated(list.offsets());
            push_leaves(list.values(), item.is_nullable(), levels, leaves);
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            for (field, column) in fields.iter().zip(columns) {
                push_leaves(column, field.is_nullable(), levels.clone(), leaves);
            }
        }
        _ => leaves.push(Leaf {
            values: Arc::clone(array),
            levels: Arc::new(levels),
        }),
    }
}

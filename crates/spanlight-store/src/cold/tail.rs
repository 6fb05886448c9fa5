//! Testing the attributes that have no column of their own: lists of entries of a key and the lane of its type.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, DictionaryArray, StringArray, StructArray};
use arrow_buffer::BooleanBuffer;

use crate::scan::Predicate;

/// One bit a row: whether an entry of this key may pass. `None` when the column is no list of attributes.
pub(crate) fn passed(array: &ArrayRef, key: &str, predicate: &Predicate) -> Option<BooleanBuffer> {
    let lists = array.as_list_opt::<i32>()?;
    let lanes = Lanes::of(lists.values().as_struct_opt()?)?;
    let is_key = texts(lanes.keys)?.map(|known| known == key);
    let strings = texts(lanes.strings)?.map(|text| predicate.passes_text(text));
    let keys = lanes.keys.keys().values();
    let offsets = lists.offsets();
    let entry = |entry: usize| is_key.get(keys[entry]) && lanes.passes(entry, &strings, predicate);
    Some(BooleanBuffer::collect_bool(lists.len(), |row| {
        (offsets[row] as usize..offsets[row + 1] as usize).any(entry)
    }))
}

struct Lanes<'a> {
    keys: &'a DictionaryArray<Int32Type>,
    strings: &'a DictionaryArray<Int32Type>,
    ints: &'a arrow_array::Int64Array,
    doubles: &'a arrow_array::Float64Array,
    bools: &'a arrow_array::BooleanArray,
    jsons: &'a DictionaryArray<Int32Type>,
}

impl<'a> Lanes<'a> {
    fn of(entries: &'a StructArray) -> Option<Self> {
        Some(Self {
            keys: entries.column_by_name("key")?.as_dictionary_opt()?,
            strings: entries.column_by_name("string")?.as_dictionary_opt()?,
            ints: entries
                .column_by_name("int")?
                .as_primitive_opt::<Int64Type>()?,
            doubles: entries
                .column_by_name("double")?
                .as_primitive_opt::<Float64Type>()?,
            bools: entries.column_by_name("bool")?.as_boolean_opt()?,
            jsons: entries.column_by_name("json")?.as_dictionary_opt()?,
        })
    }

    fn passes(&self, entry: usize, strings: &Verdicts, predicate: &Predicate) -> bool {
        if self.strings.is_valid(entry) {
            strings.get(self.strings.keys().value(entry))
        } else if self.ints.is_valid(entry) {
            predicate.passes_int(self.ints.value(entry))
        } else if self.doubles.is_valid(entry) {
            predicate.passes_double(self.doubles.value(entry))
        } else if self.bools.is_valid(entry) {
            predicate.passes_bool(self.bools.value(entry))
        } else {
            // Which of an array's elements pass is not asked here; bytes and nothing at all only exist.
            self.jsons.is_valid(entry) || matches!(predicate, Predicate::Exists)
        }
    }
}

/// What a test says of each distinct text.
struct Verdicts(Vec<bool>);

impl Verdicts {
    fn get(&self, code: i32) -> bool {
        self.0.get(code as usize).copied().unwrap_or(false)
    }
}

struct Texts<'a>(&'a StringArray);

impl Texts<'_> {
    fn map(&self, test: impl Fn(&str) -> bool) -> Verdicts {
        let texts = self.0.iter();
        Verdicts(texts.map(|text| text.is_some_and(&test)).collect())
    }
}

fn texts(array: &DictionaryArray<Int32Type>) -> Option<Texts<'_>> {
    array.values().as_string_opt().map(Texts)
}

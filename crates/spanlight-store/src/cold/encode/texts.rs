//! The texts of all batches of a file, each with one number.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

/// The number of no text.
pub(crate) const NONE: u32 = u32::MAX;

/// Texts by the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a> {
    texts: Vec<Cow<'a, str>>,
    index: HashTable<u32>,
    // Random: a client cannot choose texts that collide.
    hasher: DefaultHashBuilder,
    /// By number: its code in the dictionary that is being made.
    codes: Vec<u32>,
}

impl<'a> Texts<'a> {
    /// The number of a text.
    pub(crate) fn intern(&mut self, text: &'a str) -> u32 {
        self.find_or_add(text, Cow::Borrowed)
    }

    /// The number of a text that is nobody's.
    pub(crate) fn intern_owned(&mut self, text: String) -> u32 {
        let hash = self.hasher.hash_one(text.as_str());
        if let Some(at) = self.find(hash, &text) {
            return at;
        }
        self.add(hash, Cow::Owned(text))
    }

    fn find_or_add(&mut self, text: &'a str, own: fn(&'a str) -> Cow<'a, str>) -> u32 {
        let hash = self.hasher.hash_one(text);
        match self.find(hash, text) {
            Some(at) => at,
            None => self.add(hash, own(text)),
        }
    }

    fn find(&self, hash: u64, text: &str) -> Option<u32> {
        let texts = &self.texts;
        self.index
            .find(hash, |&at| texts[at as usize] == text)
            .copied()
    }

    fn add(&mut self, hash: u64, text: Cow<'a, str>) -> u32 {
        let at = self.texts.len() as u32;
        self.texts.push(text);
        self.codes.push(NONE);
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.index
            .insert_unique(hash, at, |&at| hasher.hash_one::<&str>(&texts[at as usize]));
        at
    }

    /// A column of these texts, whose dictionary has them in the order of their first appearance.
    pub(crate) fn dictionary(&mut self, mut numbers: Vec<u32>) -> Result<ArrayRef, ArrowError> {
        let mut used = Vec::new();
        let mut bytes = 0;
        let mut nulls = false;
        for number in &mut numbers {
            if *number == NONE {
                nulls = true;
                continue;
            }
            let code = &mut self.codes[*number as usize];
            if *code == NONE {
                *code = used.len() as u32;
                used.push(*number);
                bytes += self.texts[*number as usize].len();
            }
            *number = *code;
        }
        let nulls = nulls.then(|| {
            let valid = numbers.iter().map(|&number| number != NONE);
            NullBuffer::from_iter(valid)
        });
        let mut values = Vec::with_capacity(bytes);
        let mut offsets = Vec::with_capacity(used.len() + 1);
        offsets.push(0);
        for number in used {
            self.codes[number as usize] = NONE;
            values.extend_from_slice(self.texts[number as usize].as_bytes());
            offsets.push(
                i32::try_from(values.len()).map_err(|_| ArrowError::DictionaryKeyOverflowError)?,
            );
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let values = StringArray::try_new(offsets, Buffer::from_vec(values), None)?;
        let keys = numbers
            .into_iter()
            .map(|number| if number == NONE { 0 } else { number as i32 });
        let keys = Int32Array::try_new(keys.collect::<Vec<i32>>().into(), nulls)?;
        let column = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?;
        Ok(Arc::new(column))
    }
}

/// For each entry of a batch's dictionary, the number of its text, found out when it is first asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memo(Vec<u32>);

impl Memo {
    pub(crate) fn new(size: usize) -> Self {
        Self(vec![NONE; size])
    }

    #[inline]
    pub(crate) fn get(&mut self, entry: usize, find: impl FnOnce() -> u32) -> u32 {
        let number = &mut self.0[entry];
        if *number == NONE {
            *number = find();
        }
        *number
    }
}

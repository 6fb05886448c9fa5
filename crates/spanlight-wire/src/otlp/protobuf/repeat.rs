//! Attributes that come again as the same bytes. Spans of one program repeat most of theirs: comparing the bytes of one
//! with those of the last of its key costs a tenth of reading it.

use spanlight_model::Entry;

/// Keys that are remembered; a sender of more is slower, no more.
const KEYS_MAX: usize = 256;

/// The last attribute of each key, and which key came after it.
#[derive(Debug)]
pub(super) struct Repeats<'a> {
    slots: Vec<Slot<'a>>,
    previous: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot<'a> {
    /// None until the key has come.
    last: Option<(&'a [u8], Entry)>,
    next: usize,
}

impl<'a> Repeats<'a> {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            previous: 0,
        }
    }

    /// The attribute of these bytes, where they are those that came here last time.
    #[inline]
    pub(super) fn find(&mut self, message: &[u8]) -> Option<Entry> {
        let guess = self.slots.get(self.previous)?.next;
        let (last, entry) = self.slots.get(guess)?.last?;
        if last != message {
            return None;
        }
        self.previous = guess;
        Some(entry)
    }

    /// Remembers an attribute that was read, and is to be found when its bytes come again.
    #[inline]
    pub(super) fn note(&mut self, message: &'a [u8], entry: Entry) {
        let key = entry.key_index();
        if key >= KEYS_MAX {
            return;
        }
        if key >= self.slots.len() {
            let empty = Slot {
                last: None,
                next: usize::MAX,
            };
            self.slots.resize(key + 1, empty);
        }
        self.slots[self.previous].next = key;
        self.slots[key].last = Some((message, entry));
        self.previous = key;
    }
}

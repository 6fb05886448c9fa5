//! Regular expressions over many texts at once, for the store's tests of columns.

use arrow_array::{Array as _, StringArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use spanlight_store::TestTexts;
use spanlight_traceql::{Matcher, Pattern};

/// `=~`, or `!~`.
#[derive(Debug)]
pub(super) struct PatternTest {
    pub(super) pattern: Pattern,
    pub(super) negated: bool,
}

impl TestTexts for PatternTest {
    fn is_match(&self, text: &str) -> bool {
        self.pattern.is_match(text) != self.negated
    }

    fn are_matches(&self, texts: &StringArray) -> BooleanBuffer {
        let mut matcher = self.pattern.matcher();
        let matches = match self.pattern.needle() {
            Some(needle) => with_needle(
                texts,
                |bytes| needle.find(bytes),
                needle.needle().len(),
                &mut matcher,
            ),
            None => BooleanBuffer::collect_bool(texts.len(), |at| {
                texts.is_valid(at) && matcher.is_match(texts.value(at))
            }),
        };
        if self.negated { !&matches } else { matches }
    }
}

/// Matches only those texts that have the needle in them. The texts stand one behind the other: all are looked
/// through at once.
fn with_needle(
    texts: &StringArray,
    find: impl Fn(&[u8]) -> Option<usize>,
    length: usize,
    matcher: &mut Matcher<'_>,
) -> BooleanBuffer {
    let mut matches = BooleanBufferBuilder::new(texts.len());
    let starts = texts.value_offsets();
    let end = starts[texts.len()] as usize;
    let mut from = starts[0] as usize;
    while let Some(found) = find(&texts.value_data()[from..end]) {
        let found = from + found;
        // The last text that begins there or before.
        let next = &starts[matches.len() + 1..];
        let at = matches.len() + next.partition_point(|&start| start as usize <= found);
        let text_end = starts[at + 1] as usize;
        if found + length > text_end {
            // It goes on into the next text.
            from = found + 1;
            continue;
        }
        matches.append_n(at - matches.len(), false);
        matches.append(texts.is_valid(at) && matcher.is_match(texts.value(at)));
        from = text_end;
    }
    matches.append_n(texts.len() - matches.len(), false);
    matches.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, texts: &[Option<&str>]) {
        let pattern = Pattern::new(pattern).unwrap();
        let array: StringArray = texts.iter().copied().collect();
        for negated in [false, true] {
            let test = PatternTest {
                pattern: pattern.clone(),
                negated,
            };
            for from in 0..=texts.len() {
                let (some, array) = (&texts[from..], array.slice(from, texts.len() - from));
                let found = test.are_matches(&array);
                for (at, text) in some.iter().enumerate() {
                    if let Some(text) = text {
                        assert_eq!(found.value(at), test.is_match(text), "{text:?}, {negated}");
                    }
                }
                assert_eq!(found.len(), some.len());
            }
        }
    }

    #[test]
    fn many_texts_are_tested_as_one_is() {
        let texts = [
            Some(""),
            Some("abc"),
            Some("ab"),
            Some("cabc"),
            None,
            Some("xabcx"),
            Some("abca"),
            Some("bc"),
            Some(""),
            Some("abcabc"),
            Some("ab"),
        ];
        check(".*abc.*", &texts);
        check("abc", &texts);
        check("abc.+|.*cabc", &texts);
        check("a?b.*", &texts);
        check("", &texts);
        check(".*abc.*", &[]);
    }
}

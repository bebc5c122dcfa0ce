//! Text patterns.

use memchr::memmem::Finder;

/// Whether two texts of equal meaning: bytes equal, or equal without regard to ASCII case.
pub(super) fn equal(a: &[u8], b: &[u8], ignore_case: bool) -> bool {
    if ignore_case {
        a.eq_ignore_ascii_case(b)
    } else {
        a == b
    }
}

/// Exact words, sorted.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    sorted: Box<[Box<[u8]>]>,
    ignore_case: bool,
}

impl Words {
    pub(crate) fn new(mut words: Vec<Box<[u8]>>, ignore_case: bool) -> Self {
        if ignore_case {
            words.iter_mut().for_each(|w| w.make_ascii_lowercase());
        }
        words.sort_unstable();
        words.dedup();
        Self {
            sorted: words.into(),
            ignore_case,
        }
    }

    pub(crate) fn contain(&self, text: &[u8]) -> bool {
        self.sorted
            .binary_search_by(|word| {
                if self.ignore_case {
                    word.iter()
                        .copied()
                        .cmp(text.iter().map(u8::to_ascii_lowercase))
                } else {
                    (**word).cmp(text)
                }
            })
            .is_ok()
    }
}

/// Words of which one must stand somewhere in the text.
#[derive(Debug, Clone)]
pub(crate) struct Substrings {
    finders: Box<[Finder<'static>]>,
    ignore_case: bool,
}

impl Substrings {
    pub(crate) fn new(words: Vec<Box<[u8]>>, ignore_case: bool) -> Self {
        Self {
            finders: words.iter().map(|w| Finder::new(w).into_owned()).collect(),
            ignore_case,
        }
    }

    pub(crate) fn found_in(&self, text: &[u8]) -> bool {
        self.finders.iter().any(|finder| {
            if self.ignore_case {
                positions(text, finder.needle(), true).next().is_some()
            } else {
                finder.find(text).is_some()
            }
        })
    }
}

/// Every place where `needle` stands in `text`.
fn positions<'t>(
    text: &'t [u8],
    needle: &'t [u8],
    ignore_case: bool,
) -> impl Iterator<Item = usize> + 't {
    let last = (text.len() + 1).saturating_sub(needle.len());
    (0..last).filter(move |at| {
        text.get(*at..at + needle.len())
            .is_some_and(|window| equal(window, needle, ignore_case))
    })
}

/// Words of which one must stand in the text with a delimiter or an end of the text on both sides.
#[derive(Debug, Clone)]
pub(crate) struct Delimited {
    delimiters: &'static [u8],
    words: Box<[Box<[u8]>]>,
    ignore_case: bool,
}

impl Delimited {
    /// Delimiters around a word do not count.
    pub(crate) fn new(delimiters: &'static [u8], words: Vec<Box<[u8]>>, ignore_case: bool) -> Self {
        let words = words
            .iter()
            .map(|word| {
                let inner = |b: &u8| !delimiters.contains(b);
                let start = word.iter().position(inner).unwrap_or(word.len());
                let end = word.iter().rposition(inner).map_or(start, |at| at + 1);
                Box::from(word.get(start..end).unwrap_or_default())
            })
            .collect();
        Self {
            delimiters,
            words,
            ignore_case,
        }
    }

    pub(crate) fn found_in(&self, text: &[u8]) -> bool {
        let edge = |byte: Option<&u8>| byte.is_none_or(|b| self.delimiters.contains(b));
        self.words.iter().filter(|w| !w.is_empty()).any(|word| {
            positions(text, word, self.ignore_case).any(|at| {
                edge(at.checked_sub(1).and_then(|before| text.get(before)))
                    && edge(text.get(at + word.len()))
            })
        })
    }
}

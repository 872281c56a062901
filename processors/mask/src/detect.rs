//! What looks at a candidate: each format from its definition, in a module of its own.

pub(crate) mod address;
pub(crate) mod card;
pub(crate) mod credential;
pub(crate) mod iban;
pub(crate) mod issued;
pub(crate) mod mail;
pub(crate) mod number;
pub(crate) mod phone;
pub(crate) mod random;

/// The byte at `index`; zero, which is part of no format, where there is none.
pub(crate) fn at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

/// The byte before `index`; zero at the start.
pub(crate) fn before(text: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |before| at(text, before))
}

/// The part of `text` from `start` to `end`, as far as it is there.
pub(crate) fn part(text: &[u8], start: usize, end: usize) -> &[u8] {
    let end = end.min(text.len());
    text.get(start.min(end)..end).unwrap_or_default()
}

/// How many bytes from `start` on are as `wanted`, at most `most`.
pub(crate) fn run(text: &[u8], start: usize, most: usize, wanted: impl Fn(u8) -> bool) -> usize {
    part(text, start, start.saturating_add(most)).iter().take_while(|byte| wanted(**byte)).count()
}

/// How many bytes before `end` are as `wanted`, at most `most`.
pub(crate) fn run_back(text: &[u8], end: usize, most: usize, wanted: impl Fn(u8) -> bool) -> usize {
    part(text, end.saturating_sub(most), end).iter().rev().take_while(|byte| wanted(**byte)).count()
}

/// Whether a number or address may end here: no letter, digit or part of a longer one follows.
pub(crate) fn ends(text: &[u8], end: usize) -> bool {
    let (next, second) = (at(text, end), at(text, end + 1));
    match next {
        b'_' => false,
        b'-' => !second.is_ascii_alphanumeric(),
        b'.' => !second.is_ascii_digit(),
        next => !next.is_ascii_alphanumeric(),
    }
}

/// Whether one of `words`, all in small letters, stands in the `most` bytes before `end`.
pub(crate) fn words_before(text: &[u8], end: usize, most: usize, words: &[&str]) -> bool {
    let before = part(text, end.saturating_sub(most), end).to_ascii_lowercase();
    words.iter().any(|word| memchr::memmem::find(&before, word.as_bytes()).is_some())
}

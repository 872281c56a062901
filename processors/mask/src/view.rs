//! A text as its reader would see it: JSON's and URLs' escapes, and full-width characters, are those they stand for.
//!
//! Decoded are `\u0021` to `\u007e` but for the quote and the backslash, with any number of backslashes (JSON in
//! JSON); `\/`; `%21` to `%7E` but for the quote, the backslash and the percent sign; U+FF01 to U+FF5E (full-width
//! ASCII); U+3000; `%20` between groups of digits or capitals; and the dashes that are typed for a hyphen. Everything
//! else is as it was.

use std::borrow::Cow;
use std::ops::Range;

/// A text and, where it differs from what is written, where each byte of it is written.
pub(crate) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// For each byte, and for the end, where its writing begins; empty if that is where it is.
    starts: Vec<usize>,
}

impl<'a> View<'a> {
    /// Decodes `text`.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        if memchr::memchr3(b'\\', b'%', 0xef, text).is_none() && memchr::memchr2(0xe2, 0xe3, text).is_none() {
            return Self { bytes: Cow::Borrowed(text), starts: Vec::new() };
        }
        let (mut bytes, mut starts) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let rest = text.get(at..).unwrap_or_default();
            let (decoded, width) = match byte {
                b'\\' | b'%' | 0xe2 | 0xe3 | 0xef => decode(rest).unwrap_or((byte, 1)),
                byte => (byte, 1),
            };
            // A blank between numbers or capitals separates groups of them, and no words of a query.
            let group = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || matches!(byte, b'(' | b')');
            let blank = rest.starts_with(b"%20")
                && bytes.last().copied().is_some_and(group)
                && (rest.get(3).copied().is_some_and(group) || rest.get(3..6) == Some(b"%28"));
            let (decoded, width) = if blank { (b'-', 3) } else { (decoded, width) };
            bytes.push(decoded);
            starts.push(at);
            at += width;
        }
        starts.push(at);
        Self { bytes: Cow::Owned(bytes), starts }
    }

    /// What is seen.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where `span` of what is seen is written.
    pub(crate) fn original(&self, span: &Range<usize>) -> Range<usize> {
        let start = |index: usize| self.starts.get(index).copied().unwrap_or(index);
        start(span.start)..start(span.end)
    }
}

/// The character that `rest` begins with in writing, and how many bytes that takes.
fn decode(rest: &[u8]) -> Option<(u8, usize)> {
    let visible = |byte: u8| (byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')).then_some(byte);
    match rest {
        [b'%', high, low, ..] => {
            let byte = visible(digit(*high)? << 4 | digit(*low)?)?;
            (byte != b'%').then_some((byte, 3))
        }
        [b'\\', b'/', ..] => Some((b'/', 2)),
        [b'\\', ..] => {
            let slashes = rest.iter().take(8).take_while(|byte| **byte == b'\\').count();
            match rest.get(slashes..)? {
                [b'u', b'0', b'0', high, low, ..] => Some((visible(digit(*high)? << 4 | digit(*low)?)?, slashes + 5)),
                [b'/', ..] => Some((b'/', slashes + 1)),
                _ => None,
            }
        }
        // U+FF01..=U+FF3F and U+FF40..=U+FF5E.
        [0xef, 0xbc, low @ 0x81..=0xbf, ..] => Some((visible(low - 0x60)?, 3)),
        [0xef, 0xbd, low @ 0x80..=0x9e, ..] => Some((visible(low - 0x20)?, 3)),
        // The ideographic space.
        [0xe3, 0x80, 0x80, ..] => Some((b' ', 3)),
        // U+2010..=U+2015: hyphens and dashes; U+2212: minus; U+30FC, the long vowel, where it stands for a hyphen.
        [0xe2, 0x80, 0x90..=0x95, ..] | [0xe2, 0x88, 0x92, ..] => Some((b'-', 3)),
        [0xe3, 0x83, 0xbc, next, ..] if next.is_ascii_digit() => Some((b'-', 3)),
        [0xe3, 0x83, 0xbc, 0xef, 0xbc, 0x90..=0x99, ..] => Some((b'-', 3)),
        _ => None,
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;

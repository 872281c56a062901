//! Lines of `key=value` and `key="quoted value"`, and such pairs within other text.

use std::borrow::Cow;

use super::Clock;
use super::scan::Scan;
use crate::process::value::{Parsed, Value, bare};

/// The longest name of a pair, in bytes.
const KEY_BYTES_MAX: usize = 128;

/// Reads a line that is pairs from its start to its end; a name alone counts as true. A pair comes first, and there are
/// at least two of them, and more than names alone.
pub fn parse<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
    let mut scan = Scan(line.trim_ascii());
    let (mut pairs, mut names) = (0, 0);
    while !scan.spaces().0.is_empty() {
        let key = scan.take_while(is_key);
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return false;
        }
        if !scan.eat("=") {
            // A line that begins with a word is text with pairs in it.
            if pairs == 0 || !matches!(scan.peek(), None | Some(b' ' | b'\t')) {
                return false;
            }
            names += 1;
            out.put(key, Value::Bool(true));
            continue;
        }
        match value(&mut scan, |byte| !byte.is_ascii_whitespace()) {
            Some(value) if matches!(scan.peek(), None | Some(b' ' | b'\t')) => out.put(key, value),
            _ => return false,
        }
        pairs += 1;
    }
    if pairs < 2 || pairs <= names {
        return false;
    }
    super::lift(out, clock);
    true
}

/// Adds the pairs that stand somewhere in a text; how many there are.
pub fn pairs<'a>(text: &'a str, out: &mut Parsed<'a>) -> u32 {
    let mut found = 0;
    let mut rest = text;
    // Each step passes over what it has looked at, so a byte is looked at a few times at most: going back for the name
    // ends at the last value.
    while let Some(at) = memchr::memchr(b'=', rest.as_bytes()) {
        let Some((before, after)) = rest.split_at_checked(at) else { break };
        let mut scan = Scan(after.get(1..).unwrap_or_default());
        let key = key_at_end(before);
        let ended = before.len() - key.len();
        let opened = before.as_bytes().get(ended.wrapping_sub(1)).is_none_or(|byte| b" \t,;([{\"'|".contains(byte));
        if key.is_empty() || !opened || matches!(scan.peek(), None | Some(b'=' | b' ')) {
            rest = scan.0;
            continue;
        }
        let start = scan;
        if let Some(value) = value(&mut scan, |byte| !byte.is_ascii_whitespace() && !b",;)]}|\"'".contains(&byte)) {
            if value.as_text() != Some("") {
                out.put(key, value);
                found += 1;
            }
            rest = scan.0;
        } else {
            rest = start.0;
        }
    }
    found
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/') || byte >= 0x80
}

/// The name that a text ends with; it begins with a letter or an underscore.
fn key_at_end(text: &str) -> &str {
    let len = text.bytes().rev().take(KEY_BYTES_MAX).take_while(|byte| is_key(*byte) && *byte < 0x80).count();
    let key = text.get(text.len() - len..).unwrap_or_default();
    key.trim_start_matches(|c: char| !(c.is_ascii_alphabetic() || c == '_' || c == '@'))
}

/// The value that comes next: quoted, or as long as `is` says; none if a quote is never closed.
fn value<'a>(scan: &mut Scan<'a>, is: impl Fn(u8) -> bool) -> Option<Value<'a>> {
    match scan.peek() {
        Some(quote @ (b'"' | b'\'')) => {
            let mut ahead = *scan;
            ahead.take(1)?;
            let text = quoted(&mut ahead, quote)?;
            *scan = ahead;
            Some(Value::Text(text))
        }
        _ => Some(bare(scan.take_while(is))),
    }
}

/// The rest of a quoted text, whose opening quote is passed; a backslash escapes.
pub fn quoted<'a>(scan: &mut Scan<'a>, quote: u8) -> Option<Cow<'a, str>> {
    let text = scan.0;
    let first = memchr::memchr2(quote, b'\\', text.as_bytes())?;
    let (plain, rest) = text.split_at_checked(first)?;
    let mut rest = Scan(rest);
    if rest.peek() == Some(quote) {
        rest.take(1)?;
        *scan = rest;
        return Some(Cow::Borrowed(plain));
    }
    let mut owned = plain.to_owned();
    loop {
        let at = memchr::memchr2(quote, b'\\', rest.0.as_bytes())?;
        owned.push_str(rest.take(at)?);
        let closes = rest.peek() == Some(quote);
        rest.take(1)?;
        if closes {
            *scan = rest;
            return Some(Cow::Owned(owned));
        }
        let escaped = rest.0.chars().next()?;
        rest.take(escaped.len_utf8())?;
        match escaped {
            'n' => owned.push('\n'),
            't' => owned.push('\t'),
            'r' => owned.push('\r'),
            '"' | '\'' | '\\' | '/' => owned.push(escaped),
            other => owned.extend(['\\', other]),
        }
    }
}

//! Columns between separators, with names from the configuration; quoted as RFC 4180 says.

use std::borrow::Cow;

use super::Clock;
use super::scan::Scan;
use crate::config::Delimited;
use crate::process::value::{Parsed, Text, bare};

/// Reads a line that has as many columns as there are names.
pub fn parse<'a>(line: &'a str, of: &Delimited, clock: Clock, out: &mut Parsed<'a>) -> bool {
    let separator = of.separator();
    let columns = of.columns.get_ref();
    // Most other lines have too few separators.
    if memchr::memchr_iter(separator, line.as_bytes()).take(columns.len()).count() + 1 < columns.len() {
        return false;
    }
    let mut scan = Scan(line.trim_end_matches(['\r', '\n']));
    for (at, name) in columns.iter().enumerate() {
        if at > 0 {
            scan.take(1);
        }
        let Some(field) = field(&mut scan, separator) else { return false };
        let ended = scan.0.is_empty();
        if ended != (at + 1 == columns.len()) {
            return false;
        }
        if !name.is_empty() && !field.is_empty() {
            let value = match field {
                Cow::Borrowed(text) => bare(text),
                owned @ Cow::Owned(_) => owned.into(),
            };
            out.put(name.clone(), value);
        }
    }
    super::lift(out, clock);
    true
}

/// The next column, up to the separator or the end; none where a quote is not closed, or text follows it.
fn field<'a>(scan: &mut Scan<'a>, separator: u8) -> Option<Text<'a>> {
    if scan.peek() != Some(b'"') {
        return Some(Cow::Borrowed(scan.take_while(|byte| byte != separator)));
    }
    scan.take(1)?;
    let mut text = Cow::Borrowed(scan.until(b'"')?);
    while scan.eat("\"") {
        let owned = text.to_mut();
        owned.push('"');
        owned.push_str(scan.until(b'"')?);
    }
    scan.peek().is_none_or(|next| next == separator).then_some(text)
}

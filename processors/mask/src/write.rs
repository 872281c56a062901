//! Writes a text with what was found in it replaced, so that JSON stays JSON.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::key::Key;
use crate::masker::Found;
use crate::view::View;
use crate::{Action, Detector};

/// How many characters `partial` shows, and how many there must be for that.
const PARTIAL_SHOWN: usize = 4;
const PARTIAL_CHARS_MIN: usize = 8;

/// Appends `text` to `out`, with every one of `found` replaced as its action says.
pub(crate) fn masked(text: &str, found: &[Found], key: Option<&Key>, out: &mut String) {
    let mut json = Json::new(text);
    let mut written = 0;
    for hit in found.iter().filter(|hit| hit.action != Action::Keep) {
        let Some(value) = text.get(hit.span.clone()) else { continue };
        out.push_str(text.get(written..hit.span.start).unwrap_or_default());
        // A number or a whole object becomes a string.
        let quote = json.quote(text, hit);
        match (quote, hit.action) {
            (None, Action::Drop) => {}
            (Some(_), Action::Drop) => out.push_str("null"),
            (quote, action) => {
                out.push_str(quote.unwrap_or_default());
                replacement(value, hit.detector, action, key, out);
                out.push_str(quote.unwrap_or_default());
            }
        }
        written = hit.span.end;
    }
    out.push_str(text.get(written..).unwrap_or_default());
}

/// What stands for `value`: ASCII without quotes, backslashes and control characters.
fn replacement(value: &str, detector: Detector, action: Action, key: Option<&Key>, out: &mut String) {
    let name = detector.name();
    let view = View::new(value.as_bytes());
    // Writing to a string cannot fail.
    match (action, key) {
        (Action::Hash, Some(key)) => {
            let value = canonical(view.bytes(), detector);
            write!(out, "[HASH:{name}:{}:{}]", key.id, key.hash(&value)).unwrap_or_default();
        }
        (Action::Pseudonymise, Some(key)) => match address(view.bytes()) {
            Some(IpAddr::V4(address)) => write!(out, "{}", key.pan.ipv4(address)).unwrap_or_default(),
            Some(IpAddr::V6(address)) => write!(out, "{}", key.pan.ipv6(address)).unwrap_or_default(),
            None => redacted(name, out),
        },
        (Action::Partial, _) => {
            let shown: Vec<char> =
                String::from_utf8_lossy(view.bytes()).chars().filter(char::is_ascii_alphanumeric).collect();
            if shown.len() < PARTIAL_CHARS_MIN {
                return redacted(name, out);
            }
            out.push_str("****");
            out.extend(shown.iter().skip(shown.len() - PARTIAL_SHOWN));
        }
        _ => redacted(name, out),
    }
}

fn redacted(name: &str, out: &mut String) {
    write!(out, "[REDACTED:{name}]").unwrap_or_default();
}

/// What is hashed: the same however it is written.
fn canonical(value: &[u8], detector: Detector) -> Vec<u8> {
    match detector {
        Detector::Email => value.to_ascii_lowercase(),
        Detector::Ipv4 | Detector::Ipv6 => {
            address(value).map_or_else(|| value.to_vec(), |address| address.to_string().into_bytes())
        }
        Detector::Card | Detector::Iban | Detector::MyNumber | Detector::Ssn | Detector::Phone | Detector::Mac => {
            let kept = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'+';
            value.iter().filter(kept).map(u8::to_ascii_lowercase).collect()
        }
        _ => value.to_vec(),
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Where strings of JSON begin and end, as far as it was needed.
enum Json {
    /// The text is a document: how far it was read, and whether that is within a string.
    Document { read: usize, inside: bool },
    /// There may be JSON in it.
    Text,
}

impl Json {
    fn new(text: &str) -> Self {
        match text.trim_start().as_bytes() {
            [b'{' | b'[', ..] => Self::Document { read: 0, inside: false },
            _ => Self::Text,
        }
    }

    /// The quotes that the replacement of `hit` needs, escaped as those around it are.
    fn quote<'t>(&mut self, text: &'t str, hit: &Found) -> Option<&'t str> {
        let bytes = text.as_bytes();
        if let Self::Document { read, inside } = self {
            let mut at = *read;
            while let Some(found) = bytes.get(at..hit.span.start).and_then(|part| memchr::memchr2(b'"', b'\\', part)) {
                at += found;
                if bytes.get(at) == Some(&b'"') {
                    *inside = !*inside;
                    at += 1;
                } else {
                    at += 1 + usize::from(*inside);
                }
            }
            *read = at.max(hit.span.start);
        }
        let before = text.get(..hit.span.start)?.trim_end();
        let after = text.get(hit.span.end..)?.trim_start();
        let ends = after.starts_with([',', '}', ']']);
        if let Self::Document { inside: false, .. } = self {
            return (ends && before.ends_with([':', ',', '['])).then_some("\"");
        }
        // A value in JSON within a text, or within a string of JSON.
        let name = before.strip_suffix(':').filter(|_| ends)?.trim_end();
        let unquoted = name.strip_suffix('"')?;
        name.get(unquoted.trim_end_matches('\\').len()..)
    }
}

//! Writes a text with what was found in it replaced, so that JSON stays JSON.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::ops::Range;

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
        json.read(text, hit);
        if json.is_between(text, hit) {
            continue;
        }
        let (span, quote) = json.place(text, hit);
        out.push_str(text.get(written..span.start).unwrap_or_default());
        match (quote, hit.action) {
            (None, Action::Drop) => {}
            (Some(_), Action::Drop) => out.push_str("null"),
            (quote, action) => {
                out.push_str(quote.unwrap_or_default());
                replacement(value, hit.detector, action, key, out);
                out.push_str(quote.unwrap_or_default());
            }
        }
        written = span.end;
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

    /// Reads up to `hit`.
    fn read(&mut self, text: &str, hit: &Found) {
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
    }

    /// Whether `hit` is what stands between two strings: the first ends with a name and a colon, as a header does.
    fn is_between(&self, text: &str, hit: &Found) -> bool {
        let (before, after) = text.split_at_checked(hit.span.start).unwrap_or_default();
        matches!(self, Self::Document { inside: false, .. })
            && before.ends_with('"')
            && after.starts_with([':', ',', '}', ']'])
    }

    /// What is replaced, and the quotes that the replacement needs, escaped as those around it are. A number or a whole
    /// object becomes a string.
    fn place<'t>(&self, text: &'t str, hit: &Found) -> (Range<usize>, Option<&'t str>) {
        match self {
            Self::Document { inside: false, .. } => {
                // All of a number, its sign and exponent too.
                let (before, after) = (text.get(..hit.span.start), text.get(hit.span.end..));
                let before =
                    before.unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c));
                let after = after.unwrap_or_default();
                let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.eE".contains(c));
                if ends_value(rest) && before.trim_end().ends_with([':', ',', '[']) {
                    return (before.len()..text.len() - rest.len(), Some("\""));
                }
                (hit.span.clone(), None)
            }
            _ => (hit.span.clone(), Self::quote_within(text, hit)),
        }
    }

    /// The quotes of a value in JSON within a text, or within a string of JSON.
    fn quote_within<'t>(text: &'t str, hit: &Found) -> Option<&'t str> {
        let before = text.get(..hit.span.start)?.trim_end();
        let name =
            before.strip_suffix(':').filter(|_| ends_value(text.get(hit.span.end..).unwrap_or_default()))?.trim_end();
        let unquoted = name.strip_suffix('"')?;
        name.get(unquoted.trim_end_matches('\\').len()..)
    }
}

fn ends_value(after: &str) -> bool {
    after.trim_start().starts_with([',', '}', ']'])
}

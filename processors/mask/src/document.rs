//! Masks a document of JSON string by string: for the few whose structure a detector took for a part of a value, such
//! as the end of a string behind `Authorization: `.

use crate::Class;
use crate::masker::{Field, Masker};

/// What stands for a document that cannot be masked otherwise.
const WHOLE: &str = "\"[REDACTED:document]\"";

/// Whether a text is a document of JSON: an object or a list, and nothing besides.
pub(crate) fn is_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Appends `text`, which is a document, with each of its strings and numbers masked by itself.
pub(crate) fn masked(masker: &Masker, class: Class, text: &str, out: &mut String) {
    let start = out.len();
    let (mut rest, mut field) = (text, Field::BODY);
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        let (before, token) = rest.split_at(at);
        out.push_str(before);
        let (inner, after, is_string) = split(token);
        let is_name = is_string && after.trim_start().starts_with(':');
        let within = if is_name { Field::BODY } else { field };
        let mut written = String::new();
        let changed = masker.masked_alone(class, within, inner, &mut written);
        let (quote, inner_now) = (if is_string || changed { "\"" } else { "" }, if changed { &written } else { inner });
        out.extend([quote, inner_now, quote]);
        if is_name {
            field = masker.field(inner);
        }
        rest = after;
    }
    out.push_str(rest);
    if !out.get(start..).is_some_and(is_document) {
        out.truncate(start);
        out.push_str(WHOLE);
    }
}

/// What is within a string or number at the beginning of `token`, what follows it, and whether it is a string.
fn split(token: &str) -> (&str, &str, bool) {
    let Some(string) = token.strip_prefix('"') else {
        let end = token.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(token.len());
        let (number, after) = token.split_at_checked(end.max(1)).unwrap_or((token, ""));
        return (number, after, false);
    };
    let mut escaped = false;
    let end = string.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let (inner, after) = string.split_at_checked(end.unwrap_or(string.len())).unwrap_or((string, ""));
    (inner, after.strip_prefix('"').unwrap_or_default(), true)
}

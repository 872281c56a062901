//! Numbers and attribute values as Prometheus writes them into labels.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_otlp::{AnyValue, Attributes, Error};

/// A bound or quantile as a label value: the shortest digits that read back as the same number,
/// never an exponent.
pub(crate) fn bound(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned() } else { value.to_string() }
}

/// An attribute's value as a label value. Lists and maps are JSON.
///
/// # Errors
/// What is within a list or map may not be OTLP.
pub(crate) fn label_value(value: AnyValue<'_>) -> Result<String, Error> {
    let mut text = String::new();
    match value {
        AnyValue::Empty => {}
        AnyValue::String(value) => text.push_str(value),
        AnyValue::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        AnyValue::Int(value) => text = value.to_string(),
        AnyValue::Double(value) if value.is_nan() => text.push_str("NaN"),
        AnyValue::Double(value) if value.is_infinite() => {
            text.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        AnyValue::Double(value) => push_double(&mut text, value),
        AnyValue::Bytes(value) => STANDARD.encode_string(value, &mut text),
        AnyValue::Array(_) | AnyValue::KvList(_) => {
            // JSON has no word for what is not finite: then there is no label.
            if !push_json(&mut text, value)? {
                text.clear();
            }
        }
    }
    Ok(text)
}

/// A finite number as in JSON of ECMAScript: an exponent below 1e-6 and from 1e21 on.
fn push_double(text: &mut String, value: f64) {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        text.push_str(&value.to_string());
    } else {
        let written = format!("{value:e}");
        text.push_str(&if magnitude < 1.0 { written } else { written.replace('e', "e+") });
    }
}

/// Appends a value as JSON; says whether JSON can say it. Recursion ends at the views' own limit.
fn push_json(text: &mut String, value: AnyValue<'_>) -> Result<bool, Error> {
    match value {
        AnyValue::Empty => text.push_str("null"),
        AnyValue::String(value) => push_quoted(text, value),
        AnyValue::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        AnyValue::Int(value) => text.push_str(&value.to_string()),
        AnyValue::Double(value) if !value.is_finite() => return Ok(false),
        AnyValue::Double(value) => push_double(text, value),
        AnyValue::Bytes(value) => {
            text.push('"');
            STANDARD.encode_string(value, text);
            text.push('"');
        }
        AnyValue::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                if !push_json(text, item?)? {
                    return Ok(false);
                }
            }
            text.push(']');
        }
        AnyValue::KvList(entries) => return push_object(text, entries),
    }
    Ok(true)
}

/// Keys in order, the last of equal ones.
fn push_object(text: &mut String, entries: Attributes<'_>) -> Result<bool, Error> {
    let mut sorted = std::collections::BTreeMap::new();
    for entry in entries {
        let (key, value) = entry?;
        sorted.insert(key, value);
    }
    text.push('{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_quoted(text, key);
        text.push(':');
        if !push_json(text, value)? {
            return Ok(false);
        }
    }
    text.push('}');
    Ok(true)
}

fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..'\u{20}' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests;

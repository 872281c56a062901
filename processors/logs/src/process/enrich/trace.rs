//! The trace and the span that a line belongs to: from attributes, from a `traceparent`, from text.
//!
//! Specification: <https://www.w3.org/TR/trace-context/#traceparent-header>.

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The trace.
    pub trace_id: Option<[u8; 16]>,
    /// The span.
    pub span_id: Option<[u8; 8]>,
}

impl Found {
    /// Fills what is not known yet.
    pub fn into_parsed(self, trace_id: &mut Option<[u8; 16]>, span_id: &mut Option<[u8; 8]>) {
        *trace_id = trace_id.or(self.trace_id);
        *span_id = span_id.or(self.span_id);
    }
}

/// What an attribute says, by its name; none if it is about something else, or malformed.
#[inline]
pub fn of_attribute(key: &str, value: &str) -> Option<Found> {
    // Names that matter have 6 to 11 bytes and begin with one of two letters.
    if !(6..=11).contains(&key.len()) || !matches!(key.as_bytes().first(), Some(b't' | b's' | b'T' | b'S')) {
        return None;
    }
    match key {
        "trace_id" | "traceId" | "traceid" | "trace.id" | "TraceId" | "traceID" => {
            Some(Found { trace_id: Some(hex(value)?), span_id: None })
        }
        "span_id" | "spanId" | "spanid" | "span.id" | "SpanId" | "spanID" => {
            Some(Found { trace_id: None, span_id: Some(hex(value)?) })
        }
        "traceparent" => traceparent(value),
        _ => None,
    }
}

/// `00-<trace>-<span>-<flags>`.
pub fn traceparent(text: &str) -> Option<Found> {
    let mut parts = text.trim_ascii().split('-');
    let version = parts.next().filter(|version| version.len() == 2 && *version != "ff")?;
    u8::from_str_radix(version, 16).ok()?;
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    if flags.len() != 2 || (version == "00" && parts.next().is_some()) {
        return None;
    }
    Some(Found { trace_id: Some(hex(trace)?), span_id: Some(hex(span)?) })
}

/// What a text says after one of the names, as `trace_id=...`, `"traceId":"..."`, `traceparent: ...`.
pub fn of_text(text: &str, finder: &Finder) -> Found {
    let mut found = Found::default();
    let mut rest = text;
    while let Some(at) = finder.0.find(rest.as_bytes()) {
        // `race` and what is not a name: passed over.
        let Some((before, name)) = rest.split_at_checked(at) else { break };
        rest = name.get(4..).unwrap_or_default();
        let first = before.as_bytes().last();
        if !matches!(first, Some(b't' | b'T')) {
            continue;
        }
        let key_len =
            rest.bytes().take(8).take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        let (key, after) = rest.split_at_checked(key_len.count()).unwrap_or_default();
        let value = after.trim_start_matches(['"', '\'', ':', '=', ' ']);
        // A separator stands between.
        if value.len() == after.len() {
            continue;
        }
        let len = value.bytes().take(64).take_while(|byte| byte.is_ascii_hexdigit() || *byte == b'-').count();
        let value = value.get(..len).unwrap_or_default();
        let one = match key {
            "_id" | "Id" | "id" | ".id" | "ID" => hex(value).map(|id| Found { trace_id: Some(id), span_id: None }),
            "parent" => traceparent(value),
            _ => None,
        };
        if let Some(one) = one {
            found.trace_id = found.trace_id.or(one.trace_id);
            found.span_id = found.span_id.or(one.span_id);
            if found.span_id.is_none() {
                found.span_id = span_of_text(rest);
            }
            break;
        }
    }
    found
}

/// The span near a trace's name.
fn span_of_text(text: &str) -> Option<[u8; 8]> {
    // After the trace's 32 digits and what stands between.
    let near = text.get(..text.floor_char_boundary(128)).unwrap_or_default();
    let at = near.find("span").or_else(|| near.find("Span"))?;
    let rest = near.get(at + 4..)?;
    let rest = rest.trim_start_matches(['_', '.', 'I', 'i', 'd', 'D', '"', '\'', ':', '=', ' ']);
    // An identity may begin with a d: what was trimmed too much is put back by its end.
    let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    let end = rest.get(digits..)?.len();
    let whole = near.get(..near.len() - end)?;
    let start = whole.len().checked_sub(16)?;
    whole.get(..start)?.ends_with(['"', '\'', ':', '=', ' ']).then(|| hex(whole.get(start..)?)).flatten()
}

/// Finds the names in a text; made once.
#[derive(Debug, Clone)]
pub struct Finder(memchr::memmem::Finder<'static>);

impl Default for Finder {
    fn default() -> Self {
        Self(memchr::memmem::Finder::new("race"))
    }
}

/// An identity in hexadecimal; none if it is all zeros, which is invalid.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut id = [0_u8; N];
    for (slot, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            *slot = (*slot << 4) | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    id.iter().any(|byte| *byte != 0).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "d0f067aa0ba902b7";

    #[test]
    fn a_trace_is_found_under_its_many_names() {
        let want = hex::<16>(TRACE);
        for text in [
            format!("trace_id={TRACE} done"),
            format!("x {{\"traceId\":\"{TRACE}\"}}"),
            format!("the race for [trace.id: {TRACE}]"),
            format!("retraced, traceparent: 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(of_text(&text, &Finder::default()).trace_id, want, "{text}");
        }
        for text in [
            TRACE.to_string(),
            format!("trace_id={}", TRACE.replacen('4', "", 1)),
            format!("trace_id={}", "0".repeat(32)),
            "race race tracetrace trace".to_owned(),
            String::new(),
        ] {
            assert_eq!(of_text(&text, &Finder::default()), Found::default(), "{text}");
        }
    }

    #[test]
    fn a_span_is_found_beside_its_trace() {
        for text in [
            format!("trace_id={TRACE} span_id={SPAN}"),
            format!("\"trace_id\":\"{TRACE}\",\"span_id\":\"{SPAN}\""),
            format!("traceId={TRACE}, spanId={SPAN}"),
            format!("traceparent=00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(of_text(&text, &Finder::default()).span_id, hex::<8>(SPAN), "{text}");
        }
        assert_eq!(of_attribute("spanId", SPAN).unwrap().span_id, hex::<8>(SPAN));
    }

    #[test]
    fn a_traceparent_of_another_form_is_none() {
        assert!(traceparent(&format!("00-{TRACE}-{SPAN}-01")).is_some());
        assert!(traceparent(&format!("cc-{TRACE}-{SPAN}-01-more")).is_some(), "of a version to come");
        for text in [
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}"),
            String::new(),
        ] {
            assert_eq!(traceparent(&text), None, "{text}");
        }
    }
}

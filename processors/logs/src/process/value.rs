//! What a parser reads out of a line, before it is masked and written.

use std::borrow::Cow;

use crate::process::enrich::severity::Severity;

/// How many attributes a line may give; what is over it is counted as dropped. Far above any line that a person reads,
/// and what keeps the search for one name twice short.
pub const ATTRIBUTES_MAX: usize = 128;

/// Text of the line itself, or made from it where it was escaped.
pub type Text<'a> = Cow<'a, str>;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    Text(Text<'a>),
    /// A list.
    List(Vec<Value<'a>>),
    /// A map.
    Map(Vec<(Text<'a>, Value<'a>)>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<Text<'a>> for Value<'a> {
    fn from(text: Text<'a>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

impl Value<'_> {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A number where the text is nothing else and reads back as it was written: no leading zeros, no plus, no exponent.
pub fn number(text: &str) -> Option<Value<'static>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // Nineteen digits and above may not fit, and 15 are what a double keeps.
    if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || whole.len() > 18 || text == "-0" {
        return None;
    }
    match fraction {
        None => text.parse().ok().map(Value::Int),
        Some(fraction) if all_digits(fraction) && digits.len() <= 16 => text.parse().ok().map(Value::Double),
        Some(_) => None,
    }
}

/// A value written without quotes: a number, a truth value, or text.
pub fn bare(text: &str) -> Value<'_> {
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'-') => number(text).unwrap_or_else(|| text.into()),
        Some(b't') if text == "true" => Value::Bool(true),
        Some(b'f') if text == "false" => Value::Bool(false),
        _ => text.into(),
    }
}

/// What is known of a line from its text.
#[derive(Debug, Default)]
pub struct Parsed<'a> {
    /// Names and values, no name twice.
    pub attributes: Vec<(Text<'a>, Value<'a>)>,
    /// How many attributes were left out: one name twice, or more than [`ATTRIBUTES_MAX`].
    pub dropped: u32,
    /// When it happened, in nanoseconds since 1970.
    pub time_nanos: Option<u64>,
    /// How bad it is.
    pub severity: Option<Severity<'a>>,
    /// The trace it belongs to.
    pub trace_id: Option<[u8; 16]>,
    /// The span it belongs to.
    pub span_id: Option<[u8; 8]>,
}

impl<'a> Parsed<'a> {
    /// Forgets everything, for the next line.
    pub fn clear(&mut self) {
        self.attributes.clear();
        self.dropped = 0;
        self.time_nanos = None;
        self.severity = None;
        self.trace_id = None;
        self.span_id = None;
    }

    /// Adds an attribute; of one name the first stays.
    pub fn put(&mut self, key: impl Into<Text<'a>>, value: impl Into<Value<'a>>) {
        let key = key.into();
        if self.attributes.len() >= ATTRIBUTES_MAX || self.get(&key).is_some() {
            self.dropped = self.dropped.saturating_add(1);
        } else {
            self.attributes.push((key, value.into()));
        }
    }

    /// Adds an attribute of text, unless the text is empty or a dash.
    pub fn put_known(&mut self, key: &'static str, text: &'a str) {
        if !text.is_empty() && text != "-" {
            self.put(key, text);
        }
    }

    /// The value under a name.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.attributes.iter().find(|(have, _)| have == key).map(|(_, value)| value)
    }

    /// Where one can go back to with [`Self::back_to`].
    pub fn mark(&self) -> (usize, u32) {
        (self.attributes.len(), self.dropped)
    }

    /// Forgets the attributes since a mark.
    pub fn back_to(&mut self, mark: (usize, u32)) {
        self.attributes.truncate(mark.0);
        self.dropped = mark.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_numbers_only_where_nothing_is_lost() {
        let of = |text: &'static str| bare(text);
        assert_eq!((of("0"), of("-7"), of("12.50")), (Value::Int(0), Value::Int(-7), Value::Double(12.5)));
        for text in ["007", "1e5", "+1", "1.", ".5", "-", "-0", "1_000", "12345678901234567890", "0.12345678901234567"]
        {
            assert_eq!(of(text), Value::from(text));
        }
        assert_eq!((of("true"), of("falsely")), (Value::Bool(true), "falsely".into()));
    }

    #[test]
    fn of_one_name_the_first_stays_and_the_others_are_counted() {
        let mut parsed = Parsed::default();
        parsed.put("a", 1);
        parsed.put("a", 2);
        for at in 0..200 {
            parsed.put(format!("k{at}"), 1);
        }
        assert_eq!((parsed.get("a"), parsed.attributes.len()), (Some(&Value::Int(1)), ATTRIBUTES_MAX));
        assert_eq!(parsed.dropped, 1 + 200 - 127);
    }
}

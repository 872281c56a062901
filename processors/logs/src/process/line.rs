//! One log record with all that is known of it.

use std::net::IpAddr;

use weir_mask::Class;
use weir_otlp::{AnyValue, LogRecord};

use super::enrich::condition::Seen;
use super::enrich::severity::{self, number_of_word};
use super::enrich::trace::{self, Finder, Found};
use super::parse::Parser;
use super::resource::Resource;
use super::value::{Parsed, Value};

/// An attribute that the record came with.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    pub key: &'a str,
    pub value: AnyValue<'a>,
    /// Its field in the record, tag and length included.
    pub raw: &'a [u8],
}

/// A log record, what it says, and what was read out of that.
pub struct Line<'l, 'a, 't> {
    pub record: &'l LogRecord<'a>,
    /// Its body, if that is text.
    pub body: Option<&'t str>,
    pub own: &'l [Own<'a>],
    pub resource: &'l Resource<'a>,
    pub parser: Parser,
    /// The name of the pattern or the delimited format that took it.
    pub rule: &'l str,
    pub parsed: &'l Parsed<'t>,
}

impl Line<'_, '_, '_> {
    /// The text of an attribute of the line itself, its own before what was read out of it.
    pub fn text(&self, name: &str) -> Option<&str> {
        let own = self.own.iter().find(|own| own.key == name);
        match own.map(|own| own.value) {
            Some(AnyValue::String(text)) => Some(text),
            Some(_) => None,
            None => self.parsed.get(name).and_then(Value::as_text),
        }
    }

    /// The value of an attribute of the line, its own before what was read out of it, or of its resource.
    pub fn scalar(&self, name: &str) -> Option<Scalar<'_>> {
        self.found(name).map(|(value, _)| value)
    }

    /// The same, and whose it is.
    pub fn found(&self, name: &str) -> Option<(Scalar<'_>, Whose)> {
        if let Some(own) = self.own.iter().find(|own| own.key == name) {
            let value = match own.value {
                AnyValue::String(text) => Scalar::Text(text),
                AnyValue::Int(number) => Scalar::Int(number),
                AnyValue::Double(number) => Scalar::Double(number),
                AnyValue::Bool(value) => Scalar::Bool(value),
                _ => return None,
            };
            return Some((value, Whose::Line));
        }
        let value = match self.parsed.get(name) {
            Some(Value::Text(text)) => Scalar::Text(text),
            Some(Value::Int(number)) => Scalar::Int(*number),
            Some(Value::Double(number)) => Scalar::Double(*number),
            Some(Value::Bool(value)) => Scalar::Bool(*value),
            Some(_) => return None,
            None => return self.resource.text(name).map(|text| (Scalar::Text(text), Whose::Resource)),
        };
        Some((value, Whose::Line))
    }

    /// The number of its severity, its own or read out of it; 0 if unknown.
    pub fn severity_number(&self) -> u8 {
        match u8::try_from(self.record.severity_number) {
            Ok(number @ 1..) => number,
            _ => self.severity().0.unwrap_or_default(),
        }
    }

    /// Whether the record came with an attribute of that name.
    pub fn has_own(&self, name: &str) -> bool {
        self.own.iter().any(|own| own.key == name)
    }

    /// Its severity's number and text, where the record lacks one of them: the number from its own text, else from
    /// what was read; the text from what was read, else the number's name.
    pub fn severity(&self) -> (Option<u8>, Option<&str>) {
        let has_text = !self.record.severity_text.is_empty();
        let read = self.parsed.severity.as_ref();
        if self.record.severity_number > 0 {
            let number = u8::try_from(self.record.severity_number).unwrap_or_default();
            let name = severity::name(number);
            return (None, (!has_text && !name.is_empty()).then_some(name));
        }
        if has_text {
            let number = number_of_word(self.record.severity_text).or(read.map(|read| read.number));
            return (number, None);
        }
        (read.map(|read| read.number), read.map(|read| read.text.as_ref()))
    }

    /// The trace and the span that the record lacks.
    pub fn trace(&self, finder: &Finder) -> Found {
        let (has_trace, has_span) = (self.record.trace_id.len() == 16, self.record.span_id.len() == 8);
        if has_trace && has_span {
            return Found::default();
        }
        let mut found = Found::default();
        for own in self.own {
            if let AnyValue::String(text) = own.value
                && let Some(one) = trace::of_attribute(own.key, text)
            {
                one.into_parsed(&mut found.trace_id, &mut found.span_id);
            }
        }
        Found { trace_id: self.parsed.trace_id, span_id: self.parsed.span_id }
            .into_parsed(&mut found.trace_id, &mut found.span_id);
        if found.trace_id.is_none()
            && !has_trace
            && let Some(text) = self.body
        {
            trace::of_text(text, finder).into_parsed(&mut found.trace_id, &mut found.span_id);
        }
        // A span belongs to its trace: one without the other would be of two sources.
        Found {
            trace_id: found.trace_id.filter(|_| !has_trace),
            span_id: found.span_id.filter(|_| !has_span && (has_trace || found.trace_id.is_some())),
        }
    }

    /// The first address among attributes of these names.
    pub fn address(&self, names: &[String]) -> Option<IpAddr> {
        names.iter().find_map(|name| self.text(name)?.parse().ok())
    }
}

impl Seen for Line<'_, '_, '_> {
    fn parser(&self) -> Parser {
        self.parser
    }

    fn body(&self) -> Option<&str> {
        self.body
    }

    fn attribute(&self, name: &str, with: &mut dyn FnMut(&str) -> bool) -> bool {
        match self.scalar(name) {
            Some(Scalar::Text(text)) => with(text),
            Some(Scalar::Int(number)) => with(&number.to_string()),
            Some(Scalar::Double(number)) => with(&number.to_string()),
            Some(Scalar::Bool(value)) => with(if value { "true" } else { "false" }),
            None => false,
        }
    }

    fn parsed(&self, name: &str) -> Option<&Value<'_>> {
        self.parsed.get(name)
    }
}

/// Whose an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The line's own, or read out of it.
    Line,
    /// Its resource's.
    Resource,
}

/// A value that is neither a list nor a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'v> {
    /// Text.
    Text(&'v str),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

/// What is decided of a line before it is written.
#[derive(Debug, Clone, Copy)]
pub struct Decided {
    pub class: Class,
    pub trace: Found,
    pub time_nanos: Option<u64>,
}

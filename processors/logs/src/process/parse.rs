//! A line of text, recognised and read into attributes.

mod access;
mod app;
mod asa;
mod delimited;
mod json;
mod logfmt;
pub(crate) mod pattern;
mod scan;
mod syslog;
mod time;
mod xml;

use serde::{Deserialize, Serialize};

pub use time::Clock;

use crate::config::{Delimited, ParserKind};
use crate::process::enrich::severity::Severity;
use crate::process::enrich::trace;
use crate::process::value::{Parsed, Value};
use pattern::Compiled;

/// Which parser took a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parser {
    None,
    Pattern,
    Json,
    Xml,
    SyslogRfc5424,
    SyslogRfc3164,
    CiscoAsa,
    Access,
    Logfmt,
    Delimited,
    Bracketed,
    App,
}

impl Parser {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Pattern,
        Self::Json,
        Self::Xml,
        Self::SyslogRfc5424,
        Self::SyslogRfc3164,
        Self::CiscoAsa,
        Self::Access,
        Self::Logfmt,
        Self::Delimited,
        Self::Bracketed,
        Self::App,
    ];

    /// Its name, as `weir.parser` and as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pattern => "pattern",
            Self::Json => "json",
            Self::Xml => "xml",
            Self::SyslogRfc5424 => "syslog_rfc5424",
            Self::SyslogRfc3164 => "syslog_rfc3164",
            Self::CiscoAsa => "cisco_asa",
            Self::Access => "access",
            Self::Logfmt => "logfmt",
            Self::Delimited => "delimited",
            Self::Bracketed => "bracketed",
            Self::App => "app",
        }
    }
}

/// The parsers of a configuration.
#[derive(Debug, Default)]
pub struct Parsers {
    /// What is tried, in order; empty for detection.
    pub order: Vec<ParserKind>,
    /// Patterns, in order.
    pub patterns: Vec<Compiled>,
    /// Delimited formats, in order.
    pub delimited: Vec<Delimited>,
}

impl Parsers {
    /// Reads a line: which parser took it, and the name of its rule where it has one. `out` is empty before, and again
    /// where no parser takes it.
    pub fn parse<'a, 'c>(&'c self, line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> (Parser, &'c str) {
        // A line's own end is none of it, and neither is what fills a buffer.
        let line = line.trim_end_matches(['\r', '\n', '\0', ' ']).trim_start_matches(['\u{feff}', ' ', '\t']);
        if line.is_empty() {
            return (Parser::None, "");
        }
        if !self.order.is_empty() {
            return self.in_order(line, clock, out);
        }
        if let Some(taken) = self.try_one(ParserKind::Pattern, line, clock, out) {
            return taken;
        }
        for kind in candidates(line) {
            if let Some(taken) = self.try_one(*kind, line, clock, out) {
                return taken;
            }
        }
        (Parser::None, "")
    }

    fn in_order<'a, 'c>(&'c self, line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> (Parser, &'c str) {
        let mut tried = self.order.iter();
        tried.find_map(|kind| self.try_one(*kind, line, clock, out)).unwrap_or((Parser::None, ""))
    }

    fn try_one<'a, 'c>(
        &'c self,
        kind: ParserKind,
        line: &'a str,
        clock: Clock,
        out: &mut Parsed<'a>,
    ) -> Option<(Parser, &'c str)> {
        let mut name = "";
        let taken = match kind {
            ParserKind::Json => json::parse(line, clock, out).then_some(Parser::Json),
            ParserKind::Xml => xml::parse(line, clock, out).then_some(Parser::Xml),
            ParserKind::Syslog => syslog::parse(line, clock, out),
            ParserKind::CiscoAsa => asa::parse(line, clock, out).then_some(Parser::CiscoAsa),
            ParserKind::Access => access::parse(line, clock, out).then_some(Parser::Access),
            ParserKind::Logfmt => logfmt::parse(line, clock, out).then_some(Parser::Logfmt),
            ParserKind::Bracketed => app::bracketed(line, clock, out).then_some(Parser::Bracketed),
            ParserKind::App => app::parse(line, clock, out).then_some(Parser::App),
            ParserKind::Pattern => {
                let taking = self.patterns.iter().find(|pattern| {
                    let taken = pattern.parse(line, clock, out);
                    if !taken {
                        out.clear();
                    }
                    taken
                });
                taking.map(|pattern| {
                    name = &pattern.name;
                    Parser::Pattern
                })
            }
            ParserKind::Delimited => {
                let taking = self.delimited.iter().find(|format| {
                    let taken = delimited::parse(line, format, clock, out);
                    if !taken {
                        out.clear();
                    }
                    taken
                });
                taking.map(|format| {
                    name = format.name.get_ref();
                    Parser::Delimited
                })
            }
        };
        if taken.is_none() {
            out.clear();
        }
        Some((taken?, name))
    }
}

/// What a line may be, by its first byte and little more.
fn candidates(line: &str) -> &'static [ParserKind] {
    use ParserKind::{Access, App, Bracketed, CiscoAsa, Delimited, Json, Logfmt, Syslog, Xml};
    let bytes = line.as_bytes();
    match bytes.first() {
        Some(b'{') => &[Json, Delimited, App],
        Some(b'<') if bytes.get(1).is_some_and(u8::is_ascii_digit) => &[Syslog, Delimited, App],
        Some(b'<') => &[Xml, Delimited, App],
        Some(b'[') => &[Delimited, Bracketed, App],
        Some(b'%') => &[CiscoAsa, Delimited, App],
        // A month, or an address or host before an access line.
        Some(b'A'..=b'Z' | b'*') => &[Syslog, Access, Logfmt, Delimited, App],
        // A date or an address; RFC 3164 with a time as RFC 3339 writes it.
        Some(b'0'..=b'9' | b':') if memchr::memchr(b'"', bytes).is_some() => &[Access, Delimited, Syslog, App],
        Some(b'0'..=b'9') => &[Delimited, Syslog, App],
        _ => &[Logfmt, Access, Delimited, App],
    }
}

/// Reads time, severity, trace, span and response time out of what they are usually called. They stay attributes as
/// well.
fn lift(out: &mut Parsed<'_>, clock: Clock) {
    let mut severity = out.severity.take();
    let mut response = None;
    for (key, value) in &out.attributes {
        let key = key.rsplit_once('.').map_or(key.as_ref(), |(front, last)| match front {
            "log" | "trace" | "span" => key.as_ref(),
            _ if last == "SystemTime" || last == "Level" => last,
            _ => key.as_ref(),
        });
        match key {
            "time" | "timestamp" | "ts" | "@timestamp" | "@t" | "datetime" | "SystemTime" => {
                out.time_nanos = out.time_nanos.or_else(|| moment(value, clock));
            }
            "level" | "severity" | "lvl" | "loglevel" | "log_level" | "log.level" | "levelname" | "@l"
            | "severity_text" | "severityText" => {
                severity = severity.or_else(|| match value {
                    Value::Text(text) => {
                        let number = crate::process::enrich::severity::number_of_word(text)?;
                        Some(Severity { number, text: text.clone() })
                    }
                    Value::Int(number) => Severity::of_number(*number),
                    _ => None,
                });
            }
            // Windows counts from critical, 1, to verbose, 5.
            "Level" => {
                severity = severity.or_else(|| match value {
                    Value::Int(number @ 1..=4) => {
                        let words = ["critical", "error", "warning", "information"];
                        words.get(usize::try_from(number - 1).ok()?).and_then(|word| Severity::of_word(word))
                    }
                    _ => None,
                });
            }
            "response_time" => response = app::seconds(value),
            _ => {
                if let Some(text) = value.as_text()
                    && let Some(found) = trace::of_attribute(key, text)
                {
                    found.into_parsed(&mut out.trace_id, &mut out.span_id);
                }
            }
        }
    }
    out.severity = severity;
    if let Some(seconds) = response {
        out.put(app::RESPONSE_TIME, seconds);
    }
}

/// A value that is a time.
fn moment(value: &Value<'_>, clock: Clock) -> Option<u64> {
    match value {
        Value::Text(text) => time::whole(text, clock).filter(|time| *time > 0),
        Value::Int(number) => time::epoch_integer(*number),
        Value::Double(number) => time::epoch(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! Syslog: RFC 5424, and RFC 3164 as it is met in the wild.
//!
//! Names: appendix A of <https://opentelemetry.io/docs/specs/otel/logs/data-model-appendix>.

use std::borrow::Cow;

use super::scan::Scan;
use super::{Clock, Parser, app, asa, json, time};
use crate::process::enrich::severity::Severity;
use crate::process::value::{Parsed, Value};

/// Reads a line of either RFC; which it was, or that its message was a firewall's.
pub fn parse<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> Option<Parser> {
    let mut scan = Scan(line.trim_ascii_end());
    let priority = priority(&mut scan);
    if let Some(priority) = priority {
        out.put("syslog.priority", i64::from(priority));
        out.put("syslog.facility", i64::from(priority >> 3));
        out.severity = Severity::of_syslog(priority & 7);
        let mark = out.mark();
        if scan.0.starts_with("1 ") && new(scan, clock, out).is_some() {
            return Some(Parser::SyslogRfc5424);
        }
        out.back_to(mark);
        out.time_nanos = None;
    }
    old(scan, priority.is_some(), clock, out)
}

/// `<0>` to `<191>`.
fn priority(scan: &mut Scan<'_>) -> Option<u8> {
    let mut ahead = *scan;
    ahead.eat("<").then_some(())?;
    let number = ahead.digits(3).filter(|number| *number <= 191)?;
    ahead.eat(">").then_some(())?;
    *scan = ahead;
    u8::try_from(number).ok()
}

/// RFC 5424, from its version on.
fn new<'a>(mut scan: Scan<'a>, clock: Clock, out: &mut Parsed<'a>) -> Option<()> {
    scan.eat("1 ").then_some(())?;
    if !scan.eat("- ") {
        out.time_nanos = Some(time::iso(&mut scan, clock)?);
        scan.eat(" ").then_some(())?;
    }
    out.put("syslog.version", 1);
    for name in ["host.name", "syslog.appname", "syslog.procid", "syslog.msgid"] {
        let word = scan.word();
        // A space is missing where the line ends before its structured data: not RFC 5424.
        if word.is_empty() || !scan.eat(" ") {
            return None;
        }
        out.put_known(name, word);
    }
    if !scan.eat("-") {
        while scan.peek() == Some(b'[') {
            element(&mut scan, out)?;
        }
    }
    if !scan.0.is_empty() && !scan.eat(" ") {
        return None;
    }
    scan.eat("\u{feff}");
    message(scan.0, clock, out);
    Some(())
}

/// `[id name="value" ...]`: attributes `syslog.id.name`.
fn element<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) -> Option<()> {
    scan.eat("[").then_some(())?;
    let id = scan.take_while(|byte| !matches!(byte, b' ' | b']' | b'"' | b'='));
    if id.is_empty() || id.len() > 64 {
        return None;
    }
    loop {
        if scan.eat("]") {
            return Some(());
        }
        scan.eat(" ").then_some(())?;
        let name = scan.take_while(|byte| !matches!(byte, b' ' | b']' | b'"' | b'='));
        scan.eat("=\"").then_some(())?;
        let value = parameter(scan)?;
        out.put(format!("syslog.{id}.{name}"), Value::Text(value));
    }
}

/// A parameter's value up to its closing quote; a backslash escapes a quote, a bracket and itself.
fn parameter<'a>(scan: &mut Scan<'a>) -> Option<Cow<'a, str>> {
    let first = memchr::memchr2(b'"', b'\\', scan.0.as_bytes())?;
    let plain = scan.take(first)?;
    if scan.eat("\"") {
        return Some(Cow::Borrowed(plain));
    }
    let mut text = plain.to_owned();
    loop {
        let at = memchr::memchr2(b'"', b'\\', scan.0.as_bytes())?;
        text.push_str(scan.take(at)?);
        if scan.eat("\"") {
            return Some(Cow::Owned(text));
        }
        scan.eat("\\");
        match scan.peek() {
            Some(next @ (b'"' | b'\\' | b']')) => {
                text.push(char::from(next));
                scan.take(1)?;
            }
            _ => text.push('\\'),
        }
    }
}

/// RFC 3164: a time, a host, a tag, a message; without a priority, the time must be there.
fn old<'a>(mut scan: Scan<'a>, with_priority: bool, clock: Clock, out: &mut Parsed<'a>) -> Option<Parser> {
    // Cisco puts a star before a time that it is not sure of.
    scan.eat("*");
    let time = time::bsd(&mut scan, clock).or_else(|| time::iso(&mut scan, clock));
    if !with_priority && time.is_none() {
        return None;
    }
    out.time_nanos = time.filter(|time| *time > 0);
    if time.is_some() {
        if !(scan.eat(": ") || scan.eat(" ")) {
            return None;
        }
        scan.spaces();
        let mut ahead = scan;
        let host = ahead.word();
        if is_host(host) && ahead.eat(" ") {
            if !with_priority && Severity::of_word(host).is_some() {
                return None;
            }
            out.put("host.name", host);
            scan = ahead;
        }
    }
    scan.spaces();
    let firewall = scan;
    // After the host, a colon may stand alone.
    scan.eat(": ");
    if scan.0.starts_with("%ASA") || scan.0.starts_with("%FTD") {
        return asa::message(scan, out).map(|()| Parser::CiscoAsa);
    }
    scan = firewall;
    tag(&mut scan, out);
    if !with_priority && out.get("syslog.appname").is_none() {
        return None;
    }
    message(scan.0, clock, out);
    Some(Parser::SyslogRfc3164)
}

fn is_host(word: &str) -> bool {
    !word.is_empty()
        && !word.ends_with(':')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'))
}

/// `name[pid]: ` or `name: `.
fn tag<'a>(scan: &mut Scan<'a>, out: &mut Parsed<'a>) {
    let mut ahead = *scan;
    let name =
        ahead.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/' | b'@'));
    if name.is_empty() || name.len() > 64 {
        return;
    }
    let mut pid = "";
    if ahead.eat("[") {
        pid = ahead.take_while(|byte| !matches!(byte, b']' | b' '));
        if !ahead.eat("]") {
            return;
        }
    }
    if !ahead.eat(":") || !matches!(ahead.peek(), None | Some(b' ')) {
        return;
    }
    out.put("syslog.appname", name);
    out.put_known("syslog.procid", pid);
    *scan = ahead;
}

/// What is said, and what can be read out of it: members of JSON, else pairs.
fn message<'a>(text: &'a str, clock: Clock, out: &mut Parsed<'a>) {
    let text = text.trim_ascii();
    if text.is_empty() {
        return;
    }
    out.put("message", text);
    let (mark, severity, time) = (out.mark(), out.severity.take(), out.time_nanos);
    if !(text.starts_with('{') && json::parse(text, clock, out)) {
        out.back_to(mark);
        app::facts(text, out);
    }
    // What syslog itself says comes first.
    out.severity = severity.or_else(|| out.severity.take());
    out.time_nanos = time.or(out.time_nanos);
}

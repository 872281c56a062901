//! Lines of applications: a time, a level, and facts in the text; brackets before the text.

use std::net::IpAddr;

use super::scan::Scan;
use super::{Clock, logfmt, time};
use crate::process::enrich::severity::Severity;
use crate::process::value::{Parsed, Value};

/// What a response time becomes, in seconds.
pub const RESPONSE_TIME: &str = "weir.response_time_seconds";

/// How many words from the front may be the level.
const LEVEL_WORDS: usize = 8;

/// Reads `[..] [..] text`: times and levels are told, what else is bracketed is kept.
pub fn bracketed<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
    let mut scan = Scan(line.trim_ascii());
    let mut prefixes = Vec::new();
    while scan.spaces().eat("[") {
        let Some(text) = scan.until(b']') else { return false };
        bracket(text.trim_ascii(), clock, out, &mut prefixes);
    }
    let rest = scan.spaces().0;
    let told = out.time_nanos.is_some() || out.severity.is_some() || !out.attributes.is_empty();
    // Brackets around everything, of which nothing is known: a list, or something else.
    if rest.is_empty() && !told {
        return false;
    }
    if !prefixes.is_empty() {
        out.put("log.prefix", Value::List(prefixes));
    }
    let text = rest.trim_start_matches([':', '-', ' ']);
    if !text.is_empty() {
        out.put("message", text);
    }
    if out.severity.is_none() {
        out.severity = level(text);
    }
    facts(text, out);
    true
}

/// What stands in one pair of brackets.
fn bracket<'a>(text: &'a str, clock: Clock, out: &mut Parsed<'a>, prefixes: &mut Vec<Value<'a>>) {
    if out.time_nanos.is_none()
        && let Some(time) = time::whole(text, clock)
    {
        out.time_nanos = Some(time).filter(|time| *time > 0);
    } else if out.severity.is_none()
        && let Some(severity) = Severity::of_word(text)
    {
        out.severity = Some(severity);
    } else if let Some(pid) = text.strip_prefix("pid ") {
        // Apache's error log: `pid 35708:tid 4328636416`.
        let (pid, tid) = pid.split_once(":tid ").unwrap_or((pid, ""));
        [("process.pid", pid), ("thread.id", tid)].into_iter().for_each(|(name, id)| {
            if let Ok(id) = id.parse::<i64>() {
                out.put(name, id);
            }
        });
    } else if let Some(client) = text.strip_prefix("client ") {
        address("client.address", Some("client.port"), client, out);
    } else if let Some((module, level)) = text.split_once(':')
        && out.severity.is_none()
        && let Some(severity) = Severity::of_word(level)
    {
        // Apache's error log: `core:error`.
        out.severity = Some(severity);
        out.put_known("apache.module", module);
    } else if logfmt::pairs(text, out) == 0 && !text.is_empty() {
        prefixes.push(text.into());
    }
}

/// Reads a line that begins with a time, has a level near its front, or a pair somewhere.
pub fn parse<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
    let mut scan = Scan(line.trim_ascii());
    let bracketed = scan.eat("[");
    let time = time::any(&mut scan, clock);
    if time.is_none() {
        scan = Scan(line.trim_ascii());
    } else if bracketed {
        scan.eat("]");
    }
    out.time_nanos = time.filter(|time| *time > 0);
    out.severity = level(scan.0);
    let found = facts(scan.0, out);
    time.is_some() || out.severity.is_some() || found > 0
}

/// The level near a text's front: a word in capitals, or in brackets, or before a colon at the very front. In prose,
/// "error" and "information" are words like any other.
fn level(text: &str) -> Option<Severity<'_>> {
    let mut scan = Scan(text);
    for at in 0..LEVEL_WORDS {
        let word = scan.spaces().word();
        if word.is_empty() {
            break;
        }
        let bare = word.trim_matches(['[', ']', '(', ')', '<', '>', '|', ':', ',', '-', '*']);
        let in_capitals = bare.len() >= 3 && bare.bytes().all(|byte| byte.is_ascii_uppercase());
        let marked =
            bare.len() < word.len() && (word.starts_with(['[', '<', '(', '|']) || (at == 0 && word.ends_with(':')));
        if (in_capitals || marked)
            && let Some(severity) = Severity::of_word(bare)
        {
            return Some(severity);
        }
    }
    None
}

/// Adds what a text tells: pairs (with `status_code` and `response_time` under names of their own), and the first IP
/// address; how many there are.
pub fn facts<'a>(text: &'a str, out: &mut Parsed<'a>) -> u32 {
    let first = out.attributes.len();
    let mut found = logfmt::pairs(text, out);
    for (key, value) in out.attributes.iter_mut().skip(first) {
        match key.as_ref() {
            "status_code" | "status" => {
                if let Value::Int(100..=599) = value {
                    *key = "http.response.status_code".into();
                }
            }
            "response_time" => {
                if let Some(seconds) = seconds(value) {
                    *key = RESPONSE_TIME.into();
                    *value = Value::Double(seconds);
                }
            }
            _ => {}
        }
    }
    if let Some(address) = first_address(text) {
        out.put("network.peer.address", address);
        found += 1;
    }
    found
}

/// A time in seconds; a number without a unit counts milliseconds. None is below zero.
pub fn seconds(value: &Value<'_>) -> Option<f64> {
    let text = match value {
        Value::Int(number) => return Some(f64::from(u32::try_from(*number).ok()?) / 1e3),
        Value::Double(number) => return Some(number / 1e3).filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
        Value::Text(text) => text,
        _ => return None,
    };
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    let scale = match unit {
        "s" | "sec" => 1.0,
        "ms" => 1e3,
        "us" | "µs" => 1e6,
        "ns" => 1e9,
        _ => return None,
    };
    Some(number / scale)
}

/// The first IPv4 address of a text that stands alone, or the first IPv6 address in brackets or between spaces.
fn first_address(text: &str) -> Option<&str> {
    let is = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let bytes = text.as_bytes();
    let mut passed = 0;
    // No address is without one of them, and words have neither.
    while let Some(mark) = bytes.get(passed..).and_then(|rest| memchr::memchr2(b'.', b':', rest)) {
        let (front, back) = bytes.split_at_checked(passed + mark)?;
        let start = front.len() - front.iter().rev().take(mark).take_while(|byte| is(byte)).count();
        let end = front.len() + back.iter().take_while(|byte| is(byte)).count();
        let opened = start
            .checked_sub(1)
            .and_then(|before| bytes.get(before))
            .is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_' | b'.' | b'@'));
        let closed = bytes.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'));
        // The shortest is `::1`, and the longest has 45 bytes.
        if opened && closed && (3..=60).contains(&(end - start)) {
            let run = text.get(start..end)?.trim_end_matches(['.', ':']);
            let front = run
                .split_once(':')
                .map_or(run, |(front, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { front } else { run });
            let dotted = front.bytes().filter(|byte| *byte == b'.').count() == 3;
            let colons = front.bytes().filter(|byte| *byte == b':').count() >= 2;
            if (dotted || colons) && front.parse::<IpAddr>().is_ok() {
                return Some(front);
            }
        }
        passed = end;
    }
    None
}

/// An address with its port, if it has one.
fn address<'a>(name: &'static str, port_name: Option<&'static str>, text: &'a str, out: &mut Parsed<'a>) {
    if text.parse::<IpAddr>().is_ok() {
        out.put(name, text);
    } else if let Some((front, port)) = text.rsplit_once(':')
        && front.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    {
        out.put(name, front.trim_matches(['[', ']']));
        if let (Some(port_name), Ok(port)) = (port_name, port.parse::<u16>()) {
            out.put(port_name, i64::from(port));
        }
    } else {
        out.put_known(name, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_alone() {
        for (text, want) in [
            ("from 192.0.2.1 port 22", Some("192.0.2.1")),
            ("from 192.0.2.1:8080.", Some("192.0.2.1")),
            ("at [2001:db8::1] and 192.0.2.1", Some("2001:db8::1")),
            ("version 1.2.3.4-beta of v192.0.2.1", None),
            ("at 12:30:45 added bed: cafe", None),
            ("999.1.1.1 then 10.0.0.1, 10.0.0.2", Some("10.0.0.1")),
            ("10.0.0", None),
            ("", None),
        ] {
            assert_eq!(first_address(text), want, "{text}");
        }
    }

    #[test]
    fn response_times_are_seconds_whatever_their_unit() {
        for (text, want) in [("23ms", 0.023), ("1.5s", 1.5), ("250us", 0.00025), ("40", 0.04)] {
            let mut out = Parsed::default();
            let line = format!("done response_time={text}");
            facts(&line, &mut out);
            let Some(Value::Double(seconds)) = out.get("weir.response_time_seconds") else { panic!("{out:?}") };
            assert!((seconds - want).abs() < 1e-9, "{text}: {seconds}");
        }
    }

    #[test]
    fn words_of_prose_are_no_level() {
        assert!(level("the error was in the information").is_none());
        assert!(level("an ERROR").is_some() && level("[warn] x").is_some() && level("error: x").is_some());
        assert!(level("a b c d e f g h ERROR").is_none());
    }
}

//! Messages of Cisco ASA (and Firepower Threat Defense): `%ASA-6-302016: Teardown UDP connection ...`.
//!
//! Specification: Cisco Secure Firewall ASA Series Syslog Messages. One grammar reads all numbers: a message is an
//! action, then facts that a word announces.

use super::scan::Scan;
use super::{Clock, Parser, syslog};
use crate::process::enrich::severity::Severity;
use crate::process::value::{Parsed, Value};

/// Reads a line that holds such a message, with or without syslog before it.
pub fn parse<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
    let text = line.trim_ascii();
    if text.starts_with('%') {
        return message(Scan(text), out).is_some();
    }
    syslog::parse(text, clock, out) == Some(Parser::CiscoAsa)
}

/// Reads from `%ASA` on.
pub fn message<'a>(mut scan: Scan<'a>, out: &mut Parsed<'a>) -> Option<()> {
    if !(scan.eat("%ASA") || scan.eat("%FTD")) {
        return None;
    }
    let tag = scan.until(b':')?;
    // `-6-302016`, `-session-6-302016`, or something of its own such as the `1` of `%ASA1`.
    let mut parts = tag.rsplit('-');
    if let (Some(number), Some(level), Some(_)) = (parts.next(), parts.next(), parts.next())
        && number.len() == 6
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        out.put("cisco.asa.message_number", number);
        let level = level.parse().ok().and_then(Severity::of_syslog)?;
        out.severity = Some(level);
    } else if tag.bytes().any(|byte| byte == b' ') {
        return None;
    }
    let text = scan.0.trim_ascii();
    if !text.is_empty() {
        out.put("message", text);
    }
    Message { out, rest: Scan(text), ends: 0 }.read();
    Some(())
}

/// The words of a message, and which end of a connection comes next.
struct Message<'p, 'a> {
    out: &'p mut Parsed<'a>,
    rest: Scan<'a>,
    ends: usize,
}

/// The names of what is known of an end.
struct End {
    zone: &'static str,
    address: &'static str,
    port: &'static str,
    user: &'static str,
}

const ENDS: [End; 2] = [
    End {
        zone: "cisco.asa.source_zone",
        address: "source.address",
        port: "source.port",
        user: "cisco.asa.source_user",
    },
    End {
        zone: "cisco.asa.destination_zone",
        address: "destination.address",
        port: "destination.port",
        user: "cisco.asa.destination_user",
    },
];

impl<'a> Message<'_, 'a> {
    fn read(&mut self) {
        self.action();
        let mut before = "";
        loop {
            let word = self.word();
            if !word.is_empty() {
                self.fact(word, before);
                before = word;
            } else if self.rest.0.is_empty() {
                return;
            }
        }
    }

    /// The next word, without a comma, colon or point at its end.
    fn word(&mut self) -> &'a str {
        self.rest.spaces();
        self.rest.word().trim_end_matches([',', ':', '.', ';'])
    }

    /// The word after this one, which stays there.
    fn ahead(&self) -> &'a str {
        Message { out: &mut Parsed::default(), rest: self.rest, ends: 0 }.word()
    }

    /// Adds an attribute; a message may say a thing twice.
    fn put(&mut self, key: &'static str, value: impl Into<Value<'a>>) {
        if self.out.get(key).is_none() {
            self.out.put(key, value);
        }
    }

    fn put_known(&mut self, key: &'static str, text: &'a str) {
        if !text.is_empty() {
            self.put(key, text);
        }
    }

    fn action(&mut self) {
        let start = self.rest;
        let first = self.word();
        match first {
            "Built" | "Teardown" | "Deny" | "Denied" | "Discard" | "Dropped" | "Dropping" | "Removing" => {
                self.put("cisco.asa.action", first);
            }
            "Login" | "Authentication" | "Authorization" => {
                let what = self.ahead();
                self.put("cisco.asa.action", Value::Text(format!("{first} {what}").into()));
            }
            _ => self.rest = start,
        }
    }

    fn fact(&mut self, word: &'a str, before: &'a str) {
        match word {
            "inbound" | "outbound" | "Inbound" => {
                self.put("network.io.direction", if word == "outbound" { "transmit" } else { "receive" });
            }
            "connection" if self.ahead().bytes().all(|byte| byte.is_ascii_digit()) => {
                let id = self.word();
                if let Ok(id) = id.parse::<i64>() {
                    self.put("cisco.asa.connection_id", id);
                }
            }
            "denied" | "Denied" | "permitted" | "est-allowed" | "discarded" | "dropped" | "succeeded" | "failed"
            | "Successful" | "Rejected" | "started" | "terminated" | "executed" => {
                self.put("cisco.asa.action", word);
            }
            "for" | "from" | "src" | "faddr" | "to" | "dst" | "laddr" | "gaddr" => self.end(word),
            "->" => self.end("to"),
            "duration" => {
                let duration = self.word();
                self.put_known("cisco.asa.duration", duration);
            }
            "bytes" | "hit-cnt" => {
                if let Ok(count) = self.word().parse::<i64>() {
                    self.put(if word == "bytes" { "cisco.asa.bytes" } else { "cisco.asa.hits" }, count);
                }
            }
            "access-group" | "access-list" => {
                let list = self.name();
                self.put_known("cisco.asa.access_list", list);
            }
            "interface" => {
                let zone = self.name();
                self.put_known("cisco.asa.interface", zone);
            }
            "flags" => {
                let start = self.rest.spaces().0;
                while !matches!(self.ahead(), "" | "on") {
                    self.word();
                }
                let flags = start.get(..start.len() - self.rest.0.len()).unwrap_or_default();
                self.put_known("cisco.asa.tcp_flags", flags.trim());
            }
            "user" | "User" | "Uname" | "username" | "Username" => self.user(),
            "IP" => self.address_of_user(),
            _ => self.other(word, before),
        }
    }

    fn other(&mut self, word: &'a str, before: &'a str) {
        let lower = match word {
            "TCP" | "tcp" => "tcp",
            "UDP" | "udp" => "udp",
            "ICMP" | "icmp" => "icmp",
            "GRE" | "gre" => "gre",
            "ESP" | "esp" => "esp",
            _ => {
                // `outside/1.2.3.4(80)` stands alone, before its arrow.
                if self.ahead() == "->" {
                    self.put_end(word);
                }
                return;
            }
        };
        if before != "by" {
            self.put("network.transport", lower);
        }
    }

    /// A name in quotes or as a word.
    fn name(&mut self) -> &'a str {
        self.rest.spaces();
        if self.rest.eat("\"") {
            return self.rest.until_within(b'"', NAME_BYTES_MAX).unwrap_or_default();
        }
        self.word()
    }

    /// What comes after `for`, `from`, `to` and the like, if it is an end of a connection.
    fn end(&mut self, word: &'a str) {
        let next = self.ahead();
        match word {
            "to" | "dst" | "laddr" => self.ends = self.ends.max(1),
            "gaddr" => return,
            "for" if next == "user" || next == "connection" => return,
            _ => {}
        }
        if self.put_end(next) {
            self.word();
            self.mapped();
        }
    }

    /// `zone:address/port`, `zone/address(port)`, `address/port`, `zone:address`, with `(user)` after it.
    fn put_end(&mut self, text: &'a str) -> bool {
        let Some(end) = ENDS.get(self.ends) else { return false };
        let (text, user) = text.split_once('(').map_or((text, ""), |(text, user)| (text, user.trim_end_matches(')')));
        let Some((zone, address, mut port)) = split_end(text) else { return false };
        let mut user = user;
        if port.is_empty() && !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit()) {
            port = std::mem::take(&mut user);
        }
        self.put_known(end.zone, zone);
        self.put(end.address, address);
        match port.parse::<u16>() {
            Ok(number) => self.put(end.port, i64::from(number)),
            // A service's name stands for its port.
            Err(_) => self.put_known("cisco.asa.service", port),
        }
        if !user.is_empty() {
            self.put(end.user, user);
        }
        self.ends += 1;
        true
    }

    /// `(mapped address/port)` and `(user)` behind an end.
    fn mapped(&mut self) {
        let mut ahead = self.rest;
        if ahead.spaces().peek() == Some(b'(')
            && let Some((text, rest)) = ahead.0.split_once(')')
            && !text.contains(' ')
        {
            self.rest = Scan(rest);
        }
    }

    /// `user "name"`, `user 'name'`, `user = name`, `User <name>`, `Uname: name`.
    fn user(&mut self) {
        let mut ahead = self.rest;
        ahead.spaces();
        ahead.eat("= ");
        let name = if let Some(quote @ (b'"' | b'\'')) = ahead.peek() {
            ahead.take(1);
            ahead.until_within(quote, NAME_BYTES_MAX)
        } else if ahead.eat("<") {
            ahead.until_within(b'>', NAME_BYTES_MAX)
        } else {
            Some(ahead.word().trim_end_matches([',', ':', ';', '.']))
        };
        let Some(name) = name.filter(|name| !name.is_empty() && !COMMON.contains(name)) else { return };
        self.put("user.name", name);
        self.rest = ahead;
    }

    /// `IP <1.2.3.4>`, `IP = 1.2.3.4`, `IP address: 1.2.3.4`.
    fn address_of_user(&mut self) {
        let mut ahead = self.rest;
        ahead.spaces();
        for prefix in ["address: ", "= ", "<"] {
            ahead.eat(prefix);
        }
        let address = ahead.take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'));
        if address.parse::<std::net::IpAddr>().is_ok() {
            self.put("source.address", address);
            self.rest = ahead;
        }
    }
}

/// The longest name of a user, a list or a zone, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Words after `user` that are no names.
const COMMON: [&str; 6] = ["authentication", "authorization", "accounting", "account", "session", "from"];

/// Zone, address and port of an end; an address or a zone must be there.
fn split_end(text: &str) -> Option<(&str, &str, &str)> {
    let is_address = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    // The address may hold colons, so it is looked for from the right.
    let (front, port) = match text.rsplit_once('/') {
        Some((front, port)) if !is_address(port) => (front, port),
        _ => (text, ""),
    };
    if is_address(front) {
        return Some(("", front, port));
    }
    let (zone, address) = front.split_once([':', '/'])?;
    // A firewall may show a name where it knows one.
    let named = !address.is_empty() && !address.contains(['/', '"']) && !zone.is_empty();
    (is_address(address) || (named && front.contains(':'))).then_some((zone, address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_split_whatever_stands_between() {
        for (text, want) in [
            ("outside:1.1.0.0/53", Some(("outside", "1.1.0.0", "53"))),
            ("outside/1.1.0.0", Some(("outside", "1.1.0.0", ""))),
            ("1.1.0.0/53", Some(("", "1.1.0.0", "53"))),
            ("inside:2001:db8::1/443", Some(("inside", "2001:db8::1", "443"))),
            ("outside:server-1/ssh", Some(("outside", "server-1", "ssh"))),
            ("nothing", None),
            ("", None),
            (":/", None),
        ] {
            assert_eq!(split_end(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_message_of_a_firewall_is_none() {
        for text in ["%ASA", "%ASA and more: x", "%ASA-9-302016: Built", "ASA-6-302016: x"] {
            assert!(message(Scan(text), &mut Parsed::default()).is_none(), "{text}");
        }
        let mut out = Parsed::default();
        message(Scan("%FTD-4-106023: Deny"), &mut out).unwrap();
        assert_eq!(out.get("cisco.asa.action"), Some(&Value::from("Deny")));
    }
}

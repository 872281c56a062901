//! Addresses of machines: IPv4 (RFC 791, dotted), IPv6 (RFC 4291 and 5952), hardware addresses (IEEE 802, EUI-48 and
//! EUI-64).
//!
//! What names no machine stays: loopback, unspecified and broadcast addresses, and masks of networks.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{at, before, ends, part, run, run_back};
use crate::Detector;
use crate::scan::Scan;

/// The longest text of an IPv6 address, and one.
const IPV6_BYTES_MAX: usize = 46;

/// What stands before a version number.
const VERSION_WORDS: [&str; 18] = [
    "version",
    "versions",
    "jar",
    "war",
    "ver",
    "vers",
    "release",
    "rel",
    "build",
    "firmware",
    "driver",
    "revision",
    "rev",
    "patch",
    "ruleset",
    "upgraded to",
    "バージョン",
    "版本",
];

/// Capitals that stand before a slash and an address, and name no product.
const PROTOCOLS: [&str; 8] = ["TCP", "UDP", "ICMP", "SCTP", "IP", "DMZ", "LAN", "WAN"];

/// Endings of files that are named after a version.
const FILES: [&str; 17] = [
    "jar", "tar", "zip", "gz", "tgz", "rpm", "deb", "exe", "dll", "so", "el", "whl", "war", "msi", "dmg", "nupkg",
    "gem",
];

/// Looks at the dot between two hexadecimal digits at `dot`.
pub(crate) fn look_dot(scan: &mut Scan<'_>, dot: usize) {
    let text = scan.text;
    if at(text, dot + 5) == b'.' && hardware(scan, dot.saturating_sub(4), b'.', 4, 3) {
        return;
    }
    if !before(text, dot).is_ascii_digit() || !at(text, dot + 1).is_ascii_digit() {
        return;
    }
    let start = dot - run_back(text, dot, 4, |byte| byte.is_ascii_digit());
    let Some((address, end)) = ipv4(text, start) else { return };
    scan.pass(end);
    let previous = before(text, start);
    let joined = matches!(previous, b'_' | b'.')
        || previous.is_ascii_alphanumeric()
        || previous == b'-' && before(text, start - 1).is_ascii_alphabetic();
    if !joined && ends(text, end) && names_machine(address) && !is_version(text, start, end) {
        scan.hit(Detector::Ipv4, start..end);
    }
}

/// Looks at the colon between hexadecimal digits or colons at `colon`.
pub(crate) fn look_colon(scan: &mut Scan<'_>, colon: usize) {
    let text = scan.text;
    if colon < scan.colons {
        return;
    }
    let inside = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    if is_time(text, colon) {
        scan.colons = colon + 4;
        return;
    }
    let mut start = colon - run_back(text, colon, IPV6_BYTES_MAX, inside);
    let mut end = colon + run(text, colon, IPV6_BYTES_MAX, |byte| inside(byte) || byte == b'.');
    scan.colons = end;
    // A name and its colon, of which the last letters look like a group: `src:fe80::1`.
    let named = before(text, start).is_ascii_alphanumeric() || before(text, start) == b'_';
    if named || at(text, start) == b':' && (at(text, start + 1) != b':' || at(text, start + 2) == b':') {
        start += part(text, start, end).iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
    }
    while end > start && (before(text, end) == b'.' || before(text, end) == b':' && before(text, end - 1) != b':') {
        end -= 1;
    }
    let next = at(text, end);
    let joined = next.is_ascii_alphanumeric() || next == b'_' || matches!(before(text, start), b'-' | b'.');
    let whole = part(text, start, end);
    let colons = whole.iter().filter(|byte| **byte == b':').count();
    if joined || colons < 2 || end - start > IPV6_BYTES_MAX - 1 {
        return;
    }
    // An address without a gap has more colons.
    if colons < 5 && !whole.windows(2).any(|pair| pair == b"::") {
        return;
    }
    let pairs = whole.split(|byte| *byte == b':').all(|group| group.len() == 2);
    if pairs && matches!(colons, 5 | 7) {
        hardware(scan, start, b':', 2, colons + 1);
        return;
    }
    // What netfilter logs of a frame: two addresses and its type.
    if pairs && colons == 13 && !before(text, start).is_ascii_alphanumeric() {
        scan.hit(Detector::Mac, start..end);
        return;
    }
    let address = std::str::from_utf8(whole).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
    let digits = whole.iter().any(u8::is_ascii_digit);
    if address.is_some_and(|address| is_assigned(address) && (digits || colons >= 4)) {
        scan.hit(Detector::Ipv6, start..end);
    }
}

/// Whether these are the hours of a time with seconds, and nothing more: `22:03:11`.
fn is_time(text: &[u8], colon: usize) -> bool {
    let inside = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    let Some([before @ .., seconds, next]) = colon.checked_sub(2).and_then(|start| text.get(start..start + 9)) else {
        return false;
    };
    let [hour, hours, b':', minute, minutes, b':', second] = before else { return false };
    [hour, hours, minute, minutes, second, seconds].iter().all(|byte| byte.is_ascii_digit())
        && !inside(*next)
        && !inside(super::before(text, colon - 2))
}

/// Whether an address is of a range that machines have: IANA's registry of the address space. A path of a module may
/// look like another one: `db::e2e`.
fn is_assigned(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    let low = first == 0 && !address.is_loopback() && !address.is_unspecified();
    low || matches!(first, 0x0064 | 0x0100 | 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xffff)
}

/// Looks at the dash between two hexadecimal digits at `dash`.
pub(crate) fn look_dash(scan: &mut Scan<'_>, dash: usize) {
    if at(scan.text, dash + 3) == b'-' && at(scan.text, dash + 6) == b'-' && dash >= 2 {
        hardware(scan, dash - 2, b'-', 2, 6);
    }
}

/// Whether exactly so many groups of so many hexadecimal digits are a hardware address.
fn hardware(scan: &mut Scan<'_>, start: usize, separator: u8, digits: usize, groups: usize) -> bool {
    let text = scan.text;
    let end = start + groups * (digits + 1) - 1;
    let legal = |(index, byte): (usize, &u8)| {
        if index % (digits + 1) == digits { *byte == separator } else { byte.is_ascii_hexdigit() }
    };
    let whole = part(text, start, end);
    let joined = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || byte == separator;
    let mut hex = whole.iter().filter(|byte| **byte != separator);
    let first = hex.next();
    let same = hex.all(|byte| Some(byte) == first);
    whole.len() == end - start
        && whole.iter().enumerate().all(legal)
        && !same
        && (before(text, start) == b':' || !joined(before(text, start)))
        && ends(text, end)
        && !(separator == b'-' && at(text, end) == b'-')
        && scan.hit(Detector::Mac, start..end)
}

/// Four numbers below 256 without leading zeros, and where they end.
fn ipv4(text: &[u8], start: usize) -> Option<(Ipv4Addr, usize)> {
    let (mut octets, mut end) = ([0; 4], start);
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            end = (at(text, end) == b'.').then_some(end + 1)?;
        }
        let length = run(text, end, 4, |byte| byte.is_ascii_digit());
        let digits = part(text, end, end + length);
        let number = digits.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
        if !(1..=3).contains(&length) || length > 1 && digits.starts_with(b"0") {
            return None;
        }
        *octet = u8::try_from(number).ok()?;
        end += length;
    }
    Some((Ipv4Addr::from(octets), end))
}

fn names_machine(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    let is_mask = bits >> 24 == 255 && bits.leading_ones() + bits.trailing_zeros() == 32;
    !(address.is_loopback() || address.is_unspecified() || address.is_broadcast() || is_mask)
}

/// Whether what looks like an address is the version of something.
fn is_version(text: &[u8], start: usize, end: usize) -> bool {
    let rest = part(text, end, end + 8);
    if let [b'-', letter, ..] | [b'+', letter, ..] = rest
        && letter.is_ascii_alphabetic()
    {
        return true;
    }
    if let Some(ending) = rest.strip_prefix(b".") {
        let length = ending.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let ending = part(ending, 0, length);
        if FILES.iter().any(|file| ending.eq_ignore_ascii_case(file.as_bytes())) {
            return true;
        }
    }
    if before(text, start) == b'/' {
        let length = run_back(text, start - 1, 32, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let product = part(text, start - 1 - length, start - 1);
        let named = product.first().is_some_and(u8::is_ascii_uppercase);
        // `HIER_DIRECT/192.0.2.1`: a constant.
        let constant = product.contains(&b'_') && !product.iter().any(u8::is_ascii_lowercase);
        let protocol = constant || PROTOCOLS.iter().any(|name| name.as_bytes() == product);
        return named && !protocol && !matches!(at(text, end), b'(' | b'/' | b':');
    }
    let between = |byte: u8| {
        matches!(byte, b' ' | b':' | b'=' | b'"' | b'\'' | b'\\' | b'(' | b'v' | b'V' | b'#' | b'.' | b'/' | b'!')
    };
    // `app.js?v=1.2.3.4`.
    if start > 2 && matches!(part(text, start - 3, start), [b'?' | b'&' | b' ', b'v' | b'V', b'=']) {
        return true;
    }
    let gap = run_back(text, start, 6, between);
    let before = part(text, start.saturating_sub(gap + 16), start - gap).to_ascii_lowercase();
    VERSION_WORDS.iter().any(|word| {
        let word = word.as_bytes();
        let rest = before.strip_suffix(word);
        // `appVersion`, but not `cover`.
        rest.is_some_and(|rest| word == b"version" || !rest.last().is_some_and(u8::is_ascii_alphanumeric))
    })
}

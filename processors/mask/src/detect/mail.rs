//! E-mail addresses: RFC 5321 and 5322 (`local@domain` with dots and a top-level domain), RFC 6531 where the whole
//! part is not ASCII.

use super::{at, before, part, run};
use crate::Detector;
use crate::scan::Scan;

/// RFC 5321, 4.5.3.1.1 and 4.5.3.1.2.
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// Endings of files and units, which are no top-level domains: `logo@2x.png`, `user@1000.service`.
const NO_DOMAINS: [&str; 47] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "css", "js", "mjs", "ts", "tsx", "jsx", "json", "xml", "html",
    "htm", "txt", "log", "yml", "yaml", "jar", "war", "class", "java", "exe", "dll", "service", "socket", "target",
    "timer", "mount", "slice", "scope", "pdf", "gz", "tgz", "tar", "bz", "csv", "bak", "tmp", "sql", "conf", "cfg",
    "ini", "lock",
];

/// Looks at the `@` at `sign`.
pub(crate) fn look(scan: &mut Scan<'_>, sign: usize) {
    let text = scan.text;
    let Some(end) = domain_end(text, sign + 1) else { return };
    let Some(start) = local_start(text, sign) else { return };
    // The user of a URL is looked at with its password; what is before a path is another host's account.
    let in_url = start >= 3 && part(text, start - 3, start) == b"://";
    let account = part(text, start, sign) == b"git";
    // The password may be a key that was found since.
    let mut near = scan.hits.iter().rev().take(4);
    let password = near.any(|hit| hit.detector == Detector::Url && hit.span.end == sign);
    if !in_url && !account && !password {
        scan.hit(Detector::Email, start..end);
    }
}

fn local_start(text: &[u8], sign: usize) -> Option<usize> {
    let lowest = sign.saturating_sub(LOCAL_BYTES_MAX + 1);
    if before(text, sign) == b'"' {
        return quoted_start(text, sign, lowest);
    }
    let local = part(text, lowest, sign);
    let ascii = local.iter().rev().take_while(|byte| is_atext(**byte)).count();
    let count = if ascii == 0 { local.iter().rev().take_while(|byte| **byte >= 0x80).count() } else { ascii };
    // What a local part may have and hardly has: it assigns the address, or quotes it.
    let local = part(text, sign - count, sign);
    let assigned = local.iter().rposition(|byte| b"=&?/|{`".contains(byte)).map_or(0, |last| last + 1);
    let quoted = part(local, assigned, count).iter().take_while(|byte| b"'.*#!$^".contains(byte)).count();
    let start = sign - count + assigned + quoted;
    let start = if ascii == 0 { character_start(text, start) } else { start };
    let fits = (1..=LOCAL_BYTES_MAX).contains(&(sign.checked_sub(start)?));
    (fits && before(text, sign) != b'.' && !(ascii > 0 && before(text, start) == b'@')).then_some(start)
}

/// `"a quoted local part"@example.com`, where the quotes are not those of JSON.
fn quoted_start(text: &[u8], sign: usize, lowest: usize) -> Option<usize> {
    if before(text, sign - 1) == b'\\' {
        return None;
    }
    let open = part(text, lowest, sign - 1).iter().rposition(|byte| *byte == b'"')? + lowest;
    (sign - open > 2 && !matches!(before(text, open), b'\\' | b':')).then_some(open)
}

/// The end of the domain that begins at `start`; none if it is none.
fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    if at(text, start) == b'[' {
        let inner = run(text, start + 1, 48, |byte| {
            byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'I' | b'P' | b'v')
        });
        return (inner >= 7 && at(text, start + 1 + inner) == b']').then_some(start + inner + 2);
    }
    ascii_domain(text, start).or_else(|| wide_domain(text, start))
}

fn ascii_domain(text: &[u8], start: usize) -> Option<usize> {
    let mut count =
        run(text, start, DOMAIN_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    // A sentence or a list goes on after it.
    while count > 0 && matches!(at(text, start + count - 1), b'.' | b'-') {
        count -= 1;
    }
    let domain = part(text, start, start + count);
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let top = labels.next()?;
    let plain = top.iter().all(u8::is_ascii_alphabetic);
    let legal = |label: &[u8]| (1..=63).contains(&label.len()) && !label.starts_with(b"-") && !label.ends_with(b"-");
    let known = |name: &&str| top.eq_ignore_ascii_case(name.as_bytes());
    let is_domain = domain.contains(&b'.')
        && (2..=63).contains(&top.len())
        && (plain || top.starts_with(b"xn--"))
        && !NO_DOMAINS.iter().any(known)
        && domain.split(|byte| *byte == b'.').all(legal);
    (is_domain && at(text, start + count) != b'_').then_some(start + count)
}

/// A domain with letters outside ASCII: labels, a dot, and a top-level domain.
fn wide_domain(text: &[u8], start: usize) -> Option<usize> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || byte >= 0x80;
    let count = run(text, start, DOMAIN_BYTES_MAX, letter);
    let domain = part(text, start, start + count);
    let dot = domain.iter().rposition(|byte| *byte == b'.')?;
    let ascii_top = run(domain, dot + 1, 63, |byte| byte.is_ascii_alphabetic());
    if dot == 0 || !domain.iter().take(dot).any(|byte| *byte >= 0x80) {
        return None;
    }
    if ascii_top >= 2 {
        return Some(start + dot + 1 + ascii_top);
    }
    // Text after it cannot be told from its top-level domain, so that it goes too.
    (count > dot + 1 && ascii_top == 0).then_some(start + count)
}

/// The start of the character at `start`, or of the next one.
fn character_start(text: &[u8], start: usize) -> usize {
    start + run(text, start, 3, |byte| byte & 0xc0 == 0x80)
}

/// RFC 5322, 3.2.3, and the dot.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

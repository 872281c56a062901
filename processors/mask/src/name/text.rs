//! Names of secrets within a text, and their values: `password=x`, `"password": "x"`, `password is x`, headers.

use super::{NAME_BYTES_MAX, Name, ONE_WORD, is_placeholder, of, value};
use crate::Detector;
use crate::detect::credential::{is_space, is_token68};
use crate::detect::{at, before, part, run, run_back, words_before};
use crate::scan::{Hit, Scan};

/// How surely what follows a name is its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `password=x`, `"password": "x"`, `--password x`, `<password>x</password>`.
    Assigned,
    /// `password: x`, which a sentence may be, too.
    Colon,
    /// `password is x`.
    Told,
    /// `password x`.
    Beside,
}

/// What joins a name to its value in a sentence.
const VERBS: [&str; 30] = [
    "is set to",
    "was set to",
    "set to",
    "changed to",
    "reset to",
    "is now",
    "is",
    "was",
    "are",
    "to",
    "ist",
    "lautet",
    "war",
    "est",
    "es",
    "era",
    "é",
    "fue",
    "как",
    "は",
    "が",
    "を",
    "是",
    "为",
    "為",
    "는",
    "은",
    "è",
    "jest",
    "zu",
];

/// What follows a name and a colon, and is no value.
const NO_VALUES: [&str; 41] = [
    "invalid",
    "incorrect",
    "wrong",
    "expired",
    "missing",
    "required",
    "must",
    "should",
    "cannot",
    "is",
    "are",
    "not",
    "has",
    "was",
    "the",
    "too",
    "failed",
    "failure",
    "success",
    "ok",
    "reset",
    "changed",
    "updated",
    "expected",
    "error",
    "denied",
    "valid",
    "rejected",
    "accepted",
    "rotated",
    "revoked",
    "unknown",
    "unexpected",
    "bad",
    "field",
    "authentication",
    "auth",
    "refreshed",
    "issued",
    "created",
    "chauthtok",
];

/// How far back an Amazon resource name may begin.
const ARN_BYTES_MAX: usize = 96;

/// Where a value is, and what may be assumed of it.
struct Place {
    start: usize,
    form: Form,
    /// The name is in quotes.
    quoted: bool,
    /// The name is one of a URL's query.
    query: bool,
}

/// Looks at the name around the three bytes that end at `end`.
pub(crate) fn look(scan: &mut Scan<'_>, end: usize) {
    let text = scan.text;
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80;
    // Of some names the three bytes reach beyond their end.
    let mut end = end - usize::from(!inside(before(text, end)));
    let mut start = end - run_back(text, end, NAME_BYTES_MAX, inside);
    while end - start < 2 * NAME_BYTES_MAX {
        let letters =
            run(text, end, NAME_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        let accented = 2 * usize::from(matches!(at(text, end + letters), 0xc3..=0xc5));
        end += letters + accented;
        if letters + accented == 0 {
            break;
        }
    }
    end = end.min(text.len());
    end -= part(text, start, end).iter().rev().take_while(|byte| matches!(byte, b'.' | b'-')).count();
    start += part(text, start, end).iter().take_while(|byte| **byte == b'-').count();
    // `api key`, `mot de passe`: two words.
    if part(text, start, end).eq_ignore_ascii_case(b"key") && before(text, start) == b' ' {
        start -= 1 + run_back(text, start - 1, 16, |byte| byte.is_ascii_alphanumeric());
    }
    if let Some(name) = of(part(text, start, end)) {
        named(scan, name, start, end);
    }
}

/// Looks whether one of the names in other scripts begins at `start`.
pub(crate) fn look_wide(scan: &mut Scan<'_>, start: usize) {
    let names = super::ENDS.iter().map(|(text, name)| (text.as_bytes(), *name));
    let found = names
        .filter(|(text, _)| !text.is_ascii())
        .find(|(name, _)| part(scan.text, start, start + name.len()) == *name);
    if let Some((text, name)) = found {
        named(scan, name, start, start + text.len());
    }
}

/// Looks for the value of the name from `start` to `end`.
fn named(scan: &mut Scan<'_>, name: Name, start: usize, end: usize) {
    let text = scan.text;
    let Some(place) = place(text, start, end) else { return };
    if is_other(scan, name, start, end, &place) {
        return;
    }
    let header = matches!(name, Name::Authorization | Name::Cookie | Name::SetCookie);
    if header && matches!(place.form, Form::Told | Form::Beside) {
        return;
    }
    let bytes = part(text, start, end);
    let (first, last, closed) = extent(scan, &place, header.then_some(name), start);
    let found = part(text, first, last);
    if found.is_empty() || is_placeholder(found) || bytes == b"PWD" && found.starts_with(b"/") {
        return;
    }
    if header {
        let pair = run(found, 0, found.len(), |byte| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^|~".contains(&byte));
        if name == Name::Authorization || at(found, pair) == b'=' {
            value(name, text, first..last, scan.hits);
            scan.pass(last);
        }
        return;
    }
    let compound = bytes.iter().any(|byte| matches!(byte, b'_' | b'-'))
        || bytes.iter().skip(1).any(u8::is_ascii_uppercase) && bytes.iter().any(u8::is_ascii_lowercase);
    let count = matches!(bytes.len(), 2 | 4) && name == Name::Password && is_count(found);
    if !count && is_value(name, &place, found, compound, closed, || goes_on(text, last)) {
        scan.hits.push(Hit { detector: name.detector(), span: first..last });
        scan.pass(last);
    }
}

/// Whether the name from `start` to `end` is none: the user in a URL that was found already, a part of an ARN, the
/// result of a test.
fn is_other(scan: &Scan<'_>, name: Name, start: usize, end: usize, place: &Place) -> bool {
    let text = scan.text;
    let in_url = |hit: &Hit| hit.detector == Detector::Url && hit.span.contains(&start);
    let in_arn = || before(text, start) == b':' && words_before(text, start, ARN_BYTES_MAX, &["arn:"]);
    let result = place.form == Form::Colon && name == Name::Password && part(text, start, end) == b"PASS";
    result || scan.hits.last().is_some_and(in_url) || place.form == Form::Colon && in_arn()
}

/// Whether the value of a bare `pass` or `pw` says how many: `pass=12 fail=0`.
fn is_count(found: &[u8]) -> bool {
    found.len() < 5 && found.iter().all(u8::is_ascii_digit)
}

/// Whether `found` is a secret, going by how surely it was named.
fn is_value(name: Name, place: &Place, found: &[u8], compound: bool, closed: bool, goes_on: impl Fn() -> bool) -> bool {
    let digits = found.iter().all(u8::is_ascii_digit);
    if name == Name::Secret && digits && found.len() < 6 {
        return false; // a count
    }
    let letters = found.iter().all(|byte| byte.is_ascii_alphabetic());
    let said = NO_VALUES.iter().any(|word| found.eq_ignore_ascii_case(word.as_bytes()));
    match place.form {
        Form::Assigned => true,
        Form::Colon if said => false,
        Form::Colon if name == Name::Password || compound => {
            closed || is_telling(found) || !(letters && goes_on()) && found.len() >= 4
        }
        Form::Colon => is_telling(found) && found.len() >= 8 || found.len() >= 20,
        Form::Told => !said && is_telling(found) && (name == Name::Password || found.len() >= 8),
        Form::Beside => {
            let least = if name == Name::Password { 6 } else { 16 };
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"!@#$%^&*+?~".contains(byte);
            let mixed =
                found.iter().any(|byte| !byte.is_ascii_alphabetic()) && found.iter().any(u8::is_ascii_alphabetic);
            let hexadecimal = found.iter().all(u8::is_ascii_hexdigit) && name == Name::Secret;
            // `secret "web-cert-v2" not found`: Kubernetes names its objects so.
            let object = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
            let object = name == Name::Secret && found.iter().all(object);
            found.len() >= least && mixed && (found.iter().all(plain) || closed && !object) && !hexadecimal
        }
    }
}

/// Whether no word of a sentence looks like this: digits, marks, capitals within.
fn is_telling(found: &[u8]) -> bool {
    let marks = |byte: &u8| byte.is_ascii_digit() || b"!@#$%^&*?+~=".contains(byte);
    let inner = part(found, 0, found.len().saturating_sub(1));
    let capitals = found.iter().skip(1).any(u8::is_ascii_uppercase) && found.iter().any(u8::is_ascii_lowercase);
    found.len() >= 4 && (inner.iter().any(marks) || found.last().is_some_and(u8::is_ascii_digit) || capitals)
}

/// Whether another word of a sentence follows.
fn goes_on(text: &[u8], end: usize) -> bool {
    let word = run(text, end + 1, 32, |byte| byte.is_ascii_alphabetic());
    at(text, end) == b' ' && word > 0 && !matches!(at(text, end + 1 + word), b'=' | b':')
}

/// Where the value of the name from `start` to `end` begins.
fn place(text: &[u8], start: usize, end: usize) -> Option<Place> {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let closing = quote(text, end);
    let quoted = closing.is_some();
    let query = matches!(before(text, start), b'?' | b'&');
    let mut position = end + closing.map_or(0, |(width, _)| width);
    position += usize::from(at(text, position) == b']');
    let element =
        before(text, start) == b'<' || before(text, start) == b':' && before(text, start - 1).is_ascii_alphabetic();
    if element && at(text, position) == b'>' {
        return Some(Place { start: position + 1, form: Form::Assigned, quoted, query });
    }
    let gap = run(text, position, 8, blank);
    position += gap;
    let joint = joint(text, position);
    if joint > 0 {
        let weak = part(text, position, position + joint) == b":" || at(text, position) == 0xef;
        let value = position + joint + run(text, position + joint, 8, blank);
        let form = if weak && !quoted { Form::Colon } else { Form::Assigned };
        return Some(Place { start: value, form, quoted, query });
    }
    if gap > 0 && before(text, start) == b'-' && before(text, start - 1) == b'-' && at(text, position) != b'-' {
        return Some(Place { start: position, form: Form::Assigned, quoted, query });
    }
    let verb = VERBS.iter().map(|verb| verb.as_bytes()).find(|verb| {
        let joined = part(text, position, position + verb.len()).eq_ignore_ascii_case(verb);
        joined && (!verb.is_ascii() || gap > 0 && matches!(at(text, position + verb.len()), b' ' | b':'))
    });
    if let Some(verb) = verb {
        position += verb.len();
        position += usize::from(at(text, position) == b':');
        return Some(Place { start: position + run(text, position, 8, blank), form: Form::Told, quoted, query });
    }
    (gap > 0 && !quoted).then_some(Place { start: position, form: Form::Beside, quoted, query })
}

/// The width of what assigns a value at `position`.
fn joint(text: &[u8], position: usize) -> usize {
    match part(text, position, position + 3) {
        [b':' | b'=', b'=' | b'>', ..] => 2,
        // Not the start of a path of a module, or of a URL.
        [b':', b':' | b'/', ..] => 0,
        [b':' | b'=', ..] => 1,
        [0xef, 0xbc, 0x9a | 0x9d] => 3,
        _ => 0,
    }
}

/// The width of a quote at `position`, backslashes included, and how many those are.
fn quote(text: &[u8], position: usize) -> Option<(usize, usize)> {
    let slashes = run(text, position, 16, |byte| byte == b'\\');
    matches!(at(text, position + slashes), b'"' | b'\'' | b'`').then_some((slashes + 1, slashes))
}

/// Where the value at a place begins and ends, and whether a quote of its own closes it.
fn extent(scan: &Scan<'_>, place: &Place, header: Option<Name>, name: usize) -> (usize, usize, bool) {
    let text = scan.text;
    let mut start = place.start;
    if let Some((width, slashes)) = quote(text, start) {
        let mark = at(text, start + slashes);
        start += width;
        return (start, start + quoted_length(text, start, mark, slashes), true);
    }
    let open = at(text, start);
    if place.quoted && matches!(open, b'{' | b'[') {
        return (start, start + nested_length(text, start), true);
    }
    if let Some(name_of) = header {
        start += usize::from(open == b'[');
        return (start, start + header_length(scan, start, name_of, name), false);
    }
    (start, start + word_length(text, start, place), false)
}

/// The length of what is in quotes that were written with so many backslashes; to the end of the line without them.
fn quoted_length(text: &[u8], start: usize, mark: u8, slashes: usize) -> usize {
    let (mut escapes, period) = (0, 2 * (slashes + 1));
    for (index, byte) in text.iter().enumerate().skip(start) {
        match *byte {
            b'\\' => escapes += 1,
            byte => {
                let closes = byte == mark && escapes % period == slashes;
                let outer = byte == b'"' && escapes < slashes;
                if closes || outer {
                    return index - escapes.min(slashes) - start;
                }
                if byte == b'\n' {
                    return index - start;
                }
                escapes = 0;
            }
        }
    }
    text.len() - start
}

/// The length of the object or list that begins at `start`, strings in it respected.
fn nested_length(text: &[u8], start: usize) -> usize {
    let (mut depth, mut index) = (0_usize, start);
    while index < text.len() {
        match at(text, index) {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1 - start;
                }
            }
            b'\\' | b'"' => {
                if let Some((width, slashes)) = quote(text, index) {
                    let inside = index + width;
                    let length = quoted_length(text, inside, at(text, index + slashes), slashes);
                    index = inside + length + slashes;
                }
            }
            _ => {}
        }
        index += 1;
    }
    text.len() - start
}

/// The length of a header's value in a text: to the end of its line, of its quotes, or of its credentials.
fn header_length(scan: &Scan<'_>, start: usize, header: Name, name: usize) -> usize {
    let text = scan.text;
    if header == Name::Authorization {
        let scheme = run(text, start, 32, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let blanks = run(text, start + scheme, 4, |byte| byte == b' ');
        let word = part(text, start, start + scheme);
        let one = ONE_WORD.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
        if one || blanks == 0 || at(text, start + scheme) != b' ' {
            let value = if one { start + scheme + blanks } else { start };
            return value - start + run(text, value, text.len(), |byte| is_token68(byte) || byte == b':');
        }
        if !super::SCHEMES.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())) {
            return scheme;
        }
    }
    let enclosing = Some(before(text, name)).filter(|byte| matches!(byte, b'\'' | b'"'));
    let (mut parameter, mut index) = (false, start);
    while index < text.len() {
        let byte = at(text, index);
        let escaped = byte == b'\\' && matches!(at(text, index + 1), b'n' | b'r');
        let ends = match byte {
            b'\n' | b'\r' => true,
            b'"' if !scan.is_json() && enclosing != Some(b'"') && (parameter || before(text, index) == b'=') => {
                parameter = !parameter;
                false
            }
            b'"' => before(text, index) != b'\\',
            byte => escaped || Some(byte) == enclosing || byte == b']' && before(text, start) == b'[',
        };
        if ends {
            break;
        }
        index += 1;
    }
    // The backslashes of a quote that ends it belong to the quote.
    let back = run_back(text, index, index - start, |byte| byte == b'\\');
    index - start - if at(text, index) == b'"' { back } else { 0 }
}

/// The length of a value without quotes: to a blank, or to what separates it from the next name.
fn word_length(text: &[u8], start: usize, place: &Place) -> usize {
    let mut index = start;
    while index < text.len() && !is_space(text, index) {
        let ends = match at(text, index) {
            b'"' | b'<' | b'`' => true,
            b'\'' => ends_here(text, index + 1),
            b'\\' => {
                matches!(at(text, index + 1), b'"' | b'n' | b'r' | b't')
                    || at(text, index + 1) == b'\\' && at(text, index + 2) == b'"'
            }
            b'&' if place.query => true,
            b'&' | b';' => ends_here(text, index + 1) || pair_follows(text, index + 1),
            b',' => {
                place.quoted
                    || ends_here(text, index + 1)
                    || pair_follows(text, index + 1)
                    || at(text, index + 1) == b'"'
            }
            b'}' | b']' => place.quoted || ends_here(text, index + 1) || at(text, index + 1) == b',',
            b')' => at(text, index + 1) == b':' && is_space(text, index + 2) || ends_here(text, index + 1),
            // Punctuation and letters of East Asia: a sentence goes on.
            0xe2..=0xed | 0xef => true,
            _ => false,
        };
        if ends {
            break;
        }
        index += 1;
    }
    // The end of a sentence is none of the value.
    let told = place.form != Form::Assigned;
    if told && index > start && matches!(before(text, index), b'.' | b',') {
        index -= 1;
    }
    index - start
}

fn ends_here(text: &[u8], index: usize) -> bool {
    is_space(text, index)
        || matches!(at(text, index), b'"' | b'\'' | b')' | b'}' | b']' | b',' | b';' | b'.')
            && (is_space(text, index + 1) || matches!(at(text, index), b'"' | b'}'))
}

/// Whether a name and what assigns it follow.
fn pair_follows(text: &[u8], index: usize) -> bool {
    let name = run(text, index, NAME_BYTES_MAX, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']')
    });
    name > 0 && matches!(at(text, index + name), b'=' | b':')
}

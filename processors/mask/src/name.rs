//! Names that say that their value is a secret: passwords, tokens, keys, and the headers that carry them.
//!
//! A name counts by its end, whatever its case and separators: `db.password`, `DB_PASSWORD`, `dbPassword`,
//! `http.request.header.set-cookie`. Headers: RFC 9110 (`Authorization`, `Proxy-Authorization`), RFC 6265 (cookies).

pub(crate) mod text;

use std::ops::Range;

use crate::Detector;
use crate::detect::{at, part, run};
use crate::scan::Hit;

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Password,
    Secret,
    Cookie,
    SetCookie,
    Authorization,
}

/// How many bytes at the end of a name are looked at.
const NAME_BYTES_MAX: usize = 64;

/// Ends of names in small letters, without separators.
const ENDS: [(&str, Name); 53] = [
    ("password", Name::Password),
    ("passwd", Name::Password),
    ("passphrase", Name::Password),
    ("passcode", Name::Password),
    ("pwd", Name::Password),
    ("passwort", Name::Password),
    ("kennwort", Name::Password),
    ("motdepasse", Name::Password),
    ("contraseña", Name::Password),
    ("contrasena", Name::Password),
    ("senha", Name::Password),
    ("wachtwoord", Name::Password),
    ("hasło", Name::Password),
    ("haslo", Name::Password),
    ("пароль", Name::Password),
    ("Пароль", Name::Password),
    ("パスワード", Name::Password),
    ("暗証番号", Name::Password),
    ("密码", Name::Password),
    ("密碼", Name::Password),
    ("口令", Name::Password),
    ("비밀번호", Name::Password),
    ("secret", Name::Secret),
    ("token", Name::Secret),
    ("credential", Name::Secret),
    ("credentials", Name::Secret),
    ("apikey", Name::Secret),
    ("accesskey", Name::Secret),
    ("secretkey", Name::Secret),
    ("privatekey", Name::Secret),
    ("accountkey", Name::Secret),
    ("storagekey", Name::Secret),
    ("encryptionkey", Name::Secret),
    ("signingkey", Name::Secret),
    ("sharedkey", Name::Secret),
    ("masterkey", Name::Secret),
    ("authkey", Name::Secret),
    ("sessionkey", Name::Secret),
    ("subscriptionkey", Name::Secret),
    ("licensekey", Name::Secret),
    ("servicekey", Name::Secret),
    ("unsealkey", Name::Secret),
    ("amzsignature", Name::Secret),
    ("googsignature", Name::Secret),
    ("jsessionid", Name::Secret),
    ("phpsessid", Name::Secret),
    ("aspnetsessionid", Name::Secret),
    ("connectsid", Name::Secret),
    ("setcookie", Name::SetCookie),
    ("cookie", Name::Cookie),
    ("cookies", Name::Cookie),
    ("authorization", Name::Authorization),
    ("authorisation", Name::Authorization),
];

/// Whole last words of names: `db_pass` and `dbPass`, but not `bypass`.
const WORDS: [(&str, Name); 5] = [
    ("pass", Name::Password),
    ("passe", Name::Password),
    ("pw", Name::Password),
    ("sig", Name::Secret),
    ("otp", Name::Secret),
];

/// Tokens that open nothing: they mark a place in a list, ask for a stop, or name an assembly's key.
const NO_TOKENS: [&str; 9] =
    ["next", "page", "continuation", "continue", "cancellation", "sync", "resume", "pagination", "publickey"];

/// Schemes of `Authorization` that stand before the credentials, in small letters.
const SCHEMES: [&str; 17] = [
    "bearer",
    "basic",
    "digest",
    "token",
    "negotiate",
    "ntlm",
    "apikey",
    "api-key",
    "hmac",
    "aws4-hmac-sha256",
    "oauth",
    "bot",
    "dpop",
    "hoba",
    "vapid",
    "sharedkey",
    "key",
];

/// Schemes whose credentials are one word.
const ONE_WORD: [&str; 7] = ["bearer", "basic", "token", "negotiate", "ntlm", "bot", "dpop"];

/// Attributes of a cookie that is set, which are no secrets.
const COOKIE_ATTRIBUTES: [&str; 9] =
    ["expires", "max-age", "domain", "path", "secure", "httponly", "samesite", "priority", "partitioned"];

/// Values that stand for one.
const PLACEHOLDERS: [&str; 22] = [
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "empty",
    "yes",
    "no",
    "n/a",
    "na",
    "redacted",
    "masked",
    "hidden",
    "filtered",
    "removed",
    "protected",
    "secret",
    "password",
    "required",
    "optional",
    "unset",
];

/// For the last two bytes of a name, both without their upper bits: whether one of those above ends so.
static LAST: [u32; 32] = last();

#[expect(clippy::indexing_slicing, reason = "it is run by the compiler, which would tell")]
const fn last() -> [u32; 32] {
    let mut last = [0; 32];
    let mut index = 0;
    while index < ENDS.len() + WORDS.len() {
        let name = if index < ENDS.len() { ENDS[index].0 } else { WORDS[index - ENDS.len()].0 }.as_bytes();
        last[(name[name.len() - 1] & 31) as usize] |= 1 << (name[name.len() - 2] & 31);
        index += 1;
    }
    last
}

/// Whether it is worth to compare a name with those above: most end otherwise.
fn may_end(name: &[u8]) -> bool {
    let mut letters = name.iter().rev().filter(|byte| is_letter(**byte)).map(|byte| byte & 31);
    let Some((last, before)) = letters.next().zip(letters.next()) else { return false };
    LAST.get(usize::from(last)).is_some_and(|befores| befores & (1 << before) != 0)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// What `name` says of its value, if anything.
pub(crate) fn of(name: &[u8]) -> Option<Name> {
    let cut = name.len().saturating_sub(NAME_BYTES_MAX);
    let trimmed = name.len() - name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let name = part(name, cut, trimmed);
    if !may_end(name) {
        return None;
    }
    let mut letters = [0; NAME_BYTES_MAX];
    let (mut count, mut word, mut small) = (0, 0, false);
    for byte in name {
        let counts = is_letter(*byte);
        if !counts || small && byte.is_ascii_uppercase() {
            word = count;
        }
        small = byte.is_ascii_lowercase();
        if let (true, Some(letter)) = (counts, letters.get_mut(count)) {
            *letter = byte.to_ascii_lowercase();
            count += 1;
        }
    }
    let letters = part(&letters, 0, count);
    let last = part(letters, word, count);
    let ends = |text: &str| text.as_bytes().last() == letters.last() && letters.ends_with(text.as_bytes());
    let whole = WORDS.iter().find(|(text, _)| last == text.as_bytes());
    let (text, name) = whole.or_else(|| ENDS.iter().find(|(text, _)| ends(text)))?;
    let before = part(letters, 0, count - text.len());
    let opens_nothing = *text == "token" && NO_TOKENS.iter().any(|word| before.ends_with(word.as_bytes()));
    let is_set = *name == Name::Cookie && before.ends_with(b"set");
    (!opens_nothing).then_some(if is_set { Name::SetCookie } else { *name })
}

/// Finds what is secret in the value of a field with this name, which is all of `span`.
pub(crate) fn value(name: Name, text: &[u8], span: Range<usize>, hits: &mut Vec<Hit>) {
    let blank = |byte: u8| byte <= b' ';
    let start = span.start + run(text, span.start, span.len(), blank);
    let trailing = part(text, start, span.end).iter().rev().take_while(|byte| blank(**byte)).count();
    let (end, whole) = (span.end - trailing, part(text, start, span.end - trailing));
    if is_placeholder(whole) {
        return;
    }
    match name {
        Name::Authorization => {
            let start = credentials(text, start, end);
            let found = part(text, start, end);
            let alone = SCHEMES.iter().any(|scheme| found.eq_ignore_ascii_case(scheme.as_bytes()));
            if !alone && !is_placeholder(found) {
                hits.push(Hit { detector: Detector::Authorization, span: start..end });
            }
        }
        Name::Cookie | Name::SetCookie if whole.contains(&b'=') => cookies(name, text, start..end, hits),
        name => hits.push(Hit { detector: name.detector(), span: start..end }),
    }
}

/// Where the credentials begin, after their scheme; everything is secret without one.
fn credentials(text: &[u8], start: usize, end: usize) -> usize {
    let scheme = run(text, start, end - start, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let blanks = run(text, start + scheme, end - start - scheme, |byte| byte == b' ');
    let known = SCHEMES.iter().any(|known| part(text, start, start + scheme).eq_ignore_ascii_case(known.as_bytes()));
    if known && blanks > 0 && start + scheme + blanks < end { start + scheme + blanks } else { start }
}

/// The values of cookies; names and attributes stay.
fn cookies(name: Name, text: &[u8], span: Range<usize>, hits: &mut Vec<Hit>) {
    let mut start = span.start;
    while start < span.end {
        start += run(text, start, span.end - start, |byte| byte == b' ');
        let rest = part(text, start, span.end);
        let end = start + pair_end(rest, name == Name::SetCookie);
        let pair = part(text, start, end);
        if let Some(equals) = pair.iter().position(|byte| *byte == b'=') {
            let attribute =
                COOKIE_ATTRIBUTES.iter().any(|known| part(pair, 0, equals).eq_ignore_ascii_case(known.as_bytes()));
            let value = start + equals + 1..end;
            let masked = is_placeholder(part(text, value.start, value.end));
            if !(value.is_empty() || masked || attribute && name == Name::SetCookie) {
                hits.push(Hit { detector: Detector::Cookie, span: value });
            }
        }
        start = end + 1;
    }
}

/// Where a pair ends: at a semicolon, or at a comma before the next cookie that is set.
fn pair_end(rest: &[u8], commas: bool) -> usize {
    let next = |comma: usize| {
        let name = comma + 1 + run(rest, comma + 1, 4, |byte| byte == b' ');
        let length =
            run(rest, name, NAME_BYTES_MAX, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        length > 0 && at(rest, name + length) == b'='
    };
    let ends = |(index, byte): (usize, &u8)| *byte == b';' || commas && *byte == b',' && next(index);
    rest.iter().enumerate().position(ends).unwrap_or(rest.len())
}

/// Whether a value was masked before, by this crate or by others.
pub(crate) fn is_masked(value: &[u8]) -> bool {
    [&b"[REDACTED"[..], b"[HASH:", b"****"].iter().any(|mark| value.starts_with(mark))
}

/// Whether a value stands for one that is not there: nothing, a word for it, a variable, asterisks.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    let Some((first, last)) = value.first().zip(value.last()) else { return true };
    // The bracket that closes `[hidden]` may end the value.
    let bare = value.strip_prefix(b"[").unwrap_or(value);
    let bare = bare.strip_suffix(b"]").unwrap_or(bare);
    let word = |word: &&str| bare.eq_ignore_ascii_case(word.as_bytes());
    let repeated = value.len() >= 3 && value.iter().all(|byte| byte == first) && b"*xX.#-_".contains(first);
    let bracketed = matches!((first, last), (b'<', b'>') | (b'{', b'}'))
        && !value.iter().any(|byte| matches!(byte, b'"' | b'\'' | b':'));
    let marked =
        first == &b'[' && last == &b']' && value.iter().all(|byte| byte.is_ascii_uppercase() || b"[] _".contains(byte));
    let variable = value.starts_with(b"${")
        || value.starts_with(b"$(")
        || value.starts_with(b"{{")
        // Terraform's: `(sensitive value)`, `(known after apply)`.
        || value.starts_with(b"(sensitive")
        || value.starts_with(b"(known")
        || value == b"%s"
        || value == b"?"
        || value == b"-";
    is_masked(value) || PLACEHOLDERS.iter().any(word) || repeated || bracketed || marked || variable
}

// === impl Name ===

impl Name {
    /// What its value is found by.
    pub(crate) fn detector(self) -> Detector {
        match self {
            Self::Password => Detector::Password,
            Self::Secret => Detector::Secret,
            Self::Cookie | Self::SetCookie => Detector::Cookie,
            Self::Authorization => Detector::Authorization,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: a name is passed over for its last two letters.
    #[test]
    fn every_name_counts_in_any_case_with_digits_and_marks() {
        for (text, _) in ENDS.iter().chain(&WORDS) {
            for name in [text.to_string(), text.to_ascii_uppercase(), format!("{text}12"), format!("db.{text}")] {
                assert!(of(name.as_bytes()).is_some(), "{name}");
            }
        }
        for (text, _) in ENDS.iter().filter(|(text, _)| text.is_ascii()) {
            let (front, last) = text.split_at(text.len() - 1);
            assert!(of(format!("{front}_{last}").as_bytes()).is_some(), "{front}_{last}");
        }
        for name in ["", "d", "station", "duration_ms", "note", "7", "_", "monkey"] {
            assert_eq!(of(name.as_bytes()), None, "{name}");
        }
    }
}

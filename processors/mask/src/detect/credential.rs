//! Credentials that their place gives away: in URLs (RFC 3986, userinfo), after `Bearer` (RFC 6750) and `Basic`
//! (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{at, before, part, run};
use crate::Detector;
use crate::name;
use crate::scan::Scan;

/// The longest user name and password that are looked for in a URL.
const USERINFO_BYTES_MAX: usize = 1024;

/// From how many characters on a user without a password is a token.
const TOKEN_BYTES_MIN: usize = 20;

/// Looks at what follows the `://` that ends at `start`.
pub(crate) fn look_url(scan: &mut Scan<'_>, start: usize) {
    let text = scan.text;
    let outside = |byte: u8| byte <= b' ' || b"/?#\"'<>`\\".contains(&byte);
    let count = run(text, start, USERINFO_BYTES_MAX, |byte| !outside(byte));
    let Some(sign) = part(text, start, start + count).iter().rposition(|byte| *byte == b'@') else { return };
    let userinfo = part(text, start, start + sign);
    let password = userinfo.iter().position(|byte| *byte == b':').and_then(|colon| userinfo.get(colon + 1..));
    let secret = match password {
        Some(password) => !password.is_empty() && !name::is_placeholder(password),
        None => userinfo.len() >= TOKEN_BYTES_MIN && userinfo.iter().any(u8::is_ascii_digit),
    };
    if secret && !name::is_masked(userinfo) {
        scan.hit(Detector::Url, start..start + sign);
    }
}

/// Looks at what follows `Bearer` or `Basic`, which may end at `end` less the letters after its first three.
pub(crate) fn look_scheme(scan: &mut Scan<'_>, scheme: &[u8], start: usize) {
    let text = scan.text;
    let end = start + scheme.len();
    let named = part(text, start, end).eq_ignore_ascii_case(scheme);
    if !named || before(text, start).is_ascii_alphanumeric() {
        return;
    }
    let blanks = run(text, end, 4, |byte| matches!(byte, b' ' | b':' | b'=' | b'+'));
    let value = end + blanks;
    let length = run(text, value, text.len(), is_token68);
    let token = part(text, value, value + length);
    let is_secret = match scheme.first() {
        Some(b'B' | b'b') if scheme.len() == 5 => is_basic(token),
        _ => is_bearer(token),
    };
    if blanks > 0 && is_secret && !name::is_masked(token) {
        scan.hit(Detector::Authorization, value..value + length);
    }
    scan.pass(end);
}

/// A token is long, or has more than small letters: "the bearer of bad news" has none.
fn is_bearer(token: &[u8]) -> bool {
    let telling = token.iter().any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'=' | b'+' | b'/'));
    let trailing = token.ends_with(b".") && token.iter().filter(|byte| !byte.is_ascii_lowercase()).count() == 1;
    token.len() >= TOKEN_BYTES_MIN || token.len() >= 8 && telling && !trailing
}

/// A user and a password with a colon between them.
fn is_basic(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let decoded = STANDARD_NO_PAD.decode(part(token, 0, token.len() - padding));
    decoded.is_ok_and(|decoded| decoded.contains(&b':') && decoded.iter().all(|byte| *byte >= b' '))
}

/// RFC 9110, 11.2.
pub(crate) fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// Whether a byte ends a word of a text.
pub(crate) fn is_space(text: &[u8], index: usize) -> bool {
    at(text, index) <= b' '
}

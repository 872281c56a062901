//! What its issuer marks: API keys by their documented prefixes, JSON Web Tokens (RFC 7519), private keys (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{at, before, part, run};
use crate::Detector;
use crate::scan::Scan;

/// The longest token; one that goes on is masked up to there, and what follows is looked at anew.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What a key is written with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Letters {
    /// Letters and digits.
    Alphanumeric,
    /// Capitals and digits.
    Capitals,
    /// Hexadecimal digits.
    Hex,
    /// Those of base64url, which most use: letters, digits, dash and underscore.
    Url,
    /// The same and the dot.
    Dotted,
    /// The same and the slash, for addresses of hooks.
    Path,
}

/// A kind of key: how it begins, and what follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix {
    /// How it begins, in this case.
    pub(crate) text: &'static [u8],
    /// Which three bytes of that are searched for: rare ones.
    pub(crate) rare: usize,
    letters: Letters,
    /// How many follow, at least and at most.
    least: usize,
    most: usize,
}

const fn prefix(text: &'static str, rare: usize, letters: Letters, least: usize, most: usize) -> Prefix {
    Prefix { text: text.as_bytes(), rare, letters, least, most }
}

/// The prefixes, as the issuers document them.
pub(crate) const PREFIXES: [Prefix; 83] = {
    use Letters::{Alphanumeric, Capitals, Dotted, Hex, Path, Url};
    [
        // Amazon Web Services, unique identifiers of IAM: access keys, long and short lived.
        prefix("AKIA", 0, Capitals, 16, 16),
        prefix("ASIA", 0, Capitals, 16, 16),
        prefix("ABIA", 0, Capitals, 16, 16),
        prefix("ACCA", 0, Capitals, 16, 16),
        // Google: API keys, OAuth tokens and client secrets.
        prefix("AIza", 0, Url, 35, 35),
        prefix("ya29.", 0, Dotted, 20, 2048),
        prefix("GOCSPX-", 1, Url, 20, 40),
        prefix("1//0", 0, Url, 30, 512),
        // GitHub.
        prefix("ghp_", 0, Alphanumeric, 30, 255),
        prefix("gho_", 1, Alphanumeric, 30, 255),
        prefix("ghu_", 1, Alphanumeric, 30, 255),
        prefix("ghs_", 1, Alphanumeric, 30, 255),
        prefix("ghr_", 1, Alphanumeric, 30, 255),
        prefix("github_pat_", 5, Url, 36, 255),
        // GitLab: tokens of persons, runners, deployments, triggers, feeds, mail, agents, CI jobs.
        prefix("glpat-", 3, Dotted, 20, 300),
        prefix("glrt-", 1, Dotted, 20, 300),
        prefix("gldt-", 1, Dotted, 20, 300),
        prefix("glcbt-", 2, Dotted, 20, 300),
        prefix("glptt-", 2, Dotted, 20, 300),
        prefix("glft-", 1, Dotted, 20, 300),
        prefix("glimt-", 2, Dotted, 20, 300),
        prefix("glagent-", 5, Dotted, 20, 300),
        prefix("gloas-", 3, Dotted, 20, 300),
        prefix("glsoat-", 4, Dotted, 20, 300),
        // Slack: tokens, and the addresses of incoming webhooks.
        prefix("xoxb-", 0, Url, 10, 255),
        prefix("xoxp-", 0, Url, 10, 255),
        prefix("xoxa-", 0, Url, 10, 255),
        prefix("xoxr-", 0, Url, 10, 255),
        prefix("xoxs-", 0, Url, 10, 255),
        prefix("xoxe-", 0, Url, 10, 255),
        prefix("xoxe.", 0, Url, 10, 255),
        prefix("xoxd-", 0, Url, 10, 255),
        prefix("xoxc-", 0, Url, 10, 255),
        prefix("xapp-", 2, Url, 10, 255),
        prefix("hooks.slack.com/services/", 3, Path, 20, 100),
        prefix("hooks.slack.com/workflows/", 3, Path, 20, 100),
        // Discord's webhooks.
        prefix("/api/webhooks/", 8, Path, 40, 120),
        // Stripe: secret and restricted keys, webhooks; publishable keys are public.
        prefix("sk_live_", 1, Alphanumeric, 10, 255),
        prefix("sk_test_", 1, Alphanumeric, 10, 255),
        prefix("rk_live_", 1, Alphanumeric, 10, 255),
        prefix("rk_test_", 1, Alphanumeric, 10, 255),
        prefix("whsec_", 0, Path, 20, 100),
        // Registries of packages.
        prefix("npm_", 1, Alphanumeric, 36, 36),
        prefix("pypi-AgEI", 1, Url, 50, 512),
        prefix("rubygems_", 5, Hex, 48, 48),
        prefix("oy2", 0, Alphanumeric, 43, 43),
        prefix("dckr_pat_", 1, Url, 20, 60),
        prefix("dckr_oat_", 1, Url, 20, 60),
        // Mail and messages.
        prefix("SG.", 0, Dotted, 60, 80),
        prefix("xkeysib-", 2, Url, 60, 100),
        prefix("shpat_", 0, Hex, 32, 32),
        prefix("shpca_", 0, Hex, 32, 32),
        prefix("shppa_", 0, Hex, 32, 32),
        prefix("shpss_", 0, Hex, 32, 32),
        prefix("sq0atp-", 0, Url, 22, 60),
        prefix("sq0csp-", 0, Url, 40, 60),
        // Language models.
        prefix("sk-proj-", 4, Url, 40, 255),
        prefix("sk-svcacct-", 4, Url, 40, 255),
        prefix("sk-ant-", 2, Url, 40, 255),
        prefix("sk-", 0, Alphanumeric, 32, 64),
        prefix("hf_", 0, Alphanumeric, 30, 40),
        // Clouds and services.
        prefix("dop_v1_", 2, Hex, 64, 64),
        prefix("doo_v1_", 2, Hex, 64, 64),
        prefix("dor_v1_", 2, Hex, 64, 64),
        prefix("dapi", 0, Hex, 32, 34),
        prefix("hvs.", 0, Url, 24, 300),
        prefix("hvb.", 0, Url, 24, 300),
        prefix("hvr.", 0, Url, 24, 300),
        prefix("NRAK-", 0, Capitals, 27, 27),
        prefix("lin_api_", 2, Alphanumeric, 32, 48),
        prefix("ntn_", 0, Alphanumeric, 40, 60),
        prefix("PMAK-", 0, Url, 40, 70),
        prefix("ATATT3", 3, Path, 60, 255),
        prefix("ATBB", 0, Alphanumeric, 24, 40),
        prefix("glc_", 1, Path, 32, 400),
        prefix("glsa_", 1, Url, 36, 60),
        prefix("sntrys_", 1, Path, 40, 500),
        prefix("figd_", 1, Url, 36, 60),
        prefix("sbp_", 0, Hex, 40, 40),
        prefix("pscale_", 2, Dotted, 20, 80),
        prefix("pul-", 1, Hex, 40, 40),
        prefix("dp.pt.", 3, Alphanumeric, 40, 44),
        prefix("AGE-SECRET-KEY-1", 0, Capitals, 58, 58),
    ]
};

/// Looks whether a key with this prefix begins so that its rare bytes end at `end`.
pub(crate) fn look_prefix(scan: &mut Scan<'_>, prefix: &Prefix, end: usize) {
    let text = scan.text;
    let Some(start) = end.checked_sub(prefix.rare + 3) else { return };
    // Several prefixes share a bit: mostly it was another one's, or none's.
    if prefix.text.get(prefix.rare) != text.get(start + prefix.rare)
        || prefix.text.last() != text.get(start + prefix.text.len() - 1)
    {
        return;
    }
    let previous = before(text, start);
    let body = start + prefix.text.len();
    if part(text, start, body) != prefix.text || previous.is_ascii_alphanumeric() {
        return;
    }
    let count = run(text, body, prefix.most.min(TOKEN_BYTES_MAX), |byte| prefix.letters.has(byte));
    let count =
        count - part(text, body, body + count).iter().rev().take_while(|byte| matches!(byte, b'.' | b'/')).count();
    // Longer than it may be, it is something else.
    let longer = at(text, body + count).is_ascii_alphanumeric();
    let key = part(text, body, body + count);
    let mixed = key.iter().any(u8::is_ascii_lowercase) && key.iter().any(u8::is_ascii_uppercase);
    let telling = mixed || key.iter().any(u8::is_ascii_digit) || count >= 32;
    if count >= prefix.least && !longer && telling {
        scan.hit(Detector::ApiKey, start..body + count);
    }
}

/// Looks at the key of a Telegram bot around `:AA`, whose colon is at `colon`.
pub(crate) fn look_bot(scan: &mut Scan<'_>, colon: usize) {
    let text = scan.text;
    let digits = super::run_back(text, colon, 11, |byte| byte.is_ascii_digit());
    let count = run(text, colon + 1, 36, |byte| Letters::Url.has(byte));
    let start = colon - digits;
    if (8..=10).contains(&digits) && count == 35 {
        scan.hit(Detector::ApiKey, start..colon + 36);
    }
}

/// Looks at a JSON Web Token or encrypted one: base64url parts with dots, the first of which is its header.
pub(crate) fn look_jwt(scan: &mut Scan<'_>, start: usize) {
    let text = scan.text;
    let previous = before(text, start);
    if previous.is_ascii_alphanumeric() || matches!(previous, b'_' | b'-') {
        return;
    }
    let header = run(text, start, TOKEN_BYTES_MAX, |byte| Letters::Url.has(byte));
    scan.pass(start + header);
    // First, for it is short: what follows may be long, and looked at for each part of it.
    if at(text, start + header) != b'.' || !is_header(part(text, start, start + header)) {
        return;
    }
    let all = run(text, start, TOKEN_BYTES_MAX, |byte| Letters::Dotted.has(byte));
    let end = start + all - part(text, start, start + all).iter().rev().take_while(|byte| **byte == b'.').count();
    let dots = part(text, start, end).iter().filter(|byte| **byte == b'.').count();
    // An unsigned one ends with its dot.
    if dots == 0 || end - start - header < 6 {
        return;
    }
    scan.hit(Detector::Jwt, start..end);
}

/// Whether these are the base64url of a JSON object that names an algorithm or a type.
fn is_header(base64: &[u8]) -> bool {
    let Ok(json) = URL_SAFE_NO_PAD.decode(base64) else { return false };
    let named = |name: &[u8]| memchr::memmem::find(&json, name).is_some();
    json.first() == Some(&b'{') && (named(b"\"alg\"") || named(b"\"typ\"") || named(b"\"enc\"") || named(b"\"kid\""))
}

/// Looks at a PEM block around `BEG`, which ends at `end`: the whole key goes, its lines as well.
pub(crate) fn look_pem(scan: &mut Scan<'_>, end: usize) {
    let text = scan.text;
    let Some(start) = end.checked_sub(8).filter(|start| part(text, *start, end) == b"-----BEG") else { return };
    let label = run(text, start + 11, 64, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let name = part(text, start + 11, start + 11 + label);
    let body = start + 11 + label;
    if part(text, start + 8, start + 11) != b"IN "
        || !(name.ends_with(b"PRIVATE KEY") || name.ends_with(b"PRIVATE KEY BLOCK"))
    {
        return;
    }
    if part(text, body, body + 5) != b"-----" {
        return;
    }
    // Base64, headers, line ends as they are or as JSON writes them; up to what a key does not have.
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\r\n\\ :,-.\t()".contains(&byte);
    let count = run(text, body, text.len(), inside);
    let rest = part(text, body + 5, body + count);
    let closing = memchr::memmem::find(rest, b"-----END ");
    let length = closing.map(|at| {
        let label = run(rest, at + 9, 64, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
        at + 9 + label + run(rest, at + 9 + label, 5, |byte| byte == b'-')
    });
    // Without its end it was cut off: everything goes, but for the backslash of a closing quote.
    let cut = || rest.len() - rest.iter().rev().take_while(|byte| **byte == b'\\').count();
    let end = body + 5 + length.unwrap_or_else(cut);
    scan.hit(Detector::PrivateKey, start..end);
    scan.pass(end);
}

// === impl Letters ===

impl Letters {
    fn has(self, byte: u8) -> bool {
        let url = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Url => url,
            Self::Dotted => url || byte == b'.',
            Self::Path => url || matches!(byte, b'.' | b'/' | b'+' | b'='),
        }
    }
}

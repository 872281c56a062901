//! What opens a door: passwords, tokens and keys, by what their issuers and standards say they look like.

use crate::random::{ALPHANUMERIC, BASE64, DIGITS, HEX, LOWER, Random, UPPER, URL};

/// A password as people and generators make them; with `marks`, also of marks that need no quotes.
pub fn password(r: &mut Random) -> String {
    match r.between(0, 5) {
        0 => {
            let n = r.between(8, 24);
            mixed(r, ALPHANUMERIC, n)
        }
        1 => format!("{}{}!", capital(r), r.between(1, 9999)),
        2 => {
            let n = r.between(10, 20);
            mixed(r, "ABCDEFGHabcdefgh0123456789!@#$%^*+~", n)
        }
        3 => format!("{}{}", r.of(&["hunter", "letmein", "dragon", "sommer", "qwerty", "trustno"]), r.between(1, 999)),
        4 => format!("{}-{}-{}{}", r.text(LOWER, 5), r.text(LOWER, 4), r.text(LOWER, 3), r.between(1, 99)),
        _ => {
            let n = r.between(16, 32);
            mixed(r, HEX, n)
        }
    }
}

fn capital(r: &mut Random) -> String {
    let length = r.between(4, 9);
    r.text(UPPER, 1) + &r.text(LOWER, length)
}

/// Letters first, a digit within, nothing at the end that a sentence could have there.
fn mixed(r: &mut Random, alphabet: &str, count: u64) -> String {
    format!("{}{}{}{}", r.text(LOWER, 1), r.text(alphabet, count - 3), r.text(DIGITS, 1), r.text(LOWER, 1))
}

/// An opaque token.
pub fn token(r: &mut Random) -> String {
    let length = r.between(16, 64);
    let alphabet = r.of(&[HEX, ALPHANUMERIC, URL]);
    mixed(r, alphabet, length)
}

pub fn base64url(bytes: &[u8]) -> String {
    encode(bytes, URL, false)
}

/// RFC 4648.
pub fn base64(bytes: &[u8]) -> String {
    encode(bytes, BASE64, true)
}

fn encode(bytes: &[u8], alphabet: &str, pads: bool) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0_u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
        for index in 0..=group.len() {
            text.push(char::from(alphabet.as_bytes()[(bits >> (18 - 6 * index)) as usize & 63]));
        }
        if pads {
            text.push_str(&"==="[..3 - group.len()]);
        }
    }
    text
}

/// RFC 7519 and 7515.
pub fn jwt(r: &mut Random) -> String {
    let header = match r.between(0, 3) {
        0 => r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(),
        1 => r#"{"alg":"RS256"}"#.to_owned(),
        2 => format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{}"}}"#, r.text(HEX, 16)),
        _ => r#"{"kid":"1","alg":"EdDSA"}"#.to_owned(),
    };
    let claims = format!(
        r#"{{"sub":"{}","exp":{},"name":"{}"}}"#,
        r.between(1, 99999),
        r.between(1_600_000_000, 1_900_000_000),
        r.text(LOWER, 8)
    );
    let signature = r.text(URL, 43);
    format!("{}.{}.{signature}", base64url(header.as_bytes()), base64url(claims.as_bytes()))
}

/// Keys by what their issuers document.
pub fn api_key(r: &mut Random) -> String {
    match r.between(0, 23) {
        0 => format!("AKIA{}", r.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 15) + "2"),
        1 => format!("ASIA{}", r.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 15) + "7"),
        2 => format!("AIza{}", r.text(URL, 34) + "Q"),
        3 => format!("gh{}_{}", r.of(&["p", "o", "u", "s", "r"]), r.text(ALPHANUMERIC, 36)),
        4 => format!("github_pat_{}_{}", r.text(ALPHANUMERIC, 22), r.text(ALPHANUMERIC, 59)),
        5 => format!("glpat-{}", r.text(ALPHANUMERIC, 20)),
        6 => format!("xoxb-{}-{}-{}", r.text(DIGITS, 12), r.text(DIGITS, 13), r.text(ALPHANUMERIC, 24)),
        7 => format!("xoxp-{}-{}-{}-{}", r.text(DIGITS, 12), r.text(DIGITS, 12), r.text(DIGITS, 13), r.text(HEX, 32)),
        8 => format!("sk_{}_{}", r.of(&["live", "test"]), r.text(ALPHANUMERIC, 24)),
        9 => format!("rk_live_{}", r.text(ALPHANUMERIC, 99)),
        10 => format!("npm_{}", r.text(ALPHANUMERIC, 36)),
        11 => format!("pypi-AgEIcHlwaS5vcmcC{}", r.text(URL, 150) + "A"),
        12 => format!("SG.{}.{}", r.text(ALPHANUMERIC, 22), r.text(URL, 42) + "x"),
        13 => format!("dop_v1_{}", r.text(HEX, 64)),
        14 => format!("shpat_{}", r.text(HEX, 32)),
        15 => format!("hvs.{}", r.text(ALPHANUMERIC, 90)),
        16 => format!("ya29.{}", r.text(URL, 120) + "z"),
        17 => format!("sk-proj-{}T3BlbkFJ{}", r.text(ALPHANUMERIC, 20), r.text(ALPHANUMERIC, 20)),
        18 => format!("hf_{}", r.text(ALPHANUMERIC, 34)),
        19 => format!("{}:AA{}", r.between(100_000_000, 9_999_999_999), r.text(URL, 32) + "k"),
        20 => format!(
            "xapp-1-A{}-{}-{}",
            r.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 10),
            r.text(DIGITS, 13),
            r.text(HEX, 64)
        ),
        21 => format!("glsa_{}_{}", r.text(ALPHANUMERIC, 32), r.text(HEX, 8)),
        22 => format!("dapi{}", r.text(HEX, 32)),
        _ => format!("GOCSPX-{}", r.text(ALPHANUMERIC, 28)),
    }
}

/// RFC 7468; with the line ends that `end` says.
pub fn private_key(r: &mut Random, end: &str) -> String {
    let kind =
        r.of(&["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]);
    let lines = r.between(3, 26);
    let body: Vec<String> = (0..lines).map(|_| r.text(BASE64, 64)).collect();
    format!("-----BEGIN {kind}-----{end}{}{end}{}=={end}-----END {kind}-----", body.join(end), r.text(BASE64, 22))
}

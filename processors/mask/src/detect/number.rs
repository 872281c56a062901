//! Numbers with no letters: cards, My Number, social security numbers, telephone numbers.
//!
//! My Number: Ordinance of the Ministry of Internal Affairs and Communications No. 85 of 2014, article 5 (check
//! digit). Social security numbers: the Social Security Administration's rules since 2011 (no area 000, 666 or 9xx,
//! no group 00, no serial 0000).

use super::card::{self, grouped};
use super::{at, before, ends, part, phone, run, words_before};
use crate::Detector;
use crate::scan::Scan;

/// The longest run of digits that is any of them, and one.
const DIGITS_MAX: usize = 20;

/// What says that a bare number of nine digits is a social security number.
const SSN_WORDS: [&str; 4] = ["ssn", "social security", "social_security", "socialsecurity"];

/// What says that twelve digits are something else than a person's number, however they add up.
const OTHER_WORDS: [&str; 16] = [
    "order",
    "invoice",
    "offset",
    "bytes",
    "size",
    "account_id",
    "accountid",
    "arn:",
    "aws",
    "time",
    "epoch",
    "seq",
    "trace",
    "span",
    "request",
    "build",
];
const OWN_WORDS: [&str; 6] = ["mynumber", "my_number", "my number", "individual", "マイナンバー", "個人番号"];

/// Whether the digits at `start` are too few to be anything alone, and no others are grouped with them: a time, a
/// counter. Most numbers of a log are, so that all digits are looked at as one.
#[inline]
pub(crate) fn is_short(text: &[u8], start: usize) -> bool {
    let Some(bytes) = text.get(start..).and_then(<[u8]>::first_chunk) else { return false };
    let digits = u64::from_le_bytes(*bytes) ^ 0x3030_3030_3030_3030;
    // The upper bit of each byte that is no digit.
    let others = (((digits & 0x7f7f_7f7f_7f7f_7f7f) + 0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let next = bytes.get((others.trailing_zeros() / 8) as usize);
    next.is_some_and(|next| !matches!(next, b' ' | b'-' | b'.' | b'(' | b')'))
}

/// Looks at the digits that begin at `start`, after what is no letter or digit.
pub(crate) fn look(scan: &mut Scan<'_>, start: usize) {
    let text = scan.text;
    // A part of a longer one: a fraction, a UUID, a name.
    let joined = matches!(before(text, start), b'-' | b'_' | b'.' | b'\\');
    if joined && start > 1 && before(text, start - 1).is_ascii_alphanumeric() {
        return;
    }
    let count = run(text, start, DIGITS_MAX, |byte| byte.is_ascii_digit());
    let next = at(text, start + count);
    // What follows the first group of a grouped number: most numbers have no second one.
    let second =
        if matches!(next, b' ' | b'-') { run(text, start + count + 1, 14, |byte| byte.is_ascii_digit()) } else { 0 };
    // What is none of them is not passed over, for it may be part of something else: `eve+2026-11@example.com`.
    let _found = match (count, second) {
        _ if at(text, start) == b'0' && phone::look_domestic(scan, start, count) => true,
        (12, _) => card::look(scan, start, count) || my_number(scan, start, start + count),
        (13..DIGITS_MAX, _) => card::look(scan, start, count),
        (4, 4) => card::look(scan, start, count) || my_number_grouped(scan, start, next),
        (4, 6) | (6, 13) => card::look(scan, start, count),
        (3, 2) => ssn(scan, start, next),
        (9, _) => ssn_bare(scan, start),
        _ => false,
    };
}

fn my_number(scan: &mut Scan<'_>, start: usize, end: usize) -> bool {
    let text = scan.text;
    let digits = part(text, start, end);
    let own = || words_before(text, start, 32, &OWN_WORDS);
    let other = || {
        before(text, start) == b':' && at(text, end) == b':'
            || is_time(digits)
            || words_before(text, start, 16, &OTHER_WORDS)
    };
    ends(text, end) && is_my_number(digits) && (own() || !other()) && scan.hit(Detector::MyNumber, start..end)
}

fn my_number_grouped(scan: &mut Scan<'_>, start: usize, separator: u8) -> bool {
    let text = scan.text;
    let Some((digits, end)) = grouped(text, start, &[4, 4, 4], separator) else { return false };
    let longer = at(text, end) == separator && at(text, end + 1).is_ascii_digit();
    !longer && ends(text, end) && is_my_number(&digits) && scan.hit(Detector::MyNumber, start..end)
}

fn is_my_number(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let sum: u32 = rest
        .iter()
        .rev()
        .zip(1_u32..)
        .map(|(digit, n)| {
            let weight = if n <= 6 { n + 1 } else { n - 5 };
            u32::from(digit - b'0') * weight
        })
        .sum();
    let expected = match sum % 11 {
        0 | 1 => 0,
        remainder => 11 - remainder,
    };
    let repeated = digits.iter().all(|digit| digits.first() == Some(digit));
    digits.len() == 12 && !repeated && u32::from(check - b'0') == expected
}

/// Whether the digits read as year, month, day, hour and minute.
fn is_time(digits: &[u8]) -> bool {
    let number =
        |start, end| part(digits, start, end).iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    (1970..2100).contains(&number(0, 4))
        && (1..=12).contains(&number(4, 6))
        && (1..=31).contains(&number(6, 8))
        && number(8, 10) < 24
        && number(10, 12) < 60
}

fn ssn(scan: &mut Scan<'_>, start: usize, separator: u8) -> bool {
    let text = scan.text;
    let Some((digits, end)) = grouped(text, start, &[3, 2, 4], separator) else { return false };
    let told = separator == b'-' || words_before(text, start, 32, &SSN_WORDS);
    told && ends(text, end) && is_ssn(&digits) && scan.hit(Detector::Ssn, start..end)
}

fn ssn_bare(scan: &mut Scan<'_>, start: usize) -> bool {
    let (text, end) = (scan.text, start + 9);
    ends(text, end)
        && is_ssn(part(text, start, end))
        && words_before(text, start, 32, &SSN_WORDS)
        && scan.hit(Detector::Ssn, start..end)
}

fn is_ssn(digits: &[u8]) -> bool {
    let (area, group, serial) = (part(digits, 0, 3), part(digits, 3, 5), part(digits, 5, 9));
    area != b"000" && area != b"666" && !area.starts_with(b"9") && group != b"00" && serial != b"0000"
}

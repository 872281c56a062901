//! Texts that look drawn at random: long words of letters and digits with much entropy, for secrets of unknown form.
//!
//! Hexadecimal words stay: they are hashes and identifiers far more often than keys.

use super::part;
use crate::Detector;
use crate::scan::Scan;

const BYTES_MIN: usize = 20;
const BYTES_MAX: usize = 512;

/// Bits for each character, by Shannon's formula over the word itself: words of a language stay below 4.
const BITS_MIN: f64 = 4.0;

/// Looks at every word.
pub(crate) fn look(scan: &mut Scan<'_>) {
    let mut start = 0;
    while start < scan.text.len() {
        let length = super::run(scan.text, start, scan.text.len(), is_inside);
        if (BYTES_MIN..=BYTES_MAX).contains(&length) && is_random(part(scan.text, start, start + length)) {
            scan.hit(Detector::Entropy, start..start + length);
        }
        start += length + 1;
    }
}

fn is_inside(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-')
}

fn is_random(word: &[u8]) -> bool {
    let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    if !kinds.iter().all(|kind| word.iter().any(kind)) || word.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    // Names of many words change between capitals and small letters twice a word; what is random does all the time.
    let kind = |byte: u8| kinds.iter().position(|kind| kind(&byte));
    let changes = word.iter().zip(word.iter().skip(1)).filter(|(one, next)| kind(**one) != kind(**next)).count();
    if 3 * changes < word.len() {
        return false;
    }
    let mut counts = [0_u16; 256];
    for byte in word {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = f64::from(u16::try_from(word.len()).unwrap_or(u16::MAX));
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum();
    bits >= BITS_MIN
}

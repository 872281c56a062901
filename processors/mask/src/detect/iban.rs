//! International Bank Account Numbers: ISO 13616 with the registry's lengths, check digits by ISO/IEC 7064 (mod 97).

use super::{at, before, ends};
use crate::Detector;
use crate::scan::Scan;

/// Countries and how many characters their numbers have.
const COUNTRIES: [(&[u8; 2], usize); 87] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
];
const KOSOVO: (&[u8; 2], usize) = (b"XK", 20);

/// Looks at the two capitals and a digit at `start`.
pub(crate) fn look(scan: &mut Scan<'_>, start: usize) {
    let text = scan.text;
    let previous = before(text, start);
    if previous.is_ascii_alphanumeric() || previous == b'_' || !at(text, start + 3).is_ascii_digit() {
        return;
    }
    let country = [at(text, start), at(text, start + 1)];
    let known = COUNTRIES.iter().chain(std::iter::once(&KOSOVO)).find(|(code, _)| **code == country);
    let Some((_, length)) = known else { return };
    let (mut characters, mut end) = ([0; 34], start);
    for (index, character) in characters.iter_mut().take(*length).enumerate() {
        if index > 0 && matches!(at(text, end), b' ' | b'-') {
            end += 1;
        }
        *character = at(text, end);
        if !character.is_ascii_alphanumeric() {
            return;
        }
        end += 1;
    }
    if ends(text, end) && checks(characters.get(..*length).unwrap_or_default()) {
        scan.hit(Detector::Iban, start..end);
    }
}

/// The first four characters moved to the end, letters as numbers from ten on: 1 modulo 97.
fn checks(characters: &[u8]) -> bool {
    let moved = characters.iter().cycle().skip(4).take(characters.len());
    let remainder = moved.fold(0_u32, |remainder, character| {
        let value = char::from(*character).to_digit(36).unwrap_or(0);
        let shift = if value > 9 { 100 } else { 10 };
        (remainder * shift + value) % 97
    });
    remainder == 1
}

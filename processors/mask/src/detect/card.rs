//! Payment cards: ISO/IEC 7812 (Luhn), ranges and lengths as their issuers publish them.

use super::{at, ends, part, run};
use crate::Detector;
use crate::scan::Scan;

/// Ranges of first digits (six of them, from and to), and the lengths that each may have.
const ISSUERS: [(u32, u32, &[usize]); 29] = [
    (400_000, 499_999, &[13, 16, 19]),                     // Visa
    (510_000, 559_999, &[16]),                             // Mastercard
    (222_100, 272_099, &[16]),                             // Mastercard
    (340_000, 349_999, &[15]),                             // American Express
    (370_000, 379_999, &[15]),                             // American Express
    (352_800, 358_999, &[16, 17, 18, 19]),                 // JCB
    (601_100, 601_199, &[16, 17, 18, 19]),                 // Discover
    (644_000, 659_999, &[16, 17, 18, 19]),                 // Discover
    (620_000, 629_999, &[16, 17, 18, 19]),                 // UnionPay
    (810_000, 817_199, &[16, 17, 18, 19]),                 // UnionPay
    (300_000, 305_999, &[14, 16, 17, 18, 19]),             // Diners Club
    (309_500, 309_599, &[14, 16, 17, 18, 19]),             // Diners Club
    (360_000, 369_999, &[14, 15, 16, 17, 18, 19]),         // Diners Club
    (380_000, 399_999, &[14, 16, 17, 18, 19]),             // Diners Club
    (220_000, 220_499, &[16, 17, 18, 19]),                 // Mir
    (501_800, 501_899, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (502_000, 502_099, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (503_800, 503_899, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (560_000, 589_999, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (630_400, 630_499, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (639_000, 639_099, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (670_000, 679_999, &[12, 13, 14, 15, 16, 17, 18, 19]), // Maestro
    (506_099, 506_198, &[16, 18, 19]),                     // Verve
    (650_002, 650_027, &[16, 18, 19]),                     // Verve
    (508_500, 508_999, &[16]),                             // RuPay
    (606_985, 608_984, &[16]),                             // RuPay
    (819_900, 829_999, &[16]),                             // RuPay
    (979_200, 979_299, &[16]),                             // Troy
    (506_700, 509_099, &[16]),                             // Elo
];

/// How the digits of a card are grouped, where they are.
const GROUPS: [&[usize]; 6] = [&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4], &[4, 4, 5], &[6, 13]];

/// Looks at a run of `count` digits at `start`, and at the groups that follow it.
pub(crate) fn look(scan: &mut Scan<'_>, start: usize, count: usize) -> bool {
    let text = scan.text;
    if (12..=19).contains(&count) {
        let end = start + count;
        return ends(text, end) && is_card(part(text, start, end)) && scan.hit(Detector::Card, start..end);
    }
    let Some(separator) = Some(at(text, start + count)).filter(|byte| matches!(byte, b' ' | b'-')) else {
        return false;
    };
    let found = GROUPS.iter().rev().find_map(|groups| {
        let (digits, end) = grouped(text, start, groups, separator)?;
        (ends(text, end) && is_card(&digits)).then_some(end)
    });
    found.is_some_and(|end| scan.hit(Detector::Card, start..end))
}

/// The digits of exactly these groups, and where they end.
pub(crate) fn grouped(text: &[u8], start: usize, groups: &[usize], separator: u8) -> Option<(Vec<u8>, usize)> {
    let (mut digits, mut end) = (Vec::new(), start);
    for (index, length) in groups.iter().enumerate() {
        if index > 0 {
            end = (at(text, end) == separator).then_some(end + 1)?;
        }
        if run(text, end, length + 1, |byte| byte.is_ascii_digit()) != *length {
            return None;
        }
        digits.extend_from_slice(part(text, end, end + length));
        end += length;
    }
    Some((digits, end))
}

fn is_card(digits: &[u8]) -> bool {
    let first = digits.iter().take(6).fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    let issued =
        |(from, to, lengths): &(u32, u32, &[usize])| (*from..=*to).contains(&first) && lengths.contains(&digits.len());
    let repeated = digits.iter().all(|digit| digits.first() == Some(digit));
    !repeated && ISSUERS.iter().any(issued) && luhn(digits)
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(digit - b'0') << (index % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

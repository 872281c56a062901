//! Telephone numbers: ITU-T E.164 with its list of assigned country codes (and E.123's ways to write them); Japan's
//! numbering plan (Ministry of Internal Affairs and Communications).

use super::{at, before, ends, run, words_before};
use crate::Detector;
use crate::scan::Scan;

/// E.164, 6.1: the most digits, country code included.
const DIGITS_MAX: usize = 15;
const GROUPS_MAX: usize = 8;
/// Japan's numbers have so many digits or one more; those from abroad, with the zeros before them, at least as many.
const JAPANESE_DIGITS_MIN: usize = 10;

/// Country codes of one and two digits.
const SHORT_CODES: [u32; 46] = [
    1, 7, 20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60,
    61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

/// Ranges of country codes of three digits.
const LONG_CODES: [(u32, u32); 23] = [
    (211, 213),
    (216, 216),
    (218, 218),
    (220, 258),
    (260, 269),
    (290, 291),
    (297, 299),
    (350, 359),
    (370, 389),
    (420, 421),
    (423, 423),
    (500, 509),
    (590, 599),
    (670, 670),
    (672, 692),
    (800, 800),
    (808, 808),
    (850, 856),
    (870, 870),
    (880, 883),
    (886, 888),
    (960, 979),
    (992, 998),
];

/// The digits that a whole number has, by country code, where its plan has few lengths.
const LENGTHS: [(u32, usize, usize); 18] = [
    (1, 11, 11),
    (7, 11, 11),
    (81, 11, 12),
    (44, 11, 12),
    (33, 11, 11),
    (86, 12, 13),
    (82, 10, 12),
    (91, 12, 12),
    (61, 11, 11),
    (34, 11, 11),
    (31, 11, 11),
    (41, 11, 11),
    (65, 10, 10),
    (852, 11, 11),
    (886, 10, 12),
    (55, 12, 13),
    (48, 11, 11),
    (32, 10, 11),
];

/// Area codes of Japan with two digits after the zero.
const AREAS: [&[u8; 2]; 48] = [
    b"11", b"15", b"17", b"18", b"19", b"22", b"23", b"24", b"25", b"26", b"27", b"28", b"29", b"42", b"43", b"44",
    b"45", b"46", b"47", b"48", b"49", b"52", b"53", b"54", b"55", b"58", b"59", b"72", b"73", b"75", b"76", b"77",
    b"78", b"79", b"82", b"83", b"84", b"86", b"87", b"88", b"89", b"92", b"93", b"95", b"96", b"97", b"98", b"99",
];

/// Digits, and where each group of them ends.
struct Groups {
    digits: [u8; 24],
    /// How many digits there are up to the end of a group, and where that is.
    ends: [(usize, usize); GROUPS_MAX],
    count: usize,
}

/// Looks at the `+` at `plus`.
pub(crate) fn look_international(scan: &mut Scan<'_>, plus: usize) {
    let previous = before(scan.text, plus);
    if !previous.is_ascii_alphanumeric() && !matches!(previous, b'+' | b')') {
        international(scan, plus, plus + 1, false);
    }
}

/// Looks at the zero at `start`, with which so many digits begin.
pub(crate) fn look_domestic(scan: &mut Scan<'_>, start: usize, count: usize) -> bool {
    let grouped = matches!(at(scan.text, start + count), b' ' | b'-' | b'.' | b'(' | b')');
    if !grouped && count < JAPANESE_DIGITS_MIN {
        return false; // a time, a counter
    }
    if at(scan.text, start + 1) == b'0' {
        return international(scan, start, start + 2, true);
    }
    let (text, open) = (scan.text, before(scan.text, start) == b'(');
    let groups = Groups::read(text, start, 3);
    let found = groups.ends().rev().find(|(index, digits, end)| {
        (*index == 0 || groups.separated_as_one(text, start)) && ends(text, *end) && groups.is_japanese(*index, *digits)
    });
    found.is_some_and(|(_, _, end)| scan.hit(Detector::Phone, start - usize::from(open)..end))
}

fn international(scan: &mut Scan<'_>, start: usize, first: usize, wants_groups: bool) -> bool {
    let text = scan.text;
    let groups = Groups::read(text, first, GROUPS_MAX);
    let found = groups.ends().rev().find(|(index, digits, end)| {
        let next = at(text, *end);
        let extension = matches!(next, b'x' | b'X') && at(text, end + 1).is_ascii_digit();
        let told = !wants_groups || *index > 0 || words_before(text, start, 16, &["tel", "phone", "fax", "mobile"]);
        told && (extension || ends(text, *end)) && is_international(groups.digits(*digits))
    });
    found.is_some_and(|(_, _, end)| scan.hit(Detector::Phone, start..end))
}

/// Whether the digits after the plus begin with a country code and are as many as a number there has.
fn is_international(digits: &[u8]) -> bool {
    let number =
        |count: usize| digits.iter().take(count).fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    let short = [1, 2].into_iter().map(number).find(|code| SHORT_CODES.contains(code));
    let long = || Some(number(3)).filter(|code| LONG_CODES.iter().any(|(from, to)| (*from..=*to).contains(code)));
    let Some(code) = short.or_else(long) else { return false };
    let (least, most) =
        LENGTHS.iter().find(|(of, _, _)| *of == code).map_or((9, DIGITS_MAX), |(_, least, most)| (*least, *most));
    // The North American plan has no area code and no exchange that begins with 0 or 1.
    let american = code != 1 || at(digits, 1) >= b'2' && at(digits, 4) >= b'2';
    let repeated = digits.iter().all(|digit| digits.first() == Some(digit));
    (least..=most).contains(&digits.len()) && american && !repeated
}

// === impl Groups ===

impl Groups {
    /// Reads at most `most` groups of digits that a blank, a dash, a dot or brackets separate.
    fn read(text: &[u8], start: usize, most: usize) -> Self {
        let mut groups = Self { digits: [0; 24], ends: [(0, 0); GROUPS_MAX], count: 0 };
        let (mut position, mut digits) = (start, 0);
        // `+1 (202) 555-0123` may begin with a bracket.
        position += usize::from(at(text, position) == b'(');
        while groups.count < most {
            let room = groups.digits.len() - digits;
            let length = run(text, position, room, |byte| byte.is_ascii_digit());
            if length == 0 {
                break;
            }
            let found = text.iter().skip(position).take(length);
            groups.digits.iter_mut().skip(digits).zip(found).for_each(|(to, from)| *to = *from);
            (digits, position) = (digits + length, position + length);
            if let Some(end) = groups.ends.get_mut(groups.count) {
                *end = (digits, position);
            }
            groups.count += 1;
            // The trunk prefix in brackets is not dialled from abroad: `+81 (0)90`.
            if groups.count < most && trunk(text, position) {
                position += run(text, position, 1, |byte| byte == b' ') + 3;
            }
            position += separator(text, position);
        }
        groups
    }

    /// Index, digits up to there and end of each group, the last first.
    fn ends(&self) -> impl DoubleEndedIterator<Item = (usize, usize, usize)> + '_ {
        let known = self.ends.get(..self.count).unwrap_or_default();
        known.iter().enumerate().map(|(index, (digits, end))| (index, *digits, *end)).collect::<Vec<_>>().into_iter()
    }

    fn digits(&self, count: usize) -> &[u8] {
        self.digits.get(..count).unwrap_or_default()
    }

    /// Whether all separators are of the same kind, brackets aside: `03-1234 5678` is two numbers.
    fn separated_as_one(&self, text: &[u8], start: usize) -> bool {
        let last = self.ends.get(self.count.saturating_sub(1)).map_or(start, |(_, end)| *end);
        let separators = text.iter().take(last).skip(start).filter(|byte| !byte.is_ascii_digit());
        let mut kinds = separators.filter(|byte| !matches!(byte, b'(' | b')'));
        let Some(first) = kinds.next() else { return true };
        let brackets = text.iter().take(last).skip(start).any(|byte| *byte == b')');
        brackets || kinds.all(|byte| byte == first)
    }

    /// Whether the groups up to `index`, of so many digits in all, are a number of Japan's plan.
    fn is_japanese(&self, index: usize, digits: usize) -> bool {
        let all = self.digits(digits);
        let lengths: Vec<usize> = self
            .ends()
            .take(index + 1)
            .scan(0, |last, (_, digits, _)| {
                let length = digits - *last;
                *last = digits;
                Some(length)
            })
            .collect();
        let mobile = matches!(all, [b'0', b'5'..=b'9', b'0', b'1'..=b'9', ..]);
        let free = matches!(all, [b'0', b'8', b'0', b'0', ..]);
        let service = all.starts_with(b"0120") || all.starts_with(b"0570") || all.starts_with(b"0990");
        let repeated = all.iter().skip(3).all(|digit| all.get(3) == Some(digit));
        if repeated {
            return false;
        }
        match (digits, lengths.as_slice()) {
            (11, [11] | [3, 4, 4] | [3, 8]) => mobile,
            (11, [4, 3, 4]) => free,
            (10, [10] | [4, 3, 3] | [4, 6]) if service => true,
            (10, [10]) => is_area(all, 2) || is_area(all, 3),
            (10, [area, exchange, 4]) if area + exchange == 6 => {
                is_area(all, *area) || *area > 3 && matches!(all.get(*area), Some(b'2'..=b'9'))
            }
            (10, [area @ 2, 8] | [area @ 3, 7]) => is_area(all, *area),
            _ => false,
        }
    }
}

/// Whether the first `length` digits are an area code: `042` and `047` are, and so is `04`.
fn is_area(all: &[u8], length: usize) -> bool {
    let Some((area, [b'2'..=b'9', ..])) = all.split_at_checked(length) else { return false };
    match area {
        b"03" | b"04" | b"06" => true,
        [b'0', first, second] => AREAS.iter().any(|area| **area == [*first, *second]),
        _ => false,
    }
}

fn trunk(text: &[u8], position: usize) -> bool {
    let position = position + run(text, position, 1, |byte| byte == b' ');
    at(text, position) == b'(' && at(text, position + 1) == b'0' && at(text, position + 2) == b')'
}

/// How many bytes separate two groups here.
fn separator(text: &[u8], position: usize) -> usize {
    let is = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | b'(' | b')');
    let count = run(text, position, 3, is);
    // Of two one is a bracket: a dash after a blank is a sign.
    let brackets = run(text, position, count, |byte| matches!(byte, b'(' | b')'))
        + run(text, position + 1, count.saturating_sub(1), |byte| byte == b'(');
    if (count == 1 || count == 2 && brackets == 1) && at(text, position + count).is_ascii_digit() { count } else { 0 }
}

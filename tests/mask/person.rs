//! What tells of a person or a machine, by the formats' definitions.

use crate::random::{ALPHANUMERIC, DIGITS, LOWER, Random};

pub const NAMES: [&str; 24] = [
    "eve",
    "bob",
    "alice",
    "taro.yamada",
    "j.smith",
    "maria_garcia",
    "o'neill",
    "hans-peter",
    "chloe",
    "li.wei",
    "anna.kowalska",
    "priya",
    "root",
    "info",
    "no-reply",
    "sales+eu",
    "x",
    "m.mueller82",
    "sato_hanako",
    "ivan.petrov",
    "first.last",
    "dev-ops",
    "user%name",
    "a.b.c",
];

/// RFC 5321 and 5322.
pub fn email(r: &mut Random) -> String {
    let mut local = match r.between(0, 3) {
        0 => r.of(&NAMES).to_owned(),
        1 => format!("{}{}", r.of(&NAMES), r.between(1, 9999)),
        2 => {
            let n = r.between(3, 12);
            r.text(LOWER, n)
        }
        _ => format!("{}.{}", r.text(LOWER, 4), r.of(&NAMES)),
    };
    if r.one_in(12) {
        local = local.to_uppercase();
    }
    let tops =
        ["com", "org", "net", "co.uk", "co.jp", "de", "io", "dev", "museum", "fr", "ac.jp", "com.br", "cloud", "ne.jp"];
    let length = r.between(2, 12);
    let host = match r.between(0, 3) {
        0 => "example".to_owned(),
        1 => r.text(LOWER, length),
        2 => format!("mail-{}.{}", r.between(1, 99), r.text(LOWER, length)),
        _ => format!("{}{}", r.text(LOWER, length), r.between(1, 99)),
    };
    format!("{local}@{host}.{}", r.of(&tops))
}

/// E.164 and E.123, by the countries' plans.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn phone(r: &mut Random) -> String {
    let templates = [
        "+1 (889) 889-9999",
        "+1-889-889-9999",
        "+1889889 9999",
        "+18898899999",
        "+1 889 889 9999",
        "+1.889.889.9999",
        "+44 20 8999 9999",
        "+447899999999",
        "+44 (0)20 8999 9999",
        "+44 7899 999999",
        "+49 30 89999999",
        "+49 151 89999999",
        "+49 (0)89 899999",
        "+33 1 89 99 99 99",
        "+33689999999",
        "+33 6 89 99 99 99",
        "+81 90-8999-9999",
        "+81-3-8999-9999",
        "+819089999999",
        "+81 3 8999 9999",
        "+81 (0)90-8999-9999",
        "+86 138 8999 9999",
        "+8613889999999",
        "+91 98899 99999",
        "+919889999999",
        "+55 11 98999-9999",
        "+5511989999999",
        "+61 2 8999 9999",
        "+61489999999",
        "+82 10-8999-9999",
        "+34 689 99 99 99",
        "+34689999999",
        "+39 06 8999 9999",
        "+31 20 899 9999",
        "+41 44 899 99 99",
        "+46 8 899 999 99",
        "+7 989 899-99-99",
        "+65 8999 9999",
        "+852 8999 9999",
        "+886 2 8999 9999",
        "+353 1 899 9999",
        "+358 40 8999999",
        "+351 21 899 9999",
        "+48 22 899 99 99",
        "+971 50 899 9999",
        "+972 50-899-9999",
        "+27 11 899 9999",
        "+234 803 899 9999",
        "+52 55 8999 9999",
        "090-8999-9999",
        "080-8999-9999",
        "070-8999-9999",
        "09089999999",
        "08089999999",
        "050-8999-9999",
        "03-8999-9999",
        "06-8999-9999",
        "(03) 8999-9999",
        "(06)8999-9999",
        "03(8999)9999",
        "045-899-9999",
        "052-899-9999",
        "011-899-9999",
        "092-899-9999",
        "0120-899-999",
        "0120899999",
        "0800-899-9999",
        "0570-899-999",
        "0388-89-9999",
        "04-2999-9999",
        "0388899999",
        "0422-89-9999",
        "090 8999 9999",
        "0312-89-9999",
    ];
    // "04-2" and others keep their digit: only the filled ones are drawn.
    let template = r.of(&templates);
    let filled = r.fill(template);
    // The literal eights and nines of country and area codes stand again where they were.
    restored(template, &filled)
}

/// Puts back what belongs to a country's or service's code.
fn restored(template: &str, filled: &str) -> String {
    let fixed = [
        "+49 (0)89",
        "+49",
        "+819",
        "+81 90",
        "+81 (0)90",
        "+81",
        "+86 138",
        "+86138",
        "+86",
        "+91 98",
        "+9198",
        "+91",
        "+82",
        "+886",
        "+852",
        "+358",
        "+39",
        "+7 989",
        "+48",
        "+971",
        "+972",
        "+234 803",
        "+55 11 9",
        "+55119",
        "+7",
        "090",
        "080",
        "0800",
        "092",
        "0388",
        "0120899",
        "0120-8",
    ];
    let best = fixed.iter().filter(|code| template.starts_with(**code)).max_by_key(|code| code.len());
    match best {
        // Area codes of four and five digits are told by what follows, so that the exchange is to begin with 2 to 9.
        Some(code) => format!("{code}{}", &filled[code.len()..]),
        None => filled.to_owned(),
    }
}

fn luhn_digit(digits: &str) -> u32 {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(digit - b'0') * if index % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    (10 - sum % 10) % 10
}

/// ISO/IEC 7812, with issuers' first digits.
pub fn card(r: &mut Random) -> String {
    let (start, length) = *r.of(&[
        &("4", 16),
        &("4", 16),
        &("4", 19),
        &("4", 13),
        &("51", 16),
        &("55", 16),
        &("2221", 16),
        &("2720", 16),
        &("34", 15),
        &("37", 15),
        &("3528", 16),
        &("3589", 16),
        &("6011", 16),
        &("65", 16),
        &("644", 16),
        &("62", 16),
        &("62", 19),
        &("300", 14),
        &("36", 14),
        &("38", 14),
        &("5018", 16),
        &("6759", 16),
        &("2200", 16),
        &("622126", 16),
    ]);
    let body = r.text(DIGITS, length - start.len() as u64 - 1);
    let digits = format!("{start}{body}");
    let digits = format!("{digits}{}", luhn_digit(&digits));
    let separator = r.of(&["", "", " ", "-"]);
    let groups: &[usize] = match length {
        16 => &[4, 4, 4, 4],
        15 => &[4, 6, 5],
        14 => &[4, 6, 4],
        19 => &[4, 4, 4, 4, 3],
        _ => return digits,
    };
    let mut rest = digits.as_str();
    let parts: Vec<_> = groups
        .iter()
        .map(|length| {
            let (part, more) = rest.split_at(*length);
            rest = more;
            part
        })
        .collect();
    parts.join(separator)
}

/// ISO 13616: a country's account number with its check digits.
pub fn iban(r: &mut Random) -> String {
    let (country, account) = *r.of(&[
        &("DE", "999999999999999999"),
        &("GB", "AAAA99999999999999"),
        &("FR", "9999999999XXXXXXXXXXX99"),
        &("NL", "AAAA9999999999"),
        &("ES", "99999999999999999999"),
        &("IT", "A9999999999XXXXXXXXXXXX"),
        &("BE", "999999999999"),
        &("CH", "99999XXXXXXXXXXXX"),
        &("AT", "9999999999999999"),
        &("PL", "999999999999999999999999"),
        &("SE", "99999999999999999999"),
        &("NO", "99999999999"),
        &("DK", "99999999999999"),
        &("FI", "99999999999999"),
        &("PT", "999999999999999999999"),
        &("IE", "AAAA99999999999999"),
        &("SA", "99XXXXXXXXXXXXXXXXXX"),
        &("AE", "9999999999999999999"),
        &("BR", "99999999999999999999999AX"),
        &("TR", "999990XXXXXXXXXXXXXXXX"),
        &("MT", "AAAA99999XXXXXXXXXXXXXXXXXX"),
        &("GR", "9999999XXXXXXXXXXXXXXXX"),
        &("CZ", "99999999999999999999"),
        &("LU", "999XXXXXXXXXXXXX"),
    ]);
    let account = r.fill(account);
    let number = |text: &str| {
        text.chars().fold(0_u64, |rest, letter| {
            let value = u64::from(letter.to_digit(36).unwrap());
            (rest * if value > 9 { 100 } else { 10 } + value) % 97
        })
    };
    let check = 98 - number(&format!("{account}{country}00"));
    let iban = format!("{country}{check:02}{account}");
    if r.one_in(2) {
        return iban;
    }
    iban.as_bytes().chunks(4).map(|part| std::str::from_utf8(part).unwrap()).collect::<Vec<_>>().join(" ")
}

/// The ordinance's check digit; where it stands alone it is in one piece or three.
pub fn my_number(r: &mut Random) -> String {
    let digits = format!("{}{}", r.text("123456789", 1), r.text(DIGITS, 10));
    let sum: u32 = digits
        .bytes()
        .rev()
        .zip([2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6])
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let check = if sum % 11 <= 1 { 0 } else { 11 - sum % 11 };
    let all = format!("{digits}{check}");
    let separator = r.of(&["", "-", " "]);
    format!("{}{separator}{}{separator}{}", &all[..4], &all[4..8], &all[8..])
}

/// The Social Security Administration's rules.
pub fn ssn(r: &mut Random) -> String {
    let area = loop {
        let area = r.between(1, 899);
        if area != 666 {
            break area;
        }
    };
    format!("{area:03}-{:02}-{:04}", r.between(1, 99), r.between(1, 9999))
}

/// RFC 791, without addresses that name no machine.
pub fn ipv4(r: &mut Random) -> String {
    let first = *r.of(&[&10, &172, &192, &198, &203, &8, &52, &100, &1, &223]);
    format!("{first}.{}.{}.{}", r.between(0, 255), r.between(0, 255), r.between(1, 254))
}

/// RFC 4291 and 5952.
pub fn ipv6(r: &mut Random) -> String {
    let group = |r: &mut Random| format!("{:x}", r.between(1, 0xffff));
    let start = r.of(&["2001:db8", "fe80", "2a02:26f0", "fd12:3456", "2400:cb00"]);
    match r.between(0, 4) {
        0 => format!("{start}::{}", group(r)),
        1 => format!("{start}::{}:{}", group(r), group(r)),
        2 => format!(
            "2001:0db8:{:04x}:{:04x}:0000:{:04x}:{:04x}:{:04x}",
            r.between(0, 0xffff),
            r.between(0, 0xffff),
            r.between(0, 0xffff),
            r.between(0, 0xffff),
            r.between(1, 0xffff)
        ),
        3 => format!("2001:db8:{}:{}:{}:{}:{}:{}", group(r), group(r), group(r), group(r), group(r), group(r)),
        _ => format!("::ffff:{}", ipv4(r)),
    }
}

/// IEEE 802, as machines and Cisco write it.
pub fn mac(r: &mut Random) -> String {
    let octets: Vec<String> = (0..6).map(|_| format!("{:02x}", r.between(0, 254))).collect();
    match r.between(0, 3) {
        0 => octets.join(":"),
        1 => octets.join(":").to_uppercase(),
        2 => octets.join("-").to_uppercase(),
        _ => octets.chunks(2).map(|pair| pair.concat()).collect::<Vec<_>>().join("."),
    }
}

/// A name that identifies nobody by its form.
pub fn word(r: &mut Random) -> String {
    let length = r.between(3, 9);
    if r.one_in(2) { r.text(LOWER, length) } else { r.text(ALPHANUMERIC, 1) + &r.text(LOWER, length) }
}

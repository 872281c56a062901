//! What lines say: JSON of an application and syslog of a controller, of two lengths, some with something to mask.

use std::fmt::Write;

/// One line in so many has something to mask.
pub(crate) const HIT_IN: u64 = 10;
/// What those lines have, in turn: an address of a person, a card, an address of a machine.
pub(crate) const HITS: [&str; 3] = ["eve.adams@example.com", "4111 1111 1111 1111", "192.0.2.77"];

const WORDS: [&str; 32] = [
    "order",
    "accepted",
    "by",
    "the",
    "line",
    "controller",
    "and",
    "handed",
    "over",
    "to",
    "station",
    "after",
    "a",
    "check",
    "of",
    "stock",
    "queue",
    "has",
    "room",
    "for",
    "more",
    "steps",
    "request",
    "was",
    "retried",
    "with",
    "backoff",
    "cache",
    "refreshed",
    "in",
    "background",
    "worker",
];

/// A line of about so many bytes.
pub(crate) fn line(number: u64, bytes: usize) -> String {
    let said = if number.is_multiple_of(HIT_IN) {
        let hit = HITS[usize::try_from(number / HIT_IN % HITS.len() as u64).unwrap()];
        format!("order {number} handed over to {hit} for a check")
    } else {
        format!("order {number} handed over to the next station")
    };
    // As in a topic of many services: a record's lines are of one kind.
    if (number / super::load::LINES_PER_RECORD).is_multiple_of(2) {
        json(number, &said, bytes)
    } else {
        syslog(number, &said, bytes)
    }
}

fn time(number: u64) -> String {
    let (seconds, millis) = (number / 1000, number % 1000);
    format!("2026-11-21T{:02}:{:02}:{:02}.{millis:03}Z", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

fn json(number: u64, said: &str, bytes: usize) -> String {
    let mut line = format!(
        r#"{{"time":"{}","level":"{}","logger":"shop.Checkout","thread":"worker-{}","msg":"{said}","rows":{},"duration_ms":{}.5,"http":{{"method":"GET","status":{}}},"trace_id":"{:032x}","#,
        time(number),
        ["info", "info", "info", "warn", "debug"][(number % 5) as usize],
        number % 16,
        number % 1000,
        number % 400,
        [200, 200, 200, 404][(number % 4) as usize],
        u128::from(mixed(number)) << 64 | u128::from(mixed(!number)),
    );
    // What is long in a log of an application is what was thrown where.
    if bytes > line.len() + 500 {
        line += r#""stack":"java.lang.IllegalStateException: no room in the queue"#;
        let mut frame = 0;
        while line.len() + 50 < bytes {
            let at = mixed(number + frame);
            frame += 1;
            write!(line, r"\n\tat com.example.shop.{}(Step{}.java:{})", word(at), at % 7, at % 900).unwrap();
        }
    } else {
        line += r#""note":""#;
        prose(&mut line, number, bytes.saturating_sub(2));
    }
    line + r#""}"#
}

fn syslog(number: u64, said: &str, bytes: usize) -> String {
    let mut line = format!(
        "<134>1 {} station-{}.example.com controller {} STEP [line@32473 shift=\"day\" layer=\"business\"] {said}, rows={} duration_ms={} result=accepted ",
        time(number),
        number % 20,
        number % 30_000,
        number % 1000,
        number % 400,
    );
    prose(&mut line, number, bytes);
    line
}

/// Words, and now and then a number, until a line has so many bytes.
fn prose(line: &mut String, number: u64, bytes: usize) {
    for at in 0.. {
        let next = mixed(number.wrapping_mul(31) + at);
        let start = line.len();
        if next.is_multiple_of(12) {
            write!(line, "{}", next % 100_000).unwrap()
        } else {
            *line += word(next)
        }
        if line.len() >= bytes {
            return line.truncate(bytes.max(start));
        }
        line.push(' ');
    }
}

fn word(at: u64) -> &'static str {
    WORDS[usize::try_from(at >> 8).unwrap() % WORDS.len()]
}

/// Numbers without order, the same each time (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

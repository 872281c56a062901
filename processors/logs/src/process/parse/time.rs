//! Times as logs write them, to nanoseconds since 1970.

use super::scan::Scan;

/// What a time without year or zone is resolved with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// The record's own time, in nanoseconds since 1970; 0 if there is none.
    pub reference_nanos: u64,
    /// What local time is ahead of UTC, in seconds, where a text names no zone.
    pub utc_offset_seconds: i32,
}

const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// A date and a time of day, checked.
#[derive(Clone, Copy)]
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    second_of_day: i64,
    nanos: i64,
}

impl Civil {
    /// Seconds since 1970 as if it were UTC.
    fn seconds(&self) -> i64 {
        days(self.year, self.month, self.day) * DAY_SECONDS + self.second_of_day
    }

    fn at(&self, offset_seconds: i32) -> Option<u64> {
        let seconds = self.seconds() - i64::from(offset_seconds);
        u64::try_from(seconds.checked_mul(SECOND)?.checked_add(self.nanos)?).ok()
    }

    fn is_date(&self) -> bool {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let length = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=length).contains(&self.day)
    }
}

/// Days since 1970-01-01 of the Gregorian calendar.
fn days(year: i64, month: u32, day: u32) -> i64 {
    // From March on, so that the leap day is a year's last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_year = i64::from((153 * month + 2) / 5 + day) - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// The year of a time in seconds since 1970.
fn year_of(seconds: i64) -> i64 {
    let guess = 1970 + seconds.div_euclid(31_556_952);
    let next = days(guess + 1, 1, 1) * DAY_SECONDS;
    let this = days(guess, 1, 1) * DAY_SECONDS;
    if seconds >= next {
        guess + 1
    } else if seconds < this {
        guess - 1
    } else {
        guess
    }
}

/// `2026-11-21T15:48:20.123456Z` and its kin: a space for the T, slashes for the dashes, a comma for the point, no
/// fraction, no zone, `+0900`.
pub fn iso(scan: &mut Scan<'_>, clock: Clock) -> Option<u64> {
    let mut ahead = *scan;
    let year = ahead.exactly(4)?;
    let dash = if ahead.eat("-") {
        "-"
    } else if ahead.eat("/") {
        "/"
    } else {
        return None;
    };
    let month = ahead.exactly(2)?;
    if !ahead.eat(dash) {
        return None;
    }
    let day = ahead.exactly(2)?;
    if !(ahead.eat("T") || ahead.eat(" ") || ahead.eat("t")) {
        return None;
    }
    let (second_of_day, nanos) = time_of_day(&mut ahead)?;
    let civil = Civil { year: year.into(), month, day, second_of_day, nanos };
    let offset = zone(&mut ahead).unwrap_or(clock.utc_offset_seconds);
    let time = civil.is_date().then(|| civil.at(offset))??;
    *scan = ahead;
    Some(time)
}

/// `Feb  9 02:26:26` and its kin: with a year before or after the time of day, a fraction, a zone; without a year it is
/// the last one in which it is not after the record's own time.
pub fn bsd(scan: &mut Scan<'_>, clock: Clock) -> Option<u64> {
    let mut ahead = *scan;
    let month = month(ahead.take(3)?)?;
    if !ahead.eat(" ") {
        return None;
    }
    ahead.spaces();
    let day = ahead.digits(2)?;
    if !ahead.eat(" ") {
        return None;
    }
    let mut year = None;
    let mut with_year = ahead;
    if let Some(written) = with_year.exactly(4)
        && with_year.eat(" ")
    {
        year = Some(written);
        ahead = with_year;
    }
    let (second_of_day, nanos) = time_of_day(&mut ahead)?;
    let offset = zone(&mut ahead);
    let mut after = ahead;
    if year.is_none() && after.eat(" ") {
        // Apache's and ctime's place for it.
        let written = after.exactly(4).filter(|year| (1970..2200).contains(year));
        // An IPv6 address may begin like a year.
        let ends = after.0.is_empty() || [" ", "]", ": "].iter().any(|end| after.0.starts_with(end));
        if written.is_some() && ends {
            year = written;
            ahead = after;
        }
    }
    let civil = |year| Civil { year, month, day, second_of_day, nanos };
    let offset = offset.unwrap_or(clock.utc_offset_seconds);
    let time = match year {
        Some(year) => Some(civil(year.into())).filter(Civil::is_date)?.at(offset)?,
        None => resolved(civil, clock.reference_nanos, offset)?,
    };
    *scan = ahead;
    Some(time)
}

/// How far a text may be ahead of its record, in nanoseconds: clocks and zones are wrong by less than two days.
const AHEAD_NANOS: u64 = 2 * 86_400 * 1_000_000_000;
/// How many years back a day may be: 29 February comes every four, and once in a century not for eight.
const YEARS_BACK: i64 = 8;

/// Without a year: the last one in which it is not after the record's own time.
fn resolved(civil: impl Fn(i64) -> Civil, reference_nanos: u64, offset: i32) -> Option<u64> {
    if reference_nanos == 0 {
        // Nothing to go by: the time is there, and cannot be told. 29 February is none of every year.
        return civil(2000).is_date().then_some(0);
    }
    let reference = i64::try_from(reference_nanos / 1_000_000_000).ok()?;
    let year = year_of(reference + i64::from(offset));
    let candidates = (0..=YEARS_BACK + 1).map(|back| civil(year + 1 - back)).filter(Civil::is_date);
    let latest = reference_nanos.saturating_add(AHEAD_NANOS);
    candidates.filter_map(|civil| civil.at(offset)).find(|nanos| *nanos <= latest)
}

/// `21/Nov/2026:15:48:20 +0000`.
pub fn clf(scan: &mut Scan<'_>, clock: Clock) -> Option<u64> {
    let mut ahead = *scan;
    let day = ahead.exactly(2)?;
    ahead.eat("/").then_some(())?;
    let month = month(ahead.take(3)?)?;
    ahead.eat("/").then_some(())?;
    let year = ahead.exactly(4)?;
    ahead.eat(":").then_some(())?;
    let (second_of_day, nanos) = time_of_day(&mut ahead)?;
    let offset = zone(&mut ahead).unwrap_or(clock.utc_offset_seconds);
    let civil = Civil { year: year.into(), month, day, second_of_day, nanos };
    let time = civil.is_date().then(|| civil.at(offset))??;
    *scan = ahead;
    Some(time)
}

/// Any of the forms, with the day of the week before it.
pub fn any(scan: &mut Scan<'_>, clock: Clock) -> Option<u64> {
    match scan.peek()? {
        b'0'..=b'9' => iso(scan, clock).or_else(|| clf(scan, clock)),
        b'A'..=b'Z' => {
            let mut ahead = *scan;
            if ahead.take(3).is_some_and(is_weekday) && (ahead.eat(", ") || ahead.eat(" ")) {
                let time = bsd(&mut ahead, clock)?;
                *scan = ahead;
                return Some(time);
            }
            bsd(scan, clock)
        }
        _ => None,
    }
}

/// A whole text that is a time and nothing else.
pub fn whole(text: &str, clock: Clock) -> Option<u64> {
    let mut scan = Scan(text.trim_ascii());
    if scan.0.len() >= 9 && scan.0.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return text.trim_ascii().parse().ok().and_then(epoch);
    }
    let time = any(&mut scan, clock)?;
    scan.0.is_empty().then_some(time)
}

/// A number that counts from 1970, in seconds, milliseconds, microseconds or nanoseconds, by its size; none where it
/// would be before 2001 or after 2286.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
pub fn epoch(number: f64) -> Option<u64> {
    let unit = match number {
        1e9..1e10 => 1e9,
        1e12..1e13 => 1e6,
        1e15..1e16 => 1e3,
        1e18..1e19 => 1.0,
        _ => return None,
    };
    // Whole microseconds: a double of seconds has no more.
    if unit > 1e3 { Some(((number * unit / 1e3).round() as u64) * 1_000) } else { Some((number * unit) as u64) }
}

/// The same of an integer, to the nanosecond.
pub fn epoch_integer(number: i64) -> Option<u64> {
    let number = u64::try_from(number).ok()?;
    let unit = match number {
        1_000_000_000..10_000_000_000 => 1_000_000_000,
        1_000_000_000_000..10_000_000_000_000 => 1_000_000,
        1_000_000_000_000_000..10_000_000_000_000_000 => 1_000,
        1_000_000_000_000_000_000.. => 1,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// `15:48:20` with or without a fraction after a point or a comma: seconds, and nanoseconds.
fn time_of_day(scan: &mut Scan<'_>) -> Option<(i64, i64)> {
    let hour = scan.exactly(2)?;
    scan.eat(":").then_some(())?;
    let minute = scan.exactly(2)?;
    scan.eat(":").then_some(())?;
    let second = scan.exactly(2)?;
    // A leap second is the next minute's first.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut nanos = 0;
    let mut ahead = *scan;
    if ahead.eat(".") || ahead.eat(",") {
        let fraction = ahead.take_while(|byte| byte.is_ascii_digit());
        if !fraction.is_empty() {
            *scan = ahead;
            let mut unit = SECOND;
            for digit in fraction.bytes().take(9) {
                unit /= 10;
                nanos += i64::from(digit - b'0') * unit;
            }
        }
    }
    Some((i64::from(hour * 3600 + minute * 60 + second), nanos))
}

/// `Z`, `+09:00`, `+0900`, `+09`, or ` UTC`, ` GMT`, ` +0900` after a space; what it is ahead of UTC, in seconds.
fn zone(scan: &mut Scan<'_>) -> Option<i32> {
    let mut ahead = *scan;
    if ahead.eat("Z") || ahead.eat("z") {
        *scan = ahead;
        return Some(0);
    }
    ahead.eat(" ");
    if ahead.eat("UTC") || ahead.eat("GMT") {
        if ahead.peek().is_some_and(|next| next.is_ascii_alphanumeric()) {
            return None;
        }
        *scan = ahead;
        return Some(0);
    }
    let sign = if ahead.eat("+") {
        1
    } else if ahead.eat("-") {
        -1
    } else {
        return None;
    };
    let hours = ahead.exactly(2)?;
    ahead.eat(":");
    let minutes = ahead.exactly(2).unwrap_or(0);
    if hours > 18 || minutes > 59 {
        return None;
    }
    *scan = ahead;
    Some(sign * i32::try_from(hours * 3600 + minutes * 60).ok()?)
}

fn month(name: &str) -> Option<u32> {
    Some(match name {
        "Jan" => 1,
        "Feb" => 2,
        "Mar" => 3,
        "Apr" => 4,
        "May" => 5,
        "Jun" => 6,
        "Jul" => 7,
        "Aug" => 8,
        "Sep" => 9,
        "Oct" => 10,
        "Nov" => 11,
        "Dec" => 12,
        _ => return None,
    })
}

fn is_weekday(name: &str) -> bool {
    matches!(name, "Mon" | "Tue" | "Wed" | "Thu" | "Fri" | "Sat" | "Sun")
}

#[cfg(test)]
mod tests;

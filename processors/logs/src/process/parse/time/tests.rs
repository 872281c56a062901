use super::*;

/// 2026-11-21T15:48:20Z.
const NOW: u64 = 1_795_276_100_000_000_000;

fn read(text: &str) -> Option<i64> {
    let nanos = any(&mut Scan(text), Clock { reference_nanos: NOW, utc_offset_seconds: 0 })?;
    Some(i64::try_from(nanos).unwrap() - i64::try_from(NOW).unwrap())
}

#[test]
fn one_moment_is_one_moment_in_every_form() {
    for text in [
        "2026-11-21T15:48:20Z",
        "2026-11-21 15:48:20",
        "2026/11/21 15:48:20",
        "2026-11-22T00:48:20+09:00",
        "2026-11-22T00:48:20+0900",
        "2026-11-21T10:18:20.000000-05:30",
        "2026-11-21 15:48:20,000",
        "2026-11-21 15:48:20.000 UTC",
        "21/Nov/2026:15:48:20 +0000",
        "21/Nov/2026:16:48:20 +0100",
        "Nov 21 15:48:20",
        "Nov 21 2026 15:48:20",
        "Nov 21 15:48:20 2026",
        "Nov 21 15:48:20 UTC",
        "Sat Nov 21 15:48:20.000000 2026",
    ] {
        assert_eq!(read(text), Some(0), "{text}");
    }
    assert_eq!(read("2026-11-21T15:48:20.123456789Z"), Some(123_456_789));
    assert_eq!(read("2026-11-21T15:48:20.1234567899999Z"), Some(123_456_789));
}

#[test]
fn what_is_no_time_is_none() {
    for text in [
        "",
        "2026",
        "2026-13-01 00:00:00",
        "2026-02-30 00:00:00",
        "2026-11-21 24:00:00",
        "2026-11-21",
        "Foo 21 15:48:20",
        "Nov 31 15:48:20",
        "Feb 29 2025 00:00:00",
        "21/Nov/2026 15:48:20",
        "1969-12-31T23:59:59Z",
        "２０２６-11-21 15:48:20",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_missing_year_is_the_last_that_is_not_in_the_future() {
    let at = |text: &str, reference: &str| {
        let reference_nanos = iso(&mut Scan(reference), Clock::default()).unwrap();
        bsd(&mut Scan(text), Clock { reference_nanos, utc_offset_seconds: 0 })
    };
    let want = |text: &str| iso(&mut Scan(text), Clock::default());
    assert_eq!(at("Dec 31 23:59:59", "2026-01-01T00:00:05Z"), want("2025-12-31T23:59:59Z"));
    assert_eq!(at("Jan  1 00:00:01", "2025-12-31T23:59:58Z"), want("2026-01-01T00:00:01Z"));
    assert_eq!(at("Feb 29 10:00:00", "2024-03-01T00:00:00Z"), want("2024-02-29T10:00:00Z"));
    assert_eq!(at("Feb 29 10:00:00", "2026-03-01T00:00:00Z"), want("2024-02-29T10:00:00Z"));
    assert_eq!(at("Feb  5 10:00:00", "2026-11-21T00:00:00Z"), want("2026-02-05T10:00:00Z"));
    assert_eq!(at("Nov 22 23:00:00", "2026-11-21T00:00:00Z"), want("2026-11-22T23:00:00Z"), "clocks differ a little");
    assert_eq!(at("Nov 24 00:00:00", "2026-11-21T00:00:00Z"), want("2025-11-24T00:00:00Z"));
}

#[test]
fn a_text_without_zone_is_local_time() {
    let clock = Clock { reference_nanos: NOW, utc_offset_seconds: 9 * 3600 };
    let zoneless = iso(&mut Scan("2026-11-22 00:48:20"), clock);
    assert_eq!(zoneless, Some(NOW));
    assert_eq!(bsd(&mut Scan("Nov 22 00:48:20"), clock), Some(NOW));
}

#[test]
fn numbers_count_seconds_or_parts_of_them_by_their_size() {
    let seconds = NOW / 1_000_000_000;
    for text in [format!("{seconds}"), format!("{seconds}000"), format!("{seconds}.0"), format!("{NOW}")] {
        let read = whole(&text, Clock::default()).unwrap();
        assert!(read.abs_diff(NOW) < 1_000, "{text}: {read}");
    }
    assert_eq!(epoch_integer(1_795_276_100_123), Some(NOW + 123_000_000));
    assert_eq!((epoch_integer(12), epoch_integer(-5), epoch(f64::NAN)), (None, None, None));
}

#[test]
fn every_day_of_four_centuries_comes_after_the_one_before() {
    let mut expected = days(1970, 1, 1);
    assert_eq!(expected, 0);
    for year in 1970..2370 {
        for month in 1..=12 {
            for day in 1..=31 {
                if (Civil { year, month, day, second_of_day: 0, nanos: 0 }).is_date() {
                    assert_eq!(days(year, month, day), expected);
                    assert_eq!(year_of(expected * DAY_SECONDS), year);
                    expected += 1;
                }
            }
        }
    }
}

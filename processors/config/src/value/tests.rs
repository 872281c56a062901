use super::*;

#[test]
fn a_duration_is_written_with_its_unit_and_shown_so_that_it_reads_back() {
    for (text, shown) in [
        ("90s", "90s"),
        ("14d", "14d"),
        ("365d", "365d"),
        ("200ms", "200ms"),
        ("1h 30m", "90m"),
        ("36h", "36h"),
        ("0s", "0s"),
        ("1500us", "1500us"),
        ("7ns", "7ns"),
    ] {
        let duration: Duration = text.parse().unwrap();
        assert_eq!(duration.to_string(), shown, "{text}");
        assert_eq!(shown.parse(), Ok(duration), "{text}");
    }
    assert_eq!("90s".parse(), Ok(Duration::from_secs(90)));
    assert_eq!("2m".parse(), Ok(Duration::from_mins(2)));
    assert_eq!("3d".parse(), Ok(Duration::from_days(3)));
    assert_eq!(std::time::Duration::from(Duration::from_millis(5)), std::time::Duration::from_millis(5));
}

#[test]
fn a_duration_without_a_unit_or_past_every_range_is_refused() {
    for text in ["", "5", "-1s", "s", "1 potato", "99999999999999999999d", "99999999999999999y", "1s2"] {
        assert_eq!(text.parse::<Duration>(), Err(NotADuration), "{text:?}");
    }
}

#[test]
fn a_size_is_written_with_its_unit_and_shown_so_that_it_reads_back() {
    for (text, bytes, shown) in [
        ("64MiB", 64 << 20, "64MiB"),
        ("1024KiB", 1 << 20, "1MiB"),
        ("1MB", 1_000_000, "1000000B"),
        ("1500B", 1_500, "1500B"),
        ("0B", 0, "0B"),
        ("2 TiB", 2 << 40, "2TiB"),
        ("1.5GiB", 3 << 29, "1536MiB"),
    ] {
        let size: ByteSize = text.parse().unwrap();
        assert_eq!((size.get(), size.to_string().as_str()), (bytes, shown), "{text}");
        assert_eq!(shown.parse(), Ok(size), "{text}");
    }
    assert_eq!(ByteSize::mib(64), "64MiB".parse().unwrap());
    assert_eq!(ByteSize::kib(64).get_usize(), 65_536);
    assert_eq!(ByteSize::gib(3).get(), 3 << 30);
    assert_eq!(ByteSize::bytes(7).get(), 7);
}

#[test]
fn a_size_without_a_unit_is_refused() {
    for text in ["", "64", "MiB", "-1MiB", "64 potatoes", "1.", "0x10"] {
        assert_eq!(text.parse::<ByteSize>(), Err(NotASize), "{text:?}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let secret = Secret::from("hunter2".to_owned());
    assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
    assert_eq!(secret.expose(), "hunter2");
}

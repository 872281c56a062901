use proptest::prelude::*;

use super::*;

fn all() -> Wanted {
    Wanted::new(&[Action::Redact; Detector::ALL.len()])
}

/// Guards: a second pass over a text that has nothing encoded in it.
#[test]
fn only_what_is_encoded_is_read_a_second_time() {
    for plain in [
        "2026-11-21T22:03:11.123Z INFO order 1234567 took 12345 us, 100% of 42",
        r#"{"a":"b\n\"c\"","n":123}"#,
        "注文番号は12345個、時間：36秒。",
        "http://example.com/a:80",
        "5 – 10",
    ] {
        assert!(scan(plain.as_bytes(), all(), &mut Vec::new()).is_none(), "{plain}");
    }
    for encoded in ["a%40b", r"a\u0040b", r"a:\/\/b", "０９０", "a＠b", "090‐1234", "090ー1234"] {
        assert!(scan(encoded.as_bytes(), all(), &mut Vec::new()).is_some(), "{encoded}");
    }
}

#[test]
fn what_is_kept_is_not_looked_for() {
    let secrets = Detector::ALL.map(|detector| if detector.is_secret() { Action::Redact } else { Action::Keep });
    let mut ordered = [Action::Keep; Detector::ALL.len()];
    for (detector, action) in Detector::ALL.into_iter().zip(secrets) {
        ordered[detector.index()] = action;
    }
    let mut hits = Vec::new();
    scan(b"eve@example.com 192.0.2.19 4111111111111111 token=abcdef1", Wanted::new(&ordered), &mut hits);
    assert_eq!(hits, [Hit { detector: Detector::Secret, span: 50..57 }]);
}

#[test]
fn every_kind_has_a_bit_below_those_of_names() {
    for (bit, kind) in KINDS_BY_BIT.into_iter().enumerate() {
        assert_eq!(kind as usize, bit, "{kind:?}");
    }
    assert!(NAME_BIT < PREFIX_BIT && KINDS.iter().all(|(kind, _)| *kind as usize <= NAME_BIT));
}

proptest! {
    /// Guards: a detector that would have found something is not asked.
    #[test]
    fn no_number_passes_for_a_short_one_in_which_something_is_found(
        text in "(0[36]|090|0120|00|4111|123|[0-9]{1,6})([ .(:,-][)]?([0-9]{2}|[0-9]{3,4}|1111)){0,4}[ :,x]?"
    ) {
        let text = text.as_bytes();
        for start in 0..text.len() {
            let digits = text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits >= 2 && number::is_short(text, start) {
                let mut hits = Vec::new();
                number::look(&mut Scan { text, hits: &mut hits, skip: 0, colons: 0 }, start);
                prop_assert!(hits.is_empty(), "{hits:?} at {start}");
            }
        }
    }
}

#[test]
fn times_and_counters_are_short_and_groups_are_not() {
    for short in ["22:03:11.123Z ", "12ms, ok", "2026T11:00", "1234567,89"] {
        assert!(number::is_short(short.as_bytes(), 0), "{short}");
    }
    for not in ["03-1234-5678", "03(1234)5678", "03) 1234-5678", "4111 1111", "12345678", "1234", "090.1234.5678"] {
        assert!(!number::is_short(not.as_bytes(), 0), "{not}");
    }
}

#[test]
fn a_time_hides_no_address() {
    for text in
        ["12:30:45:67:89:ab", "22:03:11 fe80::1", "a=2001:22:03:11:4:5:6:7", "2001:22:03:11:fe80::1", "2001:34:56::1"]
    {
        let mut hits = Vec::new();
        scan(text.as_bytes(), all(), &mut hits);
        assert!(!hits.is_empty(), "{text}");
    }
    for text in ["22:03:11.123Z", "at 22:03:11", "22:03:11,5", "[22:03:11]"] {
        let mut hits = Vec::new();
        scan(text.as_bytes(), all(), &mut hits);
        assert!(hits.is_empty(), "{text}: {hits:?}");
    }
}

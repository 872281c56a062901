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

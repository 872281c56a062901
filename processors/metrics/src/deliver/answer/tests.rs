use super::*;

fn answer(version: Version, written: Option<usize>, samples: usize, body: &str) -> Verdict {
    Answer { version, status: 400, written, samples, body: body.as_bytes(), whole_body: true }.verdict()
}

// The texts are those of Prometheus 3.13's `storage/remote/write_handler.go`.
const OUT_OF_ORDER: &str = "out of order sample for series {__name__=\"a\"}";
const DUPLICATE: &str = "duplicate sample for timestamp 1700000000000; overrides not allowed: existing 1, new value 2 for series {__name__=\"a\"}";
const TOO_OLD: &str = "too old sample for series {__name__=\"a\"}";
const FUTURE: &str = "out of bounds: timestamp is too far in the future for series {__name__=\"a\"}";

#[test]
fn samples_that_are_there_already_are_counted_and_passed() {
    let body = format!("{OUT_OF_ORDER}\n{DUPLICATE}\n{OUT_OF_ORDER}\n");
    let passed = vec![(Refusal::OutOfOrder, 2), (Refusal::Duplicate, 1)];
    assert_eq!(answer(Version::V2, Some(7), 10, &body), Verdict::Passed(passed));
}

#[test]
fn a_sample_that_is_not_accounted_for_is_looked_for() {
    let split = Verdict::Refused { why: Refusal::OutOfOrder, whole: false };
    assert_eq!(answer(Version::V2, Some(7), 10, OUT_OF_ORDER), split);
    assert_eq!(answer(Version::V2, None, 10, OUT_OF_ORDER), split);
    let body = OUT_OF_ORDER.as_bytes();
    let cut = Answer { version: Version::V2, status: 400, written: Some(1), samples: 2, body, whole_body: false };
    assert_eq!(cut.verdict(), split);
}

#[test]
fn one_sample_that_is_lost_splits_the_request_and_names_its_reason() {
    let body = format!("{OUT_OF_ORDER}\n{TOO_OLD}\n");
    assert_eq!(answer(Version::V2, Some(8), 10, &body), Verdict::Refused { why: Refusal::TooOld, whole: false });
    assert_eq!(answer(Version::V2, Some(0), 1, FUTURE), Verdict::Refused { why: Refusal::OutOfBounds, whole: true });
}

#[test]
fn a_request_of_which_all_is_lost_for_one_reason_is_refused_at_once() {
    let body = format!("{TOO_OLD}\n{TOO_OLD}\n");
    assert_eq!(answer(Version::V2, Some(0), 2, &body), Verdict::Refused { why: Refusal::TooOld, whole: true });
    let body = format!("{TOO_OLD}\n{FUTURE}\n");
    assert_eq!(answer(Version::V2, Some(0), 2, &body), Verdict::Refused { why: Refusal::TooOld, whole: false });
}

#[test]
fn version_1_rolls_back_all_for_one_so_that_one_alone_decides() {
    let split = Verdict::Refused { why: Refusal::OutOfOrder, whole: false };
    assert_eq!(answer(Version::V1, None, 10, "out of order sample\n"), split);
    let passed = Verdict::Passed(vec![(Refusal::OutOfOrder, 1)]);
    assert_eq!(answer(Version::V1, None, 1, "out of order sample\n"), passed);
    let refused = Verdict::Refused { why: Refusal::OutOfBounds, whole: true };
    assert_eq!(answer(Version::V1, None, 1, "out of bounds\n"), refused);
}

#[test]
fn labels_cannot_pretend_to_be_a_reason() {
    let body = "too old sample for series {a=\"out of order sample for series\"}";
    assert_eq!(reason(body.as_bytes()), Some(Refusal::TooOld));
    let body = "something else about {a=\"out of order sample\"}";
    assert_eq!(reason(body.as_bytes()), Some(Refusal::InvalidData));
}

#[test]
fn reasons_of_prometheus_and_mimir_are_known() {
    let cases = [
        ("invalid metric name or labels, got {}", Refusal::InvalidLabels),
        ("invalid labels for series, labels {a=\"b\"}, duplicated label a", Refusal::InvalidLabels),
        ("parsing labels for series [1 2]: odd", Refusal::InvalidLabels),
        ("the sample has been rejected (err-mimir-sample-timestamp-too-old). The affected", Refusal::TooOld),
        ("received a series with a label too long (err-mimir-label-value-too-long)", Refusal::InvalidLabels),
        ("snappy: corrupt input", Refusal::InvalidData),
    ];
    for (text, want) in cases {
        assert_eq!(reason(text.as_bytes()), Some(want), "{text}");
    }
}

#[test]
fn a_status_says_what_comes_next() {
    let why = |status| match (Answer {
        version: Version::V1,
        status,
        written: None,
        samples: 2,
        body: b"",
        whole_body: true,
    })
    .verdict()
    {
        Verdict::Refused { why, .. } => why,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!([500, 503, 599].map(why), [Refusal::Failed; 3]);
    assert_eq!([408, 429].map(why), [Refusal::Busy; 2]);
    assert_eq!([401, 403].map(why), [Refusal::Forbidden; 2]);
    assert_eq!([301, 404, 405, 410].map(why), [Refusal::NotAReceiver; 4]);
    assert_eq!([413, 415, 400].map(why), [Refusal::TooLarge, Refusal::UnknownProtocol, Refusal::InvalidData]);
}

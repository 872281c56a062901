use std::collections::HashSet;

use proptest::prelude::*;

use super::messages::resolve;
use super::*;
use crate::testing::{Input, from_hex, golden_counter, golden_custom, golden_latency, input, owned, plain, take_bits};
use crate::{Metadata, Sample, Symbols, TimeSeries, bytes_max};

/// Captured from Prometheus 3.13.5 by golden/main.go, with symbols in the order a `Builder` uses.
const GOLDEN: &str = include_str!("../../golden/v2.hex");

fn golden_inputs() -> [Input; 2] {
    [golden_counter(), golden_latency(golden_custom())]
}

fn expected(input: &Input) -> TimeSeries {
    let (kind, help, unit) = (input.kind, input.help.clone(), input.unit.clone());
    TimeSeries { metadata: Metadata { kind, help, unit }, ..input.decoded() }
}

fn symbols_of(bytes: &[u8]) -> Vec<String> {
    messages::Request::decode(bytes).unwrap().symbols
}

#[test]
fn a_request_equals_what_prometheus_itself_writes() {
    let symbols = Symbols::new(1 << 20);
    let mut builder = Builder::new();
    for (series, input) in &golden_inputs().map(|input| (input.series(&symbols), input)) {
        builder.push(series, input.points(), &input.exemplars);
    }
    assert_eq!(plain(builder.finish()), from_hex(GOLDEN));
}

#[test]
fn a_request_of_prometheus_is_understood() {
    let mut got = decode(&from_hex(GOLDEN)).unwrap();
    let mut want: Vec<_> = golden_inputs().iter().map(expected).collect();
    assert_eq!(take_bits(&mut got.series), take_bits(&mut want));
    assert_eq!(got.series, want);
    assert_eq!(got.families, []);
}

proptest! {
    #[test]
    fn what_is_pushed_is_what_is_decoded(
        requests in prop::collection::vec(prop::collection::vec(input(), 0..5), 1..4),
    ) {
        let symbols = [Symbols::new(1 << 20), Symbols::new(1 << 20)];
        let mut builder = Builder::new();
        for inputs in requests {
            builder.clear();
            for (i, input) in inputs.iter().enumerate() {
                // Series are dropped at once, so later ones take over their
                // slots within one request, and come from two places.
                let (series, before) = (input.series(&symbols[i % 2]), builder.len_bytes());
                builder.push(&series, input.points(), &input.exemplars);
                let bound = bytes_max(&series, input.points(), &input.exemplars);
                prop_assert!(builder.len_bytes() - before <= bound);
            }
            let len = builder.len_bytes();
            prop_assert_eq!(plain(builder.finish()).len(), len);
            let mut got = decode(&plain(builder.finish())).unwrap();
            let mut want: Vec<_> = inputs.iter().map(expected).collect();
            prop_assert_eq!(take_bits(&mut got.series), take_bits(&mut want));
            let samples: usize = want.iter().map(|series| series.samples.len()).sum();
            let histograms = want.iter().map(|series| series.histograms.len()).sum();
            let exemplars = want.iter().map(|series| series.exemplars.len()).sum();
            prop_assert_eq!(builder.counts(), Counts { samples, histograms, exemplars });
            prop_assert_eq!(&got.series, &want);
        }
    }

    #[test]
    fn live_series_name_each_symbol_once(inputs in prop::collection::vec(input(), 1..5)) {
        let symbols = Symbols::new(1 << 20);
        let mut builder = Builder::new();
        let series: Vec<_> = inputs.iter().map(|input| input.series(&symbols)).collect();
        for (series, input) in series.iter().zip(&inputs) {
            builder.push(series, input.points(), &[]);
        }
        let symbols = symbols_of(&plain(builder.finish()));
        prop_assert_eq!(&symbols[0], "");
        prop_assert_eq!(symbols.iter().collect::<HashSet<_>>().len(), symbols.len());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(request) = decode(&bytes) {
            prop_assert!(2 * request.series.len() <= bytes.len(), "each takes a key and a length");
        }
    }

    #[test]
    fn a_flipped_byte_gives_an_error_or_a_request(at: prop::sample::Index, flip in 1u8..) {
        let mut bytes = from_hex(GOLDEN);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(request) = decode(&bytes) {
            prop_assert!(request.series.len() <= bytes.len());
        }
    }
}

/// Scenario: a series ends and its symbols' slots go to another one while both are in one request.
#[test]
fn a_slot_that_changes_hands_within_a_request_keeps_both_strings() {
    let symbols = Symbols::new(1 << 20);
    let mut builder = Builder::new();
    for value in ["old", "new"] {
        let mut input = golden_counter();
        input.labels = owned(&[("__name__", value)]);
        builder.push(&input.series(&symbols), input.points(), &[]);
    }
    let series = decode(&plain(builder.finish())).unwrap().series;
    assert_eq!(series[0].labels, owned(&[("__name__", "old")]));
    assert_eq!(series[1].labels, owned(&[("__name__", "new")]));
}

#[test]
fn strings_of_exemplars_are_named_once() {
    let symbols = Symbols::new(1 << 20);
    let mut builder = Builder::new();
    let mut input = golden_counter();
    input.exemplars = vec![input.exemplars[0].clone(); 3];
    let series = input.series(&symbols);
    for _ in 0..2 {
        builder.push(&series, input.points(), &input.exemplars);
    }
    let symbols = symbols_of(&plain(builder.finish()));
    assert_eq!(symbols.iter().filter(|&text| text == "trace_id").count(), 1);
    assert_eq!(symbols.iter().filter(|&text| text == "0af7").count(), 1);
    assert_eq!(builder.counts(), Counts { samples: 6, histograms: 0, exemplars: 6 });
}

#[test]
fn a_series_without_points_is_left_out() {
    let symbols = Symbols::new(1 << 20);
    let mut builder = Builder::new();
    let input = golden_counter();
    let empty = builder.len_bytes();
    builder.push(&input.series(&symbols), Points::Histograms(&[]), &input.exemplars);
    assert_eq!((builder.len_bytes(), builder.counts()), (empty, Counts::default()));
    assert_eq!(decode(&plain(builder.finish())).unwrap(), Request::default());
}

#[test]
fn buffers_do_not_grow_for_known_series() {
    let symbols = Symbols::new(1 << 20);
    let series: Vec<_> = (0..100)
        .map(|i| {
            let mut input = golden_counter();
            input.labels = owned(&[("__name__", "requests_total"), ("i", &i.to_string())]);
            input.series(&symbols)
        })
        .collect();
    let mut builder = Builder::new();
    let requests = [0, 60_000].map(|later| {
        builder.clear();
        let sample = Sample { value: 1.5, timestamp_ms: 1_700_000_000_000 + later, start_timestamp_ms: 1 };
        for series in &series {
            builder.push(series, Points::Samples(&[sample]), &[]);
        }
        let len = plain(builder.finish()).len();
        let buffers = [&builder.refs, &builder.tail, &builder.header];
        (len, builder.series.capacity(), buffers.map(Vec::capacity))
    });
    assert_eq!(requests[0], requests[1]);
}

/// A series of one label with these references.
fn series(labels_refs: Vec<u32>) -> messages::TimeSeries {
    messages::TimeSeries { labels_refs, ..messages::TimeSeries::default() }
}

fn refused(symbols: &[&str], timeseries: Vec<messages::TimeSeries>) -> DecodeError {
    let symbols = symbols.iter().map(|&text| text.to_owned()).collect();
    decode(&messages::Request { symbols, timeseries }.encode_to_vec()).unwrap_err()
}

#[test]
fn references_must_lead_to_a_symbol() {
    let bad = DecodeError::BadRef { series: 1, reference: 3, symbols: 3 };
    assert_eq!(refused(&["", "a", "b"], vec![series(vec![1, 2]), series(vec![1, 3])]), bad);
    assert_eq!(bad.to_string(), "time series 1 refers to symbol 3 of 3");

    let metadata = Some(messages::Metadata { kind: 1, help_ref: 7, unit_ref: 0 });
    let help = messages::TimeSeries { metadata, ..series(vec![]) };
    let bad = DecodeError::BadRef { series: 0, reference: 7, symbols: 1 };
    assert_eq!(refused(&[""], vec![help]), bad);

    let bad = DecodeError::BadRef { series: 0, reference: 0, symbols: 0 };
    assert_eq!(refused(&[], vec![series(vec![0, 0])]), bad);
}

#[test]
fn references_come_in_pairs() {
    let odd = DecodeError::OddRefs { series: 0, refs: 3 };
    assert_eq!(refused(&["", "a"], vec![series(vec![1, 1, 1])]), odd);
    let exemplar = messages::Exemplar { labels_refs: vec![1], ..messages::Exemplar::default() };
    let of_exemplar = messages::TimeSeries { exemplars: vec![exemplar], ..series(vec![1, 1]) };
    assert_eq!(refused(&["", "a"], vec![of_exemplar]), DecodeError::OddRefs { series: 0, refs: 1 });
}

#[test]
fn the_first_symbol_must_be_empty() {
    assert_eq!(refused(&["a", ""], vec![]), DecodeError::FirstSymbol { symbols: 2 });
}

#[test]
fn a_small_request_cannot_fill_memory_with_copies() {
    let symbols = vec![String::new(), "x".repeat(100)];
    let request = messages::Request { symbols, timeseries: vec![series(vec![1; 20])] };
    assert_eq!(resolve(request.clone(), 1999), Err(DecodeError::LabelsTooLarge { bytes_max: 1999 }));
    assert_eq!(resolve(request, 2000).unwrap().series[0].labels.len(), 10);
}

#[test]
fn truncation_and_wrong_utf8_are_errors() {
    let bytes = from_hex(GOLDEN);
    let truncated = decode(&bytes[..bytes.len() - 1]).unwrap_err();
    assert!(matches!(truncated, DecodeError::Malformed { .. }), "{truncated}");
    let mut wrong = bytes.clone();
    let at = wrong.windows(3).position(|text| text == b"job").unwrap();
    wrong[at] = 0xff;
    let wrong = decode(&wrong).unwrap_err();
    assert!(matches!(wrong, DecodeError::Malformed { .. }), "{wrong}");
}

#[test]
fn a_message_of_1_0_is_no_series_of_2_0() {
    let one = from_hex(include_str!("../../golden/v1.hex"));
    assert_eq!(decode(&one).unwrap(), Request::default());
}

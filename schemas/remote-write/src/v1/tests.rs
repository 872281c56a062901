use proptest::prelude::*;

use super::*;
use crate::testing::{
    Input, from_hex, golden_counter, golden_exponential, golden_latency, input, owned, plain, take_bits,
};
use crate::{FamilyMetadata, Metadata, MetricType, Sample, Symbols, TimeSeries, bytes_max};

/// Captured from Prometheus 3.13.5 by golden/main.go.
const GOLDEN: &str = include_str!("../../golden/v1.hex");

fn golden_inputs() -> [Input; 2] {
    [golden_counter(), golden_latency(golden_exponential())]
}

/// What 1.0 carries of an input.
fn expected(input: &Input) -> TimeSeries {
    let mut series = input.decoded();
    for sample in &mut series.samples {
        sample.start_timestamp_ms = 0;
    }
    series
}

#[test]
fn a_request_equals_what_prometheus_itself_writes() {
    let symbols = Symbols::new(1 << 20);
    let mut builder = Builder::new();
    let series = golden_inputs().map(|input| (input.series(&symbols), input));
    for (series, input) in &series {
        builder.push(series, input.points(), &input.exemplars);
    }
    for (series, _) in &series {
        builder.push_metadata(series.family());
    }
    assert_eq!(plain(builder.finish()), from_hex(GOLDEN));
}

#[test]
fn a_request_of_prometheus_is_understood() {
    let mut got = decode(&from_hex(GOLDEN)).unwrap();
    let mut want: Vec<_> = golden_inputs().iter().map(expected).collect();
    assert_eq!(take_bits(&mut got.series), take_bits(&mut want));
    assert_eq!(got.series, want);
    let counter = Metadata { kind: MetricType::Counter, help: "Requests.".into(), unit: "requests".into() };
    let histogram = Metadata { kind: MetricType::Histogram, ..Metadata::default() };
    let family = |name: &str, metadata| FamilyMetadata { name: name.into(), metadata };
    assert_eq!(got.families, [family("requests_total", counter), family("latency", histogram)]);
}

proptest! {
    #[test]
    fn what_is_pushed_is_what_is_decoded(
        requests in prop::collection::vec(prop::collection::vec(input(), 0..5), 1..3),
    ) {
        let symbols = Symbols::new(1 << 20);
        let mut builder = Builder::new();
        for inputs in requests {
            builder.clear();
            let mut names = Vec::new();
            let series: Vec<_> = inputs.iter().map(|input| input.series(&symbols)).collect();
            for (input, series) in inputs.iter().zip(&series) {
                let before = builder.len_bytes();
                builder.push_metadata(series.family());
                builder.push(series, input.points(), &input.exemplars);
                let bound = bytes_max(series, input.points(), &input.exemplars);
                prop_assert!(builder.len_bytes() - before <= bound);
                if !names.contains(&input.name) {
                    names.push(input.name.clone());
                }
            }
            let len = builder.len_bytes();
            prop_assert_eq!(plain(builder.finish()).len(), len);
            let mut got = decode(&plain(builder.finish())).unwrap();
            let mut want: Vec<_> = inputs.iter().map(expected).collect();
            prop_assert_eq!(take_bits(&mut got.series), take_bits(&mut want));
            prop_assert_eq!(builder.counts().exemplars, want.iter().map(|s| s.exemplars.len()).sum());
            prop_assert_eq!(&got.series, &want);
            let got_names: Vec<_> = got.families.into_iter().map(|family| family.name).collect();
            prop_assert_eq!(got_names, names, "once a request and name");
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(request) = decode(&bytes) {
            prop_assert!(2 * request.series.len() <= bytes.len(), "each takes a key and a length");
        }
    }
}

#[test]
fn every_truncation_is_an_error_or_a_shorter_request() {
    let bytes = from_hex(GOLDEN);
    let whole = decode(&bytes).unwrap();
    let mut errors = 0;
    for len in 0..bytes.len() {
        match decode(&bytes[..len]) {
            Ok(part) => assert!(part.series.len() + part.families.len() < whole.series.len() + whole.families.len()),
            Err(error) => {
                assert!(matches!(error, DecodeError::Malformed { bytes, .. } if bytes == len));
                errors += 1;
            }
        }
    }
    assert_eq!(errors, bytes.len() - 4, "only the ends of four messages are ends");
}

#[test]
fn text_that_is_not_utf8_is_refused_without_being_repeated() {
    let mut bytes = from_hex(GOLDEN);
    let at = bytes.windows(3).position(|text| text == b"job").unwrap();
    bytes[at] = 0xff;
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), format!("malformed protobuf in a request of {} bytes", bytes.len()));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("UTF-8") && !source.contains("requests_total"), "{source}");
}

#[test]
fn a_series_without_points_is_left_out() {
    let symbols = Symbols::new(1 << 20);
    let mut builder = Builder::new();
    let input = golden_counter();
    builder.push(&input.series(&symbols), Points::Samples(&[]), &input.exemplars);
    assert_eq!((builder.len_bytes(), builder.counts()), (0, Counts::default()));
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
    let capacities = [0, 60_000].map(|later| {
        builder.clear();
        let sample = Sample { value: 1.5, timestamp_ms: 1_700_000_000_000 + later, start_timestamp_ms: 0 };
        for series in &series {
            builder.push_metadata(series.family());
            builder.push(series, Points::Samples(&[sample]), &[]);
        }
        let capacities = [&builder.header, &builder.metadata, &builder.tail].map(Vec::capacity);
        (builder.series.capacity(), capacities)
    });
    assert_eq!(capacities[0], capacities[1]);
    assert_eq!(builder.counts(), Counts { samples: 100, ..Counts::default() });
}

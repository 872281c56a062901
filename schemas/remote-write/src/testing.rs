//! What the tests of both versions share: inputs, and how to compare floats bit for bit.

use std::sync::Arc;

use proptest::prelude::*;

use crate::{
    BucketSpan, Count, Exemplar, Family, Histogram, MetricType, Points, ResetHint, STALE_NAN_BITS, Sample, Series,
    SnappyError, Symbols, TimeSeries, ZeroCount, decompress,
};

/// Owned labels, as decoders give them.
pub(crate) type Labels = Vec<(String, String)>;

/// One time series to be pushed, and later compared.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) labels: Labels,
    pub(crate) kind: MetricType,
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) unit: String,
    pub(crate) points: OwnedPoints,
    pub(crate) exemplars: Vec<Exemplar>,
}

#[derive(Debug, Clone)]
pub(crate) enum OwnedPoints {
    Samples(Vec<Sample>),
    Histograms(Vec<Histogram>),
}

impl Input {
    pub(crate) fn series(&self, symbols: &Arc<Symbols>) -> Series {
        let family = Family::new(symbols, self.kind, &self.name, &self.help, &self.unit).unwrap();
        let labels: Vec<_> = self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        Series::new(&labels, Arc::new(family)).unwrap()
    }

    pub(crate) fn points(&self) -> Points<'_> {
        match &self.points {
            OwnedPoints::Samples(samples) => Points::Samples(samples),
            OwnedPoints::Histograms(histograms) => Points::Histograms(histograms),
        }
    }

    /// What a decoder should give for it, but for metadata and start timestamps.
    pub(crate) fn decoded(&self) -> TimeSeries {
        let mut series =
            TimeSeries { labels: self.labels.clone(), exemplars: self.exemplars.clone(), ..TimeSeries::default() };
        match &self.points {
            OwnedPoints::Samples(samples) => series.samples.clone_from(samples),
            OwnedPoints::Histograms(histograms) => series.histograms.clone_from(histograms),
        }
        series
    }
}

/// Takes the values out of samples, since NaN is not equal to itself.
pub(crate) fn take_bits(series: &mut [TimeSeries]) -> Vec<u64> {
    let samples = series.iter_mut().flat_map(|series| &mut series.samples);
    samples.map(|sample| std::mem::take(&mut sample.value).to_bits()).collect()
}

/// What a body is before compression.
pub(crate) fn plain(body: Result<Vec<u8>, SnappyError>) -> Vec<u8> {
    decompress(&body.unwrap(), 1 << 30).unwrap()
}

/// Labels of the same few names and values over and over, some empty, some not ASCII.
pub(crate) fn labels() -> impl Strategy<Value = Labels> {
    let text = prop_oneof![
        3 => "[a-c]{0,2}",
        1 => any::<String>(),
        1 => (120usize..300).prop_map(|len| "é".repeat(len)),
    ];
    prop::collection::vec((text.clone(), text), 0..6)
}

pub(crate) fn input() -> impl Strategy<Value = Input> {
    let kind = (0i32..8).prop_map(|kind| MetricType::try_from(kind).unwrap());
    let metadata = (kind, "[a-d]{1}", "[a-c]{0,3}", "[a-c]{0,1}");
    let points = prop_oneof![
        4 => prop::collection::vec(sample(), 1..4).prop_map(OwnedPoints::Samples),
        1 => prop::collection::vec(histogram(), 1..3).prop_map(OwnedPoints::Histograms),
    ];
    (labels(), metadata, points, prop::collection::vec(exemplar(), 0..3)).prop_map(
        |(labels, (kind, name, help, unit), points, exemplars)| Input {
            labels,
            kind,
            name,
            help,
            unit,
            points,
            exemplars,
        },
    )
}

fn timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1_700_000_000_000i64..1_800_000_000_000, any::<i64>()]
}

fn sample() -> impl Strategy<Value = Sample> {
    let bits = prop_oneof![any::<u64>(), Just(0), Just(1 << 63), Just(STALE_NAN_BITS)];
    (bits, timestamp(), timestamp()).prop_map(|(bits, timestamp_ms, start_timestamp_ms)| Sample {
        value: f64::from_bits(bits),
        timestamp_ms,
        start_timestamp_ms,
    })
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    (labels(), -1e9..1e9, timestamp()).prop_map(|(labels, value, timestamp_ms)| Exemplar {
        labels,
        value,
        timestamp_ms,
    })
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let deltas = prop::collection::vec(any::<i64>(), 0..5);
    (any::<u64>(), 1.0..1e9, -53..9, deltas, timestamp()).prop_map(
        |(count, sum, schema, positive_deltas, timestamp_ms)| Histogram {
            count: Some(Count::Int(count)),
            sum,
            schema,
            zero_count: Some(ZeroCount::Float(0.5)),
            positive_spans: vec![BucketSpan { offset: schema, length: 5 }],
            positive_deltas,
            timestamp_ms,
            start_timestamp_ms: timestamp_ms,
            ..Histogram::default()
        },
    )
}

/// The first series of the golden requests, which both versions can say but for the start.
pub(crate) fn golden_counter() -> Input {
    let labels = [("__name__", "requests_total"), ("job", "café")];
    let sample = |value, timestamp_ms, start_timestamp_ms| Sample { value, timestamp_ms, start_timestamp_ms };
    Input {
        labels: owned(&labels),
        kind: MetricType::Counter,
        name: "requests_total".into(),
        help: "Requests.".into(),
        unit: "requests".into(),
        points: OwnedPoints::Samples(vec![
            sample(12.5, 1_700_000_060_000, 1_700_000_000_000),
            sample(0.0, -1, 0),
            sample(f64::from_bits(STALE_NAN_BITS), 1_700_000_120_000, 0),
        ]),
        exemplars: vec![Exemplar {
            labels: owned(&[("trace_id", "0af7")]),
            value: 0.25,
            timestamp_ms: 1_700_000_059_000,
        }],
    }
}

/// The second series of the golden requests.
pub(crate) fn golden_latency(histogram: Histogram) -> Input {
    Input {
        labels: owned(&[("__name__", "latency"), ("job", "café")]),
        kind: MetricType::Histogram,
        name: "latency".into(),
        help: String::new(),
        unit: String::new(),
        points: OwnedPoints::Histograms(vec![histogram]),
        exemplars: Vec::new(),
    }
}

/// An exponential histogram of integers.
pub(crate) fn golden_exponential() -> Histogram {
    Histogram {
        count: Some(Count::Int(9)),
        sum: 3.5,
        schema: -2,
        zero_threshold: 1e-128,
        zero_count: Some(ZeroCount::Int(1)),
        negative_spans: vec![BucketSpan { offset: -3, length: 1 }],
        negative_deltas: vec![2],
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }, BucketSpan { offset: 5, length: 1 }],
        positive_deltas: vec![3, -2, 1],
        reset_hint: ResetHint::Yes.into(),
        timestamp_ms: 1_700_000_060_000,
        ..Histogram::default()
    }
}

/// A histogram of floats with custom buckets.
pub(crate) fn golden_custom() -> Histogram {
    Histogram {
        count: Some(Count::Float(4.5)),
        sum: 3.5,
        schema: -53,
        zero_count: Some(ZeroCount::Float(0.0)),
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_counts: vec![4.0, 0.5],
        reset_hint: ResetHint::Gauge.into(),
        timestamp_ms: 1_700_000_060_000,
        custom_values: vec![0.5, 1.0],
        start_timestamp_ms: 1_700_000_000_000,
        ..Histogram::default()
    }
}

pub(crate) fn owned(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let (pairs, _) = text.trim().as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(byte).collect()
}

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{self as otlp, MetricsData};
use proptest::prelude::*;
use prost::Message;
use weir_remote_write::{Histogram, Points};

use super::*;
use crate::{Make, Metadata, Options, Sample, Translator};

/// Keeps labels as text.
struct Text;

impl Make for Text {
    type Family = ();
    type Series = String;

    fn family(&mut self, _: Metadata<'_>) -> Result<(), Reason> {
        Ok(())
    }

    fn series(&mut self, labels: &[(&str, &str)], _: &()) -> Result<String, Reason> {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(labels.join(","))
    }

    fn weight(series: &String) -> usize {
        series.len()
    }
}

const MINUTE_MS: i64 = 60_000;
const LIMITS: DeltaLimits = DeltaLimits { max_series: 3, max_stale_ms: 16 * MINUTE_MS };

/// A delta of one of a few series; times in seconds.
#[derive(Debug, Clone, Copy)]
struct Delta {
    series: u8,
    start: u64,
    time: u64,
    value: i64,
}

/// A record's timestamp in minutes, and its deltas.
type Record = (i64, Vec<Delta>);

fn seconds(time: u64) -> u64 {
    time * 1_000_000_000
}

fn attributes(series: u8) -> Vec<KeyValue> {
    let value = Some(AnyValue { value: Some(Value::StringValue(series.to_string())) });
    vec![KeyValue { key: "id".to_owned(), value, ..KeyValue::default() }]
}

/// The same deltas as a sum, as a histogram with one bound, and as an exponential one.
fn payload(deltas: &[Delta]) -> Vec<u8> {
    let sums = deltas.iter().map(|delta| otlp::NumberDataPoint {
        attributes: attributes(delta.series),
        start_time_unix_nano: seconds(delta.start),
        time_unix_nano: seconds(delta.time),
        value: Some(Number::AsInt(delta.value)),
        ..otlp::NumberDataPoint::default()
    });
    let sum = otlp::Sum { data_points: sums.collect(), aggregation_temporality: 1, is_monotonic: true };
    let metric = |name: &str, data| otlp::Metric { name: name.to_owned(), data: Some(data), ..otlp::Metric::default() };
    encode(vec![metric("s", Data::Sum(sum))])
}

fn encode(metrics: Vec<otlp::Metric>) -> Vec<u8> {
    let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..otlp::ScopeMetrics::default() }];
    let resource = otlp::ResourceMetrics { scope_metrics, ..otlp::ResourceMetrics::default() };
    MetricsData { resource_metrics: vec![resource] }.encode_to_vec()
}

fn translator(limits: DeltaLimits, state: &State) -> Translator<Text> {
    let options = Options { delta: Some(limits), ..Options::default() };
    let mut translator = Translator::new(options, 1 << 20, Text);
    for (key, value) in state {
        translator.restore_total(key, value).unwrap();
    }
    translator
}

/// What a changelog holds.
type State = BTreeMap<DeltaKey, Vec<u8>>;

fn commit(translator: &mut Translator<Text>, state: &mut State) {
    translator.changed_totals(|key, value| match value {
        Some(value) => drop(state.insert(*key, value)),
        None => drop(state.remove(key)),
    });
}

/// Samples as text, and how many points were let go, by reason.
fn translate(translator: &mut Translator<Text>, record_ms: i64, payload: &[u8]) -> (Vec<String>, Vec<(Reason, u32)>) {
    let mut samples = Vec::new();
    let refused = translator.translate(payload, Some(record_ms), &mut samples).unwrap();
    assert_eq!(refused.first, None);
    let render = |sample: &Sample<String>| match sample.points() {
        Points::Samples(points) => format!("{} {:?}", sample.series(), points[0]),
        Points::Histograms(points) => format!("{} {:?}", sample.series(), points[0]),
    };
    (samples.iter().map(render).collect(), refused.let_go)
}

/// The rules, said once more in the plainest way.
#[derive(Default)]
struct Model(BTreeMap<u8, (Delta, i64)>);

impl Model {
    /// The sample that a delta makes, or why it is let go.
    fn take(&mut self, record_ms: i64, delta: Delta) -> Result<String, Reason> {
        let now_ms = self.0.values().map(|(_, touched_ms)| *touched_ms).chain([record_ms]).max().unwrap();
        // A minute is a sixteenth of the longest idle time.
        let gone = |touched_ms: i64| now_ms / MINUTE_MS - touched_ms / MINUTE_MS > 16;
        self.0.retain(|_, (_, touched_ms)| !gone(*touched_ms));
        if self.0.len() >= LIMITS.max_series && !self.0.contains_key(&delta.series) {
            return Err(Reason::DeltaTooManySeries);
        }
        let (total, touched_ms) = self.0.entry(delta.series).or_insert((Delta { time: 0, value: 0, ..delta }, 0));
        *touched_ms = now_ms;
        if delta.time <= total.time {
            return Err(Reason::DeltaOutOfOrder);
        }
        if delta.start != 0 && delta.start < total.time && total.time != 0 {
            return Err(Reason::DeltaOverlap);
        }
        total.time = delta.time;
        total.value += delta.value;
        let (start, at) = (total.start * 1000, delta.time * 1000);
        let value = format!("{:?}", total.value as f64);
        let (series, number) = (format!("__name__=s_total,id={}", delta.series), "Sample");
        Ok(format!("{series} {number} {{ value: {value}, timestamp_ms: {at}, start_timestamp_ms: {start} }}"))
    }
}

/// Streams that mostly go on where they were: gaps, restarts, overlaps, late and repeated ones are drawn among them.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let step = (
        0_u8..5,
        0_u64..100,
        prop_oneof![
            6 => Just((0_i64, 10_u64)), // right behind the one before
            1 => (1_i64..50, 1_u64..20), // after a gap, as after a restart
            1 => (-30_i64..0, 1_u64..60), // overlapping, late, or both
            1 => Just((-10_i64, 10_u64)), // the same again
        ],
        0_u8..10,
    );
    let minutes = prop_oneof![8 => 0_i64..2, 1 => -3_i64..0, 1 => 10_i64..40];
    prop::collection::vec((minutes, prop::collection::vec(step, 0..5)), 1..30).prop_map(|records| {
        let (mut minute, mut ends) = (100_i64, [1_000_u64; 5]);
        let mut made = Vec::new();
        for (minutes, steps) in records {
            minute += minutes;
            let delta = |(series, value, (gap, len), unknown): (u8, u64, (i64, u64), u8)| {
                let end = &mut ends[usize::from(series)];
                let start = end.checked_add_signed(gap).unwrap();
                *end = start + len;
                let start = if unknown == 0 { 0 } else { start };
                Delta { series, start, time: *end, value: i64::try_from(value).unwrap() }
            };
            made.push((minute * MINUTE_MS, steps.into_iter().map(delta).collect()));
        }
        made
    })
}

proptest! {
    /// Guards: invariant 7 (samples do not depend on where records or commits end) and invariant 11 (going on from
    /// the state of a commit is going on).
    #[test]
    fn totals_are_those_of_the_model_also_after_a_restart_anywhere(
        records in records(), restarts in prop::collection::vec(any::<bool>(), 30), commits in prop::collection::vec(any::<bool>(), 30),
    ) {
        let (mut model, mut state) = (Model::default(), State::new());
        let mut restarting = translator(LIMITS, &state);
        let mut going = translator(LIMITS, &state);
        for (index, (record_ms, deltas)) in records.iter().enumerate() {
            let (mut want, mut let_go) = (Vec::new(), BTreeMap::new());
            for delta in deltas {
                match model.take(*record_ms, *delta) {
                    Ok(sample) => want.push(sample),
                    Err(reason) => *let_go.entry(reason.as_str()).or_insert(0_u32) += 1,
                }
            }
            let payload = payload(deltas);
            for translator in [&mut restarting, &mut going] {
                let (samples, gone) = translate(translator, *record_ms, &payload);
                prop_assert_eq!(&samples, &want);
                let gone: BTreeMap<_, _> = gone.into_iter().map(|(reason, count)| (reason.as_str(), count)).collect();
                prop_assert_eq!(&gone, &let_go);
            }
            if commits[index] {
                commit(&mut restarting, &mut state);
                if restarts[index] {
                    restarting = translator(LIMITS, &state);
                }
            }
        }
        commit(&mut restarting, &mut state);
        let mut whole = State::new();
        commit(&mut going, &mut whole);
        prop_assert_eq!(state, whole);
        prop_assert!(going.kept_totals() <= LIMITS.max_series);
    }

    /// Guards: a record that turns out not to be OTLP after some of its deltas was not counted.
    #[test]
    fn a_record_that_is_cut_adds_nothing(cut in any::<prop::sample::Index>()) {
        let first = Delta { series: 0, start: 1, time: 2, value: 5 };
        let next = [Delta { start: 2, time: 3, ..first }, Delta { series: 1, ..first }, Delta { start: 3, time: 4, ..first }];
        let mut state = State::new();
        let mut cut_short = translator(LIMITS, &state);
        translate(&mut cut_short, 0, &payload(&[first]));
        commit(&mut cut_short, &mut state);
        let whole = payload(&next);
        let mut samples = Vec::new();
        if cut_short.translate(&whole[..cut.index(whole.len())], Some(0), &mut samples).is_err() {
            let mut after = state.clone();
            commit(&mut cut_short, &mut after);
            prop_assert_eq!(after, state);
            prop_assert_eq!(samples.len(), 0);
        }
    }

    /// Guards: no observation is lost or counted twice, whatever scales and ranges are merged.
    #[test]
    fn exponential_totals_have_every_observation_in_the_bucket_that_covers_it(
        deltas in prop::collection::vec((-4_i32..12, -50_i32..50, prop::collection::vec(0_u64..5, 0..40), 0_u64..3), 1..12),
    ) {
        let mut translator = translator(LIMITS, &State::new());
        let mut seen: Vec<(i32, i32, Vec<u64>)> = Vec::new();
        let (mut zeros, mut last) = (0, None);
        for (time, (scale, exponent, counts, zero)) in (1_u64..).zip(deltas) {
            // Where numbers are, at any scale.
            let offset = exponent << (scale + 4);
            zeros += zero;
            let point = otlp::ExponentialHistogramDataPoint {
                start_time_unix_nano: seconds(time),
                time_unix_nano: seconds(time + 1),
                scale,
                zero_count: zero,
                count: zero + counts.iter().sum::<u64>(),
                sum: Some(1.5),
                positive: Some(otlp::exponential_histogram_data_point::Buckets { offset, bucket_counts: counts.clone() }),
                ..Default::default()
            };
            seen.push((scale, offset, counts));
            let data = otlp::ExponentialHistogram { data_points: vec![point], aggregation_temporality: 1 };
            let metric = otlp::Metric { name: "e".into(), data: Some(Data::ExponentialHistogram(data)), ..Default::default() };
            let mut samples = Vec::new();
            let refused = translator.translate(&encode(vec![metric]), Some(0), &mut samples).unwrap();
            prop_assert!(refused.is_empty(), "{:?}", refused);
            last = samples.pop();
        }
        let last = last.unwrap();
        let Points::Histograms([histogram]) = last.points() else { panic!("{last:?}") };
        let mut want = BTreeMap::<i64, u64>::new();
        for (scale, offset, counts) in &seen {
            for (index, count) in (i64::from(*offset)..).zip(counts).filter(|(_, count)| **count > 0) {
                *want.entry((index >> (scale - histogram.schema)) + 1).or_default() += count;
            }
        }
        prop_assert_eq!(buckets(histogram), want);
        prop_assert_eq!(histogram.zero_count, Some(weir_remote_write::ZeroCount::Int(zeros)));
        prop_assert_eq!(histogram.sum, 1.5 * seen.len() as f64);
    }

    #[test]
    fn no_state_makes_it_panic(key in prop::collection::vec(any::<u8>(), 16..19), value: Vec<u8>) {
        let mut translator = translator(LIMITS, &State::new());
        translator.restore_total(&key, &value).ok();
        translator.restore_total(&key, &[&[1], &value[..]].concat()).ok();
        translate(&mut translator, 0, &payload(&[Delta { series: 0, start: 1, time: 2, value: 5 }]));
    }
}

/// Counts by index.
fn buckets(histogram: &Histogram) -> BTreeMap<i64, u64> {
    let (mut index, mut count, mut deltas) = (0_i64, 0_i64, histogram.positive_deltas.iter());
    let mut buckets = BTreeMap::new();
    for span in &histogram.positive_spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            if count > 0 {
                buckets.insert(index, count.unsigned_abs());
            }
            index += 1;
        }
    }
    buckets
}

fn histogram(time: u64, bounds: &[f64], counts: &[u64]) -> Vec<u8> {
    let point = otlp::HistogramDataPoint {
        start_time_unix_nano: seconds(time - 1),
        time_unix_nano: seconds(time),
        count: counts.iter().sum(),
        sum: Some(2.0),
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        ..Default::default()
    };
    let data = otlp::Histogram { data_points: vec![point], aggregation_temporality: 1 };
    encode(vec![otlp::Metric { name: "h".into(), data: Some(Data::Histogram(data)), ..Default::default() }])
}

/// Values and starts of a histogram's series.
fn values((samples, _): (Vec<String>, Vec<(Reason, u32)>)) -> Vec<String> {
    let value = |sample: String| sample.split("value: ").nth(1).map(|rest| rest.split(',').next().unwrap().to_owned());
    let start = |sample: &String| sample.rsplit("ms: ").next().unwrap().trim_end_matches(" }").to_owned();
    samples.into_iter().map(|sample| format!("{}@{}", value(sample.clone()).unwrap(), start(&sample))).collect()
}

#[test]
fn a_histogram_adds_up_bucket_for_bucket_and_begins_anew_with_other_bounds() {
    let mut translator = translator(LIMITS, &State::new());
    let mut take = |payload: Vec<u8>| values(translate(&mut translator, 0, &payload));
    assert_eq!(take(histogram(2, &[1.0], &[1, 2])), ["2.0@1000", "3.0@1000", "1.0@1000", "3.0@1000"]);
    assert_eq!(take(histogram(3, &[1.0], &[10, 0])), ["4.0@1000", "13.0@1000", "11.0@1000", "13.0@1000"]);
    assert_eq!(take(histogram(4, &[5.0], &[1, 0])), ["2.0@3000", "1.0@3000", "1.0@3000", "1.0@3000"]);
    assert_eq!(take(histogram(5, &[5.0], &[0, 1])), ["4.0@3000", "2.0@3000", "1.0@3000", "2.0@3000"]);
}

#[test]
fn integers_add_up_exactly_beyond_what_a_floating_point_number_holds() {
    let mut translator = translator(LIMITS, &State::new());
    let big = Delta { series: 0, start: 1, time: 2, value: (1 << 53) + 1 };
    translate(&mut translator, 0, &payload(&[big]));
    let (samples, _) = translate(&mut translator, 0, &payload(&[Delta { start: 2, time: 3, value: 1, ..big }]));
    assert!(samples[0].contains("value: 9007199254740994.0"), "{samples:?}");
}

#[test]
fn a_total_of_another_format_is_refused() {
    let mut translator = translator(LIMITS, &State::new());
    let newer = DeltaStateError::Version { found: 2, known: 1 };
    assert_eq!(translator.restore_total(&[0; 17], &[2, 0]), Err(newer));
    assert_eq!(translator.restore_total(&[0; 17], &[1]), Err(DeltaStateError::Malformed { len: 1 }));
    assert_eq!(translator.restore_total(&[0; 16], &[1]), Err(DeltaStateError::Key { len: 16 }));
}

/// The key is in changelogs: an upgrade that changed it would begin every total anew.
#[test]
fn the_key_of_a_series_never_changes() {
    let mut state = State::new();
    let mut translator = translator(LIMITS, &state);
    translate(&mut translator, 0, &payload(&[Delta { series: 7, start: 1, time: 2, value: 5 }]));
    commit(&mut translator, &mut state);
    let (key, value) = state.pop_first().unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&value), "0109 00ca9a3b00000000 1100943577 00000000 200a".replace(' ', ""));
    assert_eq!(hex(&key), "6e1cfcd49418285818c4d0f1cf13ab3c2e");
}

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{self as otlp, MetricsData};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::series::STALE;

const AT: u64 = 1_700_000_000_000_000_000;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn point(attributes: &[(&str, &str)], value: f64) -> otlp::NumberDataPoint {
    otlp::NumberDataPoint {
        attributes: attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        time_unix_nano: AT,
        value: Some(Number::AsDouble(value)),
        ..otlp::NumberDataPoint::default()
    }
}

fn gauge(name: &str, points: Vec<otlp::NumberDataPoint>) -> otlp::Metric {
    let data = Some(Data::Gauge(otlp::Gauge { data_points: points }));
    otlp::Metric { name: name.to_owned(), data, ..otlp::Metric::default() }
}

fn histogram(points: Vec<otlp::HistogramDataPoint>) -> otlp::Metric {
    let data = otlp::Histogram { data_points: points, aggregation_temporality: 2 };
    otlp::Metric { name: "h".to_owned(), data: Some(Data::Histogram(data)), ..otlp::Metric::default() }
}

fn buckets(bounds: &[f64], counts: &[u64]) -> otlp::HistogramDataPoint {
    otlp::HistogramDataPoint {
        time_unix_nano: AT,
        count: counts.iter().sum(),
        sum: Some(1.5),
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        ..otlp::HistogramDataPoint::default()
    }
}

fn of(resource: &[(&str, &str)], metrics: Vec<otlp::Metric>) -> otlp::ResourceMetrics {
    let attributes = resource.iter().map(|(key, value)| attribute(key, value)).collect();
    otlp::ResourceMetrics {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_metrics: vec![otlp::ScopeMetrics { metrics, ..otlp::ScopeMetrics::default() }],
        ..otlp::ResourceMetrics::default()
    }
}

fn payload(metrics: Vec<otlp::Metric>) -> Vec<u8> {
    MetricsData { resource_metrics: vec![of(&[], metrics)] }.encode_to_vec()
}

/// Keeps labels as text.
struct Text;

impl Make for Text {
    type Family = ();
    type Series = String;

    fn family(&mut self, _metadata: Metadata<'_>) -> Result<(), Reason> {
        Ok(())
    }

    fn series(&mut self, labels: &[(&str, &str)], _family: &()) -> Result<String, Reason> {
        assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{labels:?}");
        assert!(labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()), "{labels:?}");
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(labels.join(","))
    }

    fn weight(series: &String) -> usize {
        series.len()
    }
}

fn of_size(cache_bytes: usize) -> Translator<Text> {
    Translator::new(Options::default(), cache_bytes, Text)
}

fn translator() -> Translator<Text> {
    of_size(1 << 20)
}

/// All samples, readable, and what was refused.
fn translate(translator: &mut Translator<Text>, payload: &[u8]) -> (Vec<String>, Refused) {
    let mut samples = Vec::new();
    let refused = translator.translate(payload, None, &mut samples).unwrap();
    (samples.iter().map(render).collect(), refused)
}

fn number(sample: &Sample<String>) -> crate::Number {
    let Sample::Plain { point, .. } = sample else { panic!("not a plain number: {sample:?}") };
    *point
}

fn render(sample: &Sample<String>) -> String {
    let crate::Number { value, timestamp_ms, start_timestamp_ms } = number(sample);
    format!("{} {:x} {timestamp_ms} {start_timestamp_ms}", sample.series(), value.to_bits())
}

#[test]
fn a_sample_is_as_small_as_a_number_with_its_series_and_times() {
    assert_eq!(size_of::<Sample<String>>(), 40);
}

fn reason(metric: otlp::Metric) -> (Reason, u32) {
    let (samples, refused) = translate(&mut translator(), &payload(vec![metric]));
    assert_eq!(samples, Vec::<String>::new());
    (refused.first.unwrap().0, refused.points)
}

#[test]
fn a_known_series_is_the_same_object_and_is_not_made_again() {
    let mut translator = translator();
    let mut samples = Vec::new();
    let bytes = payload(vec![gauge("g", vec![point(&[("a", "1"), ("b", "2")], 1.0)])]);
    translator.translate(&bytes, None, &mut samples).unwrap();
    let weight = translator.remembered_bytes();
    translator.translate(&bytes, None, &mut samples).unwrap();
    assert!(std::ptr::eq(samples[0].series(), samples[1].series()));
    assert_eq!((translator.remembered_points(), translator.remembered_bytes()), (1, weight));
}

#[test]
fn another_order_of_attributes_is_the_same_series() {
    let mut translator = translator();
    let mut samples = Vec::new();
    let points = vec![point(&[("a", "1"), ("b", "2")], 1.0), point(&[("b", "2"), ("a", "1")], 2.0)];
    translator.translate(&payload(vec![gauge("g", points)]), None, &mut samples).unwrap();
    assert_eq!(samples[0].series(), samples[1].series());
    assert_eq!(translator.remembered_points(), 2);
}

#[test]
fn equal_attributes_of_other_resources_metrics_and_kinds_are_other_series() {
    let mut translator = translator();
    let mut samples = Vec::new();
    let metrics = || vec![gauge("g", vec![point(&[("a", "1")], 1.0)]), gauge("h", vec![point(&[("a", "1")], 1.0)])];
    let one = of(&[("service.name", "one")], metrics());
    let two = of(&[("service.name", "two")], metrics());
    let data = MetricsData { resource_metrics: vec![one, two] };
    for _ in 0..2 {
        translator.translate(&data.encode_to_vec(), None, &mut samples).unwrap();
    }
    let mut series: Vec<_> = samples.iter().map(|sample| sample.series().clone()).collect();
    series.sort_unstable();
    series.dedup();
    assert_eq!((series.len(), samples.len()), (4, 8));
}

#[test]
fn a_histogram_with_other_bounds_has_other_buckets() {
    let mut translator = translator();
    let metric = histogram(vec![buckets(&[1.0], &[1, 2]), buckets(&[2.0], &[1, 2]), buckets(&[1.0], &[3, 4])]);
    let (samples, refused) = translate(&mut translator, &payload(vec![metric]));
    assert!(refused.is_empty());
    assert!(samples[2].starts_with("__name__=h_bucket,le=1 "), "{samples:?}");
    assert!(samples[6].starts_with("__name__=h_bucket,le=2 "), "{samples:?}");
    assert!(samples[10].starts_with("__name__=h_bucket,le=1 "), "{samples:?}");
    assert_eq!(translator.remembered_points(), 2);
}

#[test]
fn what_is_remembered_stays_within_its_limit() {
    let mut translator = of_size(20_000);
    let mut samples = Vec::new();
    for round in 0..50 {
        let points = (0..20).map(|index| point(&[("id", &format!("{round}-{index}"))], 1.0)).collect();
        translator.translate(&payload(vec![gauge("g", points)]), None, &mut samples).unwrap();
        assert!(translator.remembered_bytes() <= 20_000 + 1_000, "{}", translator.remembered_bytes());
        samples.clear();
    }
    assert!(translator.remembered_points() > 20);
}

#[test]
fn what_is_in_use_survives_what_is_not() {
    let mut translator = of_size(20_000);
    let mut samples = Vec::new();
    let mut kept = None;
    for round in 0..100 {
        let points = vec![point(&[("id", "kept")], 1.0), point(&[("id", &format!("{round}"))], 1.0)];
        samples.clear();
        translator.translate(&payload(vec![gauge("g", points)]), None, &mut samples).unwrap();
        let first: &Sample<_> = kept.get_or_insert_with(|| samples[0].clone());
        assert!(std::ptr::eq(first.series(), samples[0].series()), "{round}");
    }
}

#[test]
fn an_integer_above_2_to_the_53_is_the_nearest_number() {
    let mut at = point(&[], 0.0);
    at.value = Some(Number::AsInt((1 << 53) + 1));
    let (samples, _) = translate(&mut translator(), &payload(vec![gauge("g", vec![at])]));
    assert_eq!(samples, [format!("__name__=g {:x} 1700000000000 0", 9_007_199_254_740_992_f64.to_bits())]);
}

#[test]
fn only_the_flag_makes_a_stale_marker() {
    let mut flagged = point(&[], 3.0);
    flagged.flags = 1;
    let stale_bits = point(&[], STALE);
    let other_nan = point(&[], f64::from_bits(0xfff8_dead_beef_0000));
    let mut without_value = point(&[], 0.0);
    (without_value.value, without_value.flags) = (None, 1);
    let metric = gauge("g", vec![flagged, stale_bits, other_nan, without_value]);
    let (samples, refused) = translate(&mut translator(), &payload(vec![metric]));
    let bits: Vec<_> = samples.iter().map(|sample| sample.split(' ').nth(1).unwrap()).collect();
    assert_eq!(bits, ["7ff0000000000002", "7ff8000000000001", "7ff8000000000001", "7ff0000000000002"]);
    assert!(refused.is_empty());
}

#[test]
fn a_stale_histogram_point_ends_all_its_series() {
    let mut at = buckets(&[1.0], &[0, 0]);
    at.flags = 1;
    let (samples, _) = translate(&mut translator(), &payload(vec![histogram(vec![at])]));
    assert_eq!(samples.len(), 4);
    assert!(samples.iter().all(|sample| sample.contains(" 7ff0000000000002 ")), "{samples:?}");
}

#[test]
fn a_bound_of_infinity_is_the_last_bucket() {
    let metric = histogram(vec![buckets(&[1.0, f64::INFINITY], &[1, 2, 0])]);
    let (samples, _) = translate(&mut translator(), &payload(vec![metric]));
    let names: Vec<_> = samples.iter().map(|sample| sample.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["__name__=h_sum", "__name__=h_count", "__name__=h_bucket,le=1", "__name__=h_bucket,le=+Inf"]);
}

#[test]
fn each_kind_of_odd_input_has_its_own_reason() {
    let bad = |bounds: &[f64], counts: &[u64]| reason(histogram(vec![buckets(bounds, counts)])).0;
    assert_eq!(bad(&[1.0], &[1]), Reason::BucketCountMismatch);
    assert_eq!(bad(&[1.0], &[]), Reason::BucketCountMismatch);
    assert_eq!(bad(&[2.0, 1.0], &[1, 1, 1]), Reason::UnsortedBounds);
    assert_eq!(bad(&[1.0, 1.0], &[1, 1, 1]), Reason::UnsortedBounds);
    assert_eq!(bad(&[f64::NAN], &[1, 1]), Reason::UnsortedBounds);

    let edit = |edit: fn(&mut otlp::NumberDataPoint)| {
        let mut at = point(&[], 1.0);
        edit(&mut at);
        reason(gauge("g", vec![at])).0
    };
    assert_eq!(edit(|at| at.time_unix_nano = 0), Reason::MissingTimestamp);
    assert_eq!(edit(|at| at.value = None), Reason::MissingValue);
    assert_eq!(edit(|at| at.attributes = vec![attribute("", "x")]), Reason::InvalidLabelName);
    assert_eq!(edit(|at| at.attributes = vec![attribute("__", "x")]).as_str(), "invalid_label_name");

    let two = || vec![point(&[], 1.0), point(&[("a", "b")], 1.0)];
    assert_eq!(reason(gauge("", two())), (Reason::EmptyName, 2));
    assert_eq!(reason(gauge("...", two())), (Reason::EmptyName, 2));
    let sum = |temporality| {
        let data = otlp::Sum { data_points: two(), aggregation_temporality: temporality, is_monotonic: true };
        reason(otlp::Metric { name: "s".to_owned(), data: Some(Data::Sum(data)), ..otlp::Metric::default() })
    };
    assert_eq!(sum(0), (Reason::UnspecifiedTemporality, 2));
    assert_eq!(sum(1), (Reason::DeltaTemporality, 2));
    assert_eq!(sum(7), (Reason::UnspecifiedTemporality, 2));
    assert_eq!(reason(otlp::Metric { name: "n".to_owned(), ..otlp::Metric::default() }), (Reason::UnknownData, 1));
    let point = otlp::ExponentialHistogramDataPoint { scale: -5, time_unix_nano: AT, ..Default::default() };
    let exponential = otlp::ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 };
    let data = Some(Data::ExponentialHistogram(exponential));
    let metric = otlp::Metric { name: "e".to_owned(), data, ..otlp::Metric::default() };
    assert_eq!(reason(metric), (Reason::ScaleTooLow, 1));
}

#[test]
fn good_points_go_on_beside_refused_ones() {
    let mut bad = point(&[], 1.0);
    bad.time_unix_nano = 0;
    let metrics = vec![gauge("a", vec![bad.clone(), point(&[], 2.0)]), gauge("b", vec![bad])];
    let (samples, refused) = translate(&mut translator(), &payload(metrics));
    assert_eq!(samples.len(), 1);
    assert_eq!(
        refused,
        Refused { points: 2, first: Some((Reason::MissingTimestamp, "a".to_owned())), let_go: Vec::new() }
    );
}

#[test]
fn a_metric_without_points_is_nothing_to_lose() {
    let (samples, refused) = translate(&mut translator(), &payload(vec![gauge("g", Vec::new())]));
    assert!(samples.is_empty() && refused.is_empty());
}

#[test]
fn target_info_is_repeated_every_150_seconds_of_event_time_within_a_day() {
    let at = |seconds: u64| {
        let mut at = point(&[], 1.0);
        at.time_unix_nano = AT - seconds * 1_000_000_000;
        at
    };
    let times = |points| {
        let resource = of(&[("service.name", "s"), ("host", "h")], vec![gauge("g", points)]);
        let data = MetricsData { resource_metrics: vec![resource] };
        let (samples, _) = translate(&mut translator(), &data.encode_to_vec());
        let about = samples.into_iter().filter(|sample| sample.starts_with("__name__=target_info,host=h,job=s "));
        about.map(|sample| sample.split(' ').nth(2).unwrap().parse::<i64>().unwrap()).collect::<Vec<_>>()
    };
    let newest = 1_700_000_000_000;
    assert_eq!(times(vec![at(0)]), [newest]);
    assert_eq!(times(vec![at(0), at(320)]), [newest - 320_000, newest - 170_000, newest - 20_000, newest]);
    // A point of 1970: the time between is not filled further back than a day.
    assert_eq!(times(vec![at(0), at(AT / 1_000_000_000 - 1)]).len(), 24 * 3600 / 150 + 1);
}

#[test]
fn target_info_of_two_parts_of_one_resource_is_told_once() {
    let part = |name| of(&[("service.name", "s"), ("host", "h")], vec![gauge(name, vec![point(&[], 1.0)])]);
    let data = MetricsData { resource_metrics: vec![part("a"), part("b")] };
    let mut translator = translator();
    for _ in 0..2 {
        let (samples, _) = translate(&mut translator, &data.encode_to_vec());
        assert_eq!(samples.iter().filter(|sample| sample.contains("target_info")).count(), 1, "{samples:?}");
    }
}

#[test]
fn a_malformed_payload_leaves_nothing_behind() {
    let bytes = payload(vec![gauge("g", vec![point(&[("a", "1")], 1.0), point(&[("b", "2")], 1.0)])]);
    let mut translator = translator();
    for len in 1..bytes.len() {
        let mut samples = Vec::new();
        let before = translator.translate(&bytes, None, &mut samples).map(|_| samples.len()).unwrap();
        if translator.translate(&bytes[..len], None, &mut samples).is_err() {
            assert_eq!(samples.len(), before, "cut at {len}");
        }
    }
}

/// Payloads with few names, so that series collide, and every kind of data.
fn metrics() -> impl Strategy<Value = otlp::ResourceMetrics> {
    let name = "[a-c_.]{0,3}";
    let attributes = prop::collection::vec((name, "[x-z]{0,2}"), 0..3);
    let number = (attributes.clone(), prop::option::of(any::<f64>()), 0_u32..2, 0..3_u64).prop_map(
        |(attributes, value, flags, time)| otlp::NumberDataPoint {
            attributes: attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
            time_unix_nano: time * AT,
            value: value.map(Number::AsDouble),
            flags,
            ..otlp::NumberDataPoint::default()
        },
    );
    let bars = (prop::collection::vec(0..3_u8, 0..3), prop::collection::vec(any::<u64>(), 0..4)).prop_map(
        |(bounds, counts)| otlp::HistogramDataPoint {
            time_unix_nano: AT,
            explicit_bounds: bounds.into_iter().map(f64::from).collect(),
            bucket_counts: counts,
            ..otlp::HistogramDataPoint::default()
        },
    );
    let numbers = || prop::collection::vec(number.clone(), 0..4);
    let data = prop_oneof![
        numbers().prop_map(|data_points| Data::Gauge(otlp::Gauge { data_points })),
        (numbers(), 0..3, any::<bool>()).prop_map(|(data_points, aggregation_temporality, is_monotonic)| {
            Data::Sum(otlp::Sum { data_points, aggregation_temporality, is_monotonic })
        }),
        prop::collection::vec(bars, 0..3)
            .prop_map(|data_points| { Data::Histogram(otlp::Histogram { data_points, aggregation_temporality: 2 }) }),
    ];
    let metric = (name, data).prop_map(|(name, data)| otlp::Metric { name, data: Some(data), ..Default::default() });
    (attributes, prop::collection::vec(metric, 0..4)).prop_map(|(attributes, metrics)| {
        let attributes: Vec<_> = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        of(&attributes, metrics)
    })
}

proptest! {
    /// Guards: invariant 7, and that a series is never confused with another.
    #[test]
    fn what_was_translated_before_changes_nothing(
        payloads in prop::collection::vec(metrics(), 1..8),
        cache_bytes in prop_oneof![Just(0_usize), Just(3000), Just(1 << 20)],
    ) {
        let mut warm = of_size(cache_bytes);
        for resource in payloads {
            let bytes = MetricsData { resource_metrics: vec![resource] }.encode_to_vec();
            prop_assert_eq!(translate(&mut warm, &bytes), translate(&mut translator(), &bytes));
        }
    }

    #[test]
    fn bytes_of_any_kind_are_translated_or_refused(bytes: Vec<u8>) {
        let mut samples = Vec::new();
        let outcome = translator().translate(&bytes, None, &mut samples);
        prop_assert!(outcome.is_ok() || samples.is_empty());
    }

    #[test]
    fn a_changed_payload_is_translated_or_refused(
        resource in metrics(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = MetricsData { resource_metrics: vec![resource] }.encode_to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut samples = Vec::new();
        let outcome = translator().translate(&bytes, None, &mut samples);
        prop_assert!(outcome.is_ok() || samples.is_empty());
    }
}

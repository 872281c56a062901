//! The views on hand-made payloads: errors, limits, order, raw bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "support/mod.rs"]
mod support;

use std::hash::{BuildHasher, Hasher};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use support::{expected, walked};
use weir_otlp::{
    Error, ErrorKind, LogsRequest, MAX_DEPTH, MetricData, MetricsRequest, NumberPoint, Signal, TracesRequest, Writer,
};

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

/// Two metrics of three points each, as an application sends them.
fn request() -> Vec<u8> {
    let attributes = vec![attribute("http.route", "/orders/{id}"), attribute("http.method", "GET")];
    let point = |number: u64| NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: 1_700_000_060_000_000_000 + number,
        value: Some(number_data_point::Value::AsInt(40 + number.cast_signed())),
        ..Default::default()
    };
    let histogram = |number: u64| HistogramDataPoint {
        attributes: attributes.clone(),
        time_unix_nano: 1_700_000_060_000_000_000 + number,
        count: 6,
        sum: Some(1.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.1, 1.0],
        ..Default::default()
    };
    let sum = Sum { data_points: (0..3).map(point).collect(), aggregation_temporality: 2, is_monotonic: true };
    let durations = Histogram { data_points: (0..3).map(histogram).collect(), aggregation_temporality: 1 };
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        unit: "1".to_owned(),
        data: Some(data),
        ..Default::default()
    };
    MetricsData {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: vec![attribute("service.name", "shop")], ..Default::default() }),
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![
                    metric("http.requests", Data::Sum(sum)),
                    metric("http.durations", Data::Histogram(durations)),
                ],
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
    .encode_to_vec()
}

fn message(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.bytes(number, bytes);
    writer.into_bytes()
}

/// A request around the bytes of one metric.
fn around_metric(metric: &[u8]) -> Vec<u8> {
    message(1, &message(2, &message(2, metric)))
}

/// A request around the bytes of one point of a gauge.
fn around_point(point: &[u8]) -> Vec<u8> {
    around_metric(&message(5, &message(1, point)))
}

#[track_caller]
fn with_point(payload: &[u8], check: impl FnOnce(NumberPoint<'_>)) {
    let resource = MetricsRequest::new(payload).resource_metrics().next().unwrap().ok().unwrap();
    let scope = resource.scope_metrics().next().unwrap().ok().unwrap();
    let metric = scope.metrics().next().unwrap().ok().unwrap();
    let MetricData::Gauge(points) = metric.data else { panic!("not a gauge") };
    check(points.iter().next().unwrap().ok().unwrap());
}

#[track_caller]
fn refused(bytes: &[u8], kind: ErrorKind, path: &str, offset: usize) -> Error {
    let error = walked(Signal::Metrics, bytes).unwrap_err();
    assert_eq!((error.kind(), error.path(), error.offset()), (kind, path, offset));
    error
}

#[test]
fn a_request_cut_off_anywhere_but_between_resources_is_truncated() {
    let bytes = request();
    assert!(walked(Signal::Metrics, &bytes).is_ok());
    assert_eq!(walked(Signal::Metrics, &[]).unwrap(), b"");
    for len in 1..bytes.len() {
        let error = walked(Signal::Metrics, &bytes[..len]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{len}: {error}");
        assert_eq!(error.path(), "resource_metrics[0]", "{len}");
    }
}

#[test]
fn every_flipped_bit_reads_as_the_generated_decoder_reads_it_or_is_refused() {
    let bytes = request();
    let mut read = 0;
    for index in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << bit;
            let got = walked(Signal::Metrics, &flipped);
            if let Some(want) = expected(Signal::Metrics, &flipped) {
                match got {
                    Ok(got) => assert_eq!(got, want, "bit {bit} of byte {index}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Repeated, "{error}"),
                }
                read += 1;
            }
        }
    }
    assert!(read > bytes.len(), "most flips are of values, and readable: {read}");
}

#[test]
fn an_error_names_the_field_and_its_byte() {
    let bytes = request();
    let at = bytes.windows(14).position(|window| window == b"http.durations").unwrap();
    let mut broken = bytes.clone();
    broken[at + 3] = 0xff;
    let path = "resource_metrics[0].scope_metrics[0].metrics[1].name";
    let error = refused(&broken, ErrorKind::InvalidUtf8, path, at - 1);
    assert_eq!(error.to_string(), format!("{path}: invalid_utf8 at byte {}", at - 1));

    let second = bytes.windows(11).enumerate().filter(|(_, w)| w == b"http.method").nth(4);
    let (at, _) = second.unwrap();
    let mut broken = bytes;
    broken[at] = 0xff;
    let path = "resource_metrics[0].scope_metrics[0].metrics[1].histogram.data_points[1]\
                .attributes[1].key";
    refused(&broken, ErrorKind::InvalidUtf8, path, at - 1);
}

#[test]
fn each_kind_of_damage_has_its_own_reason() {
    let point = "resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]";
    let time = format!("{point}.time_unix_nano");
    let flags = format!("{point}.flags");
    let unknown = format!("{point}.unknown");
    let start = around_point(&[0; 12]).len() - 12;
    let damaged = |bytes: &[u8], kind, path: &str, offset| {
        let mut padded = bytes.to_vec();
        // The envelope keeps its length, so offsets do.
        padded.resize(12, 0);
        let _ = refused(&around_point(&padded), kind, path, start + offset);
    };
    // time_unix_nano as a varint
    damaged(&[0x18, 1], ErrorKind::BadWireType, &time, 0);
    // flags of eleven bytes
    let long = [0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    damaged(&long, ErrorKind::BadVarint, &flags, 1);
    // field 0
    damaged(&[0x01], ErrorKind::BadTag, &unknown, 0);
    // the end of a group that never started
    damaged(&[0x7c], ErrorKind::BadTag, &unknown, 0);
    // a group ended by another number
    damaged(&[0x7b, 0x74], ErrorKind::BadTag, &unknown, 1);
    // wire type 6
    damaged(&[0x7e], ErrorKind::BadTag, &unknown, 0);
}

#[test]
fn unknown_fields_and_groups_are_passed_over() {
    let mut point = vec![0x40, 7];
    // field 15: varint, fixed64, bytes, fixed32; a group with a group inside
    point.extend([0x78, 0x96, 0x01]);
    point.extend([0x79, 1, 2, 3, 4, 5, 6, 7, 8]);
    point.extend([0x7a, 2, 0xff, 0xff]);
    point.extend([0x7d, 1, 2, 3, 4]);
    point.extend([0x7b, 0x73, 0x40, 9, 0x74, 0x7c]);
    let payload = around_point(&point);
    with_point(&payload, |point| assert_eq!(point.flags, 7));
    assert_eq!(walked(Signal::Metrics, &payload).ok(), expected(Signal::Metrics, &payload));
}

#[test]
fn groups_nested_without_end_are_too_deep() {
    let payload = around_point(&[0x7b; 100_000]);
    let error = walked(Signal::Metrics, &payload).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooDeep);
}

#[test]
fn the_last_value_of_a_scalar_and_of_a_oneof_wins() {
    let mut point = Writer::new();
    point.varint(8, 1);
    point.varint(8, 2);
    point.double(4, 1.5);
    point.fixed64(6, 3);
    let payload = around_point(&point.into_bytes());
    with_point(&payload, |point| {
        assert_eq!(point.flags, 2);
        assert_eq!(point.value, Some(weir_otlp::Number::Int(3)));
    });
}

#[test]
fn a_kind_of_points_replaces_another_but_not_itself() {
    let gauge = Gauge { data_points: vec![NumberDataPoint { flags: 1, ..Default::default() }] };
    let gauge = message(5, &gauge.encode_to_vec());
    let sum = message(7, &Sum { is_monotonic: true, ..Default::default() }.encode_to_vec());
    let replaced = around_metric(&[gauge.as_slice(), &sum, &gauge].concat());
    assert_eq!(walked(Signal::Metrics, &replaced).ok(), expected(Signal::Metrics, &replaced));
    let twice = around_metric(&[gauge.as_slice(), &gauge].concat());
    let path = "resource_metrics[0].scope_metrics[0].metrics[0].gauge";
    refused(&twice, ErrorKind::Repeated, path, twice.len() - gauge.len());
}

#[test]
fn values_nest_up_to_the_limit_and_no_further() {
    let nested = |depth: usize| {
        let mut value = Vec::new();
        for _ in 0..depth {
            // A list with one value.
            value = message(5, &message(1, &value));
        }
        let record = message(5, &value);
        message(1, &message(2, &message(2, &record)))
    };
    assert!(walked(Signal::Logs, &nested(MAX_DEPTH.into())).is_ok());
    let error = walked(Signal::Logs, &nested(usize::from(MAX_DEPTH) + 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooDeep);
    assert!(error.path().starts_with("resource_logs[0].scope_logs[0].log_records[0].body.array"));
}

#[test]
fn a_hundred_thousand_nested_attributes_are_too_deep() {
    let mut heads: Vec<Vec<u8>> = Vec::new();
    let mut len = 0;
    for _ in 0..100_000 {
        // From within: KeyValueList.values, AnyValue.kvlist_value, KeyValue.value.
        for number in [1, 6, 2] {
            let mut head = Writer::new();
            head.varint(number, len);
            let mut head = head.into_bytes();
            // The wire type of a message instead of an integer's.
            head[0] |= 2;
            len += head.len() as u64;
            heads.push(head);
        }
    }
    let attribute: Vec<u8> = heads.into_iter().rev().flatten().collect();
    let point = around_point(&message(7, &attribute));
    let resource = message(1, &message(1, &message(1, &attribute)));
    for payload in [point, resource] {
        let error = walked(Signal::Metrics, &payload).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooDeep, "{error}");
    }
}

#[test]
fn packed_and_unpacked_buckets_are_the_same() {
    let mut point = Writer::new();
    point.fixed64(6, 1);
    point.bytes(6, &[2_u64.to_le_bytes(), 3_u64.to_le_bytes()].concat());
    point.varint(10, 0);
    point.fixed64(6, 4);
    let payload = around_metric(&message(9, &message(1, &point.into_bytes())));
    let walked = walked(Signal::Metrics, &payload).unwrap();
    assert_eq!(Some(&walked), expected(Signal::Metrics, &payload).as_ref());
    let data = MetricsData::decode(walked.as_slice()).unwrap();
    let Some(Data::Histogram(histogram)) = &data.resource_metrics[0].scope_metrics[0].metrics[0].data else {
        panic!("not a histogram")
    };
    assert_eq!(histogram.data_points[0].bucket_counts, [1, 2, 3, 4]);
}

#[test]
fn attributes_hash_alike_wherever_they_stand() {
    let first = attribute("a", "1").encode_to_vec();
    let second = attribute("b", "2").encode_to_vec();
    let together = [message(7, &first), message(7, &second), vec![0x40, 1]].concat();
    let apart = [message(7, &first), vec![0x40, 1], message(7, &second)].concat();
    let other = [message(7, &second), message(7, &first)].concat();
    let state = foldhash::fast::FixedState::default();
    let hash = |point: &[u8]| {
        let mut hash = None;
        with_point(&around_point(point), |point| {
            let mut hasher = state.build_hasher();
            point.attributes.hash_into(&mut hasher);
            assert_eq!(point.attributes.iter().count(), 2);
            hash = Some((hasher.finish(), point.attributes.raw().into_owned()));
        });
        hash.unwrap()
    };
    assert_eq!(hash(&together), hash(&apart));
    assert_ne!(hash(&together), hash(&other));
    with_point(&around_point(&together), |point| {
        assert!(matches!(point.attributes.raw(), std::borrow::Cow::Borrowed(_)));
    });
}

#[test]
fn an_iterator_ends_after_its_first_error() {
    let good = message(1, &[]);
    let payload = [good.clone(), message(1, &[0x0a, 0x7f]), good].concat();
    let mut metrics = MetricsRequest::new(&payload).resource_metrics();
    assert!(metrics.next().unwrap().is_ok());
    assert!(metrics.next().unwrap().is_err());
    assert!(metrics.next().is_none());
}

#[test]
fn a_span_and_a_log_record_give_their_own_bytes() {
    let mut span = Writer::new();
    span.bytes(5, b"GET /");
    span.fixed32(16, 0x101);
    let span = span.into_bytes();
    let payload = message(1, &message(2, &message(2, &span)));
    let resource = TracesRequest::new(&payload).resource_spans().next().unwrap().ok().unwrap();
    let scope = resource.scope_spans().next().unwrap().ok().unwrap();
    let view = scope.spans().next().unwrap().ok().unwrap();
    assert_eq!((view.name, view.flags, view.raw), ("GET /", 0x101, span.as_slice()));

    let record = message(12, b"user.login");
    let payload = message(1, &message(2, &message(2, &record)));
    let resource = LogsRequest::new(&payload).resource_logs().next().unwrap().ok().unwrap();
    let scope = resource.scope_logs().next().unwrap().ok().unwrap();
    let view = scope.log_records().next().unwrap().ok().unwrap();
    assert_eq!((view.event_name, view.raw), ("user.login", record.as_slice()));
}

#[test]
fn the_writer_makes_room_for_lengths_of_any_size() {
    for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
        let mut writer = Writer::new();
        writer.message(1, |inner| inner.bytes(2, &vec![b'x'; len]));
        assert_eq!(writer.into_bytes(), message(1, &message(2, &vec![b'x'; len])), "{len}");
    }
}

//! What reading metrics costs: a generated decoder against the views.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use weir_otlp::{Error, MetricData, MetricsRequest};

const REQUESTS: u64 = 200;
const POINTS: u64 = 500;

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

/// 500 points of one counter with six attributes each, 209 bytes a point.
fn request(seed: u64) -> Vec<u8> {
    let point = |number: u64| NumberDataPoint {
        attributes: vec![
            attribute("http.request.method", "GET".to_owned()),
            attribute("http.route", format!("/orders/{:03}", number % 100)),
            attribute("http.response.status_code", "200".to_owned()),
            attribute("server.address", format!("shop-{:02}.eu", seed % 100)),
            attribute("network.protocol.version", "1.1".to_owned()),
            attribute("shard", format!("{number:04}")),
        ],
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: 1_700_000_060_000_000_000,
        value: Some(number_data_point::Value::AsInt(number.cast_signed())),
        ..Default::default()
    };
    let sum = Sum { data_points: (0..POINTS).map(point).collect(), aggregation_temporality: 2, is_monotonic: true };
    let metric = Metric {
        name: "http.server.requests".to_owned(),
        unit: "{request}".to_owned(),
        data: Some(Data::Sum(sum)),
        ..Default::default()
    };
    let resource = Resource { attributes: vec![attribute("service.name", "shop".to_owned())], ..Default::default() };
    MetricsData {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }],
            ..Default::default()
        }],
    }
    .encode_to_vec()
}

/// Walks every point, hashing its attributes with its time and value.
fn hash(payload: &[u8], state: &impl BuildHasher) -> Result<u64, Error> {
    let mut sum = 0_u64;
    for resource in MetricsRequest::new(payload).resource_metrics() {
        for scope in resource?.scope_metrics() {
            for metric in scope?.metrics() {
                let MetricData::Sum { points, .. } = metric?.data else { continue };
                for point in points {
                    let point = point?;
                    let mut hasher = state.build_hasher();
                    point.attributes.hash_into(&mut hasher);
                    sum = sum.wrapping_add(hasher.finish()).wrapping_add(point.time_unix_nano);
                    black_box(point.value);
                }
            }
        }
    }
    Ok(sum)
}

/// Walks every point and reads every attribute.
fn attributes(payload: &[u8]) -> Result<usize, Error> {
    let mut bytes = 0;
    for resource in MetricsRequest::new(payload).resource_metrics() {
        for scope in resource?.scope_metrics() {
            for metric in scope?.metrics() {
                let MetricData::Sum { points, .. } = metric?.data else { continue };
                for point in points {
                    for attribute in point?.attributes {
                        let (key, value) = attribute?;
                        bytes += key.len();
                        black_box(value);
                    }
                }
            }
        }
    }
    Ok(bytes)
}

fn views(c: &mut Criterion) {
    let payloads: Vec<Vec<u8>> = (0..REQUESTS).map(request).collect();
    let mut group = c.benchmark_group("otlp_metrics/200_requests_of_500_points");
    group.sample_size(20);
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    assert!((208..211).contains(&(bytes as u64 / (REQUESTS * POINTS))), "{bytes} bytes");
    group.throughput(Throughput::ElementsAndBytes { elements: REQUESTS * POINTS, bytes: bytes as u64 });
    group.bench_function("generated_decoder", |b| {
        b.iter(|| {
            for payload in &payloads {
                black_box(MetricsData::decode(payload.as_slice()).unwrap());
            }
        });
    });
    let state = foldhash::fast::FixedState::default();
    group.bench_function("views_hashing_attributes", |b| {
        b.iter(|| {
            for payload in &payloads {
                black_box(hash(payload, &state).unwrap());
            }
        });
    });
    group.bench_function("views_reading_attributes", |b| {
        b.iter(|| {
            for payload in &payloads {
                black_box(attributes(payload).unwrap());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, views);
criterion_main!(benches);

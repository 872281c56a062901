//! How fast requests are put together from known series: 10,000 series of 10
//! labels, 100 metrics over 100 instances, one sample each.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench stops at the first surprise, and prints sizes beside its times"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_remote_write::{Compressor, Family, MetricType, Points, Sample, Series, Symbols, decompress, v1, v2};

const SERIES: u32 = 10_000;
const START_MS: i64 = 1_700_000_000_000;

/// The labels of series number `i`, sorted by name.
fn labels(i: u32) -> Vec<(&'static str, String)> {
    let (metric, instance) = (i % 100, i / 100);
    vec![
        ("__name__", format!("http_server_request_duration_{metric}_seconds_total")),
        ("deployment_environment", "production".to_owned()),
        ("http_request_method", ["GET", "POST", "PUT"][metric as usize % 3].to_owned()),
        ("http_response_status_code", (200 + metric % 7).to_string()),
        ("http_route", format!("/api/v1/things/{{id}}/{}", metric % 20)),
        ("instance", format!("4f7a9c52-1d3b-4b6e-9f00-{instance:012}")),
        ("job", format!("shop/service-{}", instance % 10)),
        ("k8s_namespace_name", "shop".to_owned()),
        ("k8s_pod_name", format!("service-{}-6d5f7b9c4-{instance:05}", instance % 10)),
        ("server_address", format!("service-{}.shop.svc", instance % 10)),
    ]
}

fn known_series(symbols: &Arc<Symbols>) -> Vec<Arc<Series>> {
    let families: Vec<_> = (0..100)
        .map(|metric| {
            let name = format!("http_server_request_duration_{metric}_seconds_total");
            let help = "Duration of HTTP server requests.";
            Family::new(symbols, MetricType::Counter, &name, help, "seconds").unwrap()
        })
        .map(Arc::new)
        .collect();
    let series = |i: u32| {
        let labels = labels(i);
        let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Arc::new(Series::new(&labels, Arc::clone(&families[i as usize % 100])).unwrap())
    };
    (0..SERIES).map(series).collect()
}

fn samples() -> Vec<Sample> {
    let sample = |i: u32| Sample {
        value: f64::from(i * 7919 % 100_000) / 8.0,
        timestamp_ms: START_MS + 60_000 + i64::from(i % 15_000),
        start_timestamp_ms: START_MS,
    };
    (0..SERIES).map(sample).collect()
}

fn encode(c: &mut Criterion) {
    let symbols = Symbols::new(1 << 30);
    let points: Vec<_> = known_series(&symbols).into_iter().zip(samples()).collect();
    let mut group = c.benchmark_group("encode/10k_samples_10_labels");
    group.throughput(Throughput::Elements(SERIES.into()));
    let (mut v1, mut v2) = (v1::Builder::new(), v2::Builder::new());

    group.bench_function("v1", |b| {
        b.iter(|| {
            v1.clear();
            for (series, sample) in &points {
                v1.push(series, Points::Samples(std::slice::from_ref(sample)), &[]);
            }
            black_box(v1.finish().unwrap())
        });
    });
    group.bench_function("v2", |b| {
        b.iter(|| {
            v2.clear();
            for (series, sample) in &points {
                v2.push(series, Points::Samples(std::slice::from_ref(sample)), &[]);
            }
            black_box(v2.finish().unwrap())
        });
    });
    group.finish();
    for (version, body) in [("v1", v1.finish().unwrap()), ("v2", v2.finish().unwrap())] {
        let plain = decompress(&body, usize::MAX).unwrap();
        let mut searched = Vec::new();
        Compressor::new().compress(&plain, &mut searched).unwrap();
        println!("{version}: {} bytes, {} as written, {} by an encoder", plain.len(), body.len(), searched.len());
    }
}

fn make(c: &mut Criterion) {
    let mut group = c.benchmark_group("make/10k_series_10_labels");
    group.throughput(Throughput::Elements(SERIES.into()));
    group.sample_size(20);
    let symbols = Symbols::new(1 << 30);
    group.bench_function("new_and_drop", |b| b.iter(|| known_series(&symbols)));
    group.finish();
}

criterion_group!(benches, encode, make);
criterion_main!(benches);

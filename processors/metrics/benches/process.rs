//! `process` over series that are known already: the worker's steady state.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Histogram;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use weir_contract::{Batch, BatchBuilder, Budget, Limits, Outbox, Partition, Processor, TopicPartition};
use weir_metrics::config::Otlp;
use weir_metrics::{Config, Instruments, MetricsProcessor, Shared};

const SERIES: usize = 100_000;
const POINTS: usize = 500;
const METRICS: usize = 10;

fn attribute(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// What an HTTP server says of its requests: seven attributes.
fn attributes(id: usize) -> Vec<KeyValue> {
    vec![
        attribute("http.request.method", ["GET", "POST", "PUT"][id % 3].to_owned()),
        attribute("http.response.status_code", (200 + id % 5).to_string()),
        attribute("http.route", format!("/api/v1/things/{}", id % 50)),
        attribute("network.protocol.version", "1.1".to_owned()),
        attribute("server.address", format!("shop-{}.example.com", id % 20)),
        attribute("server.port", "8443".to_owned()),
        attribute("url.scheme", "https".to_owned()),
    ]
}

fn number(id: usize) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(id),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: 1_700_000_060_000_000_000,
        value: Some(number_data_point::Value::AsDouble(id as f64)),
        ..NumberDataPoint::default()
    }
}

fn histogram(id: usize) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(id),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: 1_700_000_060_000_000_000,
        count: 45,
        sum: Some(1.5),
        explicit_bounds: (1..10).map(f64::from).collect(),
        bucket_counts: (0..10).collect(),
        ..HistogramDataPoint::default()
    }
}

fn batch(records: usize, metric: impl Fn(usize, usize) -> Data) -> Batch {
    let mut builder = BatchBuilder::new(TopicPartition::new("telemetry-metrics", 0));
    for record in 0..records {
        let metrics = (0..METRICS).map(|index| Metric {
            name: format!("http.server.thing.{index}"),
            description: "What a server does with things.".to_owned(),
            unit: "s".to_owned(),
            data: Some(metric(record, index)),
            ..Metric::default()
        });
        let resource = vec![
            attribute("service.name", "shop".to_owned()),
            attribute("service.namespace", "example".to_owned()),
            attribute("service.instance.id", format!("instance-{record}")),
            attribute("host.name", format!("host-{record}")),
        ];
        let resource = ResourceMetrics {
            resource: Some(Resource { attributes: resource, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics: metrics.collect(), ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        };
        let value = MetricsData { resource_metrics: vec![resource] }.encode_to_vec();
        let offset = i64::try_from(record).unwrap_or_default();
        builder.push(offset, Some(0), None, Some(&value), std::iter::empty());
    }
    builder.build().unwrap()
}

fn run(c: &mut Criterion, name: &str, batch: &Batch, points: usize) {
    let series_cache = weir_config::unset(weir_config::ByteSize::gib(1));
    let config = Config { otlp: Otlp { series_cache, ..Otlp::default() }, ..Config::default() };
    let mut processor = MetricsProcessor::new(&config, &Shared::new(&config).unwrap(), Instruments::default());
    let partition = Partition::open(TopicPartition::new("telemetry-metrics", 0), 0);
    let outbox = || {
        let (entry, hold) = partition.admit(None, 0);
        hold.release();
        Outbox::new(entry, Budget::new(1 << 30), 4, Limits::all(1 << 20))
    };
    let mut warm = outbox();
    processor.process(batch, &mut warm);
    let filled = warm.finish();
    assert!(filled.carried.dead_letters.is_empty());

    let mut group = c.benchmark_group("metrics_process");
    group.throughput(Throughput::Elements(points as u64));
    group.sample_size(20);
    group.bench_function(name, |b| {
        b.iter_batched_ref(outbox, |out| processor.process(batch, out), BatchSize::PerIteration);
    });
    group.finish();
}

fn process(c: &mut Criterion) {
    let each = POINTS / METRICS;
    let sums = batch(SERIES / POINTS, |record, index| {
        let data_points = (0..each).map(|point| number(record * POINTS + index * each + point)).collect();
        Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })
    });
    run(c, "sums_100k_series_500_points_a_record", &sums, SERIES);

    // 12 series a point.
    let records = 20;
    let histograms = batch(records, |record, index| {
        let data_points = (0..each).map(|point| histogram(record * POINTS + index * each + point)).collect();
        Data::Histogram(Histogram { data_points, aggregation_temporality: 2 })
    });
    run(c, "histograms_120k_series_10_buckets", &histograms, records * POINTS);
}

criterion_group!(benches, process);
criterion_main!(benches);

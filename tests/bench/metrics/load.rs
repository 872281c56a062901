//! Topics to read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use weir_generate::{Config, Generator, Made, Signal, UnixNanos};
use weir_tests::stack::{Kafka, Listener};

/// What records look like.
pub(crate) struct Shape {
    pub name: &'static str,
    made: Make,
}

enum Make {
    /// By the generator: an instance's points, so many a record, a few times over if it has fewer series.
    Generated { points_per_record: usize },
    /// A resource's 500 gauges at one time, each of about 210 bytes.
    Gauges,
}

const GAUGES: usize = 500;

impl Shape {
    /// Every shape, small records first.
    pub fn all() -> [Self; 4] {
        let generated = |name, points_per_record| Self { name, made: Make::Generated { points_per_record } };
        [
            generated("1 KiB", 10),
            generated("10 KiB", 170),
            generated("100 KiB", 1700),
            Self { name: "500 gauges of 210 B", made: Make::Gauges },
        ]
    }
}

/// What is in a topic.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filled {
    pub records: u64,
    pub points: u64,
    /// Of keys and values, as they were before any compression.
    pub bytes: u64,
    /// Samples that arrive at least: `target_info` comes on top.
    pub samples: u64,
}

struct Deliveries(AtomicU64);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes the same records to each of `topics`, as the Collector's exporter would with that compression.
pub(crate) fn fill(kafka: &Kafka, shape: &Shape, topics: &[(&str, String)], points: u64, series: usize) -> Filled {
    let open = |(compression, topic): &(&str, String)| -> (String, ThreadedProducer<Deliveries>) {
        let mut config = kafka.client(Listener::Plain);
        config.set("compression.type", *compression).set("linger.ms", "10").set("enable.idempotence", "true");
        (topic.clone(), config.create_with_context(Deliveries(AtomicU64::new(0))).unwrap())
    };
    let producers: Vec<_> = topics.iter().map(open).collect();
    let mut filled = Filled::default();
    let mut send = |key: &[u8], value: &[u8], points: u64| {
        filled.records += 1;
        filled.points += points;
        filled.bytes += (key.len() + value.len()) as u64;
        for (topic, producer) in &producers {
            let mut record = BaseRecord::to(topic).key(key).payload(value);
            while let Err((error, back)) = producer.send(record) {
                assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
                std::thread::sleep(Duration::from_millis(1));
                record = back;
            }
        }
        filled.points
    };
    let samples = match shape.made {
        Make::Generated { points_per_record } => {
            let config = Config { series, points_per_record, ..Config::default() };
            let mut generator = Generator::new(config, now()).unwrap();
            let mut made = generator.made();
            generate(&mut generator, &mut made, points, &mut send);
            made.made().samples
        }
        Make::Gauges => gauges(points, series, &mut send),
    };
    for (topic, producer) in &producers {
        producer.flush(Duration::from_secs(120)).unwrap();
        assert_eq!(producer.context().0.load(Ordering::Relaxed), 0, "{topic} has every record");
    }
    Filled { samples, ..filled }
}

fn now() -> UnixNanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixNanos(since_epoch.as_nanos().try_into().unwrap())
}

fn generate(generator: &mut Generator, made: &mut Made, points: u64, send: &mut impl FnMut(&[u8], &[u8], u64) -> u64) {
    loop {
        let record = generator.next(Signal::Metrics, now()).unwrap();
        made.add(&record.truth);
        if send(&record.key, &record.value, record.items.into()) >= points {
            return;
        }
    }
}

/// Returns how many samples they become.
fn gauges(points: u64, series: usize, send: &mut impl FnMut(&[u8], &[u8], u64) -> u64) -> u64 {
    let resources = (series / GAUGES).max(1);
    let start = now().0;
    for number in 0.. {
        let resource = number % resources;
        let at = start + (number / resources) as u64 * 1_000_000;
        let value = gauges_of(resource, at).encode_to_vec();
        let sent = send(format!("resource-{resource:07}").as_bytes(), &value, GAUGES as u64);
        if sent >= points {
            return sent;
        }
    }
    0
}

/// Ten metrics of fifty points.
fn gauges_of(resource: usize, at_nanos: u64) -> ExportMetricsServiceRequest {
    let attribute = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    let point = |number: usize| NumberDataPoint {
        attributes: vec![
            attribute("http.request.method", ["GET", "POST", "PUT"][number % 3].to_owned()),
            attribute("http.response.status_code", (200 + number % 5).to_string()),
            attribute("http.route", format!("/api/v1/things/{number}")),
            attribute("network.protocol.version", "1.1".to_owned()),
            attribute("server.address", "shop.example.com".to_owned()),
        ],
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: at_nanos,
        value: Some(number_data_point::Value::AsDouble((at_nanos % 1_000_003) as f64 + number as f64)),
        ..NumberDataPoint::default()
    };
    let metric = |number: usize| Metric {
        name: format!("http.server.thing.{number}"),
        description: "What a server does with things.".to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: (0..GAUGES / 10).map(point).collect() })),
        ..Metric::default()
    };
    let attributes = vec![
        attribute("service.name", "shop".to_owned()),
        attribute("service.instance.id", format!("instance-{resource}")),
        attribute("host.name", format!("host-{resource}")),
    ];
    let scope_metrics = vec![ScopeMetrics { metrics: (0..10).map(metric).collect(), ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

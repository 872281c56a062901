//! Topics to read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
    pub name: String,
    /// Series, about.
    series: usize,
    made: Make,
}

enum Make {
    /// By the generator: an instance's points, so many a record, a few times over if it has fewer series.
    Generated { points_per_record: usize },
    /// A resource's gauges at one time.
    Gauges(Gauges),
}

#[derive(Clone, Copy)]
struct Gauges {
    /// Points a record, each of a series of its own.
    points: usize,
    /// Attributes a point.
    attributes: usize,
    /// Of a hundred records, how many are of a resource that is met for the first time.
    new: usize,
}

/// Each point has about 210 bytes.
const USUAL: Gauges = Gauges { points: 500, attributes: 5, new: 0 };

/// How often a series is met at least.
const TIMES_MET: usize = 5;

impl Shape {
    /// Every shape, small records first.
    pub fn all(series: usize) -> Vec<Self> {
        let generated = |name: &str, points_per_record| Self {
            name: name.to_owned(),
            series,
            made: Make::Generated { points_per_record },
        };
        vec![
            generated("1 KiB", 10),
            generated("10 KiB", 170),
            generated("100 KiB", 1700),
            Self { name: "500 gauges of 210 B".to_owned(), series, made: Make::Gauges(USUAL) },
        ]
    }

    /// Gauges, more and more of one thing at a time.
    pub fn growing(series: usize) -> Vec<Self> {
        let gauges = |name: String, series, gauges| Self { name, series, made: Make::Gauges(gauges) };
        let with = |name: String, more| gauges(name, series, more);
        let series = [10_000, 100_000, 1_000_000].map(|series| gauges(format!("{series} series"), series, USUAL));
        let points = [1, 10, 100, 1000].map(|points| with(format!("{points} a record"), Gauges { points, ..USUAL }));
        let attributes =
            [3, 10, 30].map(|attributes| with(format!("{attributes} attributes"), Gauges { attributes, ..USUAL }));
        let new = [1, 10].map(|new| with(format!("{new} % new"), Gauges { new, ..USUAL }));
        series.into_iter().chain(points).chain(attributes).chain(new).collect()
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

/// A producer that notes what was not delivered.
fn producer(kafka: &Kafka, compression: &str) -> ThreadedProducer<Deliveries> {
    let mut config = kafka.client(Listener::Plain);
    config.set("compression.type", compression).set("linger.ms", "10").set("enable.idempotence", "true");
    config.create_with_context(Deliveries(AtomicU64::new(0))).unwrap()
}

/// Writes the usual gauges so often that there are `rate` points a second, for so long.
pub(crate) fn pour(kafka: &Kafka, topic: &str, rate: u64, series: usize, duration: Duration) {
    let producer = producer(kafka, "snappy");
    let (resources, started) = ((series / USUAL.points).max(1), Instant::now());
    for number in 0_u64.. {
        let due = Duration::from_secs_f64((number * USUAL.points as u64) as f64 / rate as f64);
        if due > duration {
            break;
        }
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        let resource = (number % resources as u64).to_string();
        let value = gauges_of(&resource, now().0, USUAL).encode_to_vec();
        producer.send(BaseRecord::to(topic).key(&resource).payload(&value)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    assert_eq!(producer.context().0.load(Ordering::Relaxed), 0, "{topic} has every record");
}

/// Writes the same records to each of `topics`, as the Collector's exporter would with that compression.
pub(crate) fn fill(kafka: &Kafka, shape: &Shape, topics: &[(&str, String)], points: u64) -> Filled {
    let open = |(compression, topic): &(&str, String)| (topic.clone(), producer(kafka, compression));
    let producers: Vec<_> = topics.iter().map(open).collect();
    let series = shape.series;
    let points = points.max((TIMES_MET * series) as u64);
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
        Make::Gauges(shape) => gauges(points, series, shape, &mut send),
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
fn gauges(points: u64, series: usize, shape: Gauges, send: &mut impl FnMut(&[u8], &[u8], u64) -> u64) -> u64 {
    let resources = (series / shape.points).max(1);
    let start = now().0;
    for number in 0.. {
        let (round, resource) = (number / resources, number % resources);
        let at = start + round as u64 * 1_000_000;
        let is_new = resource * 100 < resources * shape.new;
        let resource = if is_new { format!("{resource}-{round}") } else { resource.to_string() };
        let value = gauges_of(&resource, at, shape).encode_to_vec();
        let sent = send(resource.as_bytes(), &value, shape.points as u64);
        if sent >= points {
            return sent;
        }
    }
    0
}

/// Metrics of up to fifty points.
fn gauges_of(resource: &str, at_nanos: u64, shape: Gauges) -> ExportMetricsServiceRequest {
    let attribute = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    let attributes = |number: usize| {
        let usual = [
            attribute("http.route", format!("/api/v1/things/{number}")),
            attribute("http.request.method", ["GET", "POST", "PUT"][number % 3].to_owned()),
            attribute("http.response.status_code", (200 + number % 5).to_string()),
            attribute("network.protocol.version", "1.1".to_owned()),
            attribute("server.address", "shop.example.com".to_owned()),
        ];
        let more = (0..).map(|place| attribute(&format!("further.attribute.{place}"), format!("value {place}")));
        usual.into_iter().chain(more).take(shape.attributes).collect()
    };
    let point = |number: usize| NumberDataPoint {
        attributes: attributes(number),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: at_nanos,
        value: Some(number_data_point::Value::AsDouble((at_nanos % 1_000_003) as f64 + number as f64)),
        ..NumberDataPoint::default()
    };
    let metric = |number: usize| Metric {
        name: format!("http.server.thing.{number}"),
        description: "What a server does with things.".to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: (0..shape.points.min(50)).map(point).collect() })),
        ..Metric::default()
    };
    let of_resource = vec![
        attribute("service.name", "shop".to_owned()),
        attribute("service.instance.id", format!("instance-{resource}")),
        attribute("host.name", format!("host-{resource}")),
    ];
    let metrics = (0..shape.points.div_ceil(50)).map(metric).collect();
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes: of_resource, ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

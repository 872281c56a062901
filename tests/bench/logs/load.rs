//! A topic of logs, as the Collector's Kafka exporter writes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use weir_tests::stack::{Kafka, Listener};

use super::lines;

/// Lines of one resource in a record.
pub(crate) const LINES_PER_RECORD: u64 = 100;
/// As many resources, each with a key of its own.
const RESOURCES: u64 = 240;

/// What is in a topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    pub records: u64,
    pub lines: u64,
    /// Of keys and values, as they were before any compression.
    pub bytes: u64,
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

/// Writes records; each has to be delivered.
struct Sender<'s> {
    topic: &'s str,
    producer: ThreadedProducer<Deliveries>,
    line_bytes: usize,
}

impl<'s> Sender<'s> {
    fn new(kafka: &Kafka, topic: &'s str, line_bytes: usize) -> Self {
        let mut config = kafka.client(Listener::Plain);
        config.set("compression.type", "snappy").set("linger.ms", "10").set("enable.idempotence", "true");
        let producer = config.create_with_context(Deliveries(AtomicU64::new(0))).unwrap();
        Self { topic, producer, line_bytes }
    }

    /// Writes a record; how many bytes it has.
    fn send(&self, number: u64) -> u64 {
        let resource = number % RESOURCES;
        let (key, value) =
            ((resource * 0x9e37_79b9_7f4a_7c15).to_be_bytes(), request(number, self.line_bytes).encode_to_vec());
        let mut record = BaseRecord::to(self.topic).key(&key[..]).payload(&value);
        while let Err((error, back)) = self.producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
        (key.len() + value.len()) as u64
    }

    fn finish(self) {
        self.producer.flush(Duration::from_secs(120)).unwrap();
        assert_eq!(self.producer.context().0.load(Ordering::Relaxed), 0, "{} has every record", self.topic);
    }
}

/// Fills a topic with so many lines.
pub(crate) fn fill(kafka: &Kafka, topic: &str, lines: u64, line_bytes: usize) -> Filled {
    let sender = Sender::new(kafka, topic, line_bytes);
    let records = lines.div_ceil(LINES_PER_RECORD);
    let bytes = (0..records).map(|number| sender.send(number)).sum();
    sender.finish();
    Filled { records, lines: records * LINES_PER_RECORD, bytes }
}

/// Writes so many lines a second, for so long; how many records that were.
pub(crate) fn pour(kafka: &Kafka, topic: &str, line_bytes: usize, rate: u64, duration: Duration) -> usize {
    let (sender, started, mut records) = (Sender::new(kafka, topic, line_bytes), Instant::now(), 0);
    for number in 0_u64.. {
        let due = Duration::from_secs_f64((number * LINES_PER_RECORD) as f64 / rate as f64);
        if due > duration {
            break;
        }
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        sender.send(number);
        records += 1;
    }
    sender.finish();
    records
}

/// Nanoseconds since 1970.
pub(crate) fn now_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

fn attribute(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}

fn text(value: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.into())) }
}

/// Lines as a receiver of files has them: when they were seen, what they say, and where they stood.
fn request(number: u64, line_bytes: usize) -> ExportLogsServiceRequest {
    let resource = number % RESOURCES;
    let of_resource = vec![
        attribute("service.name", format!("service-{}", resource % 40)),
        attribute("service.version", "1.14.2"),
        attribute("deployment.environment.name", "production"),
        attribute("cloud.region", "ap-northeast-1"),
        attribute("host.name", format!("host-{resource}")),
    ];
    let observed_time_unix_nano = now_nanos();
    let line = |at: u64| LogRecord {
        observed_time_unix_nano,
        body: Some(text(lines::line(number * LINES_PER_RECORD + at, line_bytes))),
        attributes: vec![attribute("log.file.name", "app.log")],
        ..LogRecord::default()
    };
    let scope = Some(InstrumentationScope::default());
    let scope_logs =
        vec![ScopeLogs { scope, log_records: (0..LINES_PER_RECORD).map(line).collect(), ..ScopeLogs::default() }];
    let resource = Some(Resource { attributes: of_resource, ..Resource::default() });
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }] }
}

//! Topics to count, and what was made of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use weir_tests::counting::{COUNT, ORIGIN, Origin};
use weir_tests::stack::{Kafka, Listener};

pub(crate) const PARTITIONS: i32 = 12;
/// What a record's value weighs.
const VALUE_BYTES: usize = 1024;

/// What a run came to.
pub(crate) struct Ran {
    /// From the first record that was counted to the last that was written.
    pub records_per_second: f64,
    /// Median and 99th percentile.
    pub commit_seconds: [f64; 2],
}

struct Failed(AtomicU64);

impl ClientContext for Failed {}

impl ProducerContext for Failed {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes that many records of 1 KB; the values are of letters, as logs are, and differ.
pub(crate) fn fill(kafka: &Kafka, topic: &str, records: u64, keys: u64) {
    let mut config = kafka.client(Listener::Plain);
    config.set("compression.type", "zstd").set("linger.ms", "20").set("enable.idempotence", "true");
    let producer: ThreadedProducer<Failed> = config.create_with_context(Failed(AtomicU64::new(0))).unwrap();
    let (mut value, mut state) = (vec![b'.'; VALUE_BYTES], 0x2545_f491_4f6c_dd1d_u64);
    for number in 0..records {
        // A quarter of it is new.
        for letter in value.iter_mut().step_by(4) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *letter = b'a' + (state % 26) as u8;
        }
        value[0] = COUNT;
        let key = format!("key-{:08}", number % keys);
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    assert_eq!(producer.context().0.load(Ordering::Relaxed), 0);
}

/// Records a second, of what was written: from the first that was counted to the last that was written. Every record
/// has led to one.
pub(crate) fn rate(kafka: &Kafka, output: &str, records: u64) -> f64 {
    let (mut first, mut last, mut count) = (i64::MAX, 0, 0);
    kafka.read_each(output, |record| {
        let (_, origin) = record.headers.iter().find(|(name, _)| name == ORIGIN).unwrap();
        first = first.min(Origin::read(origin.as_deref().unwrap()).unwrap().at_ms);
        last = last.max(record.timestamp_ms.unwrap());
        count += 1;
    });
    assert_eq!(count, records, "records in {output}");
    records as f64 / ((last - first) as f64 / 1e3)
}

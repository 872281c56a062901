//! A loop over librdkafka: reads, writes as much as the counting worker, and commits in transactions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use weir_tests::counting::{ORIGIN, Origin, now_ms};
use weir_tests::stack::{Kafka, Listener};

use super::topics::{PARTITIONS, Ran, rate};

const CALL: Duration = Duration::from_secs(10);

pub(crate) fn run(kafka: &Kafka, source: &str, records: u64, interval: Duration) -> Ran {
    let output = kafka.topic("bare", PARTITIONS);
    let mut config = kafka.client(Listener::Plain);
    config.set("group.id", &output).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[source]).unwrap();
    let mut config = kafka.client(Listener::Plain);
    config.set("transactional.id", &output).set("compression.type", "zstd");
    config.set("queue.buffering.max.messages", "1000000");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
    producer.init_transactions(CALL).unwrap();

    let (mut read, mut count, mut commits) = (0, 0_u64, Vec::new());
    while read < records {
        producer.begin_transaction().unwrap();
        let (started, mut next) = (Instant::now(), BTreeMap::new());
        while started.elapsed() < interval && read < records {
            let Some(message) = consumer.poll(Duration::from_millis(10)) else { continue };
            let message = message.unwrap();
            count += 1;
            let origin = Origin { offset: message.offset(), life: 0, at_ms: now_ms() };
            send(&producer, &output, message.partition(), message.key().unwrap(), count, origin);
            next.insert(message.partition(), message.offset() + 1);
            read += 1;
        }
        commits.extend(commit(&consumer, &producer, source, &next));
    }
    commits.sort_by(f64::total_cmp);
    let at = |percent: usize| commits[(commits.len() - 1) * percent / 100];
    Ran { records_per_second: rate(kafka, &output, records), commit_seconds: [at(50), at(99)] }
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    output: &str,
    partition: i32,
    key: &[u8],
    count: u64,
    origin: Origin,
) {
    let (value, origin) = (count.to_be_bytes(), origin.bytes());
    let headers = OwnedHeaders::new_with_capacity(1).insert(Header { key: ORIGIN, value: Some(&origin) });
    let mut record = BaseRecord::to(output).partition(partition).key(key).payload(&value[..]).headers(headers);
    while let Err((error, back)) = producer.send(record) {
        assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
        std::thread::sleep(Duration::from_millis(1));
        record = back;
    }
}

/// Commits what was read; how long it took, if there was anything.
fn commit(
    consumer: &BaseConsumer,
    producer: &ThreadedProducer<DefaultProducerContext>,
    source: &str,
    next: &BTreeMap<i32, i64>,
) -> Option<f64> {
    let started = Instant::now();
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in next {
        offsets.add_partition_offset(source, *partition, Offset::Offset(*offset)).unwrap();
    }
    if offsets.count() > 0 {
        let group = consumer.group_metadata().unwrap();
        producer.send_offsets_to_transaction(&offsets, &group, CALL).unwrap();
    }
    producer.commit_transaction(CALL).unwrap();
    (offsets.count() > 0).then(|| started.elapsed().as_secs_f64())
}

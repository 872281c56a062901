//! The floor: librdkafka reads a topic to its end, and nothing is done with it.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use weir_tests::stack::{Kafka, Listener};

use crate::process::{Cost, cpu};

/// How often it is read: once is over before the kernel's clock of 10 ms tells much.
const TIMES: u32 = 5;

/// Reads so many records.
pub(crate) fn run(kafka: &Kafka, topic: &str, records: u64) -> Cost {
    let mut config = kafka.client(Listener::Plain);
    config.set("group.id", "drain").set("enable.auto.commit", "false").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap().topics()[0].partitions() {
        all.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    let (id, started) = (std::process::id(), Instant::now());
    let before = cpu(id);
    let mut bytes = 0;
    for _ in 0..TIMES {
        consumer.assign(&all).unwrap();
        let mut read = 0;
        while read < records {
            assert!(started.elapsed() < Duration::from_secs(300), "{read} of {records} records in time");
            if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                bytes += message.unwrap().payload_len();
                read += 1;
            }
        }
    }
    assert!(bytes > 0);
    let (wall, cpu) = (started.elapsed() / TIMES, (cpu(id) - before) / TIMES);
    // Its memory is that of this program, which also made the load.
    Cost { wall, cpu, peak_bytes: 0, arrived: records }
}

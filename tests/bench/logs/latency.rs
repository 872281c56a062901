//! How long lines take from produced to visible for whoever reads committed, while they come at a steady rate.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use weir_otlp::LogsRequest;
use weir_tests::stack::{Kafka, Listener};
use weir_tests::wait::wait_until;

use super::load::{self, LINES_PER_RECORD};
use super::worker::{ENDS, Running, Start};
use super::{Job, PARTITIONS};

/// How long lines come before they count.
const WARM: Duration = Duration::from_secs(5);
/// How long they count.
const COUNTS: Duration = Duration::from_secs(20);

/// Prints what is usual, and what nearly all and all of them stay below.
pub(crate) fn run(kafka: &Kafka, weir: &Path, rate: u64, line_bytes: usize) {
    let topic = kafka.topic("latency", PARTITIONS);
    let mut running = Running::start(&Start { kafka, topic: &topic, job: Job::Mask, measures: true, weir });
    wait_until(ENDS, "all partitions", || match running.committed()? {
        (open, _) if open == usize::try_from(PARTITIONS).unwrap() => Ok(()),
        (open, _) => Err(format!("{open} partitions")),
    });
    let (took, ended) = (Arc::<Mutex<Vec<u64>>>::default(), Arc::<AtomicBool>::default());
    let consumer = consumer(kafka, &running.output);
    let (noted, end) = (Arc::clone(&took), Arc::clone(&ended));
    let reader = std::thread::spawn(move || {
        while !end.load(Ordering::Relaxed) {
            if let Some(message) = consumer.poll(Duration::from_millis(10)) {
                let seen_nanos = seen_nanos(message.unwrap().payload().unwrap());
                noted.lock().push(load::now_nanos().saturating_sub(seen_nanos) / 1_000_000);
            }
        }
    });
    load::pour(kafka, &topic, line_bytes, rate, WARM);
    took.lock().clear();
    let records = load::pour(kafka, &topic, line_bytes, rate, COUNTS);
    wait_until(ENDS, "the last lines", || {
        let arrived = took.lock().len();
        if arrived >= records { Ok(()) } else { Err(format!("{arrived} of {records} records")) }
    });
    ended.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    running.end();
    let mut took = took.lock();
    took.sort_unstable();
    let at = |thousandths: usize| took[(took.len() - 1) * thousandths / 1000];
    println!(
        "{rate} lines/s of {line_bytes} B in records of {LINES_PER_RECORD}: p50 {} ms, p99 {} ms, p99.9 {} ms, at most {} ms, of {} records",
        at(500),
        at(990),
        at(999),
        at(1000),
        took.len()
    );
}

/// A consumer of all of a topic that waits for nothing but the commit.
fn consumer(kafka: &Kafka, topic: &str) -> BaseConsumer {
    let mut config = kafka.client(Listener::Plain);
    config.set("group.id", "latency").set("enable.auto.commit", "false").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    consumer
}

/// When a record was made, as its first line says.
fn seen_nanos(value: &[u8]) -> u64 {
    let logs = LogsRequest::new(value).resource_logs().next().unwrap().unwrap();
    let scope = logs.scope_logs().next().unwrap().unwrap();
    scope.log_records().next().unwrap().unwrap().observed_time_unix_nano
}

//! What arrived in the topic that lines are written to.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use weir_otlp::LogsRequest;
use weir_tests::stack::{Kafka, Listener};

use super::lines::HITS;

/// What was read of an output.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub lines: u64,
    /// Of keys and values, before compression.
    pub bytes: u64,
    /// Records in which something is left that was to be masked.
    unmasked: u64,
    /// When the first and the last record were made, in milliseconds since 1970.
    times_ms: Option<(i64, i64)>,
}

impl Output {
    /// Reads all of a topic, as whoever reads committed sees it.
    pub fn read(kafka: &Kafka, topic: &str) -> Self {
        kafka.settle(topic);
        let mut output = Self::default();
        kafka.read_each(topic, |record| {
            let (value, time) = (record.value.unwrap(), record.timestamp_ms.unwrap());
            output.lines += lines(&value);
            output.bytes += (record.key.map_or(0, |key| key.len()) + value.len()) as u64;
            output.unmasked += u64::from(HITS.iter().any(|hit| contains(&value, hit.as_bytes())));
            let (first, last) = output.times_ms.unwrap_or((time, time));
            output.times_ms = Some((first.min(time), last.max(time)));
        });
        output
    }

    /// Fails if it has fewer lines than were made, or something is left of what was to be masked.
    pub fn check(&self, lines: u64, masked: bool) {
        assert!(self.lines >= lines, "{} of {lines} lines", self.lines);
        assert!(!masked || self.unmasked == 0, "{} records with what was to be masked", self.unmasked);
        assert!(masked || self.unmasked > 0, "nothing was to be masked, and it is gone");
    }

    /// From the first record that was made to the last.
    pub fn wall(&self) -> Duration {
        let (first, last) = self.times_ms.unwrap();
        Duration::from_millis((last - first).max(1).unsigned_abs())
    }
}

/// How many lines a record has.
fn lines(value: &[u8]) -> u64 {
    let mut lines = 0;
    for logs in LogsRequest::new(value).resource_logs() {
        for scope in logs.unwrap().scope_logs() {
            lines += scope.unwrap().log_records().map(|line| line.map(drop).unwrap()).count() as u64;
        }
    }
    lines
}

fn contains(value: &[u8], part: &[u8]) -> bool {
    value.windows(part.len()).any(|window| window == part)
}

/// How many records a topic of so many partitions has, those of open transactions and markers too.
pub(crate) fn ends(kafka: &Kafka, topic: &str, partitions: i32) -> i64 {
    let client: BaseConsumer = kafka.client(Listener::Plain).create().unwrap();
    let end = |partition| client.fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap().1;
    (0..partitions).map(end).sum()
}

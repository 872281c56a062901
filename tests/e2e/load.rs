//! Generated load in a topic, and the memory of what was made.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weir_contract::Output;
use weir_generate::{Config, Generator, Made, Signal, UnixNanos};
use weir_kafka::real::{Connection, LoadProducer};
use weir_tests::stack::{Kafka, Listener};

/// Writes generated metrics to a topic.
pub(crate) struct Load {
    generator: Generator,
    producer: LoadProducer,
    topic: Arc<str>,
    /// Everything that was sent.
    pub made: Made,
}

/// The time.
pub(crate) fn now() -> UnixNanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixNanos(since_epoch.as_nanos().try_into().unwrap())
}

impl Load {
    /// Load of that configuration, which begins at `start`.
    pub fn new(kafka: &Kafka, topic: &str, config: Config, start: UnixNanos) -> Self {
        let brokers = kafka.bootstrap(Listener::Plain);
        let connection = Connection { brokers, properties: Default::default(), embedded: false };
        let generator = Generator::new(config, start).unwrap();
        let producer = LoadProducer::open(&connection).unwrap();
        Self { made: generator.made(), generator, producer, topic: topic.into() }
    }

    /// Sends the next record of metrics, as of `now`; returns the bytes of its value.
    pub fn send(&mut self, now: UnixNanos) -> usize {
        self.send_next(Signal::Metrics, now)
    }

    /// Sends the next record of a signal, as of `now`; returns the bytes of its value.
    pub fn send_next(&mut self, signal: Signal, now: UnixNanos) -> usize {
        let record = self.generator.next(signal, now).unwrap();
        self.made.add(&record.truth);
        self.send_as(record.key, record.value)
    }

    /// Sends a record of the caller's; returns the bytes of its value.
    pub fn send_as(&mut self, key: Vec<u8>, value: Vec<u8>) -> usize {
        let bytes = value.len();
        let (key, value, topic) = (Some(key), Some(value), Arc::clone(&self.topic));
        self.producer.send(&Output { topic, partition: None, key, value, headers: Vec::new() }).unwrap();
        bytes
    }

    /// Waits until every record is acknowledged; what was made.
    #[track_caller]
    pub fn finish(self) -> Made {
        self.producer.flush(Duration::from_secs(60)).unwrap();
        assert_eq!(self.producer.failed(), 0);
        self.made
    }
}

//! The client on librdkafka: a member of the group, a transactional producer, and readers beside.
//!
//! Its calls block, whether they are `async` or not, at most 10 s each: whoever makes them has a
//! thread of their own.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use weir_contract::{Output, TopicPartition};

use crate::client::{Client, ClientError, Committed, Isolation, Offset, Rebalance, Take, TopicNow};

mod admin;
mod config;
mod consumer;
mod context;
mod embedded;
mod error;
mod hearing;
mod list;
mod producer;
mod raw;
mod reader;

pub use admin::{Admin, Allowed, NewTopic, Operation, Setting, Topic};
pub use config::{Connection, KafkaConfig, OWNED, POLL_WITHIN_MS, Protocol};
pub use embedded::Embedded;
pub use producer::{LoadProducer, Transactions};

use consumer::Member;
use hearing::Hearing;
use reader::{Observer, Reader};

/// How long a call waits for its answer.
const CALL: Duration = Duration::from_secs(10);

/// A worker's client.
pub struct Kafka {
    member: Member,
    hearing: Arc<Hearing>,
    transactions: Transactions,
    reader: Reader,
    /// Sees what open transactions have written.
    written: Observer,
    embedded: bool,
}

impl Kafka {
    /// Opens the clients and begins to join the group; Kafka need not answer yet.
    ///
    /// # Errors
    /// librdkafka refuses a property.
    pub fn open(config: &KafkaConfig) -> Result<Self, ClientError> {
        Ok(Self {
            transactions: Transactions::of_worker(config)?,
            reader: Reader::new(config.connection.clone(), &config.group),
            written: Observer::new(config.connection.clone(), "read_uncommitted"),
            embedded: config.connection.embedded,
            hearing: Hearing::new(config),
            member: Member::join(config)?,
        })
    }

    /// The embedded broker takes a transaction's offsets and does not store them: they are committed
    /// once more.
    fn commit_again(&self) {
        let offsets = self.transactions.take_offsets();
        if !self.embedded || offsets.is_empty() {
            return;
        }
        if let Err(error) = self.member.commit_plainly(&offsets) {
            // As after a crash right here: the records are read again.
            tracing::warn!(error = error::why(&error), "the embedded broker did not store offsets");
        }
    }
}

impl Client for Kafka {
    type Group = Arc<ConsumerGroupMetadata>;

    async fn poll(&self, wait: Duration, take: Take<'_>) -> Result<Option<Rebalance>, ClientError> {
        self.hearing.check(&self.member, &self.written)?;
        let (rebalance, idle) = self.member.poll(wait, take)?;
        if idle {
            self.reader.serve();
            self.written.serve();
        }
        Ok(rebalance)
    }

    fn assign(&self, placed: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        self.member.assign(placed)
    }

    fn unassign(&self, gone: &[TopicPartition]) -> Result<(), ClientError> {
        self.member.unassign(gone)
    }

    fn lost(&self) -> bool {
        self.member.lost()
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.member.pause(partitions)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.member.resume(partitions)
    }

    async fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        self.member.seek(partition, offset)
    }

    async fn committed(&self, partition: &TopicPartition) -> Result<Option<Committed>, ClientError> {
        self.member.committed(partition)
    }

    async fn bounds(&self, partition: &TopicPartition, isolation: Isolation) -> Result<(i64, i64), ClientError> {
        match isolation {
            Isolation::Committed => self.member.stable_bounds(partition),
            Isolation::Uncommitted => self.written.bounds(partition),
        }
    }

    async fn offset_at(&self, partition: &TopicPartition, timestamp_ms: i64) -> Result<i64, ClientError> {
        if !self.embedded {
            return self.written.offset_at(partition, timestamp_ms);
        }
        let bounds = self.written.bounds(partition)?;
        reader::find_time(&self.reader, partition, bounds, timestamp_ms)
    }

    /// The embedded broker's topics are never created again, so it is not asked.
    async fn topic(&self, topic: &str) -> Result<Option<TopicNow>, ClientError> {
        if self.embedded { Ok(None) } else { self.written.topic(topic) }
    }

    async fn scan(&self, partition: &TopicPartition, from: i64, take: Take<'_>) -> Result<(), ClientError> {
        self.reader.scan(partition, from, take)
    }

    fn group(&self) -> Result<Self::Group, ClientError> {
        self.member.group().map(Arc::new)
    }

    async fn init_transactions(&self) -> Result<(), ClientError> {
        self.transactions.init()
    }

    fn begin(&self) -> Result<(), ClientError> {
        self.transactions.begin()
    }

    async fn produce(&self, output: &Output) -> Result<(), ClientError> {
        self.transactions.produce(output)
    }

    async fn send_offsets(&self, offsets: &[Offset], group: &Self::Group) -> Result<(), ClientError> {
        self.transactions.send_offsets(offsets, group)
    }

    async fn commit(&self) -> Result<(), ClientError> {
        self.transactions.commit()?;
        self.commit_again();
        Ok(())
    }

    async fn abort(&self) -> Result<(), ClientError> {
        self.transactions.abort()
    }

    fn close(&self) {
        self.member.close();
    }
}

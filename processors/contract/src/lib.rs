//! What every worker, the runtime and the delivery protocol agree on. No IO, no clock.
//!
//! A [`Batch`] of records enters a [`Processor`], which speaks to the world only through its
//! [`Outbox`]. Everything made of the batch hangs on the batch's [`Entry`] in the ledger of
//! its [`Partition`]: items on their way to the outside take [`Hold`]s, while Kafka outputs, dead letters
//! and state changes are [`Carried`]. Once the last hold is released the entry is finished;
//! finished entries leave the front of the ledger in one transaction with all they carry.

mod batch;
mod budget;
mod ledger;
mod limits;
mod outbox;
mod processor;
mod sink;

pub use batch::{Batch, BatchBuilder, Header, Headers, Record};
pub use budget::{Budget, Charge, Memory};
pub use ledger::{Carried, Entry, Front, Hold, Oldest, Partition, Refused, Standing};
pub use limits::{Limits, TooLarge};
pub use outbox::{Decision, Filled, Item, Journaled, Outbox, Released, Sharded};
pub use processor::{Processor, StateError, Timestamp};
pub use sink::{Failure, Next, NoSink, Sink};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: std::sync::Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<std::sync::Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// A record that rides with a batch into a Kafka topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The topic it goes to.
    pub topic: std::sync::Arc<str>,
    /// The partition, where the worker chooses it; else the key decides.
    pub partition: Option<i32>,
    /// The key, which decides the partition and what compaction keeps.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Output {
    /// What the record weighs in a request, about: key, value and headers, in bytes.
    pub fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }

    /// What it takes of its topic's limit at most, in bytes: uncompressed and alone in its batch.
    pub fn framed_bytes(&self) -> usize {
        self.weight() + BATCH_OVERHEAD_BYTES + HEADER_OVERHEAD_BYTES * self.headers.len()
    }
}

/// What Kafka adds to a record that is alone in its batch, in bytes: the batch's header of 61, and the record's own
/// numbers, none of them over 10. A topic's limit (`max.message.bytes`) is on all of it.
const BATCH_OVERHEAD_BYTES: usize = 128;
/// What the lengths of a header's name and value take, in bytes.
const HEADER_OVERHEAD_BYTES: usize = 10;

/// A record that could not be used, on its way to the dead-letter topic, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the record stands in its source.
    pub offset: i64,
    /// The record's timestamp, in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// Its own key.
    pub key: Option<Vec<u8>>,
    /// Its own value.
    pub value: Option<Vec<u8>>,
    /// Its own headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Why, from the worker's closed list.
    pub reason: &'static str,
    /// What helps to find the cause: names and positions, never values.
    pub detail: String,
}

impl DeadLetter {
    /// What it weighs, about: key, value, headers and detail, in bytes.
    pub fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers + self.detail.len()
    }
}

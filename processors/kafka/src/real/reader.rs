//! Clients beside the group: one reads partitions to their end, others ask about offsets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::{Message, Offset as Place};
use weir_contract::TopicPartition;

use super::consumer::{class, give};
use super::context::Log;
use super::error::{Asked, late, passing, why};
use super::{CALL, Connection, list, raw};
use crate::client::{Arrived, ClientError, Take, TopicNow};

/// How long what a client has said of a failed call is listened to.
const SAID: Duration = Duration::from_millis(100);

/// Reads committed records of one partition at a time, from an offset to the last stable one.
/// Opened when it is needed first, then kept.
pub(super) struct Reader {
    connection: Connection,
    group: String,
    consumer: Mutex<Option<BaseConsumer<Log>>>,
}

impl Reader {
    pub fn new(connection: Connection, group: &str) -> Self {
        Self { connection, group: group.to_owned(), consumer: Mutex::new(None) }
    }

    /// Gives records to `take` until it has enough or the last stable offset is reached; begins at
    /// the first one there is, where retention has passed `from` by.
    pub fn scan(&self, id: &TopicPartition, from: i64, take: Take<'_>) -> Result<(), ClientError> {
        let failed = passing("scan");
        let asked = Asked::read(&self.group, &id.topic);
        let mut slot = self.consumer.lock();
        let consumer = match &mut *slot {
            Some(consumer) => consumer,
            empty => {
                let config = self.connection.reader(&self.group);
                empty.insert(config.create_with_context(Log::new("reader")).map_err(&failed)?)
            }
        };
        let (low, stable) = bounds(consumer, id).map_err(|error| explain(consumer, "scan", error, &asked))?;
        let from = from.max(low);
        if from >= stable {
            return Ok(());
        }
        let list = list::one(id, from).map_err(&failed)?;
        consumer.assign(&list).map_err(&failed)?;
        let read = read(consumer, from, take, &asked);
        let ended = consumer.unassign().map_err(&failed);
        if read.is_err() {
            *slot = None; // its state is anybody's guess
        }
        read.and(ended)
    }

    /// Serves what has gathered while nothing was read, unless something is.
    pub fn serve(&self) {
        if let Some(consumer) = self.consumer.try_lock().as_deref().and_then(Option::as_ref) {
            drop(consumer.poll(Duration::ZERO));
        }
    }
}

/// Offsets alone do not tell the end: the last ones before it may be transactions' markers, which
/// no reader sees. librdkafka says when it has passed them.
fn read(consumer: &BaseConsumer<Log>, from: i64, take: Take<'_>, asked: &Asked) -> Result<(), ClientError> {
    let mut until = Instant::now() + CALL;
    while Instant::now() < until {
        match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Ok(message)) if message.offset() < from => continue,
            Some(Ok(message)) => {
                if !give(&message, take) {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => match class(&error) {
                Some(class) => {
                    let told = ClientError { call: "scan", why: why(&error), class };
                    return Err(consumer.context().explain(&error, told, asked));
                }
                None => continue, // the context has logged it
            },
        }
        until = Instant::now() + CALL;
    }
    Err(late("scan"))
}

/// The first offset and the end, as the client's isolation sees them.
pub(super) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    id: &TopicPartition,
) -> Result<(i64, i64), KafkaError> {
    told_anew(consumer, id, consumer.fetch_watermarks(&id.topic, id.partition, CALL))
}

/// librdkafka asks whoever led a partition when it was told so last. Of a topic that it does not read it is told again
/// only after a quarter of an hour, and until then asks a broker that is gone, or nobody: so it is told after a failure.
fn told_anew<C: ConsumerContext, T>(
    consumer: &BaseConsumer<C>,
    id: &TopicPartition,
    answer: Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    if answer.is_err() {
        // Whether that fails, the next try shows.
        drop(consumer.fetch_metadata(Some(&id.topic), CALL));
    }
    answer
}

/// Asks about offsets, as one isolation sees them. Opened when it is needed first, then kept.
pub(super) struct Observer {
    connection: Connection,
    isolation: &'static str,
    consumer: Mutex<Option<Arc<BaseConsumer<Log>>>>,
}

impl Observer {
    pub fn new(connection: Connection, isolation: &'static str) -> Self {
        Self { connection, isolation, consumer: Mutex::new(None) }
    }

    /// What a topic is, where the brokers tell.
    pub fn topic(&self, topic: &str) -> Result<Option<TopicNow>, ClientError> {
        let wait_ms = i32::try_from(CALL.as_millis()).unwrap_or(i32::MAX);
        let answer = raw::topic(self.consumer()?.client(), topic, wait_ms);
        let answer = answer.map_err(|error| passing("topic")(error.into()))?.ok_or_else(|| late("topic"))?;
        Ok(answer.map(|(id, partitions)| TopicNow { id, partitions: i32::try_from(partitions).unwrap_or(i32::MAX) }))
    }

    pub fn consumer(&self) -> Result<Arc<BaseConsumer<Log>>, ClientError> {
        let mut slot = self.consumer.lock();
        if let Some(consumer) = &*slot {
            return Ok(Arc::clone(consumer));
        }
        let config = self.connection.observer(self.isolation);
        let consumer = config.create_with_context(Log::new("observer")).map_err(passing("opening an observer"))?;
        Ok(Arc::clone(slot.insert(Arc::new(consumer))))
    }

    pub fn bounds(&self, id: &TopicPartition) -> Result<(i64, i64), ClientError> {
        let consumer = self.consumer()?;
        bounds(&*consumer, id).map_err(|error| explain(&consumer, "bounds", error, &describe(&id.topic)))
    }

    /// Every topic that this client may see, with how many partitions and replicas.
    pub fn metadata(&self) -> Result<Metadata, ClientError> {
        let consumer = self.consumer()?;
        consumer.fetch_metadata(None, CALL).map_err(|error| explain(&consumer, "topics", error, &Asked::default()))
    }

    /// The first record of that time or later; the end, where there is none.
    pub fn offset_at(&self, id: &TopicPartition, timestamp_ms: i64) -> Result<i64, ClientError> {
        let failed = passing("offset_at");
        let asked = list::one(id, timestamp_ms.max(0)).map_err(&failed)?;
        let consumer = self.consumer()?;
        let answer = told_anew(&*consumer, id, consumer.offsets_for_times(asked, CALL)).map_err(&failed)?;
        let elements = answer.elements();
        let element = elements.first().ok_or_else(|| late("offset_at"))?;
        element.error().map_err(&failed)?;
        match element.offset() {
            Place::Offset(offset) => Ok(offset),
            _ => self.bounds(id).map(|(_, end)| end),
        }
    }

    /// Serves what has gathered while nothing was asked.
    pub fn serve(&self) {
        if let Some(consumer) = self.consumer.try_lock().as_deref().and_then(Option::as_ref) {
            drop(consumer.poll(Duration::ZERO));
        }
    }
}

/// What a topic's offsets take.
fn describe(topic: &str) -> Asked {
    Asked { topics: format!("DESCRIBE on topic {topic}"), ..Asked::default() }
}

/// Adds what helps to a failed call; what the client has said of it waits to be served.
fn explain(consumer: &BaseConsumer<Log>, call: &'static str, error: KafkaError, asked: &Asked) -> ClientError {
    let until = Instant::now() + SAID;
    while Instant::now() < until {
        drop(consumer.poll(SAID / 10));
    }
    consumer.context().explain(&error, passing(call)(error.clone()), asked)
}

/// The first record of that time or later, found by reading; the end, where there is none. For the
/// embedded broker, which keeps little and answers questions about times wrongly.
pub(super) fn find_time(
    reader: &Reader,
    id: &TopicPartition,
    (low, end): (i64, i64),
    timestamp_ms: i64,
) -> Result<i64, ClientError> {
    let mut found = end;
    reader.scan(id, low, &mut |record: Arrived<'_>| {
        let there = record.timestamp_ms.is_some_and(|ms| ms >= timestamp_ms);
        if there {
            found = record.offset;
        }
        !there
    })?;
    Ok(found)
}

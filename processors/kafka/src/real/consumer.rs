//! The member of the group.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message, Offset as Place, TopicPartitionList};
use weir_contract::TopicPartition;

use super::context::Log;
use super::error::{Asked, passing, why};
use super::reader::bounds;
use super::{CALL, KafkaConfig, list, raw};
use crate::client::{Arrived, Class, ClientError, Committed, Offset, Rebalance, Take};

/// How long a seek waits for the partition to be fetched at all.
const SEEK: Duration = Duration::from_secs(5);
/// How long leaving the group may take.
const LEAVE: Duration = Duration::from_secs(10);

/// A consumer in a group. A rebalance is only noted when it comes, and answered by `assign` and
/// `unassign` whenever they are called. A partition is handed to librdkafka with its offset once it
/// is open, not when the group gives it, so librdkafka knows fewer partitions than the group.
pub(super) struct Member {
    consumer: BaseConsumer<Context>,
    /// When the last poll began, if there was one.
    polled: Mutex<Option<Instant>>,
    /// `max.poll.interval.ms`.
    poll_within: Duration,
}

struct Context {
    log: Log,
    noted: Mutex<VecDeque<Rebalance>>,
    /// Those whose loss is noted and not answered: librdkafka forgets it with any assignment.
    lost: Mutex<Vec<TopicPartition>>,
    closing: AtomicBool,
    handed: Mutex<Handed>,
    given: Mutex<Given>,
    asked: Asked,
}

/// What the group has said.
#[derive(Default)]
struct Given {
    /// The partitions that are this member's.
    all: BTreeSet<TopicPartition>,
    /// Those taken away again, until that is answered.
    owed: BTreeSet<TopicPartition>,
}

/// What librdkafka has been handed.
#[derive(Default)]
struct Handed {
    all: BTreeSet<TopicPartition>,
    /// Those paused when they were taken out: librdkafka keeps the pause, should they come back.
    paused: BTreeSet<TopicPartition>,
}

impl Member {
    pub fn join(config: &KafkaConfig) -> Result<Self, ClientError> {
        let context = Context {
            log: Log::new("consumer"),
            noted: Mutex::default(),
            lost: Mutex::default(),
            closing: AtomicBool::new(false),
            handed: Mutex::default(),
            given: Mutex::default(),
            asked: Asked::read(&config.group, &config.topics.join(", ")),
        };
        let consumer: BaseConsumer<_> =
            config.consumer().create_with_context(context).map_err(passing("opening the consumer"))?;
        let topics: Vec<&str> = config.topics.iter().map(|topic| &**topic).collect();
        if topics.iter().any(|topic| topic.contains('\0')) {
            return Err(ClientError { call: "subscribe", why: "no topic has a zero byte".into(), class: Class::Fatal });
        }
        consumer.subscribe(&topics).map_err(passing("subscribe"))?;
        Ok(Self { consumer, polled: Mutex::default(), poll_within: config.poll_within() })
    }

    /// Whatever there is, and whether that was all for now.
    ///
    /// A member that was silent for too long is of no use any more. librdkafka leaves the group for it, joins again
    /// with the next poll, and does not always say so (with KIP-848 the answer to its leaving may wipe out that it
    /// was going to): what was made before would be committed as a member that has just joined.
    pub fn poll(&self, wait: Duration, take: Take<'_>) -> Result<(Option<Rebalance>, bool), ClientError> {
        let silent = || ClientError {
            call: "poll",
            why: format!("there was none for {:?}, so others have its partitions", self.poll_within),
            class: Class::Fatal,
        };
        let began = Instant::now();
        if self.silent() {
            return Err(silent());
        }
        let polled = self.take(wait, take);
        // It may have been stopped on its way into the poll.
        if self.silent() {
            return Err(silent());
        }
        *self.polled.lock() = Some(began);
        polled
    }

    /// Whether librdkafka may have left the group since the last poll.
    fn silent(&self) -> bool {
        self.polled.lock().is_some_and(|polled| polled.elapsed() >= self.poll_within)
    }

    fn take(&self, wait: Duration, take: Take<'_>) -> Result<(Option<Rebalance>, bool), ClientError> {
        if let Some(rebalance) = self.noted() {
            return Ok((Some(rebalance), false));
        }
        let mut wait = wait;
        loop {
            match self.consumer.poll(wait) {
                // Nothing there, or a rebalance was noted.
                None => return Ok((self.noted(), true)),
                Some(Ok(message)) => {
                    if !give(&message, take) {
                        return Ok((None, false));
                    }
                }
                Some(Err(error)) => self.heed(&error)?,
            }
            wait = Duration::ZERO;
        }
    }

    fn noted(&self) -> Option<Rebalance> {
        self.consumer.context().noted.lock().pop_front()
    }

    /// What librdkafka gets over by itself is only logged.
    fn heed(&self, error: &KafkaError) -> Result<(), ClientError> {
        match class(error) {
            Some(class) => {
                let told = ClientError { call: "poll", why: why(error), class };
                Err(self.consumer.context().explain(error, told))
            }
            None => {
                self.consumer.context().log.passing(error);
                Ok(())
            }
        }
    }

    pub fn assign(&self, placed: &[(TopicPartition, i64)]) -> Result<(), ClientError> {
        let failed = passing("assign");
        let list = list::at(placed.iter().map(|(id, offset)| (id, Some(*offset)))).map_err(&failed)?;
        let mut handed = self.consumer.context().handed.lock();
        let still_paused: Vec<_> =
            placed.iter().filter(|(id, _)| handed.paused.remove(id)).map(|(id, _)| id.clone()).collect();
        if !still_paused.is_empty() {
            self.consumer.resume(&list::of(&still_paused).map_err(&failed)?).map_err(&failed)?;
        }
        self.consumer.incremental_assign(&list).map_err(&failed)?;
        handed.all.extend(placed.iter().map(|(id, _)| id.clone()));
        Ok(())
    }

    pub fn unassign(&self, gone: &[TopicPartition]) -> Result<(), ClientError> {
        let context = self.consumer.context();
        let answered = context.take_out(&self.consumer, gone);
        // A revocation that was noted before the loss is answered before it.
        context.lost.lock().retain(|lost| !gone.contains(lost));
        context.given.lock().owed.retain(|owed| !gone.contains(owed));
        answered.map_err(passing("unassign"))
    }

    pub fn lost(&self) -> bool {
        self.silent() || !self.consumer.context().lost.lock().is_empty() || self.consumer.assignment_lost()
    }

    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let failed = passing("pause");
        self.consumer.pause(&list::of(partitions).map_err(&failed)?).map_err(&failed)?;
        self.consumer.context().handed.lock().paused.extend(partitions.iter().cloned());
        Ok(())
    }

    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let failed = passing("resume");
        self.consumer.resume(&list::of(partitions).map_err(&failed)?).map_err(&failed)?;
        let mut handed = self.consumer.context().handed.lock();
        handed.paused.retain(|id| !partitions.contains(id));
        Ok(())
    }

    /// Tries until the partition is being fetched: before that there is nothing to seek in.
    pub fn seek(&self, id: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        let failed = passing("seek");
        let until = Instant::now() + SEEK;
        loop {
            let wanted = list::one(id, offset).map_err(&failed)?;
            let sought = self.consumer.seek_partitions(wanted, SEEK).map_err(&failed)?;
            match sought.elements().first().map_or(Ok(()), |element| element.error()) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > until => return Err(failed(error)),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Read-committed as the consumer is, librdkafka asks for stable offsets, and asks again while a
    /// transaction is pending on them.
    pub fn committed(&self, id: &TopicPartition) -> Result<Option<Committed>, ClientError> {
        let failed = self.failed("committed");
        let asked = list::of(std::slice::from_ref(id)).map_err(&failed)?;
        committed(&self.consumer, asked).map_err(failed).map(|mut answers| answers.pop().flatten())
    }

    pub fn stable_bounds(&self, id: &TopicPartition) -> Result<(i64, i64), ClientError> {
        bounds(&self.consumer, id).map_err(self.failed("bounds"))
    }

    /// An error of a call that the brokers answer.
    fn failed(&self, call: &'static str) -> impl Fn(KafkaError) -> ClientError {
        move |error| self.consumer.context().explain(&error, passing(call)(error.clone()))
    }

    /// The metadata of a member. A transaction with that of none would not be fenced; should the
    /// member be put out while it is fetched, one of the two generations shows it.
    pub fn group(&self) -> Result<ConsumerGroupMetadata, ClientError> {
        let none = || ClientError { call: "group", why: "no member of the group".into(), class: Class::Retriable };
        let generation = raw::generation(&self.consumer);
        let metadata = self.consumer.group_metadata().ok_or_else(none)?;
        let same = raw::generation(&self.consumer) == generation;
        if generation > 0 && same { Ok(metadata) } else { Err(none()) }
    }

    /// Its ID in the group, and the partitions that it was told are its own; nothing while it has not joined, or still
    /// has to let go of some.
    pub fn told(&self) -> Option<(String, BTreeSet<TopicPartition>)> {
        let id = raw::member_id(&self.consumer);
        let given = self.consumer.context().given.lock();
        let settled = given.owed.is_empty() && raw::generation(&self.consumer) > 0 && !id.is_empty();
        settled.then(|| (id, given.all.clone()))
    }

    /// Commits without a transaction: for the embedded broker alone.
    pub fn commit_plainly(&self, offsets: &[Offset]) -> Result<(), KafkaError> {
        commit_plainly(&self.consumer, offsets)
    }

    /// Answers what is due, leaves the group, and answers what comes meanwhile.
    pub fn close(&self) {
        let context = self.consumer.context();
        if context.closing.swap(true, Ordering::SeqCst) {
            return;
        }
        context.noted.lock().clear();
        let all: Vec<_> = context.handed.lock().all.iter().cloned().collect();
        let answered = self.consumer.incremental_assign(&TopicPartitionList::new());
        if let Err(error) = answered.and_then(|()| context.take_out(&self.consumer, &all)) {
            context.log.passing(&error);
        }
        if let Err(error) = self.consumer.close_queue() {
            context.log.passing(&error);
            return;
        }
        let until = Instant::now() + LEAVE;
        while !self.consumer.closed() && Instant::now() < until {
            drop(self.consumer.poll(Duration::from_millis(100)));
        }
    }
}

impl Drop for Member {
    /// The consumer's own `Drop` waits without limit for whoever answers rebalances.
    fn drop(&mut self) {
        self.close();
    }
}

impl Given {
    fn note(&mut self, partitions: &[TopicPartition], is_given: bool) {
        for id in partitions {
            if is_given {
                self.all.insert(id.clone());
            } else if self.all.remove(id) {
                self.owed.insert(id.clone());
            }
        }
    }
}

impl Context {
    fn explain(&self, error: &KafkaError, told: ClientError) -> ClientError {
        self.log.explain(error, told, &self.asked)
    }

    /// Takes out those of the partitions that librdkafka has, and so answers a revocation.
    fn take_out(&self, consumer: &BaseConsumer<Self>, gone: &[TopicPartition]) -> Result<(), KafkaError> {
        let mut handed = self.handed.lock();
        let out: Vec<_> = gone.iter().filter(|id| handed.all.remove(id)).cloned().collect();
        consumer.incremental_unassign(&list::of(&out)?).or_else(|error| {
            // After a fatal error librdkafka has emptied its assignment; an answer is due all the same.
            self.log.passing(&error);
            consumer.incremental_unassign(&TopicPartitionList::new())
        })
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, said: &str) {
        self.log.log(level, facility, said);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    /// A consumer's errors come out of `poll` as well, without their reason.
    fn error(&self, error: KafkaError, reason: &str) {
        self.log.note(&error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = list::names(list);
        let is_given = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::SeqCst) {
            let answered = if is_given {
                consumer.incremental_assign(&TopicPartitionList::new())
            } else {
                self.take_out(consumer, &partitions)
            };
            if let Err(error) = answered {
                self.log.passing(&error);
            }
            return;
        }
        self.given.lock().note(&partitions, is_given);
        let noted = if is_given {
            Rebalance::Assigned(partitions)
        } else if consumer.assignment_lost() {
            self.lost.lock().extend(partitions.iter().cloned());
            Rebalance::Lost(partitions)
        } else {
            Rebalance::Revoked(partitions)
        };
        self.noted.lock().push_back(noted);
    }
}

/// Commits offsets without a transaction.
pub(super) fn commit_plainly<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    offsets: &[Offset],
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for offset in offsets {
        let mut element = list.add_partition(&offset.partition.topic, offset.partition.partition);
        element.set_offset(Place::Offset(offset.offset))?;
        element.set_metadata(&offset.metadata);
    }
    consumer.commit(&list, CommitMode::Sync)
}

/// What a group has committed of partitions, in their order.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    asked: TopicPartitionList,
) -> Result<Vec<Option<Committed>>, KafkaError> {
    let answer = consumer.committed_offsets(asked, CALL)?;
    let read = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        element.error()?;
        Ok(match element.offset() {
            Place::Offset(offset) => Some(Committed { offset, metadata: element.metadata().to_owned() }),
            _ => None,
        })
    };
    answer.elements().iter().map(read).collect()
}

/// Gives a record to whoever wants it; whether there is room for another.
pub(super) fn give(message: &BorrowedMessage<'_>, take: Take<'_>) -> bool {
    let headers = raw::headers(message);
    take(Arrived {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        value: message.payload(),
        headers: &mut headers.iter().map(|(name, value)| (&**name, *value)),
    })
}

/// What an error that came instead of a record means; nothing, if librdkafka gets over it.
pub(super) fn class(error: &KafkaError) -> Option<Class> {
    match error {
        KafkaError::MessageConsumptionFatal(_) => Some(Class::Fatal),
        KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
            Some(Class::OutOfRange)
        }
        // librdkafka would try again at once and for ever; a new session comes after a pause that grows.
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::GroupAuthorizationFailed | RDKafkaErrorCode::TopicAuthorizationFailed,
        ) => Some(Class::Fatal),
        _ => None,
    }
}

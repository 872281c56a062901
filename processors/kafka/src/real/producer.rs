//! Producers: the transactional one, and one for load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use weir_contract::Output;

use super::context::Log;
use super::error::{Asked, late, passing, transaction, why};
use super::{CALL, Connection, KafkaConfig, list};
use crate::client::{Class, ClientError, Offset};

/// How long a try to initialise transactions waits. librdkafka goes on with it beside, and a worker that is told to
/// stop looks only in between.
const INIT: Duration = Duration::from_secs(2);
/// How long sending offsets may take: [`CALL`], by which librdkafka should be back, and then some.
const SEND_OFFSETS: Duration = Duration::from_secs(15);
/// What a producer beside the group may hold that is not sent yet, in bytes.
const QUEUE_BYTES: usize = 32 << 20;
/// How long a full queue is left alone.
const FULL: Duration = Duration::from_millis(2);

/// The transactional producer. A thread of its own serves deliveries: one that failed fails the
/// transaction, which its commit then says.
pub struct Transactions {
    config: ClientConfig,
    producer: Mutex<Arc<ThreadedProducer<Deliveries>>>,
    /// Whether the last transaction was aborted: the producer is a new one since, to be initialised.
    aborted: AtomicBool,
    /// The offsets in the transaction, where the broker is the embedded one.
    offsets: Mutex<Vec<Offset>>,
    /// The topics that the transaction has records for, few.
    written: Mutex<Vec<Arc<str>>>,
    asked: Asked,
}

struct Deliveries {
    log: Log,
    failed: AtomicU64,
    /// Why a delivery of the transaction under way was refused for want of an ACL, and by which topic.
    refused: Mutex<Option<(KafkaError, String)>>,
}

impl Transactions {
    /// A worker's.
    pub(super) fn of_worker(config: &KafkaConfig) -> Result<Self, ClientError> {
        let topics = config.topics.join(", ");
        let asked = Asked { transactional_id: config.transactional_id.clone(), ..Asked::read(&config.group, &topics) };
        Self::new(config.producer(), asked)
    }

    /// Opens a producer; it connects beside. A transactional ID has one at a time; the largest record and
    /// the largest batch of several records, in bytes.
    ///
    /// # Errors
    /// librdkafka refuses a property.
    pub fn open(connection: &Connection, id: &str, sizes: (usize, usize)) -> Result<Self, ClientError> {
        let asked = Asked { transactional_id: id.to_owned(), ..Asked::default() };
        Self::new(connection.producer(id, QUEUE_BYTES, sizes), asked)
    }

    fn new(config: ClientConfig, asked: Asked) -> Result<Self, ClientError> {
        let producer = Mutex::new(create(&config)?);
        let (aborted, offsets, written) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
        Ok(Self { config, producer, aborted, offsets, written, asked })
    }

    fn producer(&self) -> Arc<ThreadedProducer<Deliveries>> {
        Arc::clone(&self.producer.lock())
    }

    /// Fences earlier producers of the transactional ID, whose transactions have ended then: one that
    /// was open is aborted.
    ///
    /// # Errors
    /// Retriable: call it again. Fatal otherwise.
    pub fn init(&self) -> Result<(), ClientError> {
        self.producer().init_transactions(INIT).map_err(self.failed("init_transactions"))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// What librdkafka says.
    pub fn begin(&self) -> Result<(), ClientError> {
        self.offsets.lock().clear();
        self.written.lock().clear();
        self.aborted.store(false, Ordering::Relaxed);
        let producer = self.producer.lock();
        producer.context().refused.lock().take();
        producer.begin_transaction().map_err(transaction("begin"))
    }

    /// Adds a record to the transaction.
    ///
    /// # Errors
    /// What librdkafka says.
    pub fn produce(&self, output: &Output) -> Result<(), ClientError> {
        self.note(&output.topic);
        let producer = self.producer.lock();
        send(&producer, output, |error| {
            let class = match producer.client().fatal_error() {
                Some(_) => Class::Fatal,
                // The transaction has failed, or cannot take this record; aborting tells.
                None => Class::Abortable,
            };
            let told = ClientError { call: "produce", why: why(error), class };
            let asked = Asked { topics: format!("WRITE on topic {}", output.topic), ..self.asked.clone() };
            producer.context().log.explain(error, told, &asked)
        })
    }

    /// Notes a topic, for whoever has to say which ACL is missing. Records of a topic come one after the other
    /// and share its name, so that a pointer is compared for each.
    fn note(&self, topic: &Arc<str>) {
        let mut written = self.written.lock();
        if !written.iter().rev().any(|known| Arc::ptr_eq(known, topic) || known == topic) {
            written.push(Arc::clone(topic));
        }
    }

    /// Adds offsets to the transaction. librdkafka may never come back from it (2.12.1, its issues 5456
    /// and 5511: where the group's coordinator is gone, nothing looks for it before some broker's state changes, and no
    /// timeout is looked at). So a thread makes the call, and is left behind with its producer if that is of no use any more.
    pub(super) fn send_offsets(
        &self,
        offsets: &[Offset],
        group: &Arc<ConsumerGroupMetadata>,
    ) -> Result<(), ClientError> {
        let failed = |error: KafkaError| self.explain(&error, transaction("send_offsets")(error.clone()), &self.asked);
        let list = list::at(offsets.iter().map(|offset| (&offset.partition, Some(offset.offset)))).map_err(&failed)?;
        for offset in offsets {
            if let Some(mut element) = list.find_partition(&offset.partition.topic, offset.partition.partition) {
                element.set_metadata(&offset.metadata);
            }
        }
        let (producer, group, (answer, answered)) = (self.producer(), Arc::clone(group), sync_channel(1));
        let call = move || answer.send(producer.send_offsets_to_transaction(&list, &group, CALL));
        thread::Builder::new().name("send-offsets".to_owned()).spawn(call).map_err(|error| ClientError {
            call: "send_offsets",
            why: format!("no thread for it: {error}"),
            class: Class::Retriable,
        })?;
        let lost = |_| ClientError {
            call: "send_offsets",
            why: "librdkafka did not come back from it".into(),
            class: Class::Fatal,
        };
        answered.recv_timeout(SEND_OFFSETS).map_err(lost)?.map_err(failed)?;
        offsets.clone_into(&mut self.offsets.lock());
        Ok(())
    }

    /// Ends the transaction with all that is in it.
    ///
    /// # Errors
    /// Retriable: undecided, call it again and never abort. Abortable: nothing was committed.
    pub fn commit(&self) -> Result<(), ClientError> {
        self.producer().commit_transaction(CALL).map_err(self.failed("commit"))
    }

    /// Ends the transaction with nothing; the next one is a new producer's. librdkafka (2.12.1,
    /// `rd_kafka_toppar_purge_queues`) drops what waits to be sent, or sent again, and numbers the next records like
    /// the dropped ones. Brokers that have those in their log take the next ones for a repetition: they
    /// acknowledge them and write nothing. A new producer has an epoch of its own, with numbers of its own.
    ///
    /// # Errors
    /// Retriable: call it again.
    pub fn abort(&self) -> Result<(), ClientError> {
        if !self.aborted.load(Ordering::Relaxed) {
            self.producer().abort_transaction(CALL).map_err(self.failed("abort"))?;
            let old = std::mem::replace(&mut *self.producer.lock(), create(&self.config)?);
            // Closing it may take its time. Without a thread for it, it is closed right here.
            drop(thread::Builder::new().name("old-producer".to_owned()).spawn(move || drop(old)));
            self.aborted.store(true, Ordering::Relaxed);
        }
        self.init()
    }

    /// An error of a call about all that is in the transaction. Where a delivery was refused, the error itself
    /// says only that some failed.
    fn failed(&self, call: &'static str) -> impl Fn(KafkaError) -> ClientError {
        move |error| {
            let told = transaction(call)(error.clone());
            let refused = self.producer().context().refused.lock().clone();
            let (error, topics) = refused.unwrap_or_else(|| (error, self.written.lock().join(", ")));
            let topics = format!("WRITE on topic {topics}");
            self.explain(&error, told, &Asked { topics, ..self.asked.clone() })
        }
    }

    fn explain(&self, error: &KafkaError, told: ClientError, asked: &Asked) -> ClientError {
        self.producer().context().log.explain(error, told, asked)
    }

    /// The offsets of the last transaction.
    pub(super) fn take_offsets(&self) -> Vec<Offset> {
        std::mem::take(&mut self.offsets.lock())
    }
}

fn create(config: &ClientConfig) -> Result<Arc<ThreadedProducer<Deliveries>>, ClientError> {
    let producer = config.create_with_context(Deliveries::new("producer"));
    producer.map(Arc::new).map_err(passing("opening the producer"))
}

/// Uses a transactional ID once.
pub(super) fn use_transactional_id(connection: &Connection, id: &str) -> Result<(), ClientError> {
    let mut config = connection.base(&[]);
    let producer: ThreadedProducer<Deliveries> = config
        .set("transactional.id", id)
        .create_with_context(Deliveries::new("producer"))
        .map_err(passing("opening the producer"))?;
    let asked = Asked { transactional_id: id.to_owned(), ..Asked::default() };
    let failed = |error: KafkaError| {
        let told = transaction("init_transactions")(error.clone());
        producer.context().log.explain(&error, told, &asked)
    };
    producer.init_transactions(CALL).map_err(failed)
}

/// A producer without transactions, for load.
pub struct LoadProducer {
    producer: ThreadedProducer<Deliveries>,
}

impl LoadProducer {
    /// Opens a producer; it connects beside.
    ///
    /// # Errors
    /// librdkafka refuses a property.
    pub fn open(connection: &Connection) -> Result<Self, ClientError> {
        let producer = connection.load().create_with_context(Deliveries::new("load producer"));
        Ok(Self { producer: producer.map_err(passing("opening the producer"))? })
    }

    /// Hands a record over, and waits while the queue is full; what becomes of it shows in
    /// [`Self::failed`].
    ///
    /// # Errors
    /// The record is not one that can be sent, or the queue has been full for 10 s.
    pub fn send(&self, record: &Output) -> Result<(), ClientError> {
        let failed = |error: &KafkaError| ClientError { call: "produce", why: why(error), class: Class::Fatal };
        send(&self.producer, record, failed)
    }

    /// Waits until everything is delivered or has failed, at most `wait`.
    ///
    /// # Errors
    /// Something is still under way.
    pub fn flush(&self, wait: Duration) -> Result<(), ClientError> {
        self.producer.flush(wait).map_err(passing("flush"))
    }

    /// How many records were not delivered.
    pub fn failed(&self) -> u64 {
        self.producer.context().failed.load(Ordering::Relaxed)
    }
}

fn send(
    producer: &ThreadedProducer<Deliveries>,
    output: &Output,
    failed: impl Fn(&KafkaError) -> ClientError,
) -> Result<(), ClientError> {
    let mut next = record(output);
    let until = Instant::now() + CALL;
    loop {
        match producer.send(next) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                if Instant::now() > until {
                    return Err(late("produce"));
                }
                next = back;
                thread::sleep(FULL);
            }
            Err((error, _)) => return Err(failed(&error)),
        }
    }
}

fn record(output: &Output) -> BaseRecord<'_, [u8], [u8]> {
    let headers = (!output.headers.is_empty()).then(|| {
        let empty = OwnedHeaders::new_with_capacity(output.headers.len());
        output
            .headers
            .iter()
            .fold(empty, |headers, (name, value)| headers.insert(Header { key: name, value: Some(value.as_slice()) }))
    });
    BaseRecord {
        topic: &output.topic,
        partition: output.partition,
        payload: output.value.as_deref(),
        key: output.key.as_deref(),
        timestamp: None,
        headers,
        delivery_opaque: (),
    }
}

impl Deliveries {
    fn new(client: &'static str) -> Self {
        Self { log: Log::new(client), failed: AtomicU64::new(0), refused: Mutex::default() }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, said: &str) {
        self.log.log(level, facility, said);
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.note(&error, reason);
        self.log.passing(&error);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.log.passing(error);
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) {
                self.refused.lock().get_or_insert_with(|| (error.clone(), message.topic().to_owned()));
            }
        }
    }
}

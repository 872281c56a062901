//! Topics, clients, and a worker that reads.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir_contract::{Output, TopicPartition};
use weir_kafka::real::{Admin, Connection, Kafka, KafkaConfig, LoadProducer, NewTopic, Protocol};
use weir_kafka::{Class, Client, ClientError, Isolation, Offset, Rebalance};

pub const PATIENCE: Duration = Duration::from_secs(60);
/// No offset at all.
pub const NONE: [i64; 0] = [];
pub const PROTOCOLS: [Protocol; 2] = [Protocol::Classic, Protocol::Consumer];

/// The client's futures never wait: they block.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the client waits instead of blocking"),
    }
}

/// Calls until the answer is another than to call again.
#[track_caller]
pub fn settled<T>(mut call: impl FnMut() -> Result<T, ClientError>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(error) if error.class == Class::Retriable => assert!(Instant::now() < until, "{error}"),
            result => return result.unwrap(),
        }
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A name that no other run has.
pub fn unique(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("weir-test-{what}-{nanos}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

pub fn connection(brokers: &str, embedded: bool) -> Connection {
    Connection { brokers: brokers.into(), properties: BTreeMap::new(), embedded }
}

/// The real Kafka, where there is one.
pub fn kafka(test: &str) -> Option<Connection> {
    let brokers = std::env::var("WEIR_TEST_KAFKA").ok();
    if brokers.is_none() {
        println!("{test}: skipped, WEIR_TEST_KAFKA names no Kafka");
    }
    brokers.map(|brokers| connection(&brokers, false))
}

pub fn create(connection: &Connection, partitions: i32) -> Arc<str> {
    let name = unique("topic");
    let admin = Admin::open(connection, "weir-test").unwrap();
    let topic = NewTopic { name: name.clone(), partitions, replication: Some(1), configs: BTreeMap::new() };
    block_on(admin.create(&topic)).unwrap();
    name.into()
}

pub fn config(connection: &Connection, group: &str, topic: &Arc<str>, protocol: Protocol) -> KafkaConfig {
    KafkaConfig {
        connection: connection.clone(),
        group: group.into(),
        protocol,
        instance: None,
        topics: vec![Arc::clone(topic)],
        transactional_id: unique("producer"),
        prefetch_bytes: 16 << 20,
        produce_bytes: 16 << 20,
        message_bytes_max: 1 << 20,
        batch_bytes_max: 1 << 20,
    }
}

pub fn output(topic: &Arc<str>, partition: i32, value: impl Into<Vec<u8>>) -> Output {
    Output { topic: topic.clone(), partition: Some(partition), key: None, value: Some(value.into()), headers: vec![] }
}

/// Writes `count` records to each of the partitions, valued by their number.
pub fn fill(connection: &Connection, topic: &Arc<str>, partitions: i32, count: usize) {
    let load = LoadProducer::open(connection).unwrap();
    for number in 0..count {
        for partition in 0..partitions {
            load.send(&output(topic, partition, number.to_string())).unwrap();
        }
    }
    load.flush(PATIENCE).unwrap();
    assert_eq!(load.failed(), 0);
}

/// What a worker has read: partition, offset and when.
pub type Seen = (i32, i64, Instant);

/// A client that answers and opens at once, as a worker would.
pub struct Worker {
    pub kafka: Kafka,
    pub mine: BTreeMap<TopicPartition, i64>,
    pub seen: Vec<Seen>,
    pub rebalances: Vec<Rebalance>,
}

impl Worker {
    pub fn join(config: &KafkaConfig) -> Self {
        let kafka = Kafka::open(config).unwrap();
        settled(|| now(kafka.init_transactions()));
        Self { kafka, mine: BTreeMap::new(), seen: vec![], rebalances: vec![] }
    }

    /// Polls once; what was revoked or lost goes at once, and what was given opens at once.
    pub fn turn(&mut self) -> Result<(), ClientError> {
        let seen = &mut self.seen;
        let rebalance = now(self.kafka.poll(Duration::from_millis(20), &mut |record| {
            seen.push((record.partition, record.offset, Instant::now()));
            true
        }))?;
        match &rebalance {
            Some(Rebalance::Assigned(given)) => {
                self.kafka.assign(&[])?;
                for id in given {
                    let offset = self.position(id)?;
                    self.kafka.assign(&[(id.clone(), offset)])?;
                    self.mine.insert(id.clone(), offset);
                }
            }
            Some(Rebalance::Revoked(gone) | Rebalance::Lost(gone)) => {
                self.kafka.unassign(gone)?;
                self.mine.retain(|id, _| !gone.contains(id));
            }
            None => {}
        }
        self.rebalances.extend(rebalance);
        Ok(())
    }

    fn position(&self, id: &TopicPartition) -> Result<i64, ClientError> {
        match now(self.kafka.committed(id))? {
            Some(committed) => Ok(committed.offset),
            None => Ok(now(self.kafka.bounds(id, Isolation::Uncommitted))?.0),
        }
    }

    /// Turns until it is so.
    #[track_caller]
    pub fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(Instant::now() < until, "not in time: {what}; has {:?}, {:?}", self.mine, self.rebalances);
            self.turn().unwrap();
        }
    }

    /// What was read of a partition, in order.
    pub fn offsets(&self, partition: i32) -> Vec<i64> {
        self.seen.iter().filter(|(of, ..)| *of == partition).map(|(_, offset, _)| *offset).collect()
    }

    /// Commits offsets and outputs in one transaction.
    pub fn commit(&self, offsets: &[Offset], outputs: &[Output]) -> Result<(), ClientError> {
        let group = self.kafka.group()?;
        self.kafka.begin()?;
        for output in outputs {
            now(self.kafka.produce(output))?;
        }
        now(self.kafka.send_offsets(offsets, &group))?;
        now(self.kafka.commit())
    }
}

pub fn offset(topic: &Arc<str>, partition: i32, offset: i64) -> Offset {
    Offset { partition: TopicPartition::new(topic.clone(), partition), offset, metadata: format!("at {offset}") }
}

/// Every offset that a scan gives.
pub fn scanned(kafka: &Kafka, id: &TopicPartition, from: i64) -> Vec<i64> {
    let mut offsets = vec![];
    now(kafka.scan(id, from, &mut |record| {
        offsets.push(record.offset);
        true
    }))
    .unwrap();
    offsets
}

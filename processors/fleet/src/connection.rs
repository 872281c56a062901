//! A worker's way to Kafka, from the topology.

use std::sync::Arc;

use weir_contract::Limits;
use weir_kafka::real::{self, Kafka, KafkaConfig, Protocol};
use weir_kafka::{ClientError, Identity, Start};
use weir_logs::config::DeadLetters;

use crate::topology::{self, Kind, Topic, Topology, Worker};

/// What a transaction may hold that is not sent yet, in bytes.
const PRODUCE_BYTES: usize = 32 << 20;
/// After so much that was made for Kafka it is committed, before the interval is over, in bytes: about what a core hands
/// to the producer in a tenth of a second, and a quarter of what may wait there.
pub const COMMIT_BYTES: usize = 8 << 20;
/// What headers and framing may add to a record, in bytes.
pub const RECORD_OVERHEAD_BYTES: usize = 16 << 10;

/// What a topic takes that has no limit of its own, in bytes: a little less than brokers' own default.
pub const BROKERS_LIMIT_BYTES: usize = 1 << 20;

/// A worker's way to Kafka.
#[derive(Clone, Debug)]
pub struct Connection(KafkaConfig);

/// How every client reaches Kafka.
pub fn brokers(topology: &Topology, embedded: bool) -> real::Connection {
    let mut properties = topology.kafka.client_properties();
    let brokers = properties.remove("bootstrap.servers").unwrap_or_default();
    real::Connection { brokers, properties, embedded }
}

impl Connection {
    /// The way of a worker, which may fetch so many bytes ahead.
    pub fn new(topology: &Topology, worker: &Worker, brokers: real::Connection, prefetch_bytes: usize) -> Self {
        let instance = topology.process.instance_id.as_ref().map(|id| id.get_ref().clone());
        let unique = instance.clone().unwrap_or_else(|| format!("{:016x}", random()));
        let (message_bytes_max, batch_bytes_max) = sizes(topology);
        Self(KafkaConfig {
            connection: brokers,
            group: worker.group.clone(),
            protocol: match worker.group_protocol {
                topology::GroupProtocol::Classic => Protocol::Classic,
                topology::GroupProtocol::Consumer => Protocol::Consumer,
            },
            instance,
            topics: worker.topics.iter().map(|topic| Arc::from(topic.as_str())).collect(),
            transactional_id: transactional_id(&worker.group, &unique),
            prefetch_bytes,
            produce_bytes: PRODUCE_BYTES,
            message_bytes_max,
            batch_bytes_max,
        })
    }

    /// The way of a command that stands in for a worker: a member beside its instances, with a transactional ID of its
    /// own.
    pub fn beside(topology: &Topology, worker: &Worker, purpose: &str) -> Self {
        let transactional_id = transactional_id(&worker.group, purpose);
        let Self(config) = Self::new(topology, worker, brokers(topology, false), 0);
        Self(KafkaConfig { instance: None, transactional_id, ..config })
    }

    /// What the client may fetch ahead, in bytes.
    pub fn prefetch_bytes(&self) -> usize {
        self.0.prefetch_bytes
    }

    /// Opens the clients of one session.
    ///
    /// # Errors
    /// librdkafka refuses a property.
    pub fn connect(&self) -> Result<Kafka, ClientError> {
        Kafka::open(&self.0)
    }
}

/// Who a worker is to Kafka.
pub fn identity(topology: &Topology, name: &str, worker: &Worker) -> Identity {
    let dead_letter_topic = worker.kind.dead_letters();
    let limit = topology.topics.get(dead_letter_topic);
    let limit = limit.map_or(BROKERS_LIMIT_BYTES, |topic: &Topic| topic.max_message_bytes.get_usize());
    Identity {
        worker: name.to_owned(),
        group: worker.group.clone(),
        dead_letter_topic: dead_letter_topic.into(),
        // What is larger leaves only its origin: with a limit of nothing, every record does.
        dead_letter_max_bytes: match &worker.kind {
            Kind::Enrich(config) if config.dead_letters == DeadLetters::Origin => 0,
            _ => limit,
        },
        state_topic: worker.state_topic().map(Arc::from),
    }
}

/// What stands in for a worker to drop its state.
pub const RESET: &str = "reset";

/// The group of a replay: what all those of a worker have in common, and what makes it the only one.
pub fn replay_group(group: &str, unique: &str) -> String {
    format!("{group}-replay-{unique}")
}

/// A worker's transactional ID: what its group's IDs have in common, and what makes it the only one.
pub fn transactional_id(group: &str, unique: &str) -> String {
    format!("{group}-{unique}")
}

/// Where a group without offsets begins.
pub fn start(worker: &Worker) -> Start {
    match worker.start {
        topology::Start::Earliest => Start::Earliest,
        topology::Start::Latest => Start::Latest,
        topology::Start::At(time) => {
            let since_epoch = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Start::Time(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
        }
    }
}

/// The largest records that the topics take.
pub fn limits(topology: &Topology) -> Limits {
    let of = |(name, topic): (&String, &Topic)| (Arc::from(name.as_str()), topic.max_message_bytes.get_usize());
    let topics = topology.topics.iter().map(of).collect();
    Limits { topics: Arc::new(topics), other_bytes: BROKERS_LIMIT_BYTES, state_bytes: BROKERS_LIMIT_BYTES }
}

/// The largest record that any topic takes, with what is added to it, and what every topic takes in one batch, both
/// in bytes.
pub fn sizes(topology: &Topology) -> (usize, usize) {
    let Limits { topics, other_bytes, .. } = limits(topology);
    let (largest, smallest) = (topics.values().max().copied(), topics.values().min().copied());
    let largest = largest.unwrap_or(other_bytes) + RECORD_OVERHEAD_BYTES;
    (largest, smallest.unwrap_or(other_bytes).min(other_bytes))
}

/// A number that no other process has, from the keys that the standard library draws for its maps.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

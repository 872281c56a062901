//! What the clients are configured with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::client::Isolation;

/// librdkafka's properties that Weir sets itself, by name, and what to use instead.
pub const OWNED: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "`weir topics` creates topics"),
    ("auto.commit.enable", "Weir commits in transactions"),
    ("auto.commit.interval.ms", "Weir commits in transactions"),
    ("auto.offset.reset", "`start` says where a group without offsets begins; a gap is never hidden"),
    ("batch.size", "follows from the topics' limits"),
    ("bootstrap.servers", "use `brokers`"),
    ("delivery.timeout.ms", "a record lives as long as its transaction"),
    ("enable.auto.commit", "Weir commits in transactions"),
    ("enable.auto.offset.store", "Weir commits in transactions"),
    ("enable.idempotence", "always on"),
    ("enable.partition.eof", "Weir sets it where it needs it"),
    ("fetch.max.bytes", "follows from the memory budget"),
    ("group.id", "use the worker's `group`"),
    ("group.instance.id", "use `process.instance_id`"),
    ("group.protocol", "use `group_protocol`"),
    ("isolation.level", "always read_committed"),
    ("message.max.bytes", "follows from the topics' limits"),
    ("message.timeout.ms", "a record lives as long as its transaction"),
    ("metadata.broker.list", "use `brokers`"),
    ("partition.assignment.strategy", "always cooperative-sticky"),
    ("partitioner", "always murmur2_random, as other clients have it"),
    ("queue.buffering.max.kbytes", "follows from the size of a commit"),
    ("queue.buffering.max.messages", "follows from the size of a commit"),
    ("queued.max.messages.kbytes", "follows from the memory budget"),
    ("queued.min.messages", "follows from the memory budget"),
    ("test.mock.num.brokers", "`weir up` brings a broker of its own"),
    ("transaction.timeout.ms", "always 10 s: an open transaction holds back every reader"),
    ("transactional.id", "Weir chooses it"),
];

/// How long a transaction may stay open, in milliseconds. While it is open, every read-committed
/// reader of its topics waits.
const TRANSACTION_TIMEOUT_MS: u32 = 10_000;
/// What a record costs librdkafka beside its bytes, about: no more are queued than fit the share.
const RECORD_OVERHEAD_BYTES: usize = 512;
/// Properties of a group's member. Clients beside the group go without: they would be checked
/// against defaults that members of a KIP-848 group do not have.
const OF_MEMBERS: &[&str] =
    &["group.remote.assignor", "heartbeat.interval.ms", "max.poll.interval.ms", "session.timeout.ms"];
/// Default of `max.poll.interval.ms`, which is also how long a KIP-848 group waits for a member to let go of
/// partitions, or for the word of it that got lost: librdkafka's five minutes are long for those who wait for them, and
/// a worker polls all the time.
pub const POLL_WITHIN_MS: u64 = 60_000;
/// What the reader beside the group queues, in KiB: it serves one partition at a time.
const READER_QUEUE_KIB: usize = 8 * 1024;
/// The largest answer to a fetch, in bytes: librdkafka's own default.
const FETCH_BYTES_MAX: usize = 50 << 20;

/// How to reach Kafka.
#[derive(Clone)]
pub struct Connection {
    /// Brokers to begin with: `host:port`, comma separated.
    pub brokers: String,
    /// librdkafka's properties: those of security and the user's own, none of [`OWNED`].
    pub properties: BTreeMap<String, String>,
    /// Whether the brokers are the embedded ones of [`Embedded`](super::Embedded).
    pub embedded: bool,
}

impl fmt::Debug for Connection {
    /// Without the values of properties, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("brokers", &self.brokers)
            .field("properties", &self.properties.keys())
            .field("embedded", &self.embedded)
            .finish()
    }
}

/// How the members of a group share the partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The members do, cooperatively (`cooperative-sticky`); any Kafka. The embedded broker's.
    Classic,
    /// The brokers do (KIP-848); Kafka 4.0 or newer.
    Consumer,
}

/// What a worker's client is made of.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// How to reach Kafka.
    pub connection: Connection,
    /// The consumer group.
    pub group: String,
    /// How its members share the partitions.
    pub protocol: Protocol,
    /// The member's name across restarts (static membership), where it has one.
    pub instance: Option<String>,
    /// What this worker reads.
    pub topics: Vec<Arc<str>>,
    /// The transactional ID; a client with the same one fences this one.
    pub transactional_id: String,
    /// What may be fetched ahead, in bytes. An answer that is under way may overshoot it, one a
    /// broker, each of a sixteenth of this (but no less than 1 MiB) before it is decompressed.
    pub prefetch_bytes: usize,
    /// What a transaction may hold that is not sent yet, in bytes.
    pub produce_bytes: usize,
    /// The largest record that is produced, in bytes.
    pub message_bytes_max: usize,
    /// How much several records may have together in one batch, in bytes: what every topic takes.
    pub batch_bytes_max: usize,
}

impl Connection {
    /// What every client has, whether it is a member of a group or not. Weir's defaults come before the user's properties, what Weir owns
    /// after them.
    pub(super) fn base(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // What its property `debug` asks for comes at that level.
        let level = if self.properties.contains_key("debug") { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info };
        config.set_log_level(level);
        config.set("client.id", "weir").set("log.connection.close", "false");
        // Its pauses do not grow where no connection comes about at all: librdkafka begins anew with its brokers then,
        // after half of this. With its default a certificate that did not pass made a worker try ten times a second;
        // so it is four.
        config.set("reconnect.backoff.ms", "1000");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in self.properties.iter().filter(|(name, _)| !OF_MEMBERS.contains(&name.as_str())) {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        if self.embedded {
            // Its fetches do not wake on new data.
            config.set("fetch.wait.max.ms", "10");
        }
        config
    }

    /// A client that asks about topics and offsets, as that isolation sees them.
    pub(super) fn observer(&self, isolation: &str) -> ClientConfig {
        let mut config = self.base(&[]);
        config.set("isolation.level", isolation);
        config
    }

    /// A client that asks what a group has committed: once transactions under way on it have ended,
    /// or as it is.
    pub(super) fn auditor(&self, group: &str, isolation: Isolation) -> ClientConfig {
        let mut config = self.observer(match isolation {
            Isolation::Committed => "read_committed",
            Isolation::Uncommitted => "read_uncommitted",
        });
        config.set("group.id", group).set("enable.auto.commit", "false");
        config
    }

    /// A client that reads a partition to its end beside the group. It has the group's name, for
    /// what the group may read it may read too, and never joins.
    pub(super) fn reader(&self, group: &str) -> ClientConfig {
        // What it reads is there; at the end, a fetch would wait for more.
        let mut config = self.base(&[("fetch.queue.backoff.ms", "10"), ("fetch.wait.max.ms", "10")]);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", READER_QUEUE_KIB.to_string());
        config
    }

    /// A transactional producer, which may hold so many bytes that are not sent yet; the largest record
    /// and the largest batch of several records, in bytes.
    pub(super) fn producer(
        &self,
        id: &str,
        queue_bytes: usize,
        (message_bytes_max, batch_bytes_max): (usize, usize),
    ) -> ClientConfig {
        let mut config = self.base(&[("compression.type", "zstd")]);
        let queue = queue_bytes.max(2 * message_bytes_max);
        let records = (queue / RECORD_OVERHEAD_BYTES).clamp(10_000, 10_000_000);
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string())
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("batch.size", batch_bytes_max.clamp(1, 2_147_483_647).to_string())
            .set("message.max.bytes", message_bytes_max.clamp(1000, 1_000_000_000).to_string())
            .set("queue.buffering.max.messages", records.to_string())
            .set("queue.buffering.max.kbytes", kib(queue, 2_147_483_647).to_string());
        config
    }

    /// A producer without transactions.
    pub(super) fn load(&self) -> ClientConfig {
        let mut config = self.base(&[("compression.type", "zstd")]);
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        config
    }
}

impl KafkaConfig {
    /// How long the member may go without a poll: Weir's default, or the user's.
    pub(super) fn poll_within(&self) -> Duration {
        let own = |name: &str| self.connection.properties.get(name).and_then(|own| own.parse().ok());
        // librdkafka wants it no shorter than the session.
        let default = || POLL_WITHIN_MS.max(own("session.timeout.ms").unwrap_or_default());
        Duration::from_millis(own("max.poll.interval.ms").unwrap_or_else(default))
    }

    /// The member of the group.
    pub(super) fn consumer(&self) -> ClientConfig {
        // The default of a second would be waited out each time the queue is full.
        let mut config = self.connection.base(&[("fetch.queue.backoff.ms", "10")]);
        let own = &self.connection.properties;
        for (name, value) in OF_MEMBERS.iter().filter_map(|name| own.get_key_value(*name)) {
            config.set(name, value);
        }
        // Little, for telemetry is compressed to a tenth and less.
        let fetch = (self.prefetch_bytes / 16).clamp(1 << 20, FETCH_BYTES_MAX);
        let records = (self.prefetch_bytes / RECORD_OVERHEAD_BYTES).clamp(1000, 100_000);
        config
            .set("group.id", &self.group)
            .set("max.poll.interval.ms", self.poll_within().as_millis().to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("fetch.max.bytes", fetch.to_string())
            .set("queued.max.messages.kbytes", kib(self.prefetch_bytes / 16 * 15, 2_097_151).to_string())
            .set("queued.min.messages", records.to_string());
        match self.protocol {
            Protocol::Classic => config.set("partition.assignment.strategy", "cooperative-sticky"),
            Protocol::Consumer => config.set("group.protocol", "consumer"),
        };
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", instance);
        }
        if self.connection.embedded {
            // A group whose member left is joined again only after that member's session.
            config.set("session.timeout.ms", "6000");
        }
        config
    }

    /// The transactional producer.
    pub(super) fn producer(&self) -> ClientConfig {
        let sizes = (self.message_bytes_max, self.batch_bytes_max);
        self.connection.producer(&self.transactional_id, self.produce_bytes, sizes)
    }
}

/// Bytes as the nearest KiB below that librdkafka takes.
fn kib(bytes: usize, max: usize) -> usize {
    (bytes / 1024).clamp(1, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> KafkaConfig {
        let properties = [("sasl.password", "secret"), ("compression.type", "lz4"), ("client.rack", "a")];
        KafkaConfig {
            connection: Connection {
                brokers: "127.0.0.1:1".into(),
                properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                embedded: false,
            },
            group: "g".into(),
            protocol: Protocol::Classic,
            instance: None,
            topics: vec!["t".into()],
            transactional_id: "g-1".into(),
            prefetch_bytes: 64 << 20,
            produce_bytes: 32 << 20,
            message_bytes_max: 1 << 20,
            batch_bytes_max: 1 << 20,
        }
    }

    #[test]
    fn the_users_properties_win_over_defaults_and_lose_against_what_weir_owns() {
        let mut config = config();
        config.connection.properties.insert("isolation.level".into(), "read_uncommitted".into());
        assert_eq!(config.producer().get("compression.type"), Some("lz4"));
        assert_eq!(config.consumer().get("isolation.level"), Some("read_committed"));
        assert_eq!(config.consumer().get("client.rack"), Some("a"));
    }

    #[test]
    fn a_member_is_told_to_librdkafka_with_the_interval_that_it_is_watched_by() {
        for (name, own, within) in [
            ("client.rack", "a", "60000"),
            ("max.poll.interval.ms", "90000", "90000"),
            ("session.timeout.ms", "70000", "70000"),
        ] {
            let mut config = config();
            config.connection.properties.insert(name.into(), own.into());
            assert_eq!(config.consumer().get("max.poll.interval.ms"), Some(within), "{name}");
            assert_eq!(config.poll_within().as_millis().to_string(), within, "{name}");
            config.consumer().create_native_config().unwrap();
        }
    }

    #[test]
    fn clients_beside_the_group_go_without_the_properties_of_members() {
        let mut config = config();
        config.connection.properties.insert("max.poll.interval.ms".into(), "6000".into());
        assert_eq!(config.consumer().get("max.poll.interval.ms"), Some("6000"));
        for client in [config.producer(), config.connection.reader("g"), config.connection.observer("read_committed")] {
            assert_eq!(client.get("max.poll.interval.ms"), None);
        }
    }

    #[test]
    fn queues_stay_within_their_share() {
        let consumer = config().consumer();
        let number = |name| consumer.get(name).unwrap().parse::<usize>().unwrap();
        assert_eq!(number("queued.max.messages.kbytes") * 1024 + number("fetch.max.bytes"), 64 << 20);
        assert_eq!(number("queued.min.messages"), 100_000);
        assert_eq!(config().producer().get("queue.buffering.max.kbytes"), Some("32768"));
    }

    #[test]
    fn a_record_of_the_largest_size_fits_the_producers_queue() {
        let small = KafkaConfig { produce_bytes: 1, message_bytes_max: 8 << 20, ..config() };
        assert_eq!(small.producer().get("queue.buffering.max.kbytes"), Some("16384"));
    }

    #[test]
    fn every_client_is_accepted_by_librdkafka_with_both_protocols() {
        for protocol in [Protocol::Classic, Protocol::Consumer] {
            let config = KafkaConfig { protocol, instance: Some("i".into()), ..config() };
            for client in [config.consumer(), config.producer(), config.connection.reader("g")] {
                client.create_native_config().unwrap();
            }
        }
    }

    #[test]
    fn what_is_owned_is_named_once_and_in_order() {
        assert!(OWNED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", config());
        assert!(shown.contains("sasl.password") && !shown.contains("secret"), "{shown}");
    }
}

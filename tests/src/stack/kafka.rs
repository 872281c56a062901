//! A Kafka cluster, and what a test does with its topics.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{Process, Signal, folder, free_ports, script, stack_home};
use crate::http::block_on;
use crate::wait::wait_until;

/// A cluster of one or three nodes on 127.0.0.1, each broker and controller.
#[derive(Debug)]
pub struct Kafka {
    folder: PathBuf,
    port: u16,
    nodes: Vec<Mutex<Option<Process>>>,
}

/// The ways to speak to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// No login, not subject to ACLs.
    Plain,
    /// SCRAM over TLS as user `weir`, subject to ACLs.
    Sasl,
    /// A client certificate for `User:weir`, subject to ACLs.
    MutualTls,
    /// TLS with a certificate that has expired.
    Expired = 4,
    /// TLS with the certificate of another host.
    OtherHost,
}

/// A record, to be written or as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Where it is written; by its key if `None`. Always there in a record read.
    pub partition: Option<i32>,
    /// Where it was read; nothing to a record written.
    pub offset: i64,
    /// Milliseconds since 1970; the time of writing if `None`.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Kafka {
    /// Starts a cluster of `nodes` nodes: 1 or 3.
    pub fn start(nodes: usize) -> Self {
        let nodes_down = (0..nodes).map(|_| Mutex::default()).collect();
        let kafka = Self { folder: folder("kafka"), port: free_ports(), nodes: nodes_down };
        for node in 1..=nodes {
            kafka.spawn(node);
        }
        for node in 1..=nodes {
            kafka.ready(node);
        }
        kafka
    }

    /// A cluster of one node that all tests of the program share: topics have names of their own
    /// ([`Kafka::topic`]), consumer groups must too.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(1))
    }

    fn spawn(&self, node: usize) {
        let (nodes, port) = (self.nodes.len().to_string(), self.port.to_string());
        let mut command = Command::new(script("kafka"));
        command.args(["run", "--node", &node.to_string(), "--nodes", &nodes, "--port", &port, "--dir"]);
        let process = Process::spawn(&format!("kafka-{node}"), &self.folder, command.arg(&self.folder));
        *self.nodes[node - 1].lock() = Some(process);
    }

    /// Waits until `node` knows the whole cluster.
    fn ready(&self, node: usize) {
        let all = self.nodes.len();
        let address = self.address(node, Listener::Plain);
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
        let mut process = self.nodes[node - 1].lock();
        let process = process.as_mut().expect("the node was started");
        process.ready(Duration::from_secs(120), || {
            let metadata = client.fetch_metadata(None, Duration::from_secs(2)).map_err(|error| error.to_string())?;
            let known = metadata.brokers().len();
            if known == all { Ok(()) } else { Err(format!("it knows {known} of {all} nodes")) }
        });
    }

    /// Signals `node` (1, 2, 3): `SIGSTOP` and `SIGCONT` hold it up.
    ///
    /// # Panics
    /// If the node was killed.
    pub fn signal_node(&self, node: usize, signal: Signal) {
        let process = self.nodes[node - 1].lock();
        // What it runs in is a script, which has become the program itself.
        process.as_ref().expect("the node runs").signal(signal);
    }

    /// Crashes `node`.
    pub fn kill_node(&self, node: usize) {
        *self.nodes[node - 1].lock() = None;
    }

    /// Starts `node` again, with its data.
    pub fn start_node(&self, node: usize) {
        self.spawn(node);
        self.ready(node);
    }

    /// Starts the nodes that were killed, and lets those go on that were stopped.
    pub fn revive(&self) {
        for node in 1..=self.nodes.len() {
            let running = self.nodes[node - 1].lock().as_ref().map(|process| process.signal(Signal::SIGCONT)).is_some();
            if !running {
                self.start_node(node);
            }
        }
    }

    fn address(&self, node: usize, listener: Listener) -> String {
        format!("127.0.0.1:{}", usize::from(self.port) + 10 * (node - 1) + listener as usize)
    }

    /// The addresses of all nodes, separated by commas.
    pub fn bootstrap(&self, listener: Listener) -> String {
        let addresses: Vec<String> = (1..=self.nodes.len()).map(|node| self.address(node, listener)).collect();
        addresses.join(",")
    }

    /// Where a certificate or a key is.
    pub fn tls(file: &str) -> String {
        stack_home().join("kafka/tls").join(file).display().to_string()
    }

    /// The settings of a client of `listener`.
    pub fn client(&self, listener: Listener) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap(listener));
        let tls = Self::tls;
        match listener {
            Listener::Plain => {}
            Listener::Expired | Listener::OtherHost => {
                config.set("security.protocol", "ssl").set("ssl.ca.location", tls("ca.crt"));
            }
            Listener::Sasl => {
                config.set("security.protocol", "sasl_ssl").set("ssl.ca.location", tls("ca.crt"));
                config.set("sasl.mechanisms", "SCRAM-SHA-512");
                config.set("sasl.username", "weir").set("sasl.password", "weir-secret");
            }
            Listener::MutualTls => {
                config.set("security.protocol", "ssl").set("ssl.ca.location", tls("ca.crt"));
                config.set("ssl.certificate.location", tls("weir.crt")).set("ssl.key.location", tls("weir.key"));
            }
        }
        config
    }

    /// Runs one of Kafka's own tools against this cluster, `AclCommand` for example, and returns what it prints.
    #[track_caller]
    pub fn tool(&self, class: &str, args: &[&str]) -> String {
        let mut command = Command::new(script("kafka"));
        command.args(["tool", class, "--bootstrap-server", &self.bootstrap(Listener::Plain)]).args(args);
        let mut tool = Process::spawn("tool", &folder("tool"), &command);
        let status = tool.finish(Duration::from_secs(60));
        assert!(status.success(), "{class} {args:?}: {status}: {}{}", tool.stdout(), tool.stderr());
        tool.stdout()
    }

    /// A prefix for names that no other test uses: `NAME-7`.
    pub fn unique(name: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a topic, replicated to every node.
    #[track_caller]
    pub fn create_topic(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client(Listener::Plain).create().unwrap();
        let replication = TopicReplication::Fixed(self.nodes.len().try_into().unwrap());
        let new = settings
            .iter()
            .fold(NewTopic::new(topic, partitions, replication), |new, (key, value)| new.set(key, value));
        let made = block_on(admin.create_topics(&[new], &AdminOptions::new())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let client: BaseConsumer = self.client(Listener::Plain).create().unwrap();
        wait_until(Duration::from_secs(30), "leader of every partition", || {
            let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).map_err(|e| e.to_string())?;
            let led = metadata.topics()[0].partitions().iter().filter(|partition| partition.leader() > 0).count();
            if led == usize::try_from(partitions).unwrap() { Ok(()) } else { Err(format!("{led} of {partitions}")) }
        });
    }

    /// Makes a topic with a name of its own, from `name`, and returns that name.
    #[track_caller]
    pub fn topic(&self, name: &str, partitions: i32) -> String {
        let topic = Self::unique(name);
        self.create_topic(&topic, partitions, &[]);
        topic
    }

    /// Writes `records` to `topic`; all are acknowledged when it returns.
    #[track_caller]
    pub fn produce(&self, topic: &str, records: &[Record]) {
        let mut config = self.client(Listener::Plain);
        // What a topic takes is its own business.
        config.set("linger.ms", "5").set("message.max.bytes", "100000000");
        let producer: FutureProducer = config.create().unwrap();
        for some in records.chunks(10_000) {
            let written: Vec<_> = some.iter().map(|record| record.send(&producer, topic)).collect();
            for delivery in written {
                block_on(delivery).unwrap().unwrap();
            }
        }
    }

    /// Waits until no transaction is pending on `topic`: its markers may be written after the offsets' that it carried.
    #[track_caller]
    pub fn settle(&self, topic: &str) {
        let [stable, written] = ["read_committed", "read_uncommitted"].map(|isolation| {
            let consumer: BaseConsumer =
                self.client(Listener::Plain).set("isolation.level", isolation).create().unwrap();
            consumer
        });
        let metadata = stable.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
        for partition in metadata.topics()[0].partitions() {
            wait_until(Duration::from_secs(60), "end of every transaction", || {
                let end = |of: &BaseConsumer| of.fetch_watermarks(topic, partition.id(), Duration::from_secs(10));
                let ends = [end(&written), end(&stable)].map(|bounds| bounds.map(|(_, end)| end));
                if ends[0].is_ok() && ends[0] == ends[1] { Ok(()) } else { Err(format!("{ends:?}")) }
            });
        }
    }

    /// Reads all committed records of `topic`, ordered by partition and offset.
    #[track_caller]
    pub fn read_all(&self, topic: &str) -> Vec<Record> {
        let mut records = Vec::new();
        self.read_each(topic, |record| records.push(record));
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// Reads all records of `topic`, those of transactions that were aborted too.
    #[track_caller]
    pub fn read_uncommitted(&self, topic: &str) -> Vec<Record> {
        let mut records = Vec::new();
        self.read(topic, "read_uncommitted", |record| records.push(record));
        records
    }

    /// Reads all committed records of `topic`, those of a partition in order.
    #[track_caller]
    pub fn read_each(&self, topic: &str, take: impl FnMut(Record)) {
        self.read(topic, "read_committed", take);
    }

    #[track_caller]
    fn read(&self, topic: &str, isolation: &str, mut take: impl FnMut(Record)) {
        let mut config = self.client(Listener::Plain);
        config.set("isolation.level", isolation);
        config.set("group.id", "unused").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            all.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&all).unwrap();

        let (mut ended, mut last) = (0, Instant::now());
        while ended < all.count() {
            assert!(last.elapsed() < Duration::from_secs(60), "{topic} read to its end in time");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => take(Record::read(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => continue,
            }
            last = Instant::now();
        }
    }
}

impl Record {
    fn send(&self, producer: &FutureProducer, topic: &str) -> rdkafka::producer::DeliveryFuture {
        let headers = self
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: value.as_ref() }));
        let record: FutureRecord<'_, Vec<u8>, Vec<u8>> = FutureRecord {
            topic,
            partition: self.partition,
            payload: self.value.as_ref(),
            key: self.key.as_ref(),
            timestamp: self.timestamp_ms,
            headers: Some(headers),
        };
        producer.send_result(record).map_err(|(error, _)| error).unwrap()
    }

    fn read(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            partition: Some(message.partition()),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
        }
    }
}

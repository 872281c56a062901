//! Every way in which a commit fails, provoked on a real Kafka: what is said, and that outputs and offset are there
//! together or not at all.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use weir_contract::{BatchBuilder, Output, Partition, TopicPartition};
use weir_kafka::real::{Connection, Kafka as Real, KafkaConfig, Protocol};
use weir_kafka::{Client, Committer, Identity, Open, Outcome, Partitions, Rebalance, Start, open};
use weir_tests::between::Between;
use weir_tests::stack::{Kafka, Listener, Record, Signal};
use weir_tests::wait::wait_until;

use crate::job::full;

const PROTOCOLS: [Protocol; 2] = [Protocol::Classic, Protocol::Consumer];
/// Longer than a call waits, and than a transaction lives: both are 10 s.
const STOPPED: Duration = Duration::from_secs(14);
const PATIENCE: Duration = Duration::from_secs(240);
const RECORDS: i64 = 10;

/// A cluster of one node that is stopped and killed; for one test at a time.
fn cluster() -> (&'static Kafka, MutexGuard<'static, ()>) {
    static CLUSTER: OnceLock<Kafka> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock();
    let kafka = CLUSTER.get_or_init(|| Kafka::start(1));
    kafka.revive();
    (kafka, turn)
}

/// A member of a group with one partition, and a committer.
struct Rig {
    kafka: &'static Kafka,
    config: KafkaConfig,
    identity: Identity,
    output: Arc<str>,
    client: Arc<Between<Real>>,
    partitions: Partitions,
    committer: Committer<Between<Real>>,
    /// The partition that is open.
    id: TopicPartition,
    /// From where.
    opened: i64,
}

impl Rig {
    /// With so many partitions, of which that one is open.
    fn new(kafka: &'static Kafka, protocol: Protocol, connection: Connection, (partitions, open): (i32, i32)) -> Self {
        let name = kafka.topic("commits", partitions);
        let records: Vec<_> = (0..100)
            .map(|number| Record { partition: Some(number % partitions), value: Some(vec![b'?']), ..Record::default() })
            .collect();
        kafka.produce(&name, &records);
        let topic = |what: &str| {
            let topic = format!("{name}-{what}");
            kafka.create_topic(&topic, partitions, &[]);
            Arc::from(topic)
        };
        let identity = Identity {
            worker: "commits".to_owned(),
            group: name.clone(),
            dead_letter_topic: topic("dead-letters"),
            dead_letter_max_bytes: 1 << 20,
            state_topic: Some(topic("state")),
        };
        let config = KafkaConfig {
            connection,
            group: name.clone(),
            protocol,
            instance: None,
            topics: vec![name.as_str().into()],
            transactional_id: name.clone(),
            prefetch_bytes: 16 << 20,
            produce_bytes: 16 << 20,
            message_bytes_max: 1 << 20,
            batch_bytes_max: 1 << 20,
        };
        let id = TopicPartition::new(name.as_str(), open);
        let (client, partitions, committer) = clients(&config, &identity);
        let output = topic("out");
        let mut rig = Self { kafka, config, identity, output, client, partitions, committer, id, opened: 0 };
        rig.join();
        rig
    }

    fn plain(kafka: &'static Kafka, protocol: Protocol) -> Self {
        Self::new(kafka, protocol, connection(kafka, Listener::Plain), (1, 0))
    }

    /// Joins, and opens the partition.
    fn join(&mut self) {
        wait_until(PATIENCE, "initialised transactions", || {
            now(self.client.init_transactions()).map_err(|error| error.to_string())
        });
        wait_until(PATIENCE, "assignment", || match poll(&*self.client) {
            Some(Rebalance::Assigned(given)) if !given.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        });
        self.client.assign(&[]).unwrap();
        let id = self.id.clone();
        let opened = wait_until(PATIENCE, "open partition", || {
            let opened = now(open(&*self.client, &id, Start::Earliest, self.identity.state_topic.as_ref()));
            opened.map_err(|error| error.to_string())
        });
        self.opened = opened.offset;
        let partition = Partition::open(id.clone(), opened.offset);
        self.partitions.lock().insert(id, Open { partition, mark: opened.mark });
    }

    /// As the runtime does after a session was lost: new clients, from what is committed.
    fn begin_anew(&mut self) {
        self.client.close();
        (self.client, self.partitions, self.committer) = clients(&self.config, &self.identity);
        self.join();
    }

    /// Finishes records up to an offset: an output, a dead letter and a change of state.
    fn finish(&self) {
        let partition = Arc::clone(&self.partitions.lock()[&self.id].partition);
        let first = partition.position();
        let (entry, hold) = partition.admit(Some((first, first + RECORDS)), 0);
        let mut records = BatchBuilder::new(self.id.clone());
        records.push(first, Some(0), Some(b"key"), Some(b"?"), std::iter::empty());
        let batch = records.build().unwrap();
        let mut carried = entry.carried();
        carried.outputs = Arc::new(vec![Output {
            topic: self.output.clone(),
            partition: Some(0),
            key: None,
            value: Some(first.to_string().into_bytes()),
            headers: Vec::new(),
        }]);
        carried.dead_letters = batch.records().map(|record| record.dead_letter("malformed", String::new())).collect();
        carried.state = vec![(b"key".to_vec(), Some(first.to_string().into_bytes()))];
        drop(carried);
        hold.release();
    }

    fn commit(&mut self) -> Outcome {
        now(self.committer.commit())
    }

    /// Commits until that is decided; what was said on the way.
    #[track_caller]
    fn decide(&mut self) -> (Outcome, Vec<String>) {
        let (started, mut said) = (Instant::now(), Vec::new());
        loop {
            match self.commit() {
                Outcome::Again(error) => said.push(error.to_string()),
                outcome => return (outcome, said),
            }
            assert!(started.elapsed() < PATIENCE, "{said:?}");
            sleep(Duration::from_millis(200));
        }
    }

    /// What is there once everything is decided: outputs and dead letters as often as the offset says, in order, and
    /// the state of that offset.
    #[track_caller]
    fn is_consistent(&self, committed: i64) {
        let id = self.id.clone();
        let opened = wait_until(PATIENCE, "open partition", || {
            let opened = now(open(&**self.client.inner(), &id, Start::Earliest, self.identity.state_topic.as_ref()));
            opened.map_err(|error| error.to_string())
        });
        assert_eq!(opened.offset, committed, "committed");
        let firsts: Vec<String> = (0..committed / RECORDS).map(|batch| (batch * RECORDS).to_string()).collect();
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
        // The markers of a topic may be written later than those of the offsets.
        wait_until(PATIENCE, "every output", || {
            let outputs: Vec<_> =
                self.kafka.read_all(&self.output).into_iter().map(|record| text(record.value)).collect();
            assert!(outputs.len() <= firsts.len(), "{outputs:?}");
            if outputs == firsts { Ok(()) } else { Err(format!("{outputs:?}")) }
        });
        wait_until(PATIENCE, "every dead letter", || {
            let letters = self.kafka.read_all(&self.identity.dead_letter_topic).len();
            assert!(letters <= firsts.len());
            if letters == firsts.len() { Ok(()) } else { Err(letters) }
        });
        let state: BTreeMap<_, _> =
            firsts.last().map(|last| (b"key".to_vec(), last.clone().into_bytes())).into_iter().collect();
        assert_eq!(opened.state, state);
    }
}

fn clients(config: &KafkaConfig, identity: &Identity) -> (Arc<Between<Real>>, Partitions, Committer<Between<Real>>) {
    let client = Arc::new(Between::new(Real::open(config).unwrap()));
    let partitions = Partitions::default();
    let committer = Committer::new(Arc::clone(&client), Arc::clone(&partitions), identity.clone());
    (client, partitions, committer)
}

fn connection(kafka: &Kafka, listener: Listener) -> Connection {
    let config = kafka.client(listener);
    let mut properties: BTreeMap<_, _> =
        config.config_map().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    // The map shows no secrets.
    if let Some(password) = config.get("sasl.password") {
        properties.insert("sasl.password".to_owned(), password.to_owned());
    }
    let brokers = properties.remove("bootstrap.servers").unwrap();
    Connection { brokers, properties, embedded: false }
}

/// The client's futures never wait: they block.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the client waits instead of blocking"),
    }
}

/// Answers what the group does; the partitions that it is about.
fn answered(client: &Real) -> Vec<TopicPartition> {
    match poll(client) {
        Some(Rebalance::Assigned(partitions)) => {
            client.assign(&[]).unwrap();
            partitions
        }
        Some(Rebalance::Revoked(partitions) | Rebalance::Lost(partitions)) => {
            client.unassign(&partitions).unwrap();
            partitions
        }
        None => Vec::new(),
    }
}

fn poll<C: Client>(client: &C) -> Option<Rebalance> {
    now(client.poll(Duration::from_millis(100), &mut |_| true)).unwrap()
}

/// Guards: what Kafka does not answer is called again, and never aborted; a transaction that outlived its time while
/// nobody answered is found out by new clients, and is there once or not at all.
#[test]
fn a_commit_that_is_not_answered_is_undecided_until_kafka_says_so() {
    let (kafka, _turn) = cluster();
    for (call, protocol) in [("send_offsets", Protocol::Classic), ("commit", Protocol::Consumer)] {
        let mut rig = Rig::plain(kafka, protocol);
        rig.finish();
        assert!(matches!(rig.commit(), Outcome::Committed(_)));
        rig.finish();
        let waker = Arc::new(Mutex::new(None));
        let started = Arc::clone(&waker);
        rig.client.before(call, move |_| {
            kafka.signal_node(1, Signal::SIGSTOP);
            *started.lock() = Some(std::thread::spawn(move || {
                sleep(STOPPED);
                kafka.signal_node(1, Signal::SIGCONT);
            }));
        });
        let (outcome, said) = rig.decide();
        waker.lock().take().unwrap().join().unwrap();
        println!("{call}: {said:?}, then {outcome:?}");
        assert!(!said.is_empty(), "{call}: nothing was undecided: {outcome:?}");
        settles(rig, outcome);
    }
}

/// Guards: the outcome of a transaction whose answer was lost with its broker is found out.
#[test]
fn a_commit_whose_broker_dies_is_there_once_or_not_at_all() {
    if !full() {
        return println!("a long form: a broker that comes back takes minutes");
    }
    let (kafka, _turn) = cluster();
    for (call, protocol) in [("commit", Protocol::Classic), ("send_offsets", Protocol::Consumer)] {
        let mut rig = Rig::plain(kafka, protocol);
        rig.finish();
        assert!(matches!(rig.commit(), Outcome::Committed(_)));
        rig.finish();
        let killer = Arc::new(Mutex::new(None));
        let started = Arc::clone(&killer);
        rig.client.before(call, move |_| {
            // The request leaves, and its answer may or may not be on its way.
            *started.lock() = Some(std::thread::spawn(move || {
                sleep(Duration::from_millis(2));
                kafka.kill_node(1);
                kafka.start_node(1);
            }));
        });
        let (outcome, said) = rig.decide();
        println!("{call}: {said:?}, then {outcome:?}");
        killer.lock().take().unwrap().join().unwrap();
        settles(rig, outcome);
    }
}

/// Goes on as the runtime would, until both batches are committed; they are there once.
#[track_caller]
fn settles(mut rig: Rig, mut outcome: Outcome) {
    for _ in 0..5 {
        match outcome {
            Outcome::Committed(_) => return rig.is_consistent(2 * RECORDS),
            Outcome::Broken(_) => {
                assert!(rig.partitions.lock().is_empty(), "nothing may be committed any more");
                rig.begin_anew();
                rig.is_consistent(rig.opened);
                if rig.opened == 2 * RECORDS {
                    return;
                }
                rig.finish();
            }
            // The member may have been put out meanwhile.
            Outcome::Aborted(_) | Outcome::Nothing => {
                rig.begin_anew();
                rig.is_consistent(RECORDS);
                rig.finish();
            }
            Outcome::Again(error) => panic!("{error}"),
        }
        outcome = rig.decide().0;
    }
    panic!("it does not come to an end: {outcome:?}");
}

/// Guards: a transaction that vouches with an older generation than the group's is aborted, its batches stay whole and
/// are committed with the next one (invariant 4).
#[test]
fn a_rebalance_in_between_aborts_the_commit_and_the_next_one_carries_it() {
    let (kafka, _turn) = cluster();
    for protocol in PROTOCOLS {
        // Which of the two stays is up to the group.
        let stayed = [0, 1].map(|open| rebalances(kafka, protocol, open));
        assert_ne!(stayed[0], stayed[1], "{protocol:?}: one of them stays");
    }
}

/// A second member joins while a commit is under way; whether the partition of it stays.
fn rebalances(kafka: &'static Kafka, protocol: Protocol, open: i32) -> bool {
    let mut rig = Rig::new(kafka, protocol, connection(kafka, Listener::Plain), (2, open));
    rig.finish();
    let other = Real::open(&KafkaConfig { transactional_id: Kafka::unique("other"), ..rig.config.clone() }).unwrap();
    let (other, gone) = (Arc::new(other), Arc::new(Mutex::new(Vec::new())));
    let (joining, revoked) = (Arc::clone(&other), Arc::clone(&gone));
    // The group's metadata is taken before the transaction begins.
    rig.client.before("begin", move |client| {
        wait_until(PATIENCE, "a member with a partition", || {
            revoked.lock().extend(answered(client));
            let given = answered(&joining);
            if given.is_empty() { Err("nothing given") } else { Ok(()) }
        });
    });
    let outcome = rig.commit();
    let stays = !gone.lock().contains(&rig.id);
    println!("{protocol:?}, it stays: {stays}: {outcome:?}");
    let aborted = match &outcome {
        Outcome::Aborted(_) => true,
        // Of a partition that stays, newer brokers take what an older epoch vouches for: it is still its owner's.
        Outcome::Committed(_) if stays && protocol == Protocol::Consumer => false,
        other => panic!("{other:?}"),
    };
    if aborted {
        rig.is_consistent(0);
    }
    if aborted && stays {
        let summary = wait_until(PATIENCE, "commit", || match rig.commit() {
            Outcome::Committed(summary) => Ok(summary),
            other => {
                answered(rig.client.inner());
                Err(format!("{other:?}"))
            }
        });
        assert_eq!((summary.outputs, summary.dead_letters), (1, 1), "{protocol:?}");
    }
    if stays {
        rig.is_consistent(RECORDS);
    }
    other.close();
    rig.client.close();
    stays
}

/// Guards: a second producer of the same transactional ID ends the first one's transaction; nothing of it can be
/// committed any more, and everything is there once when new clients have done it again.
#[test]
fn a_fenced_commit_abandons_every_partition() {
    let (kafka, _turn) = cluster();
    for (protocol, call) in [(Protocol::Classic, "send_offsets"), (Protocol::Consumer, "commit")] {
        let mut rig = Rig::plain(kafka, protocol);
        rig.finish();
        let second = KafkaConfig { group: Kafka::unique("elsewhere"), ..rig.config.clone() };
        rig.client.before(call, move |_| {
            let second = Real::open(&second).unwrap();
            wait_until(PATIENCE, "a second producer", || {
                now(second.init_transactions()).map_err(|error| error.to_string())
            });
            second.close();
        });
        let partition = Arc::clone(&rig.partitions.lock()[&rig.id].partition);
        let (outcome, _) = rig.decide();
        let Outcome::Broken(error) = &outcome else { panic!("{call}: {outcome:?}") };
        println!("{call}: {error}");
        assert!(partition.is_abandoned() && rig.partitions.lock().is_empty());
        rig.begin_anew();
        rig.is_consistent(0);
        rig.finish();
        assert!(matches!(rig.commit(), Outcome::Committed(_)));
        rig.is_consistent(RECORDS);
    }
}

/// Guards: an ACL that is taken away stops the commits, says so, and loses and repeats nothing.
#[test]
fn a_commit_that_an_acl_forbids_comes_once_it_is_allowed_again() {
    let (kafka, _turn) = cluster();
    let acl = |change: &str, what: [&str; 2], operation: &str| {
        let mut args = vec![change, "--allow-principal", "User:weir", "--operation", operation, what[0], what[1]];
        args.extend(["--resource-pattern-type", "prefixed"]);
        if change == "--remove" {
            args.push("--force");
        }
        kafka.tool("AclCommand", &args);
    };
    for (kind, operation) in [("--topic", "All"), ("--group", "All"), ("--transactional-id", "All")] {
        acl("--add", [kind, "commits"], operation);
    }
    let mut rig = Rig::new(kafka, Protocol::Classic, connection(kafka, Listener::Sasl), (1, 0));
    rig.finish();
    assert!(matches!(rig.commit(), Outcome::Committed(_)));
    let mut done = RECORDS;
    for kind in ["--topic", "--transactional-id"] {
        acl("--remove", [kind, "commits"], "All");
        rig.finish();
        let refused = wait_until(PATIENCE, "refusal", || match rig.commit() {
            Outcome::Aborted(error) | Outcome::Broken(error) => Ok(error.to_string()),
            other => {
                assert!(!matches!(other, Outcome::Committed(_)), "{kind}: it was committed");
                Err(format!("{other:?}"))
            }
        });
        println!("{kind}: {refused}");
        assert!(refused.contains("AUTHORIZATION_FAILED"), "{kind}: {refused}");
        acl("--add", [kind, "commits"], "All");
        rig.begin_anew();
        rig.is_consistent(done);
        rig.finish();
        wait_until(PATIENCE, "commit", || match rig.commit() {
            Outcome::Committed(_) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        done += RECORDS;
        rig.is_consistent(done);
    }
}

//! Records just under and over the limits of real topics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_contract::{Batch, BatchBuilder, Budget, Limits, Outbox, Output, Partition, TooLarge, TopicPartition};
use weir_kafka::real::{Admin, Connection, Kafka, NewTopic, Protocol};
use weir_kafka::{Client, Committer, Identity, Isolation, Mark, Open, Outcome, Partitions};

use crate::rig::{PATIENCE, block_on, config, kafka, now, settled, unique};

/// What the topics take, in bytes.
const LIMIT: usize = 20_000;
/// The same, of the dead-letter topic.
const LETTERS_LIMIT: usize = 30_000;

/// A worker with topics of those limits, and one open partition of its source.
struct Rig {
    kafka: Arc<Kafka>,
    partition: Arc<Partition>,
    committer: Committer<Kafka>,
    target: Arc<str>,
    letters: Arc<str>,
    changelog: Arc<str>,
    /// Of the next record.
    offset: i64,
}

fn topic(connection: &Connection, max_bytes: usize) -> Arc<str> {
    let name = unique("sized");
    let configs = [("max.message.bytes".to_owned(), max_bytes.to_string())].into();
    let admin = Admin::open(connection, "weir-test").unwrap();
    block_on(admin.create(&NewTopic { name: name.clone(), partitions: 1, replication: Some(1), configs })).unwrap();
    name.into()
}

impl Rig {
    fn new(connection: &Connection) -> Self {
        let [source, target, changelog] = [LIMIT; 3].map(|limit| topic(connection, limit));
        let letters = topic(connection, LETTERS_LIMIT);
        let config = weir_kafka::real::KafkaConfig {
            batch_bytes_max: LIMIT,
            ..config(connection, &unique("group"), &source, Protocol::Classic)
        };
        let kafka = Arc::new(Kafka::open(&config).unwrap());
        settled(|| now(kafka.init_transactions()));
        let until = Instant::now() + PATIENCE;
        while now(kafka.poll(Duration::from_millis(20), &mut |_| true)).unwrap().is_none() {
            assert!(Instant::now() < until, "never a member");
        }
        kafka.assign(&[]).unwrap();
        let id = TopicPartition::new(source, 0);
        let partition = Partition::open(id.clone(), 0);
        let identity = Identity {
            worker: "sizes".into(),
            group: config.group.clone(),
            dead_letter_topic: letters.clone(),
            dead_letter_max_bytes: LETTERS_LIMIT,
            state_topic: Some(changelog.clone()),
        };
        let open = Open { partition: Arc::clone(&partition), mark: Mark::default() };
        let partitions = Partitions::default();
        partitions.lock().insert(id, open);
        let committer = Committer::new(Arc::clone(&kafka), partitions, identity);
        Self { kafka, partition, committer, target, letters, changelog, offset: 0 }
    }

    /// Gives a batch of one record to `process`, and commits what it makes of it.
    #[track_caller]
    fn commit(&mut self, value: &[u8], process: impl FnOnce(&Batch, &mut Outbox<()>)) {
        let mut builder = BatchBuilder::new(self.partition.id().clone());
        builder.push(self.offset, Some(0), Some(b"key"), Some(value), std::iter::empty());
        self.offset += 1;
        let batch = builder.build().unwrap();
        let (entry, processing) = self.partition.admit(Some((batch.first_offset(), batch.next_offset())), 0);
        let mut out = Outbox::new(Arc::clone(&entry), Budget::new(1 << 30), 1, Limits::all(LIMIT));
        process(&batch, &mut out);
        *entry.carried() = out.finish().carried;
        processing.release();
        let outcome = now(self.committer.commit());
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }

    /// Sizes of the values in a topic.
    fn sizes(&self, topic: &Arc<str>) -> Vec<Option<usize>> {
        let id = TopicPartition::new(topic.clone(), 0);
        // Markers are written after the answer to a commit.
        let until = Instant::now() + PATIENCE;
        let end = |isolation| now(self.kafka.bounds(&id, isolation)).unwrap().1;
        while end(Isolation::Committed) < end(Isolation::Uncommitted) {
            assert!(Instant::now() < until, "a transaction stays open");
        }
        let mut sizes = vec![];
        let mut take = |record: weir_kafka::Arrived<'_>| {
            sizes.push(record.value.map(<[u8]>::len));
            true
        };
        now(self.kafka.scan(&id, 0, &mut take)).unwrap();
        sizes
    }
}

fn output(topic: &Arc<str>, bytes: usize) -> Output {
    let value = Some(noise(bytes));
    Output { topic: topic.clone(), partition: Some(0), key: None, value, headers: vec![("h".into(), b"own".to_vec())] }
}

/// Bytes that no codec makes smaller, other ones each time.
fn noise(bytes: usize) -> Vec<u8> {
    static SEED: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let mut state = SEED.fetch_add(0x1234_5678_9abc_def1, Ordering::Relaxed) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[7]
    };
    (0..bytes).map(|_| next()).collect()
}

/// Scenario: one output as large as may be, one a byte larger; then fifty of a quarter in one transaction.
/// Guards: the first is committed, the second is not taken and nothing waits for it; those that fit one by one go
/// through together.
#[test]
fn an_output_just_under_its_topics_limit_is_committed_and_one_over_it_blocks_nothing() {
    let Some(connection) = kafka("output sizes") else { return };
    let mut rig = Rig::new(&connection);
    let target = rig.target.clone();
    let largest = LIMIT - output(&target, 0).framed_bytes();
    rig.commit(b"x", |_, out| {
        out.produce(output(&target, largest)).unwrap();
        let refused = out.produce(output(&target, largest + 1)).unwrap_err();
        assert_eq!(refused, TooLarge { bytes: LIMIT + 1, limit_bytes: LIMIT });
    });
    rig.commit(b"x", |_, out| (0..50).for_each(|_| out.produce(output(&target, LIMIT / 4)).unwrap()));
    let sizes = rig.sizes(&target);
    assert_eq!((sizes.len(), sizes[0], sizes[50]), (51, Some(largest), Some(LIMIT / 4)));
}

#[test]
fn a_state_value_just_under_the_changelogs_limit_is_committed_and_one_over_it_blocks_nothing() {
    let Some(connection) = kafka("state sizes") else { return };
    let mut rig = Rig::new(&connection);
    let topic = rig.partition.id().topic.clone();
    let mut bytes = LIMIT;
    while Limits::all(LIMIT).state(&topic, b"key", &noise(bytes)).is_err() {
        bytes -= 1;
    }
    assert!(bytes > LIMIT - 300, "{bytes}");
    rig.commit(b"x", |_, out| {
        out.remember(b"key".to_vec(), noise(bytes)).unwrap();
        out.remember(b"key".to_vec(), noise(bytes + 1)).unwrap_err();
    });
    let position = 9;
    assert_eq!(rig.sizes(&rig.changelog), [Some(bytes), Some(position)], "what was taken stays");
}

/// Scenario: records as large as their topic takes are rejected, several in one transaction; the dead-letter topic
/// takes some more, then less.
/// Guards: they are letters byte for byte; a letter that its topic would not take leaves origin, size and hash alone
/// (invariant 3), and nothing waits for it.
#[test]
fn a_dead_letter_just_under_its_topics_limit_is_whole_and_one_over_it_leaves_its_origin() {
    let Some(connection) = kafka("letter sizes") else { return };
    let mut rig = Rig::new(&connection);
    let reject = |batch: &Batch, out: &mut Outbox<()>| {
        for record in batch.records() {
            out.reject(&record, "malformed", "a name ".repeat(1_000));
        }
    };
    let letters = rig.letters.clone();
    let mut bytes = LETTERS_LIMIT;
    while bytes > 0 {
        rig.commit(&noise(bytes), reject);
        if rig.sizes(&letters).contains(&Some(bytes)) {
            break;
        }
        bytes -= 100;
    }
    assert!((LETTERS_LIMIT - 2_500..LETTERS_LIMIT).contains(&bytes), "headers and a detail of 1,000: {bytes}");
    let sizes = rig.sizes(&letters);
    assert!(sizes.len() > 10, "{sizes:?}");
    let (whole, origins) = sizes.split_last().unwrap();
    assert_eq!((*whole, origins.iter().all(Option::is_none)), (Some(bytes), true), "{sizes:?}");
    rig.commit(&noise(bytes), reject);
    assert_eq!(rig.sizes(&letters).len(), sizes.len() + 1);
}

//! Opening a partition that has state, on a real Kafka.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use weir_contract::{Output, TopicPartition};
use weir_kafka::real::{Admin, Connection, LoadProducer, NewTopic, Protocol};
use weir_kafka::{Client, Isolation, Offset, OpenError, Opened, Start, State, open};

use crate::rig::{PATIENCE, Worker, block_on, config, create, fill, kafka, now, unique};

/// What is committed beside the offset by a worker that keeps state.
const MARK: &str = "weir:1 state";

/// A worker of one partition with ten records, and its changelog.
struct Keeper {
    worker: Worker,
    source: TopicPartition,
    changelog: Arc<str>,
}

impl Keeper {
    fn new(connection: &Connection) -> Self {
        let (source, changelog) = (create(connection, 1), changelog(connection));
        fill(connection, &source, 1, 10);
        let mut worker = Worker::join(&config(connection, &unique("group"), &source, Protocol::Classic));
        worker.until("all records", |worker| worker.seen.len() == 10);
        Self { worker, source: TopicPartition::new(source, 0), changelog }
    }

    /// A changelog record of the source: its format is what every version has to read.
    fn record(&self, kind: u8, own: &[u8], value: Option<Vec<u8>>) -> Output {
        let key = [&[kind], self.source.topic.as_bytes(), &[0], own].concat();
        Output { topic: self.changelog.clone(), partition: Some(0), key: Some(key), value, headers: vec![] }
    }

    fn entry(&self, own: &str, value: Option<&str>) -> Output {
        self.record(b's', own.as_bytes(), value.map(|value| value.as_bytes().to_vec()))
    }

    fn position(&self, version: u8, offset: i64) -> Output {
        self.record(b'p', &[], Some([&[version][..], &offset.to_be_bytes()].concat()))
    }

    fn offset(&self, offset: i64, mark: &str) -> Offset {
        Offset { partition: self.source.clone(), offset, metadata: mark.to_owned() }
    }

    fn open(&self) -> Result<Opened, OpenError> {
        now(open(&self.worker.kafka, &self.source, Start::Earliest, Some(&self.changelog)))
    }

    /// Opens once what passes has passed.
    #[track_caller]
    fn opened(&self) -> Opened {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.open() {
                Ok(opened) => return opened,
                Err(error) if error.is_passing() && Instant::now() < until => thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The state and the offset, once what passes has passed.
    #[track_caller]
    fn found(&self) -> (State, i64) {
        let Opened { state, offset, gap, .. } = self.opened();
        assert_eq!(gap, None);
        (state, offset)
    }

    /// Waits until opening is refused for good; why.
    #[track_caller]
    fn refused(&self) -> OpenError {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.open() {
                Err(error) if !error.is_passing() => return error,
                other => assert!(Instant::now() < until, "{other:?}"),
            }
        }
    }
}

fn changelog(connection: &Connection) -> Arc<str> {
    let name = unique("changelog");
    // What is compacted as soon as there is more than one segment.
    let configs = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("segment.ms", "1000"),
        ("delete.retention.ms", "100"),
        ("max.compaction.lag.ms", "1000"),
    ];
    let configs = configs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let topic = NewTopic { name: name.clone(), partitions: 1, replication: Some(1), configs };
    block_on(Admin::open(connection, "weir-test").unwrap().create(&topic)).unwrap();
    name.into()
}

fn state(entries: &[(&str, &str)]) -> State {
    entries.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

#[test]
fn an_empty_changelog_is_no_state_and_a_worker_begins_to_keep_some_at_its_offset() {
    let Some(connection) = kafka("empty changelog") else { return };
    let keeper = Keeper::new(&connection);
    assert_eq!(keeper.found(), (state(&[]), 0));
    keeper.worker.commit(&[keeper.offset(4, "")], &[]).unwrap();
    assert_eq!(keeper.found(), (state(&[]), 4));
}

#[test]
fn state_is_what_the_last_transaction_says_with_tombstones() {
    let Some(connection) = kafka("tombstones") else { return };
    let keeper = Keeper::new(&connection);
    let first = [keeper.entry("a", Some("1")), keeper.entry("b", Some("1")), keeper.position(1, 3)];
    keeper.worker.commit(&[keeper.offset(3, MARK)], &first).unwrap();
    assert_eq!(keeper.found(), (state(&[("a", "1"), ("b", "1")]), 3));
    let second = [keeper.entry("a", Some("2")), keeper.entry("b", None), keeper.position(1, 7)];
    keeper.worker.commit(&[keeper.offset(7, MARK)], &second).unwrap();
    assert_eq!(keeper.found(), (state(&[("a", "2")]), 7));
}

#[test]
fn compaction_changes_no_state() {
    let Some(connection) = kafka("compaction") else { return };
    let keeper = Keeper::new(&connection);
    for round in 0..20_i64 {
        let value = round.to_string();
        let outputs = [
            keeper.entry("a", Some(&value)),
            keeper.entry("b", (round % 2 == 0).then_some(&*value)),
            keeper.position(1, round / 2),
        ];
        keeper.worker.commit(&[keeper.offset(round / 2, MARK)], &outputs).unwrap();
    }
    // Segments roll when something is written after their time; the last one is never compacted.
    let (id, until) = (TopicPartition::new(keeper.changelog.clone(), 0), Instant::now() + 2 * PATIENCE);
    let count = || {
        let mut count = 0;
        now(keeper.worker.kafka.scan(&id, 0, &mut |_| {
            count += 1;
            true
        }))
        .unwrap();
        count
    };
    let mut round = 20;
    while count() > 40 {
        assert!(Instant::now() < until, "it is not compacted: {} records", count());
        let (value, offset) = (round.to_string(), 9);
        let outputs = [keeper.entry("a", Some(&value)), keeper.position(1, offset)];
        keeper.worker.commit(&[keeper.offset(offset, MARK)], &outputs).unwrap();
        round += 1;
        thread::sleep(Duration::from_millis(1100));
        if round % 5 == 0 {
            println!("{} records", count());
        }
    }
    assert_eq!(keeper.found(), (state(&[("a", &(round - 1).to_string())]), 9));
}

/// Guards: no step from state to offset is taken while the owner before is not done (invariant 11).
#[test]
fn the_open_transaction_of_a_dead_owner_holds_the_opening_back() {
    let Some(connection) = kafka("dead owner") else { return };
    for fenced in [true, false] {
        let keeper = Keeper::new(&connection);
        let first = [keeper.entry("a", Some("1")), keeper.position(1, 3)];
        keeper.worker.commit(&[keeper.offset(3, MARK)], &first).unwrap();
        keeper.opened();

        // An owner that ends in the middle of its next transaction.
        let mut config = config(&connection, "", &keeper.source.topic, Protocol::Classic);
        config.group = unique("dead");
        let dead = Worker::join(&config);
        let group = keeper.worker.kafka.group().unwrap();
        dead.kafka.begin().unwrap();
        now(dead.kafka.produce(&keeper.entry("a", Some("never")))).unwrap();
        now(dead.kafka.produce(&keeper.position(1, 9))).unwrap();
        now(dead.kafka.send_offsets(&[keeper.offset(9, MARK)], &group)).unwrap();
        let id = TopicPartition::new(keeper.changelog.clone(), 0);
        let until = Instant::now() + Duration::from_secs(8);
        while now(keeper.worker.kafka.bounds(&id, Isolation::Uncommitted)).unwrap().1 < 5 {
            assert!(Instant::now() < until, "what is open was not written");
        }
        let error = keeper.open().unwrap_err();
        assert!(error.is_passing(), "{error}");
        let started = Instant::now();
        if fenced {
            drop(Worker::join(&config));
        }
        std::mem::forget(dead); // a process that was killed says nothing
        assert_eq!(keeper.found(), (state(&[("a", "1")]), 3));
        println!("opened {:?} after the owner died, fenced: {fenced}", started.elapsed());
    }
}

/// Guards: state and offset that do not belong together are refused, with what to do (invariant 11).
#[test]
fn a_position_that_is_not_the_offset_is_refused() {
    let Some(connection) = kafka("apart") else { return };
    let keeper = Keeper::new(&connection);
    let outputs = [keeper.entry("a", Some("1")), keeper.position(1, 3)];
    keeper.worker.commit(&[keeper.offset(3, MARK)], &outputs).unwrap();
    keeper.opened();

    // Set by hand, with metadata or without.
    for mark in ["", MARK] {
        keeper.worker.commit(&[keeper.offset(6, mark)], &[]).unwrap();
        let error = keeper.refused();
        assert!(matches!(error, OpenError::Apart { state: Some(3), committed: Some(6), .. }), "{error}");
        assert!(error.to_string().contains("weir state reset"), "{error}");
    }
    // Set back to where the state is.
    keeper.worker.commit(&[keeper.offset(3, MARK)], &[]).unwrap();
    assert_eq!(keeper.opened().offset, 3);

    // The changelog was lost.
    let other = changelog(&connection);
    let opened = now(open(&keeper.worker.kafka, &keeper.source, Start::Earliest, Some(&other)));
    let error = opened.unwrap_err();
    assert!(!error.is_passing() && error.to_string().contains("weir state reset"), "{error}");
}

#[test]
fn many_keys_open_in_time() {
    let Some(connection) = kafka("many keys") else { return };
    let keys = if std::env::var_os("WEIR_FULL").is_some() { 1_000_000 } else { 100_000 };
    let keeper = Keeper::new(&connection);
    let load = LoadProducer::open(&connection).unwrap();
    for key in 0..keys {
        load.send(&keeper.entry(&format!("key-{key:08}"), Some(&format!("value {key}")))).unwrap();
    }
    load.flush(PATIENCE).unwrap();
    assert_eq!(load.failed(), 0);
    keeper.worker.commit(&[keeper.offset(3, MARK)], &[keeper.position(1, 3)]).unwrap();
    let started = Instant::now();
    let opened = keeper.opened();
    println!("{keys} keys opened in {:?}", started.elapsed());
    assert_eq!((opened.offset, opened.state.len()), (3, keys));
}

//! A transaction whose markers come late in one place: its offset is there, its state is not yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use weir_contract::{Output, TopicPartition};
use weir_kafka::real::{Connection, Kafka as Real, KafkaConfig, Protocol};
use weir_kafka::{Class, Client, Isolation, Offset, Rebalance, Start, open};
use weir_tests::http::block_on;
use weir_tests::stack::{Kafka, Listener, Signal};
use weir_tests::wait::wait_until;

use crate::trouble;

const PATIENCE: Duration = Duration::from_secs(180);
/// How many partitions the brokers have for transactions, as `scripts/stack/kafka` says it.
const TRANSACTION_PARTITIONS: usize = 10;

/// Scenario: the changelog lies on one broker alone, which is stopped between the writing of a transaction and its end;
/// the transaction is committed, and its offset is there, while the changelog's marker cannot be written.
/// Guards: the partition does not open with the state of before (invariant 11); only with that of
/// its offset, once the broker goes on and has the marker.
#[test]
fn a_partition_does_not_open_before_the_markers_of_its_changelog_are_there() {
    let (kafka, _turn) = trouble::cluster();
    let (client, id, changelog, holder) = member(kafka);
    let commit = |offset: i64, stop: bool| {
        let (group, log) = (client.group().unwrap(), TopicPartition::new(changelog.clone(), 0));
        let end = || block_on(client.bounds(&log, Isolation::Uncommitted)).map(|(_, end)| end);
        let before = end().unwrap();
        client.begin().unwrap();
        for output in [entry(&id, &changelog, offset), position(&id, &changelog, offset)] {
            block_on(client.produce(&output)).unwrap();
        }
        let metadata = "weir:1 state".to_owned();
        block_on(client.send_offsets(&[Offset { partition: id.clone(), offset, metadata }], &group)).unwrap();
        if stop {
            // What was produced has to be on its broker, and the producer has to know it.
            wait_until(PATIENCE, "written state", || match end() {
                Ok(end) if end == before + 2 => Ok(()),
                other => Err(format!("{other:?}")),
            });
            sleep(Duration::from_millis(500));
            kafka.signal_node(holder, Signal::SIGSTOP);
        }
        wait_until(PATIENCE, "end of the transaction", || match block_on(client.commit()) {
            Err(error) if error.class == Class::Retriable => Err(error.to_string()),
            result => Ok(result),
        })
    };
    commit(3, false).unwrap();
    assert_eq!(opened(&client, &id, &changelog), (3, state(3)));

    // Where the producer was told too late, the transaction failed, and it is tried again.
    let committed = (0..5).any(|_| {
        let ended = commit(7, true);
        println!("with its broker stopped: {ended:?}");
        if ended.is_err() {
            kafka.signal_node(holder, Signal::SIGCONT);
            wait_until(PATIENCE, "aborted transaction", || block_on(client.abort()).map_err(|error| error.to_string()));
            assert_eq!(opened(&client, &id, &changelog), (3, state(3)));
        }
        ended.is_ok()
    });
    assert!(committed);
    // The offset is there before the state, whose broker is stopped.
    let offset =
        wait_until(PATIENCE, "committed offset", || block_on(client.committed(&id)).map_err(|error| error.to_string()));
    assert_eq!(offset.unwrap().offset, 7);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let error = block_on(open(&client, &id, Start::Earliest, Some(&changelog))).unwrap_err();
        assert!(error.is_passing(), "{error}");
        sleep(Duration::from_millis(50));
    }
    kafka.signal_node(holder, Signal::SIGCONT);
    // How soon the broker is told of the end again is up to Kafka; until then nothing opens, and then with the new state.
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        match block_on(open(&client, &id, Start::Earliest, Some(&changelog))) {
            Ok(opened) => {
                assert_eq!((opened.offset, opened.state), (7, state(7)));
                break;
            }
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
        sleep(Duration::from_millis(20));
    }
    client.close();
}

/// Opens as soon as that is possible; everything before that passes.
#[track_caller]
fn opened(client: &Real, id: &TopicPartition, changelog: &Arc<str>) -> (i64, BTreeMap<Vec<u8>, Vec<u8>>) {
    let mut said = Vec::new();
    let opened =
        wait_until(PATIENCE, "open partition", || match block_on(open(client, id, Start::Earliest, Some(changelog))) {
            Err(error) => {
                assert!(error.is_passing(), "{error}");
                said.push(error.to_string());
                Err(error)
            }
            opened => opened,
        });
    said.dedup();
    println!("opened at {} after {said:?}", opened.offset);
    (opened.offset, opened.state)
}

fn state(offset: i64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    [(b"key".to_vec(), offset.to_string().into_bytes())].into()
}

fn record(id: &TopicPartition, changelog: &Arc<str>, kind: u8, own: &[u8], value: Vec<u8>) -> Output {
    let key = Some([&[kind], id.topic.as_bytes(), &[0], own].concat());
    Output { topic: changelog.clone(), partition: Some(0), key, value: Some(value), headers: Vec::new() }
}

fn entry(id: &TopicPartition, changelog: &Arc<str>, offset: i64) -> Output {
    record(id, changelog, b's', b"key", offset.to_string().into_bytes())
}

fn position(id: &TopicPartition, changelog: &Arc<str>, offset: i64) -> Output {
    record(id, changelog, b'p', &[], [&[1_u8][..], &offset.to_be_bytes()].concat())
}

/// A member of a group with a partition of ten records, and a changelog on one broker.
fn member(kafka: &Kafka) -> (Real, TopicPartition, Arc<str>, usize) {
    let source = kafka.topic("markers", 1);
    kafka.produce(&source, &vec![weir_tests::stack::Record { partition: Some(0), ..Default::default() }; 10]);
    let brokers = kafka.bootstrap(Listener::Plain);
    let config = KafkaConfig {
        connection: Connection { brokers, properties: BTreeMap::new(), embedded: false },
        group: source.clone(),
        protocol: Protocol::Classic,
        instance: None,
        topics: vec![source.as_str().into()],
        transactional_id: source.clone(),
        prefetch_bytes: 16 << 20,
        produce_bytes: 16 << 20,
        message_bytes_max: 1 << 20,
        batch_bytes_max: 1 << 20,
    };
    let client = Real::open(&config).unwrap();
    wait_until(PATIENCE, "transactions", || block_on(client.init_transactions()).map_err(|error| error.to_string()));
    let changelog = format!("{source}-state");
    let admin: AdminClient<DefaultClientContext> = kafka.client(Listener::Plain).create().unwrap();
    let coordinator = coordinator(kafka, &source);
    let holder = if coordinator == 1 { 2 } else { 1 };
    let holders: [&[i32]; 1] = [&[holder]];
    let topic = NewTopic::new(&changelog, 1, TopicReplication::Variable(&holders));
    let topic = topic.set("min.insync.replicas", "1").set("cleanup.policy", "compact");
    block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap().pop().unwrap().unwrap();

    wait_until(PATIENCE, "assignment", || match block_on(client.poll(Duration::from_millis(100), &mut |_| true)) {
        Ok(Some(Rebalance::Assigned(_))) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    client.assign(&[]).unwrap();
    (client, TopicPartition::new(source, 0), changelog.into(), holder.try_into().unwrap())
}

/// Who decides the transactions of an ID: a stopped coordinator would decide nothing. It is found by the hash of Java's
/// strings.
pub(crate) fn coordinator(kafka: &Kafka, transactional_id: &str) -> i32 {
    let hash = transactional_id.bytes().fold(0_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let partition = usize::try_from(hash & i32::MAX).unwrap() % TRANSACTION_PARTITIONS;
    let consumer: BaseConsumer = kafka.client(Listener::Plain).create().unwrap();
    wait_until(PATIENCE, "coordinator", || {
        let metadata =
            consumer.fetch_metadata(Some("__transaction_state"), PATIENCE).map_err(|error| error.to_string())?;
        let partitions = metadata.topics()[0].partitions();
        let found = partitions.iter().find(|found| usize::try_from(found.id()) == Ok(partition));
        found.map(|found| found.leader()).filter(|leader| *leader > 0).ok_or_else(|| "nobody".to_owned())
    })
}

//! A transaction that is aborted while the producer does not know what of it was written.

use std::thread::sleep;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use weir_contract::Output;
use weir_kafka::real::{Connection, Transactions};
use weir_kafka::{Class, ClientError};
use weir_tests::http::block_on;
use weir_tests::stack::{Kafka, Listener, Signal};
use weir_tests::wait::wait_until;

use crate::{markers, trouble};

const PATIENCE: Duration = Duration::from_secs(120);

/// Scenario: a record is in its partition's log, but the answer stays away, for a follower stands still; the request
/// is given up, to be made again later, and before that the transaction is aborted. The next one writes another record.
/// Guards: a read-committed reader finds that other record. librdkafka numbers it like the one that it dropped, so that
/// brokers took it for a repetition and never wrote it.
#[test]
fn what_follows_an_abort_is_not_taken_for_a_repetition() {
    let (kafka, _turn) = trouble::cluster();
    // On a machine that is too slow the transaction ends before that: it lives for 10 s.
    let (producer, id) = (0..5).find_map(|_| abandoned(kafka).ok()).unwrap();
    producer.begin().unwrap();
    write(&producer, &id, "kept").unwrap();
    again("commit", || producer.commit()).unwrap();
    let found = kafka.read_all(&id).into_iter().map(|record| String::from_utf8(record.value.unwrap()).unwrap());
    assert_eq!(found.collect::<Vec<_>>(), ["kept"]);
}

/// A producer that has aborted a transaction of two records, of which it does not know that the second one was written;
/// its transactional ID, which is the topic's name too.
fn abandoned(kafka: &Kafka) -> Result<(Transactions, String), ClientError> {
    let id = Kafka::unique("aborts");
    let connection = Connection {
        brokers: kafka.bootstrap(Listener::Plain),
        properties: [("request.timeout.ms", "1000"), ("retry.backoff.ms", "60000"), ("retry.backoff.max.ms", "60000")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        embedded: false,
    };
    let producer = Transactions::open(&connection, &id, (1 << 20, 1 << 20)).unwrap();
    again("init_transactions", || producer.init())?;
    let follower = topic(kafka, &id);
    let reader: BaseConsumer =
        kafka.client(Listener::Plain).set("isolation.level", "read_uncommitted").create().unwrap();
    let until_it_ends = |end: i64| {
        wait_until(PATIENCE, "records in the log", || match reader.fetch_watermarks(&id, 0, PATIENCE) {
            Ok((_, found)) if found >= end => Ok(()),
            other => Err(format!("{other:?}")),
        });
    };

    producer.begin()?;
    write(&producer, &id, "dropped 1")?;
    until_it_ends(1);
    kafka.signal_node(follower, Signal::SIGSTOP);
    let written = write(&producer, &id, "dropped 2");
    // Longer than the broker lets the request wait, and shorter than it takes to do without the follower.
    sleep(Duration::from_secs(4));
    kafka.signal_node(follower, Signal::SIGCONT);
    written?;
    until_it_ends(2);
    again("abort", || producer.abort())?;
    Ok((producer, id))
}

/// Makes a topic with one partition on two nodes that do not decide about the transactional ID of its name; which
/// follows the other.
fn topic(kafka: &Kafka, id: &str) -> usize {
    let coordinator = markers::coordinator(kafka, id);
    let [leader, follower] = [1, 2, 3].into_iter().filter(|node| *node != coordinator).collect::<Vec<_>>()[..] else {
        panic!("three nodes, of which one is the coordinator")
    };
    let admin: AdminClient<DefaultClientContext> = kafka.client(Listener::Plain).create().unwrap();
    let replicas: [&[i32]; 1] = [&[leader, follower]];
    let topic = NewTopic::new(id, 1, TopicReplication::Variable(&replicas));
    block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap().pop().unwrap().unwrap();
    usize::try_from(follower).unwrap()
}

fn write(producer: &Transactions, topic: &str, value: &str) -> Result<(), ClientError> {
    let value = Some(value.as_bytes().to_vec());
    producer.produce(&Output { topic: topic.into(), partition: Some(0), key: None, value, headers: Vec::new() })
}

#[track_caller]
fn again(what: &str, call: impl Fn() -> Result<(), ClientError>) -> Result<(), ClientError> {
    wait_until(PATIENCE, what, || match call() {
        Err(error) if error.class == Class::Retriable => Err(error.to_string()),
        result => Ok(result),
    })
}

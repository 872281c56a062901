//! What is committed beside an offset, on a real Kafka.

use std::sync::Arc;
use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use weir_contract::TopicPartition;
use weir_kafka::real::{Admin, Connection, NewTopic, Protocol};
use weir_kafka::{Client, Mark, Offset, OpenError, Opened, Start};

use crate::rig::{PATIENCE, Worker, block_on, config, create, fill, kafka, now, unique};

/// A member of a group that reads ten records, and their topic.
fn reading(connection: &Connection) -> (Worker, TopicPartition) {
    let topic = create(connection, 1);
    fill(connection, &topic, 1, 10);
    let mut worker = Worker::join(&config(connection, &unique("group"), &topic, Protocol::Classic));
    worker.until("all records", |worker| worker.seen.len() == 10);
    (worker, TopicPartition::new(topic, 0))
}

fn commit(worker: &Worker, id: &TopicPartition, offset: i64, metadata: &str) {
    worker.commit(&[Offset { partition: id.clone(), offset, metadata: metadata.into() }], &[]).unwrap();
}

fn open(worker: &Worker, id: &TopicPartition, state: Option<&Arc<str>>) -> Result<Opened, OpenError> {
    now(weir_kafka::open(&worker.kafka, id, Start::Earliest, state))
}

/// Deletes a topic and creates it again.
fn recreate(connection: &Connection, topic: &str) {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &connection.brokers).create().unwrap();
    block_on(client.delete_topics(&[topic], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
    let admin = Admin::open(connection, "weir-test").unwrap();
    let again = NewTopic { name: topic.into(), partitions: 1, replication: Some(1), configs: [].into() };
    let until = Instant::now() + PATIENCE;
    while let Err(error) = block_on(admin.create(&again)) {
        assert!(Instant::now() < until, "{error}"); // it is being deleted
    }
}

#[test]
fn a_mark_comes_back_with_the_topics_own_id() {
    let Some(connection) = kafka("mark") else { return };
    let (worker, id) = reading(&connection);
    let topic = now(worker.kafka.topic(&id.topic)).unwrap().expect("brokers of today tell");
    assert_eq!(topic.id.len(), 22, "as Kafka's tools print it: {}", topic.id);
    let topic_id = Some(topic.id);
    let mark = Mark { state: false, topic_id: topic_id.clone(), partitions: Some(7), skip: [5, 7].into() };
    commit(&worker, &id, 4, &mark.write(4));
    let opened = open(&worker, &id, None).unwrap();
    assert_eq!((opened.offset, opened.mark), (4, mark));
    commit(&worker, &id, 4, "of another tool");
    let opened = open(&worker, &id, None).unwrap();
    assert_eq!(opened.mark, Mark { topic_id, partitions: Some(topic.partitions), ..Mark::default() });
}

#[test]
fn a_topic_that_was_created_again_refuses_to_open() {
    let Some(connection) = kafka("created again") else { return };
    let (worker, id) = reading(&connection);
    let topic_id = || now(worker.kafka.topic(&id.topic)).unwrap().map(|topic| topic.id);
    let before = topic_id();
    recreate(&connection, &id.topic);
    fill(&connection, &id.topic, 1, 10);
    let until = Instant::now() + PATIENCE;
    while topic_id() == before {
        assert!(Instant::now() < until, "the same topic");
    }
    // Kafka drops a deleted topic's offsets; one that comes late, or is restored, is of the old topic.
    commit(&worker, &id, 4, &Mark { topic_id: before, ..Mark::default() }.write(4));
    let refused = open(&worker, &id, None).unwrap_err();
    assert!(matches!(refused, OpenError::Recreated { committed: 4, .. }) && !refused.is_passing(), "{refused}");
    assert!(refused.to_string().contains("deleted and created again"), "{refused}");
}

#[test]
fn what_a_later_version_wrote_refuses_to_open() {
    let Some(connection) = kafka("later") else { return };
    let (worker, id) = reading(&connection);
    commit(&worker, &id, 4, "weir:2 anything");
    let refused = open(&worker, &id, None).unwrap_err();
    assert!(matches!(refused, OpenError::LaterFormat { .. }) && !refused.is_passing(), "{refused}");
    assert!(refused.to_string().contains("metadata"), "{refused}");

    let changelog = create(&connection, 1);
    let position = weir_contract::Output {
        topic: changelog.clone(),
        partition: Some(0),
        key: Some([b"p", id.topic.as_bytes(), b"\0"].concat()),
        value: Some(vec![2, 0, 0, 0, 0, 0, 0, 0, 4]),
        headers: vec![],
    };
    let offset = Offset { partition: id.clone(), offset: 4, metadata: "weir:1 state".into() };
    worker.commit(&[offset], &[position]).unwrap();
    let until = Instant::now() + PATIENCE;
    let refused = loop {
        match open(&worker, &id, Some(&changelog)) {
            Err(OpenError::NotStable { .. }) => assert!(Instant::now() < until, "its markers never come"),
            other => break other.unwrap_err(),
        }
    };
    assert!(refused.to_string().contains("position record"), "{refused}");
}

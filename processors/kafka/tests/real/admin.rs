//! What the commands ask and change.

use std::collections::BTreeMap;
use std::time::Instant;

use weir_contract::TopicPartition;
use weir_kafka::real::{Admin, NewTopic, Protocol, Topic};
use weir_kafka::{Client, Isolation};

use crate::rig::{PATIENCE, Worker, block_on, config, fill, kafka, offset, settled, unique};

#[test]
fn topics_are_created_described_grown_and_altered() {
    let Some(connection) = kafka("admin topics") else { return };
    let admin = Admin::open(&connection, "weir-test").unwrap();
    let name = unique("topic");
    let configs = [("retention.ms", "3600000"), ("cleanup.policy", "compact")];
    let configs = configs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let topic = NewTopic { name: name.clone(), partitions: 2, replication: None, configs };
    block_on(admin.create(&topic)).unwrap();
    let again = block_on(admin.create(&topic)).unwrap_err();
    assert!(again.why.contains("already exists"), "{again}");

    // The broker that is asked may hear of a change a little later.
    let until_it_is = |wanted: &Topic| {
        let until = Instant::now() + PATIENCE;
        while !admin.topics().unwrap().contains(wanted) {
            assert!(Instant::now() < until, "never {wanted:?}");
        }
    };
    let wanted = Topic { name: name.clone(), partitions: 2, replication: 1 };
    until_it_is(&wanted);
    block_on(admin.grow(&name, 5)).unwrap();
    until_it_is(&Topic { partitions: 5, ..wanted });

    let change = BTreeMap::from([("retention.ms".to_owned(), "7200000".to_owned())]);
    admin.alter(&name, &change).unwrap();
    let until = Instant::now() + PATIENCE;
    let settings = loop {
        let settings = block_on(admin.settings(&[&name])).unwrap().remove(0);
        if settings["retention.ms"].value == "7200000" {
            break settings;
        }
        assert!(Instant::now() < until, "never altered");
    };
    let setting = |name: &str| (settings[name].value.as_str(), settings[name].own);
    assert_eq!(setting("retention.ms"), ("7200000", true));
    assert_eq!(setting("cleanup.policy"), ("compact", true), "what was not changed stays");
    assert!(!setting("max.message.bytes").1);
    for known in ["compression.type", "min.insync.replicas"] {
        assert!(settings.contains_key(known), "{known}");
    }
    let wrong = BTreeMap::from([("retention.ms".to_owned(), "long".to_owned())]);
    let refused = admin.alter(&name, &wrong).unwrap_err();
    assert!(refused.why.contains("retention.ms"), "{refused}");
    block_on(admin.settings(&["weir-no-such-topic"])).unwrap_err();
}

#[test]
fn lag_is_told_by_committed_offsets_ends_and_timestamps() {
    let Some(connection) = kafka("admin lag") else { return };
    let topic = crate::rig::create(&connection, 2);
    fill(&connection, &topic, 1, 10);
    let group = unique("group");
    let mut worker = Worker::join(&config(&connection, &group, &topic, Protocol::Classic));
    worker.until("all records", |worker| worker.seen.len() == 10);
    worker.commit(&[offset(&topic, 0, 4)], &[]).unwrap();

    let admin = Admin::open(&connection, &group).unwrap();
    let ids = [TopicPartition::new(topic.clone(), 0), TopicPartition::new(topic, 1)];
    // A commit's markers are written after its answer.
    let until = Instant::now() + PATIENCE;
    loop {
        let committed = admin.committed(&group, &ids, Isolation::Uncommitted).unwrap();
        match &committed[..] {
            [Some(first), None] if first.offset == 4 => break,
            [None, None] if Instant::now() < until => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(admin.bounds(&ids[0], Isolation::Committed).unwrap(), (0, 10));
    assert_eq!(admin.bounds(&ids[1], Isolation::Uncommitted).unwrap(), (0, 0));
    let at = admin.timestamp_at(&ids[0], 4).unwrap().unwrap();
    assert!(at >= admin.timestamp_at(&ids[0], 0).unwrap().unwrap());
    assert_eq!(admin.timestamp_at(&ids[0], 10).unwrap(), None);
}

#[test]
fn the_members_of_a_group_are_counted_with_either_protocol() {
    let Some(connection) = kafka("admin members") else { return };
    let topic = crate::rig::create(&connection, 2);
    let admin = Admin::open(&connection, "weir-test").unwrap();
    for protocol in crate::rig::PROTOCOLS {
        let group = unique("group");
        assert_eq!(settled(|| admin.members(&group)), 0, "{protocol:?}: there is no such group");
        let config = config(&connection, &group, &topic, protocol);
        let mut first = Worker::join(&config);
        first.until("both", |worker| worker.mine.len() == 2);
        assert_eq!(settled(|| admin.members(&group)), 1, "{protocol:?}");
        let second = Worker::join(&weir_kafka::real::KafkaConfig { transactional_id: unique("producer"), ..config });
        let until = Instant::now() + PATIENCE;
        while settled(|| admin.members(&group)) != 2 {
            assert!(Instant::now() < until, "{protocol:?}");
            first.turn().unwrap();
        }
        for worker in [first, second] {
            worker.kafka.close();
        }
        while settled(|| admin.members(&group)) != 0 {
            assert!(Instant::now() < until, "{protocol:?}");
        }
    }
}

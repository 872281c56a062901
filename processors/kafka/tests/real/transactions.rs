//! Transactions on a real Kafka.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use weir_contract::{Output, TopicPartition};
use weir_kafka::real::{Connection, KafkaConfig, Protocol};
use weir_kafka::{Class, Client, Isolation};

use crate::rig::{NONE, PROTOCOLS, Worker, config, create, fill, kafka, now, offset, output, scanned, unique};

fn reading(connection: &Connection, protocol: Protocol) -> (Worker, Arc<str>, Arc<str>, KafkaConfig) {
    let (source, target) = (create(connection, 1), create(connection, 1));
    fill(connection, &source, 1, 10);
    let config = config(connection, &unique("group"), &source, protocol);
    let mut worker = Worker::join(&config);
    worker.until("all records", |worker| worker.seen.len() == 10);
    (worker, source, target, config)
}

/// Waits until a partition ends there.
#[track_caller]
fn until_it_ends(worker: &Worker, id: &TopicPartition, isolation: Isolation, end: i64) {
    let until = Instant::now() + Duration::from_secs(8); // a transaction lives no longer than 10 s
    while now(worker.kafka.bounds(id, isolation)).unwrap().1 != end {
        assert!(Instant::now() < until, "never ends at {end}, for {isolation:?}");
    }
}

#[test]
fn outputs_and_offsets_are_there_together_or_not_at_all() {
    let Some(connection) = kafka("together") else { return };
    for protocol in PROTOCOLS {
        let (worker, source, target, _) = reading(&connection, protocol);
        let (from, to) = (TopicPartition::new(source.clone(), 0), TopicPartition::new(target.clone(), 0));

        let group = worker.kafka.group().unwrap();
        worker.kafka.begin().unwrap();
        now(worker.kafka.produce(&output(&target, 0, "never"))).unwrap();
        now(worker.kafka.send_offsets(&[offset(&source, 0, 3)], &group)).unwrap();
        until_it_ends(&worker, &to, Isolation::Uncommitted, 1); // before that, it would be dropped unsent
        now(worker.kafka.abort()).unwrap();
        assert_eq!(now(worker.kafka.committed(&from)).unwrap(), None, "{protocol:?}");
        until_it_ends(&worker, &to, Isolation::Committed, 2);
        assert_eq!(scanned(&worker.kafka, &to, 0), NONE, "{protocol:?}");

        worker.commit(&[offset(&source, 0, 7)], &[output(&target, 0, "a"), output(&target, 0, "b")]).unwrap();
        let committed = now(worker.kafka.committed(&from)).unwrap().unwrap();
        assert_eq!((committed.offset, &*committed.metadata), (7, "at 7"), "{protocol:?}");
        // The aborted record and both transactions' markers take offsets: 0 and 1, then 4. A marker is
        // written a little after the transaction has ended.
        until_it_ends(&worker, &to, Isolation::Committed, 5);
        assert_eq!(scanned(&worker.kafka, &to, 0), [2, 3], "{protocol:?}");
        assert_eq!(scanned(&worker.kafka, &to, 4), NONE, "{protocol:?}: only the marker is there");
        worker.kafka.close();
    }
}

#[test]
fn a_pending_transaction_hides_its_records_and_holds_back_committed_offsets() {
    let Some(connection) = kafka("pending") else { return };
    let (worker, source, target, _) = reading(&connection, Protocol::Consumer);
    let (from, to) = (TopicPartition::new(source.clone(), 0), TopicPartition::new(target.clone(), 0));
    worker.commit(&[offset(&source, 0, 2)], &[output(&target, 0, "seen")]).unwrap();

    let group = worker.kafka.group().unwrap();
    worker.kafka.begin().unwrap();
    now(worker.kafka.produce(&output(&target, 0, "pending"))).unwrap();
    now(worker.kafka.send_offsets(&[offset(&source, 0, 9)], &group)).unwrap();
    until_it_ends(&worker, &to, Isolation::Uncommitted, 3);
    assert_eq!(now(worker.kafka.bounds(&to, Isolation::Committed)).unwrap().1, 2);
    assert_eq!(scanned(&worker.kafka, &to, 0), [0]);

    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let committed = now(worker.kafka.committed(&from));
            (committed, Instant::now())
        });
        let wait = Instant::now() + Duration::from_millis(500);
        while Instant::now() < wait {
            assert!(!asking.is_finished(), "an unstable offset was told");
            thread::sleep(Duration::from_millis(10));
        }
        let ended = Instant::now();
        now(worker.kafka.commit()).unwrap();
        let (committed, told) = asking.join().unwrap();
        match committed {
            Ok(committed) => assert_eq!(committed.unwrap().offset, 9),
            Err(error) => panic!("{error}"),
        }
        assert!(told >= ended);
    });
    until_it_ends(&worker, &to, Isolation::Committed, 4);
    assert_eq!(scanned(&worker.kafka, &to, 0), [0, 2]);
}

#[test]
fn a_producer_that_was_fenced_is_told_so() {
    let Some(connection) = kafka("fenced producer") else { return };
    for late in ["begin", "commit"] {
        let (worker, source, target, config) = reading(&connection, Protocol::Consumer);
        let group = worker.kafka.group().unwrap();
        let fence = || drop(Worker::join(&KafkaConfig { group: unique("other"), ..config.clone() }));
        if late == "begin" {
            fence();
        }
        worker.kafka.begin().unwrap();
        if late == "commit" {
            now(worker.kafka.produce(&output(&target, 0, "x"))).unwrap();
            now(worker.kafka.send_offsets(&[offset(&source, 0, 9)], &group)).unwrap();
            fence();
        }
        let sent = now(worker.kafka.produce(&output(&target, 0, "x")))
            .and_then(|()| now(worker.kafka.send_offsets(&[offset(&source, 0, 9)], &group)))
            .and_then(|()| now(worker.kafka.commit()));
        let mut error = sent.unwrap_err();
        if error.class == Class::Abortable {
            error = now(worker.kafka.abort()).unwrap_err();
        }
        assert_eq!(error.class, Class::Fatal, "{late}: {error}");
    }
}

#[test]
fn a_full_queue_is_waited_for() {
    let Some(connection) = kafka("full queue") else { return };
    let (worker, source, target, config) = reading(&connection, Protocol::Classic);
    let config = KafkaConfig { group: unique("group"), produce_bytes: 1 << 20, message_bytes_max: 256 << 10, ..config };
    drop(worker);
    let mut worker = Worker::join(&config);
    worker.until("all records", |worker| worker.seen.len() == 10);
    let values = (0..40_u8).map(|value| Output { value: Some(vec![value; 200 << 10]), ..output(&target, 0, "") });
    worker.commit(&[offset(&source, 0, 10)], &values.collect::<Vec<_>>()).unwrap();
    assert_eq!(scanned(&worker.kafka, &TopicPartition::new(target, 0), 0).len(), 40);
}

#[test]
fn a_transaction_without_kafka_is_retriable_and_keeps_to_its_time() {
    let config = config(&crate::rig::connection("127.0.0.1:1", false), "g", &"t".into(), Protocol::Classic);
    let kafka = weir_kafka::real::Kafka::open(&config).unwrap();
    let started = Instant::now();
    let error = now(kafka.init_transactions()).unwrap_err();
    assert_eq!(error.class, Class::Retriable, "{error}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

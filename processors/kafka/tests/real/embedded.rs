//! What the client does on any broker, on the embedded one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_contract::{Output, TopicPartition};
use weir_kafka::real::{Connection, Embedded, Kafka, LoadProducer, Protocol};
use weir_kafka::{
    Class, Client, Committed, Committer, Feed, FeedLimits, Identity, Isolation, Mark, Outcome, Partitions, Rebalance,
};

use crate::rig::{NONE, PATIENCE, Worker, config, connection, fill, now, offset, output, scanned, settled, unique};

fn embedded(partitions: i32) -> (Embedded, Connection, Arc<str>) {
    let topic: Arc<str> = "telemetry".into();
    let broker = Embedded::start(&[(&topic, partitions)]).unwrap();
    let connection = connection(broker.bootstrap(), true);
    (broker, connection, topic)
}

#[test]
fn a_member_reads_from_the_offset_it_was_assigned_at() {
    let (_broker, connection, topic) = embedded(2);
    fill(&connection, &topic, 2, 10);
    let mut worker = Worker::join(&config(&connection, "g", &topic, Protocol::Classic));
    let error = worker.kafka.group().map(drop).unwrap_err();
    assert_eq!(error.class, Class::Retriable, "a transaction of no member would not be fenced");

    worker.until("both", |worker| worker.mine.len() == 2);
    worker.kafka.group().map(drop).unwrap();
    assert!(!worker.kafka.lost());
    worker.until("all records", |worker| worker.seen.len() == 20);
    assert_eq!(worker.offsets(0), (0..10).collect::<Vec<_>>());

    let one = TopicPartition::new(topic, 1);
    worker.kafka.unassign(std::slice::from_ref(&one)).unwrap();
    worker.kafka.unassign(std::slice::from_ref(&one)).unwrap(); // nothing of it is left
    worker.seen.clear();
    worker.kafka.assign(&[(one, 7)]).unwrap();
    worker.until("the last three", |worker| worker.seen.len() >= 3);
    assert_eq!(worker.offsets(1), [7, 8, 9]);
}

#[test]
fn a_pause_keeps_the_position_and_a_seek_moves_it() {
    let (_broker, connection, topic) = embedded(1);
    fill(&connection, &topic, 1, 100);
    let mut worker = Worker::join(&config(&connection, "g", &topic, Protocol::Classic));
    let id = TopicPartition::new(topic.clone(), 0);
    worker.until("it", |worker| !worker.mine.is_empty());

    // Take ten, though more are fetched.
    let mut taken = vec![];
    while taken.len() < 10 {
        now(worker.kafka.poll(Duration::from_millis(20), &mut |record| {
            taken.push(record.offset);
            taken.len() < 10
        }))
        .unwrap();
    }
    assert_eq!(taken, (0..10).collect::<Vec<_>>());
    worker.kafka.pause(std::slice::from_ref(&id)).unwrap();
    for _ in 0..20 {
        worker.turn().unwrap();
    }
    assert_eq!(worker.seen.len(), 0, "a paused partition gave records");

    worker.kafka.resume(std::slice::from_ref(&id)).unwrap();
    worker.until("the rest", |worker| worker.seen.len() == 90);
    assert_eq!(worker.offsets(0), (10..100).collect::<Vec<_>>());

    worker.seen.clear();
    now(worker.kafka.seek(&id, 42)).unwrap();
    worker.until("from there", |worker| worker.seen.len() == 58);
    assert_eq!(worker.offsets(0), (42..100).collect::<Vec<_>>());

    // One that goes while it is paused, and comes back, runs.
    worker.kafka.pause(std::slice::from_ref(&id)).unwrap();
    worker.kafka.unassign(std::slice::from_ref(&id)).unwrap();
    worker.kafka.assign(&[(id, 98)]).unwrap();
    worker.seen.clear();
    worker.until("the last two", |worker| worker.seen.len() == 2);
}

#[test]
fn a_restart_goes_on_where_the_last_transaction_ended() {
    let (_broker, connection, topic) = embedded(1);
    fill(&connection, &topic, 1, 10);
    let group = unique("group");
    let id = TopicPartition::new(topic.clone(), 0);
    let mut worker = Worker::join(&config(&connection, &group, &topic, Protocol::Classic));
    worker.until("all records", |worker| worker.seen.len() == 10);
    assert_eq!(now(worker.kafka.committed(&id)).unwrap(), None);
    worker.commit(&[offset(&topic, 0, 6)], &[output(&topic, 0, "made of them")]).unwrap();
    worker.kafka.close();
    drop(worker);

    let mut worker = Worker::join(&config(&connection, &group, &topic, Protocol::Classic));
    let committed = now(worker.kafka.committed(&id)).unwrap();
    assert_eq!(committed, Some(Committed { offset: 6, metadata: "at 6".into() }));
    worker.until("the rest", |worker| worker.seen.len() == 5);
    assert_eq!(worker.offsets(0), (6..11).collect::<Vec<_>>());
}

#[test]
fn a_scan_gives_what_there_is_and_ends() {
    let (_broker, connection, topic) = embedded(3);
    fill(&connection, &topic, 2, 10);
    let worker = Worker::join(&config(&connection, "g", &topic, Protocol::Classic));
    let of = |partition| TopicPartition::new(topic.clone(), partition);
    assert_eq!(scanned(&worker.kafka, &of(0), 0), (0..10).collect::<Vec<_>>());
    assert_eq!(scanned(&worker.kafka, &of(1), 8), [8, 9]);
    assert_eq!(scanned(&worker.kafka, &of(2), 0), NONE);
    assert_eq!(scanned(&worker.kafka, &of(0), 10), NONE);

    let mut first = vec![];
    let take = &mut |record: weir_kafka::Arrived<'_>| {
        first.push((record.offset, record.timestamp_ms));
        false
    };
    now(worker.kafka.scan(&of(1), 3, take)).unwrap();
    let [(3, Some(ms))] = first[..] else { panic!("{first:?}") };
    assert!(now(worker.kafka.offset_at(&of(1), ms)).unwrap() <= 3);
    assert_eq!(now(worker.kafka.offset_at(&of(1), ms + 3_600_000)).unwrap(), 10);
    assert_eq!(now(worker.kafka.bounds(&of(0), Isolation::Committed)).unwrap(), (0, 10));
    assert_eq!(now(worker.kafka.bounds(&of(0), Isolation::Uncommitted)).unwrap(), (0, 10));
}

#[test]
fn keys_values_and_headers_arrive_as_they_were_sent() {
    let (_broker, connection, topic) = embedded(1);
    let load = LoadProducer::open(&connection).unwrap();
    #[expect(unsafe_code, reason = "other clients send names that are not UTF-8")]
    // SAFETY: nothing looks at the name but librdkafka, to which it is bytes.
    let foreign = unsafe { String::from_utf8_unchecked(vec![b'x', 0xff]) };
    let headers = vec![("a".to_owned(), b"1".to_vec()), (foreign, b"2".to_vec()), ("a".to_owned(), vec![])];
    load.send(&Output { topic: topic.clone(), partition: None, key: Some(vec![]), value: None, headers }).unwrap();
    load.send(&output(&topic, 0, "")).unwrap();
    load.flush(Duration::from_secs(10)).unwrap();

    let worker = Worker::join(&config(&connection, "g", &topic, Protocol::Classic));
    let mut got = vec![];
    now(worker.kafka.scan(&TopicPartition::new(topic, 0), 0, &mut |record| {
        let headers: Vec<_> = record.headers.map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        got.push((record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), headers));
        true
    }))
    .unwrap();
    let headers = [("a", &b"1"[..]), ("x\u{fffd}", b"2"), ("a", b"")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_vec())).to_vec();
    assert_eq!(got, [(Some(vec![]), None, headers), (None, Some(vec![]), vec![])]);
}

/// Scenario: redriven records of other groups stand before, between and after a group's own, and fill batches alone.
/// Guards: they are in no batch, and the commit passes them all the same, to the partition's end.
#[test]
fn redriven_records_for_another_group_are_passed_over_and_committed() {
    let (_broker, connection, topic) = embedded(1);
    let load = LoadProducer::open(&connection).unwrap();
    for group in ["other", "g", "", "other", "none at all", "other", "other", "other", "other"] {
        let headers = vec![("weir.redrive.group".to_owned(), group.into())];
        let headers = if group == "none at all" { vec![] } else { headers };
        load.send(&Output { headers, ..output(&topic, 0, "x") }).unwrap();
    }
    load.flush(Duration::from_secs(10)).unwrap();

    let kafka = Arc::new(Kafka::open(&config(&connection, "g", &topic, Protocol::Classic)).unwrap());
    settled(|| now(kafka.init_transactions()));
    let (partitions, limits) = (Partitions::default(), FeedLimits { batch_records: 2, batch_bytes: 1 << 20 });
    let mut feed = Feed::new(Arc::clone(&kafka), Arc::clone(&partitions), "g", limits, None);
    let id = TopicPartition::new(topic, 0);
    let (mut read, mut passed_over, mut next, until) = (vec![], 0, 0, Instant::now() + PATIENCE);
    while next < 9 {
        assert!(Instant::now() < until, "ends at {next}");
        let polled = now(feed.poll(Duration::from_millis(20))).unwrap();
        for fed in polled.batches {
            let batch = &fed.batch;
            assert_eq!(batch.first_offset(), next, "nothing is left out");
            assert!(batch.len() + batch.passed_over() <= 2);
            read.extend(batch.records().map(|record| record.offset));
            passed_over += batch.passed_over();
            next = batch.next_offset();
            fed.partition.admit(Some((batch.first_offset(), next)), 0).1.release();
        }
        if let Some(Rebalance::Assigned(given)) = polled.rebalance {
            feed.assigned(&given).unwrap();
            feed.opened(&id, 0, Mark::default()).unwrap();
        }
    }
    assert_eq!((read, passed_over), (vec![1, 4], 7));

    let identity = Identity {
        worker: "w".into(),
        group: "g".into(),
        dead_letter_topic: "d".into(),
        dead_letter_max_bytes: 1 << 20,
        state_topic: None,
    };
    let outcome = now(Committer::new(Arc::clone(&kafka), partitions, identity).commit());
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    assert_eq!(now(kafka.committed(&id)).unwrap().map(|committed| committed.offset), Some(9));
}

#[test]
fn a_key_goes_to_the_partition_that_other_clients_choose() {
    let (_broker, connection, topic) = embedded(7);
    let load = LoadProducer::open(&connection).unwrap();
    let key = Some(b"21".to_vec());
    load.send(&Output { topic: topic.clone(), partition: None, key, value: None, headers: vec![] }).unwrap();
    load.flush(Duration::from_secs(10)).unwrap();
    let worker = Worker::join(&config(&connection, "g", &topic, Protocol::Classic));
    // The Java client's test has it: murmur2("21") = -973932308.
    let partition = (-973_932_308_i32 & i32::MAX) % 7;
    assert_eq!(scanned(&worker.kafka, &TopicPartition::new(topic, partition), 0), [0]);
}

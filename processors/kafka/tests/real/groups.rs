//! Members that come, go and are put out, with both group protocols.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use weir_contract::TopicPartition;
use weir_kafka::real::{Connection, LoadProducer, Protocol};
use weir_kafka::{Class, Client, Rebalance};

use crate::rig::{PATIENCE, PROTOCOLS, Worker, config, create, fill, kafka, now, offset, output, unique};

/// The longest that any partition was silent, of those that never left.
fn longest_silence(worker: &Worker, partitions: &BTreeSet<i32>) -> Duration {
    let silence = |partition: &i32| {
        let times: Vec<_> = worker.seen.iter().filter(|(of, ..)| of == partition).map(|(.., at)| *at).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    };
    partitions.iter().map(silence).max().unwrap_or_default()
}

fn partitions(worker: &Worker) -> BTreeSet<i32> {
    worker.mine.keys().map(|id| id.partition).collect()
}

/// Writes a record to each partition every few milliseconds until it is told to stop.
fn load(connection: &Connection, topic: &Arc<str>, stop: &AtomicBool) {
    let load = LoadProducer::open(connection).unwrap();
    while !stop.load(Ordering::SeqCst) {
        (0..6).for_each(|partition| load.send(&output(topic, partition, "x")).unwrap());
        thread::sleep(Duration::from_millis(3)); // the pace, nothing is waited for
    }
    load.flush(PATIENCE).unwrap();
}

fn share_and_take_back(connection: &Connection, protocol: Protocol) {
    let topic = create(connection, 6);
    let group = unique("group");
    let (stop, left) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| load(connection, &topic, &stop));
        let mut first = Worker::join(&config(connection, &group, &topic, protocol));
        first.until("all six", |worker| worker.mine.len() == 6 && worker.seen.len() > 100);
        first.seen.clear();
        first.rebalances.clear();

        let second = scope.spawn(|| {
            let mut second = Worker::join(&config(connection, &group, &topic, protocol));
            second.until("half", |worker| worker.mine.len() == 3 && worker.seen.len() > 100);
            let had = partitions(&second);
            second.kafka.close();
            drop(second);
            left.store(true, Ordering::SeqCst);
            had
        });
        first.until("half", |worker| worker.mine.len() == 3);
        let stayed = partitions(&first);
        first.until("all again", |worker| left.load(Ordering::SeqCst) && worker.mine.len() == 6);
        let mark = first.seen.len();
        first.until("records", |worker| {
            worker.seen[mark..].iter().map(|(partition, ..)| *partition).collect::<BTreeSet<_>>().len() == 6
        });
        let moved = second.join().unwrap();
        stop.store(true, Ordering::SeqCst);

        assert!(stayed.is_disjoint(&moved), "{stayed:?} {moved:?}");
        assert!(!first.rebalances.iter().any(|rebalance| matches!(rebalance, Rebalance::Lost(_))));
        for partition in &stayed {
            let offsets = first.offsets(*partition);
            assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1), "{partition}: a gap or a repetition");
        }
        let silence = longest_silence(&first, &stayed);
        println!("{protocol:?}: partitions that stayed were silent for {silence:?} at most");
        assert!(silence < Duration::from_secs(3), "{silence:?}");
        first.kafka.close();
    });
}

#[test]
fn a_member_that_joins_takes_its_share_and_gives_it_back_classic() {
    let Some(connection) = kafka("joins, classic") else { return };
    share_and_take_back(&connection, Protocol::Classic);
}

#[test]
fn a_member_that_joins_takes_its_share_and_gives_it_back_consumer() {
    let Some(connection) = kafka("joins, consumer") else { return };
    share_and_take_back(&connection, Protocol::Consumer);
}

#[test]
fn partitions_move_only_once_a_late_answer_has_come() {
    let Some(connection) = kafka("late answer") else { return };
    for protocol in PROTOCOLS {
        let topic = create(&connection, 2);
        fill(&connection, &topic, 2, 10);
        let group = unique("group");
        let mut first = Worker::join(&config(&connection, &group, &topic, protocol));
        first.until("both", |worker| worker.mine.len() == 2);
        let mut second = Worker::join(&config(&connection, &group, &topic, protocol));

        let until = Instant::now() + PATIENCE;
        let gone = loop {
            assert!(Instant::now() < until);
            second.turn().unwrap();
            match now(first.kafka.poll(Duration::from_millis(20), &mut |_| true)).unwrap() {
                Some(Rebalance::Revoked(gone)) => break gone,
                Some(Rebalance::Assigned(_)) => first.kafka.assign(&[]).unwrap(),
                Some(lost) => panic!("{lost:?}"),
                None => {}
            }
        };
        let wait = Instant::now() + Duration::from_secs(2);
        while Instant::now() < wait {
            second.turn().unwrap();
            assert_eq!(now(first.kafka.poll(Duration::from_millis(20), &mut |_| true)).unwrap(), None);
        }
        assert!(second.mine.is_empty(), "{protocol:?}: a partition had two owners");
        // The last commit is of the generation that is ending, before the answer.
        let mut before = gone.iter().map(|id| offset(&topic, id.partition, 5)).collect::<Vec<_>>();
        before.retain(|offset| first.mine.contains_key(&offset.partition));
        first.commit(&before, &[]).unwrap();
        first.kafka.unassign(&gone).unwrap();
        first.mine.retain(|id, _| !gone.contains(id));

        let until = Instant::now() + PATIENCE;
        while second.mine.is_empty() || second.seen.is_empty() {
            assert!(Instant::now() < until, "{protocol:?}: the answer was lost");
            first.turn().unwrap();
            second.turn().unwrap();
        }
        assert!(second.mine.keys().eq(&gone), "{protocol:?}");
        assert_eq!(second.seen[0].1, 5, "{protocol:?}: not from what the other committed");
    }
}

#[test]
fn a_member_that_does_not_poll_loses_its_partitions_and_can_commit_nothing() {
    let Some(connection) = kafka("lost") else { return };
    for protocol in PROTOCOLS {
        let topic = create(&connection, 1);
        fill(&connection, &topic, 1, 10);
        let mut config = config(&connection, &unique("group"), &topic, protocol);
        config.connection.properties.insert("max.poll.interval.ms".into(), "6000".into());
        if protocol == Protocol::Classic {
            config.connection.properties.insert("session.timeout.ms".into(), "6000".into());
        }
        let mut worker = Worker::join(&config);
        worker.until("it", |worker| worker.seen.len() == 10);
        let before = worker.kafka.group().unwrap();

        let until = Instant::now() + PATIENCE;
        while !worker.kafka.lost() {
            assert!(Instant::now() < until, "{protocol:?}: never lost");
            thread::sleep(Duration::from_millis(50)); // being silent is the test
        }
        config.transactional_id = unique("producer");
        let mut second = Worker::join(&config);
        second.until("it", |second| second.mine.len() == 1 && second.seen.len() == 10);
        worker.kafka.begin().unwrap();
        let error = now(worker.kafka.send_offsets(&[offset(&topic, 0, 10)], &before)).unwrap_err();
        assert_eq!(error.class, Class::Abortable, "{protocol:?}: {error}");
        now(worker.kafka.abort()).unwrap();

        // It does not join again, as which it could commit.
        let error = now(worker.kafka.poll(Duration::from_millis(20), &mut |_| true)).unwrap_err();
        assert_eq!(error.class, Class::Fatal, "{protocol:?}: {error}");
        assert!(worker.kafka.lost(), "{protocol:?}");
    }
}

#[test]
fn a_member_whose_name_another_took_is_told_and_goes() {
    let Some(connection) = kafka("fenced member") else { return };
    let topic = create(&connection, 1);
    let config = config(&connection, &unique("group"), &topic, Protocol::Classic);
    let config = weir_kafka::real::KafkaConfig { instance: Some("one".into()), ..config };
    let mut first = Worker::join(&config);
    first.until("it", |worker| worker.mine.len() == 1);
    let config = weir_kafka::real::KafkaConfig { transactional_id: unique("producer"), ..config };
    let mut second = Worker::join(&config);

    let until = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < until, "not told");
        second.turn().unwrap();
        if let Err(error) = first.turn() {
            break error;
        }
    };
    assert_eq!(error.class, Class::Fatal, "{error}");
    let left = Instant::now();
    first.kafka.close();
    drop(first);
    assert!(left.elapsed() < Duration::from_secs(20), "it did not go");
    second.until("it", |worker| worker.mine.len() == 1);
}

#[test]
fn a_client_that_owes_an_answer_closes() {
    let Some(connection) = kafka("owes an answer") else { return };
    for protocol in PROTOCOLS {
        let topic = create(&connection, 2);
        fill(&connection, &topic, 2, 1);
        let group = unique("group");
        let mut first = Worker::join(&config(&connection, &group, &topic, protocol));
        first.until("both", |worker| worker.seen.len() == 2);
        let second = Worker::join(&config(&connection, &group, &topic, protocol));
        let third = Worker::join(&config(&connection, &group, &topic, protocol));
        let until = Instant::now() + PATIENCE;
        let mut owed = vec![];
        while owed.len() < 2 {
            assert!(Instant::now() < until, "{protocol:?}: {owed:?}");
            for worker in [&first, &second] {
                owed.extend(now(worker.kafka.poll(Duration::from_millis(20), &mut |_| true)).unwrap());
            }
            // The first is asked to give, the second waits for it or is given nothing yet.
            if matches!(owed.last(), Some(Rebalance::Assigned(given)) if given.is_empty()) {
                owed.pop();
                second.kafka.assign(&[]).unwrap();
            }
            if matches!(owed[..], [Rebalance::Revoked(_)]) {
                break;
            }
        }
        for worker in [first, second, third] {
            let started = Instant::now();
            drop(worker);
            assert!(started.elapsed() < Duration::from_secs(15), "{protocol:?}: {:?}", started.elapsed());
        }
    }
}

#[test]
fn an_offset_that_is_not_there_is_told() {
    let Some(connection) = kafka("out of range") else { return };
    let topic = create(&connection, 1);
    fill(&connection, &topic, 1, 3);
    let mut worker = Worker::join(&config(&connection, &unique("group"), &topic, Protocol::Classic));
    worker.until("it", |worker| worker.seen.len() == 3);
    let id = TopicPartition::new(topic, 0);
    worker.kafka.unassign(std::slice::from_ref(&id)).unwrap();
    worker.kafka.assign(&[(id, 1000)]).unwrap();
    let until = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < until, "not told");
        if let Err(error) = worker.turn() {
            break error;
        }
    };
    assert_eq!(error.class, Class::OutOfRange, "{error}");
}

//! State on a real Kafka: remembered with the offsets, opened again, dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_contract::{Partition, TopicPartition};
use weir_kafka::real::{Kafka, KafkaConfig};
use weir_kafka::{
    Class, Client, ClientError, Committer, Identity, Mark, Offset, Open, OpenError, Opened, Outcome, Partitions,
    Rebalance, Start, open, reset,
};

use crate::rig::{PATIENCE, PROTOCOLS, config, create, fill, kafka, now, unique};

/// A member that was given so many partitions.
fn member(config: &KafkaConfig, partitions: usize) -> Arc<Kafka> {
    let kafka = Arc::new(Kafka::open(config).unwrap());
    let until = Instant::now() + PATIENCE;
    while now(kafka.init_transactions()).is_err_and(|error| error.class == Class::Retriable) {
        assert!(Instant::now() < until, "not initialised");
    }
    let mut mine = 0;
    while mine < partitions {
        assert!(Instant::now() < until, "has {mine} of {partitions}");
        if let Some(Rebalance::Assigned(given)) = now(kafka.poll(Duration::from_millis(20), &mut |_| true)).unwrap() {
            kafka.assign(&[]).unwrap();
            mine += given.len();
        }
    }
    kafka
}

fn identity(group: &str, changelog: &Arc<str>) -> Identity {
    Identity {
        worker: "counts".into(),
        group: group.into(),
        dead_letter_topic: "none".into(),
        dead_letter_max_bytes: 1 << 20,
        state_topic: Some(changelog.clone()),
    }
}

/// Commits records up to `next` with what they change, as a worker does.
fn remember(kafka: &Arc<Kafka>, identity: &Identity, id: &TopicPartition, next: i64, changes: &[(&str, Option<&str>)]) {
    let partition = Partition::open(id.clone(), 0);
    let (entry, processing) = partition.admit(Some((0, next)), 0);
    entry.carried().state = changes.iter().map(|(key, value)| ((*key).into(), value.map(Into::into))).collect();
    processing.release();
    let partitions = Partitions::default();
    partitions.lock().insert(id.clone(), Open { partition, mark: Mark::default() });
    let mut committer = Committer::new(Arc::clone(kafka), partitions, identity.clone());
    let outcome = now(committer.commit());
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

/// The same call again while markers are not visible yet.
fn settled<T>(call: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(error) if error.is_passing() && Instant::now() < until => {}
            ended => return ended,
        }
    }
}

fn opened(kafka: &Kafka, id: &TopicPartition, changelog: &Arc<str>) -> Result<Opened, OpenError> {
    settled(|| now(open(kafka, id, Start::Earliest, Some(changelog))))
}

/// The keys and values, and the offset.
#[track_caller]
fn state(kafka: &Kafka, id: &TopicPartition, changelog: &Arc<str>) -> (Vec<(String, String)>, i64) {
    let Opened { state, offset, .. } = opened(kafka, id, changelog).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (state.into_iter().map(|(key, value)| (text(key), text(value))).collect(), offset)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// Scenario: two partitions and another topic share a changelog; the state of one partition is dropped, and remembered
/// anew.
/// Guards: it opens empty at the offset that was committed, and the others keep what they have.
#[test]
fn a_partition_opens_empty_at_its_offset_once_its_state_is_dropped() {
    let Some(connection) = kafka("reset") else { return };
    for protocol in PROTOCOLS {
        let (source, other, changelog) = (create(&connection, 2), create(&connection, 1), create(&connection, 2));
        fill(&connection, &source, 2, 10);
        fill(&connection, &other, 1, 10);
        let group = unique("group");
        let kafka = member(&config(&connection, &group, &source, protocol), 2);
        let identity = identity(&group, &changelog);
        let [first, second] = [0, 1].map(|number| TopicPartition::new(source.clone(), number));
        let beside = TopicPartition::new(other, 0);
        remember(&kafka, &identity, &first, 3, &[("a", Some("1")), ("gone", Some("x"))]);
        remember(&kafka, &identity, &first, 5, &[("a", Some("2")), ("b", Some("3")), ("gone", None)]);
        remember(&kafka, &identity, &second, 4, &[("c", Some("4"))]);
        remember(&kafka, &identity, &beside, 6, &[("a", Some("5"))]);
        assert_eq!(state(&kafka, &first, &changelog), (pairs(&[("a", "2"), ("b", "3")]), 5), "{protocol:?}");

        assert_eq!(settled(|| now(reset(&*kafka, &first, &changelog))).unwrap(), 2);
        assert_eq!(state(&kafka, &first, &changelog), (vec![], 5), "{protocol:?}");
        assert_eq!(settled(|| now(reset(&*kafka, &first, &changelog))).unwrap(), 0, "again");
        assert_eq!(state(&kafka, &first, &changelog), (vec![], 5), "{protocol:?}");
        assert_eq!(state(&kafka, &second, &changelog), (pairs(&[("c", "4")]), 4), "{protocol:?}");
        assert_eq!(state(&kafka, &beside, &changelog), (pairs(&[("a", "5")]), 6), "{protocol:?}");

        remember(&kafka, &identity, &first, 8, &[("d", Some("6"))]);
        assert_eq!(state(&kafka, &first, &changelog), (pairs(&[("d", "6")]), 8), "{protocol:?}");
        kafka.close();
    }
}

/// Scenario: offsets were set by hand, with the mark of a state that is not there; offsets have expired, and the
/// changelog is there.
/// Guards: both refuse to open, and open after a reset.
#[test]
fn a_partition_that_refuses_to_open_does_so_no_more_after_a_reset() {
    let Some(connection) = kafka("apart") else { return };
    let (source, changelog) = (create(&connection, 1), create(&connection, 1));
    fill(&connection, &source, 1, 10);
    let (group, id) = (unique("group"), TopicPartition::new(source.clone(), 0));
    let kafka = member(&config(&connection, &group, &source, PROTOCOLS[0]), 1);
    remember(&kafka, &identity(&group, &changelog), &id, 5, &[("a", Some("1"))]);
    let moved = Offset { partition: id.clone(), offset: 9, metadata: "weir:1 state".into() };
    let commit = || -> Result<(), ClientError> {
        let group = kafka.group()?;
        kafka.begin()?;
        now(kafka.send_offsets(std::slice::from_ref(&moved), &group))?;
        now(kafka.commit())
    };
    commit().unwrap();
    let refused = opened(&kafka, &id, &changelog).unwrap_err();
    assert!(matches!(refused, OpenError::Apart { state: Some(5), committed: Some(9), .. }), "{refused}");
    settled(|| now(reset(&*kafka, &id, &changelog))).unwrap();
    assert_eq!(state(&kafka, &id, &changelog), (vec![], 9));
    kafka.close();

    let (other, changelog) = (unique("group"), create(&connection, 1));
    let kafka = member(&config(&connection, &group, &source, PROTOCOLS[0]), 1);
    remember(&kafka, &identity(&group, &changelog), &id, 10, &[("a", Some("1"))]);
    kafka.close();
    let kafka = member(&config(&connection, &other, &source, PROTOCOLS[0]), 1);
    let refused = opened(&kafka, &id, &changelog).unwrap_err();
    assert!(matches!(refused, OpenError::Apart { state: Some(10), committed: None, .. }), "{refused}");
    assert_eq!(settled(|| now(reset(&*kafka, &id, &changelog))).unwrap(), 1);
    assert_eq!(state(&kafka, &id, &changelog), (vec![], 0));
    kafka.close();
}

/// Scenario: another producer of the same transactional ID has taken over; a client that left its group.
/// Guards: neither drops anything.
#[test]
fn whoever_was_fenced_or_left_drops_nothing() {
    let Some(connection) = kafka("fenced reset") else { return };
    let (source, changelog) = (create(&connection, 1), create(&connection, 1));
    fill(&connection, &source, 1, 10);
    let (group, id) = (unique("group"), TopicPartition::new(source.clone(), 0));
    let config = config(&connection, &group, &source, PROTOCOLS[1]);
    let kafka = member(&config, 1);
    remember(&kafka, &identity(&group, &changelog), &id, 5, &[("a", Some("1"))]);
    let before = (pairs(&[("a", "1")]), 5);
    assert_eq!(state(&kafka, &id, &changelog), before);

    let elsewhere = KafkaConfig { group: unique("other"), ..config.clone() };
    let later = member(&elsewhere, 1);
    let refused = now(reset(&*kafka, &id, &changelog)).unwrap_err();
    assert!(matches!(&refused, OpenError::Client(error) if error.class == Class::Fatal), "{refused:?}");
    kafka.close();
    later.close();
    let again = || member(&KafkaConfig { transactional_id: unique("producer"), ..config.clone() }, 1);
    let left = again();
    left.close();
    now(reset(&*left, &id, &changelog)).unwrap_err();
    assert_eq!(state(&again(), &id, &changelog), before);
}

//! The counting job while its processes and the brokers die, join, leave and freeze under load: what it makes of its
//! input is in Kafka exactly once, and its state is where its offset is.

mod outside;
pub(crate) mod verdict;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_contract::Output;
use weir_kafka::real::{Connection, LoadProducer};
use weir_tests::counting::{COUNT, FORGET, KEEP};
use weir_tests::stack::Listener;

pub(crate) use self::outside::Outside;
use crate::job::{Job, Program, Topology, full};
use crate::trouble::{self, CLASSIC, CONSUMER, PARTITIONS, Plan};

/// Keys of a partition.
const KEYS: u64 = 50;
/// Records a second of each partition.
const RATE: f64 = 100.0;
/// How long the rest of a process's partitions may stand still in a rebalance: `revoke_timeout`, which is 1 s by
/// default, and a second.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Scenario: one process counts the records of twelve partitions under load; two join, processes are killed at random
/// moments and restarted one after the other, two leave. In the long form processes are also stopped for longer than
/// their session, and brokers are killed and come back.
/// Guards: a read-committed reader finds every change once and in order, every dead letter once; the state is what the
/// input makes of it (invariants 1 to 4, 11); no kept record is decided twice; who is told to end does, with 0
/// (invariant 8); what stays with its process stands still for no longer than it may.
#[test]
fn every_change_is_written_exactly_once_with_the_classic_protocol() {
    survives("classic", CLASSIC, true);
}

/// As with the classic protocol; the brokers share the partitions out (KIP-848).
#[test]
fn every_change_is_written_exactly_once_with_the_consumer_protocol() {
    survives("consumer", CONSUMER, false);
}

fn survives(protocol: &str, topology: Topology, named: bool) {
    let (kafka, _turn) = trouble::cluster();
    let job = Job::on(kafka, Program::Counting, &format!("delivery-{protocol}"), PARTITIONS, topology);
    let outside = Outside::start();
    // Brokers that die and processes that are stopped take minutes to get over: in the long form.
    let plan = Plan { kills: 3, stops: 0, broker_kills: 0, rolling_restarts: 1, named };
    let (sent, disturbed) = trouble::under_load(&job, outside.url(), plan, |stop| produce(&job, stop));
    let found = verdict::exactly_once(&job, &outside.decided());
    assert_eq!(found.records, sent, "records in the log");
    let pause = found.longest_pause(&disturbed);
    println!("{protocol}: {found}, longest pause {pause:?}");
    // The short form runs beside other tests, which make every commit slow.
    assert!(!full() || pause < PAUSE_MAX, "a partition that stayed stood still for {pause:?}");
}

/// Writes to every partition until it is told to stop; how many records.
fn produce(job: &Job, stop: &AtomicBool) -> u64 {
    let brokers = job.kafka.bootstrap(Listener::Plain);
    let load = LoadProducer::open(&Connection { brokers, properties: Default::default(), embedded: false }).unwrap();
    let (started, mut round) = (Instant::now(), 0_u64);
    while !stop.load(Ordering::SeqCst) {
        while (round as f64) < started.elapsed().as_secs_f64() * RATE {
            for partition in 0..PARTITIONS {
                load.send(&record(&job.name, partition, round)).unwrap();
            }
            round += 1;
        }
        sleep(Duration::from_millis(5));
    }
    load.flush(Duration::from_secs(60)).unwrap();
    assert_eq!(load.failed(), 0);
    round * u64::from(PARTITIONS.unsigned_abs())
}

/// The record of a round.
pub(crate) fn record(topic: &str, partition: i32, round: u64) -> Output {
    let kind = match round {
        _ if round % 97 == 5 => b'?',
        _ if round % 61 == 7 => KEEP,
        _ if round % 41 == 11 => FORGET,
        _ => COUNT,
    };
    let mut value = vec![kind];
    value.resize(200, b'.');
    let key = format!("key-{}", round * 7 % KEYS);
    Output {
        topic: topic.into(),
        partition: Some(partition),
        key: Some(key.into_bytes()),
        value: Some(value),
        headers: vec![],
    }
}

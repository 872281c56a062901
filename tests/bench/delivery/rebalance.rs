//! How long the partitions that stay with their process pause while others join and leave.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use weir_contract::Output;
use weir_kafka::real::{Connection, LoadProducer};
use weir_tests::counting::{COUNT, ORIGIN, Origin};
use weir_tests::stack::{Kafka, Listener};
use weir_tests::wait::wait_until;

use super::counting::{Counter, topics};
use super::topics::PARTITIONS;

/// Records a second of each partition.
const RATE: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest pause while members join and leave, 1-2-3-2-1, and the median and 99th percentile between records.
pub(crate) fn run(kafka: &Kafka, protocol: &str) -> (Duration, String) {
    let (source, output) = (kafka.topic("rebalance", PARTITIONS), topics(kafka));
    let worker = format!("commit_interval = \"100ms\"\ngroup_protocol = \"{protocol}\"");
    let stop = AtomicBool::new(false);
    scope(|scope| {
        scope.spawn(|| load(kafka, &source, &stop));
        let mut members = Vec::new();
        for _ in 0..3 {
            members.push(Counter::start(kafka, &source, &output, &worker));
            shared_out(&members);
        }
        while members.len() > 1 {
            assert!(members.remove(0).process.terminate(PATIENCE).success());
            shared_out(&members);
        }
        stop.store(true, Ordering::SeqCst);
        assert!(members.remove(0).process.terminate(PATIENCE).success());
    });
    pauses(kafka, &output)
}

fn shared_out(members: &[Counter]) {
    wait_until(PATIENCE, "partition in every hand", || {
        let running = members.iter().map(|member| Ok(member.committed()?.1)).collect::<Result<Vec<_>, String>>()?;
        let all = running.iter().sum::<usize>() == PARTITIONS.unsigned_abs() as usize;
        if all && running.iter().all(|count| *count > 0) { Ok(()) } else { Err(format!("{running:?}")) }
    });
    sleep(Duration::from_secs(3));
}

fn load(kafka: &Kafka, source: &str, stop: &AtomicBool) {
    let brokers = kafka.bootstrap(Listener::Plain);
    let load = LoadProducer::open(&Connection { brokers, properties: Default::default(), embedded: false }).unwrap();
    let (started, mut round) = (Instant::now(), 0_u32);
    while !stop.load(Ordering::SeqCst) {
        while f64::from(round) < started.elapsed().as_secs_f64() * RATE {
            for partition in 0..PARTITIONS {
                let (key, value) = (Some(format!("key-{}", round % 50).into_bytes()), Some(vec![COUNT; 200]));
                let (topic, partition) = (source.into(), Some(partition));
                load.send(&Output { topic, partition, key, value, headers: Vec::new() }).unwrap();
            }
            round += 1;
        }
        sleep(Duration::from_millis(5));
    }
    load.flush(PATIENCE).unwrap();
}

fn pauses(kafka: &Kafka, output: &str) -> (Duration, String) {
    let (mut last, mut pauses): (HashMap<i32, Origin>, Vec<u64>) = (HashMap::new(), Vec::new());
    kafka.read_each(output, |record| {
        let (_, origin) = record.headers.iter().find(|(name, _)| name == ORIGIN).unwrap();
        let origin = Origin::read(origin.as_deref().unwrap()).unwrap();
        let before = last.insert(record.partition.unwrap(), origin);
        if let Some(before) = before.filter(|before| before.life == origin.life) {
            pauses.push((origin.at_ms - before.at_ms).unsigned_abs());
        }
    });
    pauses.sort_unstable();
    let at = |percent: usize| Duration::from_millis(pauses[(pauses.len() - 1) * percent / 100]);
    (at(100), format!("{:?} between 99 % of the records", at(99)))
}

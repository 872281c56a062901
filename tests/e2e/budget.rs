//! Much that waits in Kafka, a slow outside, and a worker that keeps half of what it reads: memory stays where it is.

use std::time::Duration;

use weir_contract::Output;
use weir_kafka::real::{Connection, LoadProducer};
use weir_tests::counting::{COUNT, KEEP};
use weir_tests::stack::Listener;
use weir_tests::wait::wait_until;

use crate::delivery::{Outside, verdict};
use crate::job::{Job, Program, SOON, Topology, cluster, full};

/// The budget of the process.
const BUDGET_BYTES: u64 = 64 << 20;
/// What it takes beside: as in `sink_trouble`, with twice the partitions.
const BESIDE_BUDGET_BYTES: u64 = 128 << 20;
const PARTITIONS: i32 = 24;
/// The value of a record.
const RECORD_BYTES: usize = 20 << 10;

/// Scenario: a backlog of many times the budget in 24 partitions; every other record is kept until it is decided, and
/// the outside takes its time to hear of each decision.
/// Guards: resident memory stays within the budget and a constant; fetching is paused, not at every batch; it never
/// locks: all of it is done in the end, exactly once (invariants 1, 2, 5).
#[test]
fn memory_stays_within_the_budget_while_a_worker_keeps_half_of_what_it_reads() {
    let topology = Topology { process: "budget = \"64MiB\"", ..Topology::default() };
    let job = Job::on(cluster(), Program::Counting, "budget", PARTITIONS, topology);
    let bytes: u64 = if full() { 2 << 30 } else { 256 << 20 };
    let records = fill(&job, bytes);
    let outside = Outside::slow(Duration::from_millis(50));
    let mut member = job.start(outside.url());
    let mut pauses = 0.0_f64;
    wait_until(Duration::from_secs(if full() { 1200 } else { 240 }), "end of the lag", || {
        pauses = pauses.max(member.counter("weir_budget_pauses")?);
        let offsets = job.offsets()?;
        if offsets.iter().all(|(committed, end)| committed == end) { Ok(()) } else { Err(format!("{offsets:?}")) }
    });
    let peak = member.memory("VmHWM");
    println!("{bytes} bytes, {records} records, peak memory {} MiB, {pauses} pauses", peak >> 20);
    assert!(peak < BUDGET_BYTES + BESIDE_BUDGET_BYTES, "{} MiB", peak >> 20);
    // Between a pause and the next one the budget was half empty.
    let cycles = (4 * bytes / BUDGET_BYTES) as f64;
    assert!((1.0..cycles).contains(&pauses), "{pauses} pauses");
    assert_eq!(member.process.terminate(SOON).code(), Some(0), "{}", member.process.stderr());
    assert_eq!(verdict::exactly_once(&job, &outside.decided()).records, records);
}

/// Writes so many bytes to the job's topic; how many records.
fn fill(job: &Job, bytes: u64) -> u64 {
    let brokers = job.kafka.bootstrap(Listener::Plain);
    let load = LoadProducer::open(&Connection { brokers, properties: Default::default(), embedded: false }).unwrap();
    let (records, mut noise) = (bytes / RECORD_BYTES as u64, 0x9e37_79b9_7f4a_7c15_u64);
    for record in 0..records {
        let mut value = Vec::with_capacity(RECORD_BYTES + 8);
        value.push(if record % 2 == 0 { COUNT } else { KEEP });
        while value.len() < RECORD_BYTES {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            value.extend_from_slice(&noise.to_le_bytes());
        }
        // Half of each partition's records are kept.
        let partition = i32::try_from(record / 2 % PARTITIONS.unsigned_abs() as u64).unwrap();
        let key = format!("key-{}", record % 50).into_bytes();
        let topic = job.name.as_str().into();
        let output = Output { topic, partition: Some(partition), key: Some(key), value: Some(value), headers: vec![] };
        load.send(&output).unwrap();
    }
    load.flush(Duration::from_secs(60)).unwrap();
    assert_eq!(load.failed(), 0);
    records
}

//! Records and offsets that are gone when a worker comes back.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use weir_kafka::real::{Connection, LoadProducer};
use weir_tests::http::block_on;
use weir_tests::stack::{Kafka, Listener};
use weir_tests::wait::wait_until;

use crate::delivery::{Outside, record};
use crate::job::{Job, Member, Program, SOON, Topology, cluster};

const PARTITIONS: i32 = 2;

fn job(name: &str) -> Job {
    let worker = "drain_timeout = \"5s\"\ncommit_interval = \"100ms\"";
    Job::on(cluster(), Program::Counting, name, PARTITIONS, Topology { worker, ..Topology::default() })
}

/// Writes that many records to each partition.
fn write(job: &Job, count: u64) {
    let brokers = job.kafka.bootstrap(Listener::Plain);
    let load = LoadProducer::open(&Connection { brokers, properties: Default::default(), embedded: false }).unwrap();
    for round in 0..count {
        for partition in 0..PARTITIONS {
            load.send(&record(&job.name, partition, round)).unwrap();
        }
    }
    load.flush(SOON).unwrap();
    assert_eq!(load.failed(), 0);
}

fn admin(kafka: &Kafka) -> AdminClient<DefaultClientContext> {
    kafka.client(Listener::Plain).create().unwrap()
}

#[track_caller]
fn stops(mut member: Member) {
    assert_eq!(member.process.terminate(SOON).code(), Some(0), "{}", member.process.stderr());
}

/// Runs a process until it has counted everything.
#[track_caller]
fn counts_all(job: &Job, outside: &Outside) {
    let member = job.start(outside.url());
    job.caught_up(SOON);
    stops(member);
}

/// Waits until both partitions refuse to open, and say what to do.
#[track_caller]
fn refuses(member: &Member, what_to_do: &str) {
    let said = wait_until(SOON, "refusals", || {
        let problems = member.problems()?;
        let all = problems.len() == usize::try_from(PARTITIONS).unwrap();
        if all && problems.iter().all(|problem| problem.contains(what_to_do)) {
            Ok(problems)
        } else {
            Err(problems.join("; "))
        }
    });
    println!("{said:?}");
    assert!(member.process.stderr().contains("ERROR"), "loud: {}", member.process.stderr());
}

/// Scenario: a worker is stopped; meanwhile retention removes records that it has not read.
/// Guards: what is gone is counted in records and said at ERROR; the worker goes on at the first record that is there,
/// with its state, and commits (invariant 2).
#[test]
fn a_worker_that_retention_has_passed_by_counts_the_gap_and_goes_on() {
    let (job, outside) = (job("gap"), Outside::start());
    write(&job, 100);
    counts_all(&job, &outside);
    write(&job, 200);
    let mut until = TopicPartitionList::new();
    until.add_partition_offset(&job.name, 0, Offset::Offset(150)).unwrap();
    until.add_partition_offset(&job.name, 1, Offset::Offset(230)).unwrap();
    block_on(admin(job.kafka).delete_records(&until, &AdminOptions::new())).unwrap();

    let member = job.start(outside.url());
    job.caught_up(SOON);
    assert_eq!(member.counter("weir_gap_records_total"), Ok(50.0 + 130.0));
    assert!(member.process.stderr().contains("records were removed unread"), "{}", member.process.stderr());
    stops(member);
    // A process that comes later knows of no gap.
    let member = job.start(outside.url());
    member.has_partitions(2);
    write(&job, 10);
    job.caught_up(SOON);
    assert_eq!(member.counter("weir_gap_records_total"), Ok(0.0));
    stops(member);
}

/// Scenario: the topic is deleted and created again, with fewer records than the group has committed.
/// Guards: the partitions refuse to open and say what to do; nothing is read as if it were the old log.
#[test]
fn a_topic_that_was_made_again_is_refused() {
    let (job, outside) = (job("remade"), Outside::start());
    write(&job, 100);
    counts_all(&job, &outside);
    let before = job.kafka.read_all(&job.output()).len();
    block_on(admin(job.kafka).delete_topics(&[&job.name], &AdminOptions::new())).unwrap();
    let again = NewTopic::new(&job.name, PARTITIONS, TopicReplication::Fixed(3));
    wait_until(SOON, "topic made again", || {
        let made = block_on(admin(job.kafka).create_topics([&again], &AdminOptions::new()));
        made.map_err(|error| error.to_string())?.pop().unwrap().map_err(|(_, error)| error.to_string())
    });
    write(&job, 40);
    let member = job.start(outside.url());
    refuses(&member, "reset");
    stops(member);
    assert_eq!(job.kafka.read_all(&job.output()).len(), before, "changes");
}

/// Scenario: the group's offsets expire while the worker is stopped; its state is still there.
/// Guards: the partitions refuse to open and say what to do: from the beginning, everything would count twice.
#[test]
fn offsets_that_have_expired_under_state_are_refused() {
    let (job, outside) = (job("expired"), Outside::start());
    write(&job, 100);
    counts_all(&job, &outside);
    let before = job.kafka.read_all(&job.output()).len();
    wait_until(SOON, "deleted offsets", || {
        let deleted = block_on(admin(job.kafka).delete_groups(&[&job.name], &AdminOptions::new()));
        let deleted = deleted.map_err(|error| error.to_string())?;
        deleted.into_iter().try_for_each(|group| group.map(drop).map_err(|(_, error)| error.to_string()))
    });
    let member = job.start(outside.url());
    refuses(&member, "weir state reset");
    stops(member);
    assert_eq!(job.kafka.read_all(&job.output()).len(), before, "changes");
}

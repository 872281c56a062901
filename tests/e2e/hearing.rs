//! A member that is not told in time what its group gives it and takes from it (KIP-848).

use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_tests::stack::{Kafka, Signal};

use crate::delivery::Outside;
use crate::job::{Job, Member, Program, Topology};
use crate::trouble;

const PARTITIONS: i32 = 4;
/// How long a share takes where everybody was told: a few heartbeats, each a second after the other.
const TOLD: Duration = Duration::from_secs(15);
/// How long it takes where a member has to find out: two looks, 20 s apart, and a new session. The brokers themselves
/// would give the member up after five minutes.
const FOUND_OUT: Duration = Duration::from_secs(90);

/// Scenario: a broker stands still that has the group's log too, so that what the coordinator decides is not written in
/// time and its answers come too late. Meanwhile a second process joins, and the first is to let go of a half.
/// Guards: it finds out that it was told something, and the second gets its share. Without that both wait until the
/// brokers give the first one up: librdkafka does not ask again for what it has missed.
#[test]
fn what_a_member_was_not_told_in_time_it_finds_out() {
    let (kafka, _turn) = trouble::cluster();
    let topology = Topology {
        properties: "\"max.poll.interval.ms\" = \"300000\"",
        worker: "drain_timeout = \"10s\"\ngroup_protocol = \"consumer\"",
        ..Topology::default()
    };
    let job = Job::on(kafka, Program::Counting, "hearing", PARTITIONS, topology);
    let sessions = "consumer.session.timeout.ms=30000,consumer.heartbeat.interval.ms=1000";
    let of_group = ["--entity-type", "groups", "--entity-name", &job.name, "--alter", "--add-config", sessions];
    kafka.tool("ConfigCommand", &of_group);
    let outside = Outside::start();
    let mut first = job.start(outside.url());
    first.has_partitions(4);

    // What is lost is the answer to one heartbeat: it may come in time.
    let missed = (0..5).find_map(|_| {
        let follower = (1..=3).find(|node| *node != coordinator(kafka, &job.name)).unwrap();
        kafka.signal_node(follower, Signal::SIGSTOP);
        let mut second = job.start(outside.url());
        // Longer than the first waits for an answer, and shorter than it takes to do without that broker.
        sleep(Duration::from_secs(5));
        kafka.signal_node(follower, Signal::SIGCONT);
        if !shared_within(TOLD, &first, &second) {
            return Some(second);
        }
        println!("it was told in time");
        assert!(second.process.terminate(TOLD).success());
        first.has_partitions(4);
        None
    });
    let mut second = missed.expect("an answer that came too late");
    assert!(shared_within(FOUND_OUT, &first, &second), "{:?} and {:?}", first.running(), second.running());
    assert!(first.process.stderr().contains("this member was not told"), "{}", first.process.stderr());
    for member in [&mut first, &mut second] {
        assert!(member.process.terminate(TOLD).success());
    }
}

/// The broker that decides about the group.
fn coordinator(kafka: &Kafka, group: &str) -> usize {
    let said = kafka.tool("ConsumerGroupCommand", &["--describe", "--state", "--group", group]);
    // GROUP, COORDINATOR (ID): `127.0.0.1:9092 (2)`, ...
    let id = said.split_once(" (ID)").and_then(|(_, rows)| rows.split_once('(')?.1.split_once(')')).map(|(id, _)| id);
    id.and_then(|id| id.trim().parse().ok()).unwrap_or_else(|| panic!("no coordinator in {said}"))
}

/// Whether both have a half of the partitions in time.
fn shared_within(time: Duration, first: &Member, second: &Member) -> bool {
    let until = Instant::now() + time;
    let halves = || (first.running(), second.running()) == (Ok(2), Ok(2));
    while !halves() && Instant::now() < until {
        sleep(Duration::from_millis(50));
    }
    halves()
}

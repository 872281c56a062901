//! Processes of one job that die, join, leave and freeze under load.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use weir_generate::{Config, Made, Verdict, jobs};
use weir_tests::stack::{Prometheus, PrometheusOptions, Signal};
use weir_tests::wait::wait_until;

use crate::job::{Job, Member, Topology, full, sample};
use crate::load::{Load, now};

/// What a process may take to end when it is told to: `drain_timeout`, and a few seconds.
const DRAIN: Duration = Duration::from_secs(15);
/// How long the partitions of a dead process may stay without one: its session, and then some.
const TAKEN_OVER: Duration = Duration::from_secs(90);

const PARTITIONS: usize = 12;

/// Scenario: two processes read twelve partitions under load; one is killed at a random moment, a third joins, one of
/// the others is told to leave; the members share the partitions out themselves.
/// Guards: every sample is in Prometheus, none with another value (invariants 1, 2, 4); who is told to end does, with
/// 0 (invariant 8); the group ends at the ends of the log.
#[test]
fn no_sample_is_lost_when_a_process_is_killed_with_the_classic_protocol() {
    survives("classic", Topology { properties: CLASSIC, worker: "drain_timeout = \"10s\"", ..Topology::default() });
}

/// As with the classic protocol; the brokers share the partitions out (KIP-848).
#[test]
fn no_sample_is_lost_when_a_process_is_killed_with_the_consumer_protocol() {
    let worker = "drain_timeout = \"10s\"\ngroup_protocol = \"consumer\"";
    survives("consumer", Topology { worker, ..Topology::default() });
}

/// Sessions as short as the broker allows, that a death is noticed soon.
const CLASSIC: &str = "\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"1000\"";

fn survives(protocol: &str, topology: Topology) {
    let job = Job::new(&format!("faults-{protocol}"), PARTITIONS.try_into().unwrap(), topology);
    let prometheus = Prometheus::start(PrometheusOptions::default());
    let url = prometheus.url("/api/v1/write");
    let stop = AtomicBool::new(false);
    let (made, last) = scope(|scope| {
        let load = scope.spawn(|| produce(&job, &stop));
        let _stops = Stops(&stop);
        let last = trouble(&job, &url);
        stop.store(true, Ordering::SeqCst);
        (load.join().unwrap(), last)
    });
    job.caught_up(TAKEN_OVER);
    for mut member in last {
        leaves(&mut member);
    }
    job.caught_up(Duration::ZERO);
    has_all(&prometheus, made);
}

/// Kills, starts and stops processes; returns those that run in the end.
fn trouble(job: &Job, url: &str) -> Vec<Member> {
    let mut members = vec![job.start(url), job.start(url)];
    shared_out(&members);
    for round in 0..if full() { 10 } else { 1 } {
        sleep(at_random(Duration::from_secs(4)));
        let mut killed = members.remove(round % 2);
        assert!(killed.running().unwrap() > 0, "it has something to lose");
        killed.process.kill();
        sleep(at_random(Duration::from_secs(2)));
        members.push(job.start(url));
        shared_out(&members);
    }
    if full() {
        freeze(&members);
    }
    sleep(at_random(Duration::from_secs(2)));
    members.push(job.start(url));
    sleep(at_random(Duration::from_secs(2)));
    leaves(&mut members.remove(0));
    shared_out(&members);
    sleep(at_random(Duration::from_secs(2)));
    members
}

/// Holds a process up for longer than its session: what it had is somebody else's when it goes on.
fn freeze(members: &[Member]) {
    let [frozen, others @ ..] = members else { panic!("nobody to freeze") };
    frozen.process.signal(Signal::SIGSTOP);
    wait_until(TAKEN_OVER, "others in its place", || {
        let running: usize = others.iter().map(Member::running).sum::<Result<_, _>>()?;
        if running == PARTITIONS { Ok(()) } else { Err(format!("{running} partitions")) }
    });
    sleep(at_random(Duration::from_secs(4)));
    frozen.process.signal(Signal::SIGCONT);
    shared_out(members);
}

/// Waits until each of the members has a share, and all together have all partitions.
#[track_caller]
fn shared_out(members: &[Member]) {
    wait_until(TAKEN_OVER, "partition in every hand", || {
        let running = members.iter().map(Member::running).collect::<Result<Vec<_>, _>>()?;
        if running.iter().all(|count| *count > 0) && running.iter().sum::<usize>() == PARTITIONS {
            Ok(())
        } else {
            Err(format!("{running:?} partitions"))
        }
    });
}

/// Tells a process to end, which it does in time, with exit code 0.
#[track_caller]
fn leaves(member: &mut Member) {
    let status = member.process.terminate(DRAIN);
    assert_eq!(status.code(), Some(0), "{}", member.process.stderr());
}

/// A moment within `most`; it is printed, and shown when the test fails.
fn at_random(most: Duration) -> Duration {
    let moment = most.mul_f64(RandomState::new().hash_one(0) as f64 / u64::MAX as f64);
    println!("after {moment:?}:");
    moment
}

/// Stops the load when the trouble panics, or the scope would wait for it without end.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends some ten thousand samples a second until it is told to stop.
fn produce(job: &Job, stop: &AtomicBool) -> Made {
    let config = Config { series: 1_000, points_per_record: 100, ..Config::default() };
    let mut load = Load::new(job.kafka, &job.name, config, now());
    let (started, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::SeqCst) {
        while f64::from(sent) < started.elapsed().as_secs_f64() * 15.0 {
            load.send(now());
            sent += 1;
        }
        sleep(Duration::from_millis(20));
    }
    load.finish()
}

/// Every sample that was made is in Prometheus, and what is there has the value that was made.
fn has_all(prometheus: &Prometheus, mut made: Made) {
    for job in jobs() {
        let answer = prometheus.query(&format!("{{job='{job}'}}[3h]")).unwrap();
        for series in answer.as_array().unwrap() {
            let labels: HashMap<&str, &str> = series["metric"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (&**name, value.as_str().unwrap()))
                .collect();
            for point in series["values"].as_array().unwrap() {
                let (at_ms, value) = sample(point);
                let value = value.parse().unwrap();
                let verdict = made.check_sample(labels.iter().map(|(name, value)| (*name, *value)), at_ms, value);
                let fine = matches!(verdict, Verdict::First | Verdict::NotCounted);
                assert!(fine, "{labels:?} at {at_ms}: {value}: {verdict:?}");
            }
        }
    }
    let (all, missing) = (made.made().samples, made.missing().samples);
    assert!(all > 20_000, "{all} samples");
    assert_eq!(missing, 0, "of {all}: {:#?}", made.missing_samples(10));
    println!("{all} samples");
}

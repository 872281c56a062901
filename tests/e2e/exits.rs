//! How `weir run` ends when it is told to, whatever it is at.

use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_generate::Config;
use weir_tests::stack::{Signal, free_ports};
use weir_tests::wait::wait_until;

use crate::job::{Job, Member, SOON, Topology};
use crate::load::{Load, now};
use crate::receiver::{Answers, Judgement, Receiver, url};

/// `drain_timeout` of these tests, and what ending may take beyond it.
const DRAIN: Duration = Duration::from_secs(3);
const BEYOND: Duration = Duration::from_secs(5);
const TOPOLOGY: Topology =
    Topology { properties: "", process: "", worker: "drain_timeout = \"3s\"", remote_write: "", otlp: "", measure: "" };

/// Sends a signal; the process ends with 0 within `drain_timeout` and a few seconds.
#[track_caller]
fn ends(mut member: Member, signal: Signal, when: &str) {
    let told = Instant::now();
    member.process.signal(signal);
    let status = member.process.finish(SOON);
    let took = told.elapsed();
    println!("{when}, {signal}: {status} after {took:?}");
    assert_eq!(status.code(), Some(0), "{when}, {signal}: {}", member.process.stderr());
    assert!(took < DRAIN + BEYOND, "{when}, {signal}: it took {took:?}: {}", member.process.stderr());
}

/// A receiver that takes everything.
fn receiver(answers: Answers) -> Receiver {
    Receiver::start(free_ports(), answers, Box::new(|_| Judgement::Taken))
}

/// A job with a backlog that takes a while.
fn busy_job(name: &str) -> Job {
    let job = Job::new(name, 6, TOPOLOGY);
    let start = now();
    let mut load = Load::new(job.kafka, &job.name, Config::default(), start);
    for _ in 0..3_000 {
        load.send(start);
    }
    load.finish();
    job
}

/// Guards: neither a call that waits for Kafka nor the pauses between such calls, which grow, hold the end up.
#[test]
fn a_process_ends_when_told_to_while_kafka_does_not_answer() {
    let job = Job::new("exit-nobody", 1, TOPOLOGY);
    for (after, signal) in [(0, Signal::SIGINT), (15, Signal::SIGTERM)] {
        let member = job.start_at(&format!("127.0.0.1:{}", free_ports()), &url(free_ports()));
        sleep(Duration::from_secs(after));
        ends(member, signal, &format!("nobody has answered for {after} s"));
    }
}

#[test]
fn a_process_ends_when_told_to_at_any_moment_of_joining() {
    let (job, receiver) = (busy_job("exit-joining"), receiver(Answers::Judges));
    for (at_ms, signal) in [
        (0, Signal::SIGTERM),
        (50, Signal::SIGINT),
        (150, Signal::SIGTERM),
        (400, Signal::SIGINT),
        (1_000, Signal::SIGTERM),
    ] {
        let member = job.start(receiver.url());
        sleep(Duration::from_millis(at_ms));
        ends(member, signal, &format!("joining for {at_ms} ms"));
    }
}

/// Guards: what is under way is brought to its end: the offsets that a drain leaves are those of what was delivered.
#[test]
fn a_process_ends_when_told_to_under_load() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (job, receiver) = (busy_job("exit-load"), receiver(Answers::Judges));
        let member = job.start(receiver.url());
        wait_until(SOON, "request", || if receiver.requests() > 0 { Ok(()) } else { Err("none yet") });
        ends(member, signal, "under load");
        let committed: i64 = job.offsets().unwrap().iter().map(|(committed, _)| committed).sum();
        assert!(committed > 0, "{:?}", job.offsets());
    }
}

/// Guards: nothing is committed that was not delivered (invariant 8).
#[test]
fn a_process_ends_when_told_to_while_its_sink_takes_nothing() {
    for answers in [Answers::Unauthorized, Answers::Busy(600), Answers::Busy(1)] {
        let (job, receiver) = (busy_job("exit-sink"), receiver(answers));
        let member = job.start(receiver.url());
        wait_until(SOON, "request", || if receiver.requests() > 0 { Ok(()) } else { Err("none yet") });
        sleep(Duration::from_secs(1));
        ends(member, Signal::SIGTERM, &format!("{answers:?}"));
        let committed: Vec<_> = job.offsets().unwrap().iter().map(|(committed, _)| *committed).collect();
        assert_eq!(committed, [0; 6], "{answers:?}");
    }
}

/// Scenario: the receiver hangs: it takes the connection and never answers.
#[test]
fn a_process_ends_when_told_to_while_its_sink_hangs() {
    let job = busy_job("exit-hangs");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let member = job.start(&url(listener.local_addr().unwrap().port()));
    let _connection = listener.accept().unwrap();
    ends(member, Signal::SIGTERM, "the sink hangs");
}

#[test]
fn a_second_sigint_ends_a_process_at_once() {
    let (job, receiver) = (busy_job("exit-twice"), receiver(Answers::Unauthorized));
    let mut member = job.start(receiver.url());
    wait_until(SOON, "request", || if receiver.requests() > 0 { Ok(()) } else { Err("none yet") });
    member.process.signal(Signal::SIGINT);
    wait_until(SOON, "first SIGINT heeded", || {
        if member.process.stderr().contains("once more stops at once") { Ok(()) } else { Err("not yet") }
    });
    assert!(member.process.is_running());
    member.process.signal(Signal::SIGINT);
    assert_eq!(member.process.finish(Duration::from_secs(2)).code(), Some(130), "{}", member.process.stderr());
}

//! The metrics job while its processes and the brokers die, join, leave and freeze under load.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_generate::{Config, Made, Verdict, jobs};
use weir_tests::stack::{Prometheus, PrometheusOptions};

use crate::job::{Job, Program, Topology, sample};
use crate::load::{Load, now};
use crate::trouble::{self, CLASSIC, CONSUMER, Plan};

/// Scenario: one process reads twelve partitions under load; two join, one is killed at a random moment, all are
/// restarted one after the other, two leave. In its long form they are killed and stopped again and again, and the
/// brokers too.
/// Guards: every sample is in Prometheus, none with another value (invariants 1, 2, 4); who is told to end does, with
/// 0 (invariant 8); the group ends at the ends of the log.
#[test]
fn no_sample_is_lost_when_a_process_is_killed_with_the_classic_protocol() {
    survives("classic", CLASSIC);
}

/// As with the classic protocol; the brokers share the partitions out (KIP-848).
#[test]
fn no_sample_is_lost_when_a_process_is_killed_with_the_consumer_protocol() {
    survives("consumer", CONSUMER);
}

fn survives(protocol: &str, topology: Topology) {
    let (kafka, _turn) = trouble::cluster();
    let job = Job::on(kafka, Program::Metrics, &format!("faults-{protocol}"), trouble::PARTITIONS, topology);
    let prometheus = Prometheus::start(PrometheusOptions::default());
    let plan = Plan { kills: 1, stops: 0, broker_kills: 0, rolling_restarts: 1, named: false };
    let (made, _) = trouble::under_load(&job, &prometheus.url("/api/v1/write"), plan, |stop| produce(&job, stop));
    has_all(&prometheus, made);
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

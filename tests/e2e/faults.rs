//! The metrics job while its processes and the brokers die, join, leave and freeze under load.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use prost::Message;
use weir_generate::{Config, Made, Verdict, jobs};
use weir_tests::stack::{Prometheus, PrometheusOptions, Record};

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

/// Scenario: the same trouble, while deltas are added up.
/// Guards: the last total of every series is the sum of all that was produced, exactly: none counted twice, none lost
/// (invariant 11).
#[test]
fn totals_of_deltas_are_exact_when_a_process_is_killed_with_the_classic_protocol() {
    adds_up("classic", CLASSIC);
}

/// As with the classic protocol.
#[test]
fn totals_of_deltas_are_exact_when_a_process_is_killed_with_the_consumer_protocol() {
    adds_up("consumer", CONSUMER);
}

fn adds_up(protocol: &str, topology: Topology) {
    let (kafka, _turn) = trouble::cluster();
    let topology = Topology { otlp: "delta_to_cumulative = true", ..topology };
    let job = Job::on(kafka, Program::Metrics, &format!("deltas-{protocol}"), trouble::PARTITIONS, topology);
    let changelog = format!("weir-{}-state", job.name);
    kafka.create_topic(&changelog, trouble::PARTITIONS, &[("cleanup.policy", "compact")]);
    let prometheus = Prometheus::start(PrometheusOptions::default());
    let plan = Plan { kills: 2, stops: 0, broker_kills: 0, rolling_restarts: 1, named: false };
    let (sums, _) = trouble::under_load(&job, &prometheus.url("/api/v1/write"), plan, |stop| deltas(&job, stop));

    let answer = prometheus.query("last_over_time(boats_total[3h])").unwrap();
    let totals: BTreeMap<i32, u64> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let total: f64 = sample(&series["value"]).1.parse().unwrap();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of small integers")]
            let total = total as u64;
            (series["metric"]["lock"].as_str().unwrap().parse().unwrap(), total)
        })
        .collect();
    assert_eq!(totals, sums);
    println!("{} series, {} counted in all", sums.len(), sums.values().sum::<u64>());
}

/// Sends deltas of each of some series, which stays in its partition, until it is told to stop; what they add up to.
fn deltas(job: &Job, stop: &AtomicBool) -> BTreeMap<i32, u64> {
    let mut sums = BTreeMap::new();
    let (mut last, mut round) = (now().0, 0);
    while !stop.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(50));
        let time = now().0;
        let record = |lock: i32| {
            let value = round * 7 % 11 + u64::from(lock.unsigned_abs());
            *sums.entry(lock).or_default() += value;
            let value = Some(delta(lock, last, time, value));
            Record { partition: Some(lock % job.partitions), value, ..Record::default() }
        };
        let records: Vec<_> = (0..4 * job.partitions).map(record).collect();
        job.kafka.produce(&job.name, &records);
        (last, round) = (time, round + 1);
    }
    sums
}

fn delta(lock: i32, start: u64, time: u64, value: u64) -> Vec<u8> {
    let lock = AnyValue { value: Some(any_value::Value::StringValue(lock.to_string())) };
    let point = NumberDataPoint {
        attributes: vec![KeyValue { key: "lock".to_owned(), value: Some(lock), ..KeyValue::default() }],
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsInt(value.cast_signed())),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 1, is_monotonic: true };
    let metric = Metric { name: "boats".to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    MetricsData { resource_metrics: vec![resource] }.encode_to_vec()
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

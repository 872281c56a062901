//! A receiver that is busy, then away, then refuses one series: lag, and no loss.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use parking_lot::Mutex;
use prost::Message;
use weir_generate::{Config, Made, UnixNanos, Verdict};
use weir_remote_write::TimeSeries;
use weir_tests::stack::{Record, free_ports};
use weir_tests::wait::wait_until;

use crate::job::{Job, SOON, Topology, full};
use crate::load::{Load, now};
use crate::receiver::{Answers, Judge, Judgement, Receiver};

/// The budget of the process.
const BUDGET_BYTES: u64 = 64 << 20;
/// What a process takes beside its budget; 114 to 188 MiB were measured with jemalloc. 17 are the
/// program; up to 26 are one batch of each of the twelve partitions, by which the budget may be exceeded; the rest is what
/// librdkafka gets at once from each of three brokers (1 MiB that becomes 18 when it is decompressed, and as much again
/// when partitions are resumed), and what is free and not given back yet.
const BESIDE_BUDGET_BYTES: u64 = 256 << 20;
/// The series that the receiver refuses, and one of the same records that it takes.
const UNWELCOME: &str = "unwelcome";
const WELCOME: &str = "welcome";
/// How many records have them.
const SPECIAL_RECORDS: u64 = 40;
/// How long the receiver asks to be left alone, in seconds.
const RETRY_AFTER: u64 = 3;

/// What arrived.
struct Arrived {
    made: Made,
    /// Times of the welcome series.
    welcome: BTreeSet<i64>,
    /// What nobody sent.
    wrong: Vec<String>,
}

/// Scenario: hundreds of megabytes wait in Kafka. For a while the receiver answers 429 with `Retry-After`; then nobody
/// listens there; then it is back and takes all but one series, which it refuses with a 400.
/// Guards: lag, not loss (invariant 2): every sample but those arrives, with its value; the refused series' records are
/// dead letters byte for byte, with reason and origin, and nothing else is (invariant 3); `Retry-After` is heeded; memory
/// stays within the budget and a constant (invariant 5).
#[test]
fn a_receiver_that_is_busy_then_away_then_picky_makes_lag_and_no_loss() {
    let topology = Topology { process: "budget = \"64MiB\"", ..Topology::default() };
    let (job, port) = (Job::new("sink-trouble", 12, topology), free_ports());
    let (bytes, away) = if full() { (2 << 30, 60) } else { (300 << 20, 10) };
    let (made, special) = fill(&job, bytes);
    let samples = made.made().samples;

    let arrived = Arc::new(Mutex::new(Arrived { made, welcome: BTreeSet::new(), wrong: Vec::new() }));
    let receiver = Receiver::start(port, Answers::Busy(RETRY_AFTER), judge(&arrived));
    let mut member = job.start(receiver.url());
    wait_until(SOON, "first request", || if receiver.requests() > 0 { Ok(()) } else { Err("none yet") });
    heeds_retry_after(&receiver);
    drop(receiver);
    sleep(Duration::from_secs(away));
    let offsets = job.offsets().unwrap();
    assert!(offsets.iter().all(|(committed, end)| *committed == 0 && *end > 0), "{offsets:?}");

    let _receiver = Receiver::start(port, Answers::Judges, judge(&arrived));
    let draining = Instant::now();
    job.caught_up(Duration::from_secs(if full() { 1200 } else { 240 }));
    let seconds = draining.elapsed().as_secs_f64();
    let arrived = arrived.lock();
    assert_eq!(arrived.wrong, Vec::<String>::new());
    assert_eq!(arrived.made.missing().samples, 0, "of {samples}: {:#?}", arrived.made.missing_samples(10));
    assert_eq!(arrived.welcome.len() as u64, SPECIAL_RECORDS);
    dead_letters_are(&job, &special);

    let peak = member.memory("VmHWM");
    println!("{bytes} bytes, {samples} samples, drained in {seconds:.1} s, peak memory {} MiB", peak >> 20);
    assert!(peak < BUDGET_BYTES + BESIDE_BUDGET_BYTES, "{} MiB", peak >> 20);
    assert_eq!(member.process.terminate(SOON).code(), Some(0), "{}", member.process.stderr());
}

/// Writes so many bytes of records (before Kafka's own compression) to the job's topic, and among them the special
/// ones; returns those as well.
fn fill(job: &Job, bytes: usize) -> (Made, Vec<Vec<u8>>) {
    let config = Config { series: 5_000, points_per_record: 1_000, ..Config::default() };
    // The generator's times run ahead of a clock that does not move, a millisecond each.
    let start = UnixNanos(now().0 - 3_600_000_000_000);
    let mut load = Load::new(job.kafka, &job.name, config, start);
    let (mut sent, mut special) = (0, Vec::new());
    while sent < bytes {
        sent += load.send(start);
        let due = (sent as u64).saturating_mul(SPECIAL_RECORDS) / bytes as u64;
        while (special.len() as u64) < due.min(SPECIAL_RECORDS) {
            let value = special_record(special.len() as u64);
            sent += load.send_as(special.len().to_be_bytes().to_vec(), value.clone());
            special.push(value);
        }
    }
    (load.finish(), special)
}

/// A point of each of the two series.
fn special_record(number: u64) -> Vec<u8> {
    let time_unix_nano = now().0 / 1_000_000_000 * 1_000_000_000 + number * 1_000_000;
    let metric = |name: &str| {
        let point = NumberDataPoint { time_unix_nano, value: Some(Value::AsDouble(1.5)), ..Default::default() };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: name.to_owned(), data, ..Default::default() }
    };
    let metrics = vec![metric(UNWELCOME), metric(WELCOME)];
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn judge(arrived: &Arc<Mutex<Arrived>>) -> Judge {
    let arrived = Arc::clone(arrived);
    Box::new(move |series: &TimeSeries| {
        let mut arrived = arrived.lock();
        let labels = || series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let name = labels().find(|(name, _)| *name == "__name__").map_or("", |(_, value)| value);
        match name {
            UNWELCOME => return Judgement::Refused,
            WELCOME => arrived.welcome.extend(series.samples.iter().map(|sample| sample.timestamp_ms)),
            _ => {
                for sample in &series.samples {
                    let verdict = arrived.made.check_sample(labels(), sample.timestamp_ms, sample.value);
                    if matches!(verdict, Verdict::Unknown | Verdict::Different { .. }) {
                        arrived.wrong.push(format!("{:?} {sample:?}: {verdict:?}", series.labels));
                    }
                }
            }
        }
        Judgement::Taken
    })
}

/// Guards: each of the four shards waits as long as it is told between its requests. By their own pauses, a tenth of a
/// second that doubles, they would make six requests each.
fn heeds_retry_after(receiver: &Receiver) {
    sleep(Duration::from_secs(2 * RETRY_AFTER));
    let requests = receiver.requests();
    assert!((2..=4 * 3).contains(&requests), "{requests} requests in twice the time of `Retry-After`");
}

/// The job's dead letters are those records, each once.
fn dead_letters_are(job: &Job, records: &[Vec<u8>]) {
    let about = |letter: &Record, what: &str| {
        let (_, value) = letter.headers.iter().find(|(name, _)| name.strip_prefix("weir.dlq.") == Some(what))?;
        String::from_utf8(value.clone()?).ok()
    };
    let letters = job.kafka.read_all("weir-dead-letters");
    let letters: Vec<_> =
        letters.iter().filter(|letter| about(letter, "group").as_deref() == Some(&job.name)).collect();
    let values: BTreeSet<_> = letters.iter().map(|letter| letter.value.clone().unwrap()).collect();
    assert_eq!(values, records.iter().cloned().collect());
    assert_eq!(letters.len(), records.len());
    let origins = job.kafka.read_all(&job.name);
    for letter in letters {
        let [topic, partition, offset] = ["topic", "partition", "offset"].map(|what| about(letter, what).unwrap());
        assert_eq!((topic.as_str(), about(letter, "worker").as_deref()), (job.name.as_str(), Some("metrics")));
        assert_eq!(about(letter, "reason").as_deref(), Some("invalid_labels"));
        let (partition, offset): (i32, i64) = (partition.parse().unwrap(), offset.parse().unwrap());
        let origin = origins.iter().find(|record| record.partition == Some(partition) && record.offset == offset);
        let origin = origin.unwrap();
        assert_eq!((&origin.key, &origin.value), (&letter.key, &letter.value));
        assert_eq!(about(letter, "timestamp"), origin.timestamp_ms.map(|ms| ms.to_string()));
    }
}

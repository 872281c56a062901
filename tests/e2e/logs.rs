//! The logs worker on a real Kafka: what it makes of lines, and that it makes it once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use weir_generate::{Config, Signal, Verdict};
use weir_tests::stack::{Collector, Listener, Record, telemetrygen};
use weir_tests::wait::wait_until;

use crate::job::{Job, Program, SOON, Topology, cluster, full};
use crate::load::{Load, now};
use crate::trouble::{self, CLASSIC, CONSUMER, Plan};

/// The lines that are sent, each so often; what must be read out of each, and what must not be left of it.
const LINES: [(&str, &str, &str, &str); 5] = [
    (r#"{"level":"error","msg":"no","user":{"mail":"eve.adams@example.com"}}"#, "json", "app", "eve.adams"),
    ("level=info msg=stored password=hunter2", "logfmt", "app", "hunter2"),
    (
        "192.0.2.77 - - [21/Nov/2026:15:48:20 +0000] \"GET /x?access_token=s3cr3tt0k3nv4lu3 HTTP/1.1\" 200 5",
        "access",
        "access",
        "s3cr3tt0k3nv4lu3",
    ),
    ("<86>Nov 21 15:48:20 web-1 sshd[7]: session opened for mallory.b@example.com", "syslog_rfc3164", "security", ""),
    ("nothing to see here", "none", "app", ""),
];
const OF_EACH: usize = 200;

/// Scenario: telemetrygen sends five kinds of lines through a Collector, which writes them as protobuf and as JSON.
/// Guards: whoever reads committed has every line once, parsed, with its class and its origin, in its partition, under
/// its key; nothing that is to be masked is left, in bodies or in what was read out of them.
#[test]
fn through_the_collector_every_line_arrives_once_parsed_enriched_and_masked() {
    for encoding in ["otlp_proto", "otlp_json"] {
        let name = format!("logs-{}", encoding.replace('_', "-"));
        let job = Job::on(cluster(), Program::Logs, &name, 6, Topology::default());
        let member = job.start("");
        member.has_partitions(6);
        let mut collector = Collector::start(&config(&job, encoding));
        for (line, ..) in LINES {
            let count = OF_EACH.to_string();
            let args = ["--logs", &count, "--rate", "1000", "--body", line, "--service", "lock-1"];
            telemetrygen("logs", &collector.otlp_grpc(), &args);
        }
        assert!(collector.process().terminate(SOON).success(), "{}", collector.process().stderr());
        job.caught_up(SOON);

        let (sent, got) = (records(&job, &job.name), records(&job, &job.output()));
        let partitions = |records: &[Record]| {
            records.iter().map(|record| (record.partition, record.key.clone())).collect::<Vec<_>>()
        };
        assert_eq!(partitions(&got), partitions(&sent), "keys and partitions");
        let lines: Vec<_> = got.iter().flat_map(lines).collect();
        let kinds = |line: &LogRecord| {
            ["weir.parser", "weir.class"].map(|name| text(&line.attributes, name).unwrap().to_owned())
        };
        let mut by_kind: BTreeMap<_, usize> = BTreeMap::new();
        lines.iter().for_each(|line| *by_kind.entry(kinds(line)).or_default() += 1);
        let want = LINES.map(|(_, parser, class, _)| ([parser, class].map(str::to_owned), OF_EACH));
        assert_eq!(by_kind, BTreeMap::from(want), "{encoding}");
        let origins: BTreeSet<_> = lines.iter().map(|line| text(&line.attributes, "weir.origin").unwrap()).collect();
        assert_eq!(origins.len(), lines.len(), "an origin is there twice");
        let left: String =
            got.iter().map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap()).into_owned()).collect();
        for (line, .., hidden) in LINES.iter().filter(|(.., hidden)| !hidden.is_empty()) {
            assert!(!left.contains(hidden), "{encoding}: {hidden} of {line} is left");
        }
        let error = lines.iter().find(|line| kinds(line)[0] == "json").unwrap();
        assert_eq!(error.trace_id.len(), 0);
        assert_eq!(text(&error.attributes, "msg"), Some("no"));
        assert_eq!(member.counter("weir_dead_letters_total"), Ok(0.0));
        assert!(member.counter("weir_log_values_masked_total").unwrap() > 400.0);
    }
}

fn config(job: &Job, encoding: &str) -> String {
    format!(
        "
        processors:
          batch: {{timeout: 200ms, send_batch_size: 100, send_batch_max_size: 100}}
        exporters:
          kafka:
            brokers: [{brokers}]
            logs: {{topic: {topic}, encoding: {encoding}}}
            partition_logs_by_resource_attributes: true
            producer: {{compression: snappy, required_acks: -1, allow_auto_topic_creation: false}}
        service:
          pipelines:
            logs: {{receivers: [otlp], processors: [batch], exporters: [kafka]}}
        ",
        brokers = job.kafka.bootstrap(Listener::Plain),
        topic = job.name,
    )
}

/// Scenario: one process reads twelve partitions of the generator's lines; two join, some are killed at random moments,
/// all are restarted one after the other, two leave.
/// Guards: the origins of the lines in the output, as whoever reads committed sees them, are those of the input, each
/// once, in order within a partition; every line that was made is there. Who reads uncommitted sees these, and more at
/// most.
#[test]
fn every_line_is_written_exactly_once_with_the_classic_protocol() {
    survives("classic", CLASSIC);
}

/// As with the classic protocol; the brokers share the partitions out (KIP-848).
#[test]
fn every_line_is_written_exactly_once_with_the_consumer_protocol() {
    survives("consumer", CONSUMER);
}

fn survives(protocol: &str, topology: Topology) {
    let (kafka, _turn) = trouble::cluster();
    let job = Job::on(kafka, Program::Logs, &format!("logs-{protocol}"), trouble::PARTITIONS, topology);
    // Brokers that die are for `delivery`: what holds then is the protocol's.
    let (kills, stops, rolling_restarts) = if full() { (50, 5, 2) } else { (3, 0, 1) };
    let plan = Plan { kills, stops, broker_kills: 0, rolling_restarts, named: false };
    let (mut made, _) = trouble::under_plan(&job, "", plan, |stop| produce(&job, stop));
    let sent = records(&job, &job.name);
    let mut want: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for record in &sent {
        let partition = record.partition.unwrap();
        let origin = |index| format!("{}/{partition}/{}/{index}", job.name, record.offset);
        want.entry(partition).or_default().extend((0..lines(record).len()).map(origin));
    }
    let mut got: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for record in records(&job, &job.output()) {
        for line in lines(&record) {
            let origin = text(&line.attributes, "weir.origin").unwrap().to_owned();
            got.entry(record.partition.unwrap()).or_default().push(origin);
            let uid = text(&line.attributes, "log.record.uid").unwrap();
            assert_eq!(made.check_line(uid), Verdict::First, "{uid}");
        }
    }
    for (partition, want) in &want {
        let none = Vec::new();
        let got = got.get(partition).unwrap_or(&none);
        let differs = want.iter().zip(got).find(|(want, got)| want != got);
        assert_eq!((differs, got.len()), (None, want.len()), "partition {partition}");
    }
    let count: usize = want.values().map(Vec::len).sum();
    let seen: Vec<_> = job.kafka.read_uncommitted(&job.output()).iter().flat_map(lines).collect();
    let origins: BTreeSet<_> = seen.iter().map(|line| text(&line.attributes, "weir.origin").unwrap()).collect();
    println!("{protocol}: {count} lines in {} records, {} of them uncommitted", sent.len(), seen.len() - count);
    assert_eq!(origins, want.values().flatten().map(String::as_str).collect());
    assert_eq!((made.missing().lines, want.len()), (0, got.len()));
    assert!(count > 10_000, "{count} lines");
}

/// Sends some thousand lines a second until it is told to stop.
pub(crate) fn produce(job: &Job, stop: &AtomicBool) -> weir_generate::Made {
    let config = Config { series: 1_000, ..Config::default() };
    let mut load = Load::new(job.kafka, &job.name, config, now());
    let (started, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::SeqCst) {
        while f64::from(sent) < started.elapsed().as_secs_f64() * 50.0 {
            load.send_next(Signal::Logs, now());
            sent += 1;
        }
        sleep(Duration::from_millis(20));
    }
    load.finish()
}

/// All committed records of a topic, once no transaction is pending on it.
pub(crate) fn records(job: &Job, topic: &str) -> Vec<Record> {
    job.kafka.settle(topic);
    wait_until(SOON, "records", || {
        let records = job.kafka.read_all(topic);
        if records.is_empty() { Err("none") } else { Ok(records) }
    })
}

/// The lines of a record, in protobuf or JSON.
fn lines(record: &Record) -> Vec<LogRecord> {
    let value = record.value.as_deref().unwrap();
    let payload = weir_otlp::decode(weir_otlp::Signal::Logs, value, weir_otlp::Hints::default()).unwrap();
    let request = ExportLogsServiceRequest::decode(&*payload).unwrap();
    let scopes = request.resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
    scopes.flat_map(|logs| logs.log_records).collect()
}

pub(crate) fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    match attributes.iter().find(|pair| pair.key == name)?.value.as_ref() {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text),
        _ => None,
    }
}

//! What no worker can read ends in the dead letters, once, and keeps nothing else from its way.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::Mutex;
use prost::Message;
use sha2::{Digest, Sha256};
use weir_remote_write::TimeSeries;
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Record, folder, free_ports, weir};
use weir_tests::wait::wait_until;

use crate::load::now;
use crate::receiver::{Answers, Judgement, Receiver};

const DEAD_LETTERS: &str = "weir-dead-letters";
/// What the dead-letter topic takes, in bytes.
const LETTER_BYTES_MAX: usize = 6 << 20;
/// In every bad record, and nowhere else.
const CANARY: &str = "canary-7e1a44c9";
const ENDS: Duration = Duration::from_secs(90);

/// Where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Read; nothing of it is a dead letter.
    Read,
    /// In the dead letters, for this reason.
    Rejected(&'static str),
    /// The same, and too large for the dead letters: only origin, size and hash.
    TooLarge(&'static str),
    /// The same, and so close to what the dead letters take that it may be either.
    Close(&'static str),
}

impl End {
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Read => None,
            Self::Rejected(reason) | Self::TooLarge(reason) | Self::Close(reason) => Some(reason),
        }
    }
}

struct Case {
    name: &'static str,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, &'static str)>,
    end: End,
}

fn case(name: &'static str, value: impl Into<Vec<u8>>, end: End) -> Case {
    Case { name, value: Some(value.into()), headers: Vec::new(), end }
}

impl Case {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn point(attribute: KeyValue, value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![attribute],
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn gauge(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    Metric { name: name.to_owned(), data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() }
}

/// A neighbour: one sample of the series `good{n="NUMBER"}`.
pub(crate) fn good(number: usize) -> Vec<u8> {
    request(vec![gauge("good", vec![point(text("n", &number.to_string()), 1.0)])]).encode_to_vec()
}

/// What was to be a record like any other.
fn real() -> ExportMetricsServiceRequest {
    let points = (0..10).map(|n| point(text("secret", &format!("{CANARY}-{n}")), f64::from(n)));
    request(vec![gauge("spoiled", points.collect())])
}

/// A length-delimited field of protobuf.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend_from_slice(content);
    field
}

/// An attribute that is a list in a list, 100,000 deep; prost would overflow its stack on it.
fn nested() -> Vec<u8> {
    let mut backwards: Vec<u8> = field(1, CANARY.as_bytes()).into_iter().rev().collect();
    for _ in 0..100_000 {
        for number in [1, 5] {
            let header = field(number, &[]);
            let mut length = Vec::new();
            prost::encoding::encode_varint(backwards.len() as u64, &mut length);
            backwards.extend(length.iter().rev());
            backwards.push(header[0]);
        }
    }
    backwards.reverse();
    let attribute = [field(1, b"nested"), field(2, &backwards)].concat();
    field(1, &field(1, &field(1, &attribute)))
}

fn logs() -> Vec<u8> {
    let body = Some(AnyValue { value: Some(Value::StringValue(CANARY.to_owned())) });
    let log_records = vec![LogRecord { time_unix_nano: 1, body, ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn traces() -> Vec<u8> {
    let span = Span {
        trace_id: b"0123456789abcdef".to_vec(),
        span_id: b"01234567".to_vec(),
        name: CANARY.to_owned(),
        start_time_unix_nano: 1,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that no encoding begins with and no compression makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = [&b"\x0f"[..], CANARY.as_bytes()].concat();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

fn cases() -> Vec<Case> {
    let whole = real().encode_to_vec();
    let json = serde_json::to_string(&real()).unwrap();
    let delta = Sum {
        data_points: vec![point(text("secret", CANARY), 1.0)],
        aggregation_temporality: AggregationTemporality::Delta.into(),
        is_monotonic: true,
    };
    let delta = Metric { name: "delta".to_owned(), data: Some(Data::Sum(delta)), ..Metric::default() };
    let beside = gauge("beside", vec![point(text("n", "0"), 1.0)]);
    let many = (0..40_000).map(|n| point(text("large", &format!("{n:0100}")), 1.0));
    let mut not_utf8 = whole.clone();
    let at = not_utf8.windows(CANARY.len()).position(|window| window == CANARY.as_bytes()).unwrap();
    not_utf8[at + CANARY.len()] = 0xff;
    let bomb = vec![b' '; 100 << 20];

    let mut cases = vec![
        case("an empty value", [], End::Read),
        Case { value: None, ..case("a tombstone", [], End::Read) },
        case("random bytes", noise(300), End::Rejected("bad_wire_type")),
        case("nested attributes", nested(), End::Rejected("too_deep")),
        case("5 MB", request(vec![gauge("large", many.collect())]).encode_to_vec(), End::Read),
        case("5 MB of noise", noise(5_000_000), End::Rejected("bad_wire_type")),
        case("more than the dead letters take", noise(8_000_000), End::TooLarge("bad_wire_type")),
        case("logs", logs(), End::Rejected("bad_wire_type")),
        case("traces", traces(), End::Rejected("truncated")),
        case("JSON", json.clone(), End::Read),
        case("JSON of logs", format!(r#"{{"resourceLogs":"{CANARY}"}}"#), End::Read),
        case("broken JSON", &json.as_bytes()[..json.len() / 2], End::Rejected("json_syntax")),
        case("text for a list", format!(r#"{{"resourceMetrics":"{CANARY}"}}"#), End::Rejected("json_wrong_type")),
        case("not what its header says", whole.clone(), End::Rejected("corrupt_compression"))
            .header("content-encoding", "gzip"),
        case("an unknown compression", whole.clone(), End::Rejected("unknown_compression"))
            .header("content-encoding", CANARY),
        case("gzip that ends too early", &gzip(&whole)[..40], End::Rejected("corrupt_compression")),
        case("a bomb of gzip", gzip(&bomb), End::Rejected("too_large")),
        case("a bomb of zstd", zstd::encode_all(&bomb[..], 1).unwrap(), End::Rejected("too_large"))
            .header("content-encoding", "zstd"),
        case("text that is not UTF-8", not_utf8, End::Rejected("invalid_utf8")),
        case(
            "a point that has no translation",
            request(vec![delta, beside]).encode_to_vec(),
            End::Rejected("delta_temporality"),
        )
        .header("own", CANARY),
    ];
    let cuts = [1, 5, whole.len() / 2, whole.len() - 1];
    cases.extend(cuts.map(|cut| case("a request cut off", &whole[..cut], End::Rejected("truncated"))));
    let close = (0..=12).map(|step| noise(LETTER_BYTES_MAX - 40 * step));
    cases.extend(close.map(|value| case("just what the dead letters take", value, End::Close("bad_wire_type"))));
    cases
}

/// Series by name and the label that tells them apart, with how often each came.
pub(crate) type Arrived = Arc<Mutex<BTreeMap<(String, String), usize>>>;

pub(crate) fn receiver(arrived: &Arrived) -> Receiver {
    let arrived = Arc::clone(arrived);
    let judge = move |series: &TimeSeries| {
        let of = |own: &str| series.labels.iter().find(|(name, _)| name == own).map(|(_, value)| value.clone());
        let label = ["n", "secret", "large"].into_iter().find_map(of).unwrap_or_default();
        *arrived.lock().entry((of("__name__").unwrap(), label)).or_default() += series.samples.len();
        Judgement::Taken
    };
    Receiver::start(free_ports(), Answers::Judges, Box::new(judge))
}

/// The dead letters of `topic` by the offset they are from; each once.
#[track_caller]
fn letters(kafka: &Kafka, topic: &str) -> BTreeMap<i64, Record> {
    let mut letters = BTreeMap::new();
    for record in kafka.read_all(DEAD_LETTERS) {
        if header(&record, "weir.dlq.topic").as_deref() == Some(topic) {
            let offset = header(&record, "weir.dlq.offset").unwrap().parse().unwrap();
            assert!(letters.insert(offset, record).is_none(), "offset {offset} is there twice");
        }
    }
    letters
}

fn header(record: &Record, name: &str) -> Option<String> {
    let mut found = record.headers.iter().filter(|(have, _)| have == name);
    let value = found.next()?.1.clone().unwrap_or_default();
    assert_eq!(found.next(), None, "{name} is there twice");
    Some(String::from_utf8(value).unwrap())
}

/// Checks a dead letter against the record that it was.
#[track_caller]
fn check(case: &Case, written: &Record, letter: &Record, topic: &str) {
    let name = case.name;
    let about = |what: &str| header(letter, &format!("weir.dlq.{what}"));
    for (what, is) in [
        ("worker", "metrics"),
        ("group", topic),
        ("topic", topic),
        ("partition", "0"),
        ("offset", &written.offset.to_string()),
        ("timestamp", &written.timestamp_ms.unwrap().to_string()),
        ("version", "1"),
    ] {
        assert_eq!(about(what).as_deref(), Some(is), "{name}: {what}");
    }
    let detail = about("detail").unwrap();
    assert!(!detail.contains(CANARY), "{name}: {detail}");

    let whole = letter.value.is_some();
    match case.end {
        End::Rejected(_) => assert!(whole, "{name} is not whole"),
        End::TooLarge(_) => assert!(!whole, "{name} is whole"),
        _ => {}
    }
    if whole {
        assert!(letter.value == written.value && letter.key == written.key, "{name} is not byte for byte");
        let own = |record: &Record| -> Vec<_> {
            record.headers.iter().filter(|(name, _)| !name.starts_with("weir.dlq.")).cloned().collect()
        };
        assert_eq!(own(letter), written.headers, "{name}");
        assert_eq!((about("size"), about("sha256")), (None, None), "{name}");
    } else {
        let value = written.value.as_deref().unwrap();
        let hash: String = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(about("size"), Some(value.len().to_string()), "{name}");
        assert_eq!(about("sha256"), Some(hash), "{name}");
    }
}

/// Each case between two good records.
fn records(cases: &[Case]) -> Vec<Record> {
    let start_ms = i64::try_from(now().0 / 1_000_000).unwrap();
    let record = |offset: usize, value: Option<Vec<u8>>, headers: &[(&str, &str)]| Record {
        partition: Some(0),
        offset: i64::try_from(offset).unwrap(),
        timestamp_ms: Some(start_ms + i64::try_from(offset).unwrap()),
        key: Some(format!("key-{offset}").into_bytes()),
        value,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect(),
    };
    let mut records = vec![record(0, Some(good(0)), &[])];
    for (number, case) in (1..).zip(cases) {
        records.push(record(2 * number - 1, case.value.clone(), &case.headers));
        records.push(record(2 * number, Some(good(number)), &[]));
    }
    records
}

/// The worker that reads `topic` and its admin server's port.
fn topology(kafka: &Kafka, topic: &str, admin: u16, url: &str) -> String {
    format!(
        "[kafka]\nbrokers = [\"{}\"]\n[topic_defaults]\nreplication_factor = 1\nmin_insync_replicas = 1\n\
         [topic.{DEAD_LETTERS}]\nmax_message_bytes = \"6MiB\"\n[process]\nadmin = \"127.0.0.1:{admin}\"\n\
         [worker.metrics]\ntopics = [\"{topic}\"]\ngroup = \"{topic}\"\n\
         [worker.metrics.remote_write]\nurl = \"{url}\"\n",
        kafka.bootstrap(Listener::Plain)
    )
}

/// Scenario: every kind of bad record in one partition, each between two good ones, then, once they are committed,
/// one more good record.
/// Guards: invariants 3 and 9; the good ones arrive, and no payload is in any log line or answer.
#[test]
fn bad_records_end_in_the_dead_letters_once_and_their_neighbours_arrive() {
    let kafka = Kafka::shared();
    let topic = Kafka::unique("bad-input");
    for (topic, bytes_max) in [(topic.as_str(), 16 << 20), (DEAD_LETTERS, LETTER_BYTES_MAX)] {
        kafka.create_topic(topic, 1, &[("max.message.bytes", &bytes_max.to_string())]);
    }
    let cases = cases();
    let records = records(&cases);
    kafka.produce(&topic, &records);

    let (arrived, admin, started) = (Arrived::default(), free_ports(), Instant::now());
    let receiver = receiver(&arrived);
    let folder = folder("bad-input");
    fs::write(folder.join("topology.toml"), topology(kafka, &topic, admin, receiver.url())).unwrap();
    let mut process = weir(&folder, &["run", "metrics", "--log-level", "debug"]);
    let mut shown = String::new();
    let mut committed = |offset: usize| {
        wait_until(ENDS, &format!("commit of {offset}"), || {
            let status = http::get_json(&format!("http://127.0.0.1:{admin}/status"), &[])?;
            let metrics = http::get(&format!("http://127.0.0.1:{admin}/metrics"), &[])?;
            shown = format!("{shown}{status}{metrics}");
            let partition = &status["metrics"]["partitions"][format!("{topic}[0]")];
            if partition["committed"] == offset { Ok(()) } else { Err(partition.to_string()) }
        });
    };
    committed(records.len());
    println!("{} bad records were committed after {:?}", cases.len(), started.elapsed());
    let last = Record { partition: Some(0), value: Some(good(1_000_000)), ..Record::default() };
    kafka.produce(&topic, &[last]);
    committed(records.len() + 1);
    assert_eq!(process.terminate(ENDS).code(), Some(0));

    let letters = letters(kafka, &topic);
    let bad = || (1..).step_by(2).zip(&cases);
    let expected = bad().filter_map(|(offset, case)| Some((case.name, offset, case.end.reason()?.to_owned())));
    let found = letters.iter().map(|(offset, letter)| {
        let name = cases.get(usize::try_from(*offset).unwrap() / 2).map_or("no bad record", |case| case.name);
        (name, *offset, header(letter, "weir.dlq.reason").unwrap())
    });
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    for (offset, case) in bad() {
        if let Some(letter) = letters.get(&offset) {
            check(case, &records[usize::try_from(offset).unwrap()], letter, &topic);
        }
    }

    let arrived = arrived.lock();
    let count = |name: &str| arrived.iter().filter(|((have, _), _)| have == name).map(|(_, count)| count).sum();
    let counts: [usize; 4] = ["good", "beside", "large", "spoiled"].map(count);
    // What was in JSON was read, and nothing else of what was spoiled.
    assert_eq!(counts, [cases.len() + 2, 1, 40_000, 10]);
    assert!(arrived.values().all(|count| *count == 1), "nothing came twice");

    assert!(process.stderr().contains("DEBUG"), "there are log lines: {}", process.stderr());
    for said in [process.stdout(), process.stderr(), shown] {
        let found: Vec<_> = said.lines().filter(|line| line.contains(CANARY)).take(3).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

//! `weir replay` beside a live group: exactly what it was asked for, once more, and nothing else touched.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use parking_lot::Mutex;
use prost::Message;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;
use weir_tests::stack::{Kafka, Listener, Record, Signal, folder, free_ports, weir};
use weir_tests::wait::wait_until;

use crate::commands::{ENDS, Ran, cluster, run, topology};
use crate::receiver::{Answers, Judgement, Receiver};

/// The time of the first record, 2023-11-14T22:13:20Z, in milliseconds since the epoch; each of the others comes a
/// second later. Kafka takes none of the future, and would remove those of the past.
const FIRST_MS: i64 = 1_700_000_000_000;
const KEPT: [(&str, &str); 1] = [("retention.ms", "-1")];

/// Partition and offset of each record that has arrived; a record has one sample, whose value tells them.
type Arrived = Arc<Mutex<BTreeSet<(i32, i64)>>>;

/// A topic, the worker `metrics` that reads it, and a receiver.
struct Replayed {
    kafka: &'static Kafka,
    topic: String,
    topology: String,
    arrived: Arrived,
    /// How many samples the receiver takes at once; each of the others takes a while.
    at_once: Arc<AtomicUsize>,
    _receiver: Receiver,
}

/// A record whose one sample says where it is to stand.
pub(crate) fn record(partition: i32, offset: i64) -> Record {
    let number = f64::from(partition) * 1e6 + f64::from(i32::try_from(offset).unwrap());
    let time_unix_nano = u64::try_from(FIRST_MS + offset * 1_000).unwrap() * 1_000_000;
    let point = NumberDataPoint { time_unix_nano, value: Some(Value::AsDouble(number)), ..Default::default() };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: format!("p{partition}"), data, ..Default::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let request =
        ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] };
    Record {
        partition: Some(partition),
        timestamp_ms: Some(FIRST_MS + offset * 1_000),
        value: Some(request.encode_to_vec()),
        ..Record::default()
    }
}

impl Replayed {
    /// A topic of so many partitions, each with so many records.
    fn new(name: &str, partitions: i32, records: i64, more: &str) -> Self {
        let kafka = cluster();
        let topic = Kafka::unique(name);
        kafka.create_topic(&topic, partitions, &KEPT);
        let records: Vec<_> =
            (0..partitions).flat_map(|partition| (0..records).map(move |offset| record(partition, offset))).collect();
        kafka.produce(&topic, &records);
        let arrived = Arrived::default();
        let at_once = Arc::new(AtomicUsize::new(usize::MAX));
        let (seen, fast) = (Arc::clone(&arrived), Arc::clone(&at_once));
        let judge = move |series: &weir_remote_write::TimeSeries| {
            if seen.lock().len() >= fast.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(50));
            }
            for sample in &series.samples {
                #[expect(clippy::cast_possible_truncation, reason = "whole numbers")]
                let number = sample.value as i64;
                seen.lock().insert((i32::try_from(number / 1_000_000).unwrap(), number % 1_000_000));
            }
            Judgement::Taken
        };
        let receiver = Receiver::start(free_ports(), Answers::Judges, Box::new(judge));
        let mut more = format!("[worker.metrics]\ntopics = [\"{topic}\"]\ngroup = \"{topic}\"\n{more}\n");
        write!(more, "[worker.metrics.remote_write]\nmax_samples = 10\nurl = \"{}\"\n", receiver.url()).unwrap();
        Self { kafka, topology: topology(kafka, &more), topic, arrived, at_once, _receiver: receiver }
    }

    fn replay(&self, args: &[&str]) -> Ran {
        run(&self.topology, &[&["replay", "metrics", "--json"], args].concat())
    }

    /// What has arrived since this was asked last.
    fn arrived(&self) -> BTreeSet<(i32, i64)> {
        std::mem::take(&mut self.arrived.lock())
    }

    fn group(&self) -> BaseConsumer {
        self.kafka.client(Listener::Plain).set("group.id", &self.topic).create().unwrap()
    }

    /// What the live group has committed of a partition.
    fn committed(&self, partition: i32) -> Offset {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.topic, partition);
        let committed = self.group().committed_offsets(asked, ENDS).unwrap();
        committed.find_partition(&self.topic, partition).unwrap().offset()
    }

    /// No group of a replay of this topic is left.
    #[track_caller]
    fn left_no_group(&self) {
        let groups = self.kafka.tool("ConsumerGroupCommand", &["--list"]);
        assert!(!groups.contains(&format!("{}-replay", self.topic)), "{groups}");
    }
}

/// Every offset of those ranges.
fn offsets(ranges: &[(i32, std::ops::Range<i64>)]) -> BTreeSet<(i32, i64)> {
    ranges.iter().flat_map(|(partition, range)| range.clone().map(|offset| (*partition, offset))).collect()
}

/// Scenario: a live group stands somewhere; parts of its topic are replayed by offsets, by one offset for all, and by
/// times.
/// Guards: exactly the records of the part arrive; the live group's offsets are as they were; no group is left.
#[test]
fn exactly_the_records_between_the_bounds_arrive_and_the_live_group_stays_where_it_is() {
    for protocol in ["classic", "consumer"] {
        let more = format!("group_protocol = \"{protocol}\"");
        let replayed = Replayed::new("replay-part", 3, 100, &more);
        let topic = &replayed.topic;
        let mut live = TopicPartitionList::new();
        live.add_partition_offset(topic, 0, Offset::Offset(42)).unwrap();
        replayed.group().commit(&live, CommitMode::Sync).unwrap();

        let (from, to) = (format!("{topic}[0]=30,{topic}[2]=95"), format!("{topic}[0]=60"));
        let ran = replayed.replay(&["--from", &from, "--to", &to]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(replayed.arrived(), offsets(&[(0, 30..60), (2, 95..100)]));
        let mut summary = ran.json();
        assert!(summary["group"].as_str().unwrap().starts_with(&format!("{topic}-replay-")), "{summary}");
        assert!(summary["seconds"].as_f64().unwrap() > 0.0, "{summary}");
        summary.as_object_mut().unwrap().retain(|key, _| key != "group" && key != "seconds");
        let partition = |partition, from, to| json!({"topic": topic, "partition": partition, "from": from, "to": to, "reached": to});
        let expected = json!({"worker": "metrics", "complete": true, "records": 35, "delivered": 35, "dead_letters": 0,
            "partitions": [partition(0, 30, 60), partition(2, 95, 100)]});
        assert_eq!(summary, expected);

        if protocol == "consumer" {
            continue;
        }
        let ran = replayed.replay(&["--from", "98"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(replayed.arrived(), offsets(&[(0, 98..100), (1, 98..100), (2, 98..100)]));

        let ran = replayed.replay(&["--from", "2023-11-14T22:13:30Z", "--to", "2023-11-14T22:13:40Z"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(replayed.arrived(), offsets(&[(0, 10..20), (1, 10..20), (2, 10..20)]));

        let ran = run(&replayed.topology, &["replay", "metrics", "--from", "500"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.starts_with("0 records, 0 items delivered, 0 dead letters, "), "{}", ran.out);
        assert_eq!((replayed.committed(0), replayed.committed(1)), (Offset::Offset(42), Offset::Invalid));
        replayed.left_no_group();
    }
}

/// Scenario: records come in transactions; markers, and the records of aborted transactions, stand within the part and
/// at its end.
/// Guards: it ends, although the offsets before the end are never committed by anybody.
#[test]
fn a_part_that_ends_in_markers_and_aborted_records_ends() {
    let replayed = Replayed::new("replay-markers", 2, 0, "");
    let producer: BaseProducer =
        replayed.kafka.client(Listener::Plain).set("transactional.id", &replayed.topic).create().unwrap();
    producer.init_transactions(ENDS).unwrap();
    let mut next = 0;
    let mut transaction = |records: i64, commits: bool| {
        producer.begin_transaction().unwrap();
        let first = next;
        for offset in first..first + records {
            let Record { value, timestamp_ms, .. } = record(0, offset);
            let value = value.unwrap();
            let sent: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&replayed.topic).partition(0).payload(&value);
            producer.send(sent.timestamp(timestamp_ms.unwrap())).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(ENDS).unwrap();
        if commits { producer.commit_transaction(ENDS) } else { producer.abort_transaction(ENDS) }.unwrap();
        next += records + 1; // the marker
        (0, first..first + records)
    };
    let committed = [transaction(5, true), transaction(3, false), transaction(5, true)];
    transaction(20, false);
    let readable = [committed[0].clone(), committed[2].clone()];
    let reader: BaseConsumer =
        replayed.kafka.client(Listener::Plain).set("isolation.level", "read_committed").create().unwrap();
    wait_until(ENDS, "last marker", || match reader.fetch_watermarks(&replayed.topic, 0, ENDS).unwrap() {
        (_, 37) => Ok(()),
        (_, end) => Err(end),
    });

    let ran = replayed.replay(&["--from", "0"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(replayed.arrived(), offsets(&readable));
    let summary = ran.json();
    assert_eq!((&summary["records"], &summary["partitions"][0]["reached"]), (&json!(10), &json!(37)), "{summary}");
    assert_eq!(summary["partitions"].as_array().unwrap().len(), 1, "one has no record: {summary}");

    // Between an aborted transaction and its marker, and where nothing but such is.
    let ran = replayed.replay(&["--from", "3", "--to", "8"]);
    assert_eq!((ran.code, replayed.arrived()), (0, offsets(&[(0, 3..5)])), "{}", ran.err);
    let ran = replayed.replay(&["--from", "16"]);
    assert_eq!((ran.code, replayed.arrived()), (0, BTreeSet::new()), "{}", ran.err);
    replayed.left_no_group();
}

/// Scenario: Ctrl-C in the middle; then what it says is left is replayed.
/// Guards: what is under way is delivered, the answer is where it stopped, and both together are the whole part.
#[test]
fn a_replay_that_is_told_to_stop_says_where_and_the_rest_completes_it() {
    let replayed = Replayed::new("replay-stopped", 2, 2_000, "drain_timeout = \"1s\"");
    // A batch is of a thousand records: of at least one partition the first is through by then.
    replayed.at_once.store(2_400, Ordering::SeqCst);
    let folder = folder("replay");
    fs::write(folder.join("topology.toml"), &replayed.topology).unwrap();
    let mut process = weir(&folder, &["replay", "metrics", "--from", "0", "--json"]);
    wait_until(ENDS, "sample", || if replayed.arrived.lock().len() > 2_400 { Ok(()) } else { Err("none yet") });
    process.signal(Signal::SIGINT);
    assert_eq!(process.finish(ENDS).code(), Some(1), "{}", process.stderr());
    let ran = Ran { code: 1, out: process.stdout(), err: process.stderr() };
    let summary = ran.json();
    assert_eq!(summary["complete"], false);
    let first = replayed.arrived();
    let done: Vec<_> =
        summary["partitions"].as_array().unwrap().iter().map(|one| one["reached"].as_i64().unwrap()).collect();
    assert!(done.iter().sum::<i64>() > 0 && done.iter().any(|done| *done < 2_000), "{done:?}");
    assert!(first.is_superset(&offsets(&[(0, 0..done[0]), (1, 0..done[1])])), "what is committed has arrived");
    replayed.left_no_group();

    replayed.at_once.store(usize::MAX, Ordering::SeqCst);
    let (_, told) = ran.err.split_once("to go on: weir replay metrics ").unwrap();
    let rest: Vec<_> = told.lines().next().unwrap().split(' ').map(|word| word.trim_matches('\'')).collect();
    let ran = replayed.replay(&rest);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let second = replayed.arrived();
    let left: Vec<_> = [0, 1].into_iter().zip(done).map(|(partition, done)| (partition, done..2_000)).collect();
    assert_eq!(second, offsets(&left));
    assert_eq!(first.union(&second).count(), 4_000);
}

/// Guards: what would not be right does not begin, and says why; no group is made.
#[test]
fn what_would_not_be_right_is_refused_with_the_reason() {
    let replayed = Replayed::new("replay-refused", 2, 50, "");
    let topic = &replayed.topic;
    let admin: AdminClient<DefaultClientContext> = replayed.kafka.client(Listener::Plain).create().unwrap();
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(topic, 1, Offset::Offset(20)).unwrap();
    let deleting = async { admin.delete_records(&gone, &AdminOptions::new()).await };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(deleting).unwrap();

    let removed = format!("what is left of {topic}[1] begins at offset 20 of 2023-11-14T22:13:40.000Z");
    for (from, to, why) in [
        ("10", None, format!("retention has passed offset 10 by: {removed}")),
        ("2023-11-14T22:13:30Z", None, format!("retention has passed 2023-11-14T22:13:30.000Z by: {removed}")),
        ("30", Some("30"), "--to 30 is not above --from 30".to_owned()),
        ("2023-11-14T22:13:50Z", Some("2023-11-14T22:13:49Z"), "--to is not after --from".to_owned()),
        (
            &format!("{topic}[0]=7"),
            Some(&format!("{topic}[0]=5")),
            format!("--to 5 of {topic}[0] is not above --from 7"),
        ),
        (
            &format!("{topic}[2]=7,other[0]=1"),
            None,
            format!("the worker reads no other[0]; the worker reads no {topic}[2]"),
        ),
    ] {
        let args = [&["--from", from][..], to.map(|to| ["--to", to]).as_ref().map_or(&[], |to| &to[..])].concat();
        let ran = replayed.replay(&args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(&format!("weir: not replayed: {why}")), "{args:?}: {}", ran.err);
    }
    assert_eq!(replayed.arrived(), BTreeSet::new());
    replayed.left_no_group();

    let ran = replayed.replay(&["--from", &format!("{topic}[0]=49,{topic}[1]=20"), "--to", &format!("{topic}[1]=22")]);
    assert_eq!((ran.code, replayed.arrived()), (0, offsets(&[(0, 49..50), (1, 20..22)])), "{}", ran.err);
}

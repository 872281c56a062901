//! `weir topics`, `weir lag` and `weir generate` on a Kafka of their own.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use weir_tests::stack::{Kafka, Listener, Prometheus, PrometheusOptions, Record, Signal, folder, free_ports, weir};
use weir_tests::wait::wait_until;

/// Longer than any command takes.
pub(crate) const ENDS: Duration = Duration::from_secs(60);

/// A command's exit code, standard output and standard error.
pub(crate) struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// Runs `weir ARGS` with that topology to its end.
#[track_caller]
pub(crate) fn run(topology: &str, args: &[&str]) -> Ran {
    let folder = folder("command");
    fs::write(folder.join("topology.toml"), topology).unwrap();
    let mut process = weir(&folder, args);
    let code = process.finish(ENDS).code().unwrap();
    Ran { code, out: process.stdout(), err: process.stderr() }
}

/// The topology of a cluster of one node, with `more` after it.
pub(crate) fn topology(kafka: &Kafka, more: &str) -> String {
    format!(
        "[kafka]\nbrokers = [\"{}\"]\n[topic_defaults]\nreplication_factor = 1\nmin_insync_replicas = 1\n{more}",
        kafka.bootstrap(Listener::Plain)
    )
}

/// A cluster that `weir topics apply` has given the default topics.
///
/// Scenario: a new cluster; plan, apply, plan again.
/// Guards: the plan says what is missing, applying does exactly that, and then nothing is to be done.
pub(crate) fn cluster() -> &'static Kafka {
    static CLUSTER: OnceLock<Kafka> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let kafka = Kafka::start(1);
        let topology = topology(&kafka, "");
        let planned = run(&topology, &["topics", "plan"]);
        assert_eq!(planned.code, 1, "{}", planned.err);
        assert!(planned.out.ends_with("7 steps; nothing is deleted\n"), "{}", planned.out);
        let applied = run(&topology, &["topics", "apply", "--yes"]);
        assert_eq!(applied.code, 0, "{}", applied.err);
        assert!(applied.out.starts_with(&planned.out), "the plan comes first: {}", applied.out);
        let again = run(&topology, &["topics", "plan"]);
        assert_eq!((again.code, again.out.as_str()), (0, "nothing to do\n"), "{}", again.err);
        let again = run(&topology, &["topics", "apply", "--yes"]);
        assert_eq!((again.code, again.out.as_str()), (0, "nothing to do\n"), "{}", again.err);
        kafka
    })
}

#[test]
fn created_topics_are_as_the_topology_says() {
    let described = cluster().tool("TopicCommand", &["--describe", "--topic", "telemetry-metrics"]);
    let summary = described.lines().find(|line| line.contains("PartitionCount")).unwrap();
    for fact in [
        "PartitionCount: 12",
        "ReplicationFactor: 1",
        "cleanup.policy=delete",
        "compression.type=snappy",
        "max.message.bytes=1048576",
        "min.insync.replicas=1",
        "retention.ms=2592000000",
    ] {
        assert!(summary.contains(fact), "{fact}: {summary}");
    }
}

/// Scenario: a topic is there with 2 partitions and a setting of its own; the topology then wants 5 partitions and
/// another retention, then 3 partitions.
/// Guards: it grows and never shrinks; what the topology does not speak of stays as it is.
#[test]
fn a_topic_grows_is_altered_and_never_shrinks() {
    let kafka = cluster();
    let name = Kafka::unique("grown");
    kafka.create_topic(&name, 2, &[("segment.ms", "3600000"), ("retention.ms", "1209600000")]);
    let wants =
        |partitions| topology(kafka, &format!("[topic.{name}]\npartitions = {partitions}\nretention = \"2d\"\n"));

    let planned = run(&wants(5), &["topics", "plan", "--json"]);
    assert_eq!(planned.code, 1, "{}", planned.err);
    let steps = &planned.json()["steps"];
    assert_eq!(steps[0], json!({"action": "grow", "topic": name, "from": 2, "to": 5}));
    assert_eq!(steps[1]["settings"]["retention.ms"], json!({"from": "1209600000", "to": "172800000"}));
    let planned = run(&wants(5), &["topics", "plan"]);
    assert!(planned.out.contains("retention.ms 14d -> 2d; Kafka removes records that are older"), "{}", planned.out);

    let applied = run(&wants(5), &["topics", "apply", "--yes"]);
    assert_eq!(applied.code, 0, "{}", applied.err);
    assert!(applied.out.contains(&format!("done: grow {name} to 5 partitions")), "{}", applied.out);
    wait_until(Duration::from_secs(10), "empty plan", || {
        let again = run(&wants(5), &["topics", "plan"]);
        if again.code == 0 { Ok(()) } else { Err(again.out) }
    });
    let described = kafka.tool("TopicCommand", &["--describe", "--topic", &name]);
    for fact in ["PartitionCount: 5", "segment.ms=3600000", "retention.ms=172800000"] {
        assert!(described.contains(fact), "{fact}: {described}");
    }

    let smaller = run(&wants(3), &["topics", "apply", "--yes"]);
    let told = format!("  {name}: has 5 partitions, 3 are written; Weir never shrinks a topic\nnothing to do\n");
    assert_eq!((smaller.code, smaller.out), (0, told), "{}", smaller.err);
}

/// Scenario: three replicas are asked of one node.
/// Guards: what was done and what was not is said, and nothing after it is tried.
#[test]
fn a_step_that_fails_stops_and_says_what_was_done() {
    let kafka = cluster();
    let (first, second) = (Kafka::unique("a-failed"), Kafka::unique("b-failed"));
    let written = format!("[topic.{first}]\npartitions = 1\n[topic.{second}]\npartitions = 1\n");
    let written = topology(kafka, &written).replace("replication_factor = 1", "replication_factor = 3");
    let failed = run(&written, &["topics", "apply", "--yes"]);
    assert_eq!(failed.code, 2, "{}", failed.out);
    let expected =
        format!("weir: 0 of 2 steps were done, then it stopped: could not create {first} with replication factor 3: ");
    assert!(failed.err.contains(&expected) && failed.err.contains("replication factor"), "{}", failed.err);
    let planned = run(&written, &["topics", "plan", "--json"]).json();
    assert_eq!(planned["steps"].as_array().unwrap().len(), 2, "{planned}");
}

/// Scenario: all signals, with compressed and with malformed records.
/// Guards: the summary is exactly what is in the topics.
#[test]
fn the_summary_of_generate_is_what_is_in_the_topics() {
    let kafka = cluster();
    let args = ["generate", "--records", "40", "--rate", "100000", "--malformed", "0.2", "--compression", "gzip"];
    let ran = run(&topology(kafka, ""), &[&args[..], &["--json", "--seed", "7"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let summary = ran.json();
    assert_eq!(summary["failed"], 0);
    for signal in ["metrics", "logs", "traces"] {
        let (sent, records) = (&summary["sent"][signal], kafka.read_all(&format!("telemetry-{signal}")));
        let values: Vec<_> = records.iter().map(|record| record.value.as_deref().unwrap_or_default()).collect();
        assert_eq!(sent["records"], values.len());
        assert_eq!(sent["bytes"], values.iter().map(|value| value.len()).sum::<usize>());
        assert_eq!(values.len(), 40);
        let compressed = records.iter().filter(|record| !record.headers.is_empty());
        assert!(compressed.clone().count() > 20, "{signal}");
        for record in compressed {
            assert_eq!(record.headers, [("content-encoding".to_owned(), Some(b"gzip".to_vec()))]);
        }
        let malformed = sent["malformed"].as_u64().unwrap();
        assert!((1..=20).contains(&malformed) && sent["items"].as_u64().unwrap() > 40 - malformed, "{sent}");
        let keys: BTreeMap<_, _> = records.iter().map(|record| (record.key.clone(), record.partition)).collect();
        assert!(records.iter().all(|record| keys[&record.key] == record.partition), "a key keeps to its partition");
    }
}

#[test]
fn generate_stops_at_sigterm_with_everything_delivered() {
    let kafka = cluster();
    let (name, folder) = (kafka.topic("stopped", 1), folder("command"));
    let topology = topology(kafka, &format!("[worker.metrics]\ntopics = [\"{name}\"]\n"));
    fs::write(folder.join("topology.toml"), topology).unwrap();
    let mut process = weir(&folder, &["generate", "--signal", "metrics", "--json"]);
    let client: BaseConsumer = kafka.client(Listener::Plain).create().unwrap();
    wait_until(ENDS, "first record", || match client.fetch_watermarks(&name, 0, ENDS).unwrap() {
        (_, 0) => Err("none yet"),
        _ => Ok(()),
    });
    process.signal(Signal::SIGTERM);
    assert_eq!(process.finish(ENDS).code(), Some(0), "{}", process.stderr());
    let summary: Value = serde_json::from_str(&process.stdout()).unwrap();
    assert_eq!(summary["sent"]["metrics"]["records"], kafka.read_all(&name).len());
}

#[test]
fn generate_into_a_topic_that_is_missing_says_how_to_make_it() {
    let topology = topology(cluster(), "[worker.metrics]\ntopics = [\"nowhere\"]\n");
    let ran = run(&topology, &["generate", "--records", "1"]);
    let told = "weir: the cluster has no topic nowhere: `weir topics apply` creates what the topology has\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (2, "", told));
    let ran = run(&topology, &["lag"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.ends_with("the cluster has no topic nowhere: `weir topics apply` creates it\n"), "{}", ran.err);
}

/// The partitions of the worker `metrics`, and its lag in all.
fn lag(ran: &Ran) -> (Vec<Value>, u64) {
    let answer = ran.json();
    let worker = answer.pointer("/workers/metrics").unwrap();
    let partitions = worker.get("partitions").and_then(Value::as_array).unwrap();
    (partitions.clone(), worker.get("lag_records").and_then(Value::as_u64).unwrap())
}

/// Scenario: load without a worker, then a worker whose Prometheus is away, then its Prometheus is back.
/// Guards: lag and freshness in every one of these, what holds the front, and the answer for scripts.
#[test]
fn lag_says_how_far_a_worker_is_behind_and_what_holds_it() {
    let (kafka, admin) = (cluster(), free_ports());
    let mut prometheus = Prometheus::start(PrometheusOptions::default());
    prometheus.process().kill();
    let (name, folder) = (kafka.topic("lag", 2), folder("command"));
    let topology = topology(
        kafka,
        &format!(
            "[process]\nadmin = \"127.0.0.1:{admin}\"\n[worker.metrics]\ntopics = [\"{name}\"]\ngroup = \"{name}\"\n\
             [worker.metrics.remote_write]\nurl = \"{}\"\n",
            prometheus.url("/api/v1/write")
        ),
    );
    let look = || run(&topology, &["lag", "--json", "--max-records", "0"]);

    let empty = look();
    let none = |partition| {
        json!({"topic": name, "partition": partition, "committed": null, "end": 0, "lag_records": 0,
            "freshness_seconds": 0.0, "lost_records": 0, "held": null})
    };
    assert_eq!((empty.code, lag(&empty)), (0, (vec![none(0), none(1)], 0)), "{}", empty.err);
    assert!(empty.err.starts_with("weir: what holds the workers is not known"), "{}", empty.err);

    let sent = run(&topology, &["generate", "--signal", "metrics", "--records", "50", "--rate", "100000"]);
    assert_eq!(sent.code, 0, "{}", sent.err);
    let (partitions, records) = lag(&look());
    assert_eq!((look().code, records), (1, 50));
    for partition in &partitions {
        assert_eq!(partition["lag_records"], partition["end"]);
        let seconds = partition["freshness_seconds"].as_f64().unwrap();
        assert!(partition["end"] == 0 || (seconds > 0.0 && seconds < 60.0), "{partition}");
    }
    assert_eq!(run(&topology, &["lag", "--max-records", "50"]).code, 0);

    fs::write(folder.join("topology.toml"), &topology).unwrap();
    let _worker = weir(&folder, &["run", "metrics"]);
    wait_until(ENDS, "partition that waits for Prometheus", || {
        let (partitions, _) = lag(&look());
        let held = partitions.iter().map(|partition| &partition["held"]);
        let waits = |held: &Value| held["by"] == "processing or deliveries";
        if held.clone().any(|held| waits(held) && held["since_ms"].is_i64()) {
            return Ok(());
        }
        Err(format!("{partitions:?}"))
    });
    let table = run(&topology, &["lag", "metrics"]);
    assert!(table.out.contains("  processing or deliveries for "), "{}", table.out);
    let (_, endpoint) = table.out.split_once("\nmetrics: 127.0.0.1:").unwrap();
    assert!(endpoint.contains(": could not reach http://127.0.0.1:"), "{}", table.out);

    prometheus.restart();
    wait_until(ENDS, "end of the lag", || {
        let ran = look();
        let (partitions, _) = lag(&ran);
        if ran.code == 1 {
            return Err(format!("{partitions:?}"));
        }
        for partition in partitions.iter().filter(|partition| partition["end"] != 0) {
            assert_eq!(partition["committed"], partition["end"]);
            assert_eq!(partition["freshness_seconds"], 0.0);
        }
        Ok(())
    });
}

/// Scenario: a transaction writes a record, and the group has committed past the record, before the marker.
/// Guards: a marker, which no reader sees, is no lag; retention's gap is told.
#[test]
fn an_offset_that_only_a_marker_takes_is_no_lag() {
    let kafka = cluster();
    let name = kafka.topic("markers", 1);
    let topology = topology(kafka, &format!("[worker.metrics]\ntopics = [\"^{name}$\"]\ngroup = \"{name}\"\n"));
    let producer: BaseProducer = kafka.client(Listener::Plain).set("transactional.id", &name).create().unwrap();
    producer.init_transactions(ENDS).unwrap();
    producer.begin_transaction().unwrap();
    let record: BaseRecord<'_, str, str> = BaseRecord::to(&name).payload("x");
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.commit_transaction(ENDS).unwrap();
    // Markers are written after the transaction has ended for its producer.
    let reader: BaseConsumer = kafka.client(Listener::Plain).set("isolation.level", "read_committed").create().unwrap();
    wait_until(ENDS, "marker", || match reader.fetch_watermarks(&name, 0, ENDS).unwrap() {
        (_, 2) => Ok(()),
        (_, end) => Err(end),
    });

    let commit = |offset| {
        let client: BaseConsumer = kafka.client(Listener::Plain).set("group.id", &name).create().unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&name, 0, Offset::Offset(offset)).unwrap();
        client.commit(&offsets, CommitMode::Sync).unwrap();
    };
    for (offset, expected) in [(0, 2), (1, 0)] {
        commit(offset);
        let (partitions, records) = lag(&run(&topology, &["lag", "--json"]));
        let [partition] = &partitions[..] else { panic!("{partitions:?}") };
        assert_eq!((&partition["committed"], &partition["end"], records), (&json!(offset), &json!(2), expected));
        assert_eq!(partition["freshness_seconds"].as_f64().unwrap() > 0.0, expected > 0, "{partition}");
    }
}

/// Scenario: a worker has read ten records and is stopped; more come; one of them is to be skipped.
/// Guards: that one, and no other, is a dead letter, with its bytes; what is not ahead, or not there, or of a group
/// with members, is refused with the reason.
#[test]
fn a_record_that_is_skipped_is_a_dead_letter_and_its_neighbours_arrive() {
    let (kafka, mut prometheus) = (cluster(), Prometheus::start(PrometheusOptions::default()));
    let name = kafka.topic("skip", 1);
    let topology = topology(
        kafka,
        &format!(
            "[process]\nadmin = \"127.0.0.1:{}\"\n[worker.metrics]\ntopics = [\"{name}\"]\ngroup = \"{name}\"\n\
             [worker.metrics.remote_write]\nurl = \"{}\"\n",
            free_ports(),
            prometheus.url("/api/v1/write")
        ),
    );
    let generate = || {
        let sent = run(&topology, &["generate", "--signal", "metrics", "--records", "10", "--rate", "100000"]);
        assert_eq!(sent.code, 0, "{}", sent.err);
    };
    let skip = |offset: &str| run(&topology, &["skip", "metrics", &format!("{name}[0]"), offset, "--yes"]);
    let caught_up = || {
        wait_until(ENDS, "end of the lag", || {
            let ran = run(&topology, &["lag", "--json", "--max-records", "0"]);
            if ran.code == 0 { Ok(()) } else { Err(format!("{}{}", ran.out, ran.err)) }
        });
    };
    assert!(skip("3").err.contains("has committed nothing of"), "{}", skip("3").err);

    let folder = folder("command");
    fs::write(folder.join("topology.toml"), &topology).unwrap();
    let mut worker = weir(&folder, &["run", "metrics"]);
    generate();
    caught_up();
    prometheus.process().kill();
    generate();
    let refused = skip("14");
    assert_eq!(refused.code, 2, "{}", refused.out);
    assert!(refused.err.contains("stop its workers first"), "{}", refused.err);
    prometheus.restart();
    caught_up();
    assert_eq!(worker.terminate(ENDS).code(), Some(0));

    generate();
    let (partitions, _) = lag(&run(&topology, &["lag", "--json"]));
    let committed = partitions[0]["committed"].as_i64().unwrap();
    let wanted = committed + 4;
    for (offset, why) in [(committed - 1, "is done already"), (committed + 100, "there is no record at offset")] {
        let refused = skip(&offset.to_string());
        assert_eq!(refused.code, 2, "{}", refused.out);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    let noted = skip(&wanted.to_string());
    assert_eq!((noted.code, noted.out.as_str()), (0, "noted: start worker metrics again\n"), "{}", noted.err);

    let _worker = weir(&folder, &["run", "metrics"]);
    caught_up();
    let told: Vec<_> = kafka
        .read_all("weir-dead-letters")
        .iter()
        .filter(|letter| header(letter, "topic") == name)
        .map(|letter| (header(letter, "offset"), header(letter, "reason"), letter.value.is_some()))
        .collect();
    assert_eq!(told, [(wanted.to_string(), "skipped".to_owned(), true)]);
}

/// What a dead letter says of its record.
fn header(letter: &Record, what: &str) -> String {
    let found = letter.headers.iter().find(|(name, _)| name.strip_prefix("weir.dlq.") == Some(what));
    String::from_utf8(found.unwrap().1.clone().unwrap()).unwrap()
}

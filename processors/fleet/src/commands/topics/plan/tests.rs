use super::*;
use crate::topology::Kind;

/// The default topology with `change` made to it.
fn topology(change: impl FnOnce(&mut Topology)) -> Topology {
    let mut topology = Topology::default();
    change(&mut topology);
    topology
}

/// A cluster whose topics are exactly those of the default topology and its workers, with `change` made to it.
fn cluster(change: impl FnOnce(&mut BTreeMap<String, Seen>)) -> BTreeMap<String, Seen> {
    let seen = |topic: &Topic| Seen {
        partitions: partitions(topic),
        replicas: topic.replication_factor.into(),
        settings: settings(topic).map(|(name, value)| (name.to_owned(), value)).into(),
    };
    let mut cluster: BTreeMap<_, _> =
        Topology::default().topics.iter().map(|(name, topic)| (name.clone(), seen(topic))).collect();
    cluster.insert("weir-logs-state".to_owned(), Seen { partitions: 6, replicas: 3, settings: changelog() });
    change(&mut cluster);
    cluster
}

/// The settings of a changelog.
fn changelog() -> BTreeMap<String, String> {
    let settings = [(CLEANUP, "compact"), (LARGEST, "1048576"), (IN_SYNC, "2")];
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn plan(topology: &Topology, cluster: &BTreeMap<String, Seen>) -> String {
    Plan::new(topology, cluster).to_string()
}

#[test]
fn what_is_as_written_needs_nothing() {
    assert_eq!(plan(&topology(|_| {}), &cluster(|_| {})), "nothing to do\n");
}

#[test]
fn a_missing_topic_is_created_with_all_that_is_written() {
    let cluster = cluster(|cluster| drop(cluster.remove("telemetry-metrics")));
    assert_eq!(
        plan(&topology(|_| {}), &cluster),
        "+ telemetry-metrics: create, partitions 12, replication factor 3\n      \
         cleanup.policy delete, compression.type snappy, max.message.bytes 1MiB, min.insync.replicas 2, \
         retention.ms 30d\n\
         1 step; nothing is deleted\n"
    );
}

#[test]
fn a_worker_that_keeps_state_has_a_compacted_changelog_that_grows_before_its_source() {
    let topology = topology(|topology| {
        let Kind::RemoteWrite(config) = &mut topology.workers.get_mut("metrics").unwrap().kind else { panic!() };
        config.otlp.delta_to_cumulative = true;
    });
    let mut small = cluster(|cluster| cluster.get_mut("telemetry-metrics").unwrap().partitions = 6);
    assert_eq!(
        Plan::new(&topology, &small).steps[0],
        Step::Create {
            topic: "weir-metrics-state".to_owned(),
            partitions: 12,
            replication_factor: 3,
            settings: [(CLEANUP, "compact".to_owned()), (LARGEST, "1048576".to_owned()), (IN_SYNC, "2".to_owned()),]
                .into(),
        }
    );
    small.insert("weir-metrics-state".to_owned(), Seen { partitions: 6, replicas: 3, settings: changelog() });
    let steps = Plan::new(&topology, &small).steps;
    let grown: Vec<_> = steps.iter().map(Step::topic).collect();
    assert_eq!(grown, ["weir-metrics-state", "telemetry-metrics"]);
}

#[test]
fn a_topic_grows_and_the_plan_says_what_that_does() {
    let cluster = cluster(|cluster| cluster.get_mut("telemetry-logs").unwrap().partitions = 2);
    assert_eq!(
        plan(&topology(|_| {}), &cluster),
        "~ telemetry-logs: grow from 2 to 6 partitions; \
         keys then go to other partitions than before, so records of one key may overtake older ones\n\
         1 step; nothing is deleted\n"
    );
}

#[test]
fn more_partitions_than_written_and_another_replication_stay_and_are_told() {
    let cluster = cluster(|cluster| {
        let seen = cluster.get_mut("telemetry-traces").unwrap();
        (seen.partitions, seen.replicas) = (20, 2);
    });
    let plan = Plan::new(&topology(|_| {}), &cluster);
    assert_eq!((plan.steps.as_slice(), plan.problems.as_slice()), (&[][..], &[][..]));
    assert_eq!(
        plan.to_string(),
        "  telemetry-traces: has 20 partitions, 8 are written; Weir never shrinks a topic\n  \
         telemetry-traces: its replication factor is 2, 3 is written; Weir does not move replicas\n\
         nothing to do\n"
    );
}

#[test]
fn different_settings_are_altered_and_a_shorter_retention_says_what_it_removes() {
    let cluster = cluster(|cluster| {
        let logs = &mut cluster.get_mut("telemetry-logs").unwrap().settings;
        logs.insert(RETENTION.into(), "-1".into());
        logs.insert(LARGEST.into(), "1048588".into());
        logs.insert("segment.bytes".into(), "1".into());
        let metrics = &mut cluster.get_mut("telemetry-metrics").unwrap().settings;
        metrics.insert(RETENTION.into(), "60000".into());
    });
    assert_eq!(
        plan(&topology(|_| {}), &cluster),
        "~ telemetry-logs: max.message.bytes 1048588B -> 1MiB\n\
         ~ telemetry-logs: retention.ms unlimited -> 14d; Kafka removes records that are older\n\
         ~ telemetry-metrics: retention.ms 1m -> 30d\n\
         2 steps; nothing is deleted\n"
    );
}

#[test]
fn in_sync_replicas_that_do_not_exist_are_a_problem() {
    let cluster = cluster(|cluster| cluster.get_mut("telemetry-logs").unwrap().replicas = 1);
    let plan = Plan::new(&topology(|_| {}), &cluster);
    let [problem] = plan.problems.as_slice() else { panic!("{plan:?}") };
    assert_eq!(problem.topic, "telemetry-logs");
    assert!(
        problem.message.starts_with("min.insync.replicas 2 is more than its replication factor 1"),
        "{}",
        problem.message
    );
}

#[test]
fn the_dead_letter_topic_takes_the_largest_source_record_with_headers() {
    let largest = |bytes: u64| {
        topology(|topology| {
            topology.topics.get_mut("telemetry-metrics").unwrap().max_message_bytes = ByteSize::bytes(bytes);
        })
    };
    let headers = u64::try_from(RECORD_OVERHEAD_BYTES).unwrap();
    let fits = ByteSize::mib(2).get() - headers;
    assert_eq!(Plan::new(&largest(fits), &BTreeMap::new()).problems, []);
    let plan = Plan::new(&largest(fits + 1), &BTreeMap::new());
    let [problem] = plan.problems.as_slice() else { panic!("{plan:?}") };
    assert_eq!(problem.topic, "weir-dead-letters");
    assert_eq!(
        problem.message,
        "takes 2MiB, but a record of telemetry-metrics may be 2080769B, which with its headers makes 2097153B: \
         raise max_message_bytes"
    );
}

#[test]
fn sources_that_only_the_cluster_has_count_and_those_that_nobody_has_are_a_problem() {
    let read = |topics: &[&str]| {
        topology(|topology| {
            let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
            topology.workers.get_mut("metrics").unwrap().topics = topics;
        })
    };
    let other = |limit: u32| {
        cluster(|cluster| {
            let settings = BTreeMap::from([(LARGEST.to_owned(), ByteSize::mib(limit).get().to_string())]);
            cluster.insert("own.metrics".into(), Seen { partitions: 1, replicas: 3, settings });
        })
    };
    let topics = |plan: Plan| plan.problems.into_iter().map(|problem| problem.topic).collect::<Vec<_>>();
    assert_eq!(topics(Plan::new(&read(&["^own[.]"]), &other(8))), ["weir-dead-letters"]);
    assert_eq!(topics(Plan::new(&read(&["own.metrics"]), &other(1))), [""; 0]);
    assert_eq!(topics(Plan::new(&read(&["own.metric"]), &other(1))), ["own.metric"]);
}

#[test]
fn an_output_has_a_partition_for_each_of_its_sources() {
    let more = |partitions: u32| {
        topology(|topology| topology.topics.get_mut("telemetry-logs").unwrap().partitions = partitions)
    };
    assert_eq!(Plan::new(&more(6), &BTreeMap::new()).problems, []);
    let plan = Plan::new(&more(7), &BTreeMap::new());
    let [problem] = plan.problems.as_slice() else { panic!("{plan:?}") };
    assert_eq!(problem.topic, "telemetry-logs-enriched");
    assert_eq!(
        problem.message,
        "has 6 partitions and telemetry-logs 7: worker.logs keeps a record's partition, so raise partitions"
    );
    let lost = topology(|topology| {
        topology.topics.remove("telemetry-logs-enriched");
    });
    let plan = Plan::new(&lost, &BTreeMap::new());
    assert_eq!(
        plan.problems.iter().map(|problem| problem.topic.as_str()).collect::<Vec<_>>(),
        ["telemetry-logs-enriched"]
    );
    let uncounted = topology(|topology| {
        topology.topics.remove("telemetry-metrics");
        topology.workers.remove("metrics");
    });
    let plan = Plan::new(&uncounted, &BTreeMap::new());
    let [problem] = plan.problems.as_slice() else { panic!("{plan:?}") };
    assert_eq!(problem.topic, "telemetry-metrics");
    assert!(problem.message.starts_with("worker.logs writes to it, and neither"), "{}", problem.message);
}

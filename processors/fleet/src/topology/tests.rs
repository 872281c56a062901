use super::*;

/// A good topology with every key of its own; each test replaces some of its lines.
const GOOD: &str = r#"[kafka]
brokers = ["a:9092", "b:9092"]

[kafka.security]
protocol = "sasl_ssl"
mechanism = "scram-sha-512"
username = "weir"
password = "${file:/run/secrets/kafka}"
ca_file = "ca.pem"
certificate_file = "weir.pem"
key_file = "weir.key"

[kafka.properties]
"client.id" = "weir"
"ssl.key.password" = "${env:KEY_PASSWORD}"

[process]
budget = "1GiB"
lanes = 3
instance_id = "${env:HOSTNAME}"
admin = "0.0.0.0:9000"

[topic_defaults]
replication_factor = 2
min_insync_replicas = 1

[topic.telemetry-metrics]
partitions = 24

[topic.own]
partitions = 3
retention = "2d"
compression = "zstd"
max_message_bytes = "4MiB"

[worker.metrics]
topics = ["telemetry-metrics", "^metrics-.*$"]
group = "own-group"
start = "2026-01-31T12:00:00Z"
group_protocol = "consumer"
drain_timeout = "30s"
revoke_timeout = "2s"
commit_interval = "500ms"
encoding = "otlp_proto"

[worker.metrics.remote_write]
url = "https://prometheus:9090/api/v1/write?token=hunter4"

[worker.metrics-tokyo.remote_write]
shards = 8
"#;

fn resolve(reference: Reference<'_>) -> io::Result<String> {
    match reference {
        Reference::File("/run/secrets/kafka") => Ok("hunter2".to_owned()),
        Reference::Env("KEY_PASSWORD") => Ok("hunter3".to_owned()),
        Reference::Env("HOSTNAME") => Ok("host-7".to_owned()),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "it is not set")),
    }
}

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Topology, String> {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Topology::parse("topology.toml", text, &environment, &resolve).map_err(|problems| problems.to_string())
}

fn patched(patches: &[(&str, &str)]) -> String {
    let mut text = GOOD.to_owned();
    for (from, to) in patches {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, to);
    }
    text
}

/// Compares all the messages, which come without the file's name here.
#[track_caller]
fn problems(patches: &[(&str, &str)], expected: &[&str]) {
    let problems = parse(&patched(patches), &[]).err().unwrap_or_default();
    assert_eq!(problems.replace("topology.toml:", ""), expected.join("\n"));
}

#[test]
fn an_empty_file_means_the_defaults() {
    let topology = parse("", &[]).unwrap();
    assert_eq!(topology, Topology::default());
    assert_eq!(topology.kafka.brokers.get_ref(), &["127.0.0.1:9092"]);
    assert_eq!(topology.process.admin.to_string(), "127.0.0.1:9464");
    assert_eq!(*topology.process.budget.get_ref(), ByteSize::mib(256));
    let topics: Vec<_> = topology
        .topics
        .iter()
        .map(|(name, topic)| format!("{name} {} {} {}", topic.partitions, topic.retention, topic.compression))
        .collect();
    assert_eq!(
        topics,
        [
            "telemetry-logs 6 14d producer",
            "telemetry-logs-enriched 6 14d producer",
            "telemetry-metrics 12 30d snappy",
            "telemetry-traces 8 7d producer",
            "weir-dead-letters 4 30d producer",
            "weir-dead-letters-logs 4 30d producer",
        ]
    );
    assert_eq!(topology.topics[DEAD_LETTERS].replication_factor, 3);
    assert_eq!(topology.topics[DEAD_LETTERS].min_insync_replicas, 2);
    let expected = Worker {
        topics: vec!["telemetry-metrics".to_owned()],
        group: "weir-metrics".to_owned(),
        start: Start::Earliest,
        group_protocol: GroupProtocol::Classic,
        drain_timeout: weir_config::Duration::from_secs(20),
        revoke_timeout: weir_config::Duration::from_secs(1),
        commit_interval: weir_config::Duration::from_secs(1),
        encoding: Encoding::Auto,
        kind: Kind::RemoteWrite(Box::default()),
    };
    let logs = Worker {
        topics: vec!["telemetry-logs".to_owned()],
        group: "weir-logs".to_owned(),
        commit_interval: weir_config::Duration::from_millis(100),
        kind: Kind::Enrich(Box::default()),
        ..expected.clone()
    };
    assert_eq!(topology.workers, BTreeMap::from([("logs".to_owned(), logs), ("metrics".to_owned(), expected)]));
}

/// The key and value of a line such as `#linger = "200ms"`; prose and examples have a space after the `#`.
fn commented_default(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// Scenario: the file at the project's root, as it is and with every commented default put in force.
#[test]
fn the_file_at_the_root_is_exactly_the_defaults_comments_included() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topology.toml");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(parse(&text, &[]), Ok(Topology::default()));

    assert_eq!(text.lines().filter_map(commented_default).count(), 59, "a default is a # without a space");
    let in_force: Vec<_> = text.lines().map(|line| commented_default(line).unwrap_or(line)).collect();
    assert_eq!(parse(&in_force.join("\n"), &[]), Ok(Topology::default()));
}

/// The endpoint of a worker that has one.
fn one(config: &weir_metrics::Config) -> &weir_metrics::config::Endpoint {
    config.remote_write.iter().next().unwrap()
}

#[test]
fn every_key_is_read() {
    let topology = parse(GOOD, &[]).unwrap();
    let properties: Vec<_> = topology.kafka.client_properties().into_iter().collect();
    let expected = [
        ("bootstrap.servers", "a:9092,b:9092"),
        ("client.id", "weir"),
        ("sasl.mechanisms", "SCRAM-SHA-512"),
        ("sasl.password", "hunter2"),
        ("sasl.username", "weir"),
        ("security.protocol", "sasl_ssl"),
        ("ssl.ca.location", "ca.pem"),
        ("ssl.certificate.location", "weir.pem"),
        ("ssl.key.location", "weir.key"),
        ("ssl.key.password", "hunter3"),
    ];
    assert_eq!(properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(*topology.process.lanes.get_ref(), 3);
    assert_eq!(topology.process.instance_id, Some(unset("host-7".to_owned())));
    assert_eq!(topology.process.admin.to_string(), "0.0.0.0:9000");
    assert_eq!(topology.topics["telemetry-metrics"].partitions, 24);
    assert_eq!(topology.topics["telemetry-metrics"].compression, Compression::Snappy);
    let own = Topic {
        partitions: 3,
        retention: weir_config::Duration::from_days(2),
        compression: Compression::Zstd,
        max_message_bytes: ByteSize::mib(4),
        replication_factor: 2,
        min_insync_replicas: 1,
    };
    assert_eq!(topology.topics["own"], own);

    let worker = &topology.workers["metrics"];
    assert_eq!(worker.topics, ["telemetry-metrics", "^metrics-.*$"]);
    assert_eq!((worker.group.as_str(), worker.start.to_string().as_str()), ("own-group", "2026-01-31T12:00:00Z"));
    assert_eq!((worker.group_protocol, worker.encoding), (GroupProtocol::Consumer, Encoding::OtlpProto));
    assert_eq!(worker.drain_timeout, weir_config::Duration::from_secs(30));
    assert_eq!(worker.revoke_timeout, weir_config::Duration::from_secs(2));
    assert_eq!(worker.commit_interval, weir_config::Duration::from_millis(500));
    let Kind::RemoteWrite(config) = &worker.kind else { panic!() };
    assert_eq!(one(config).url.get_ref(), "https://prometheus:9090/api/v1/write?token=hunter4");
    let Kind::RemoteWrite(config) = &topology.workers["metrics-tokyo"].kind else { panic!() };
    assert_eq!(*one(config).shards.get_ref(), 8);
    assert_eq!(topology.workers["metrics-tokyo"].group, "weir-metrics-tokyo");
}

#[test]
fn a_secret_is_not_in_what_debug_shows() {
    let shown = format!("{:?}", parse(GOOD, &[]).unwrap());
    assert!(shown.contains("***") && !shown.contains("hunter2") && !shown.contains("hunter3"), "{shown}");
}

#[test]
fn problems_of_every_sort_are_reported_at_once() {
    problems(
        &[
            ("brokers = [", "borkers = ["),
            ("lanes = 3", "lanes = \"three\""),
            ("budget = \"1GiB\"", "budget = \"1KiB\""),
            ("admin = \"0.0.0.0:9000\"", "admin = \"nowhere\""),
            ("compression = \"zstd\"", "compression = \"brotli\""),
            ("start = \"2026-01-31T12:00:00Z\"", "start = \"yesterday\""),
            ("encoding = \"otlp_proto\"", "encoding = 5"),
            ("shards = 8", "shards = 0"),
            ("[process]", "[proces]\nx = 1\n[process]"),
        ],
        &[
            "2:1: kafka.borkers: unknown key; did you mean `brokers`?",
            "17:2: proces: unknown key; did you mean `process`?",
            "20:10: process.budget: 1KiB is outside 16MiB..=1TiB",
            "21:9: process.lanes: expected a whole number, 0 or more, not a string",
            "23:9: process.admin: invalid socket address syntax",
            "35:15: topic.own.compression: expected one of `producer`, `uncompressed`, `gzip`, `snappy`, `lz4`, `zstd`",
            "41:9: worker.metrics.start: expected \"earliest\", \"latest\", or a time such as \"2026-01-31T12:00:00Z\"",
            "46:12: worker.metrics.encoding: expected a string",
            "52:10: worker.metrics-tokyo.remote_write.shards: 0 is outside 1..=256",
        ],
    );
}

#[test]
fn brokers_have_a_host_and_a_port() {
    problems(
        &[("[\"a:9092\", \"b:9092\"]", "[]")],
        &["2:11: kafka.brokers: expected at least one broker, such as \"127.0.0.1:9092\""],
    );
    problems(
        &[("[\"a:9092\", \"b:9092\"]", "[\"a\", \"b:x\", \":1\", \"c:0\", \"a:1,b:2\", \"[::1]:9092\"]")],
        &[
            "2:11: kafka.brokers[0]: expected a host and a port, such as \"127.0.0.1:9092\"",
            "2:11: kafka.brokers[1]: expected a host and a port, such as \"127.0.0.1:9092\"",
            "2:11: kafka.brokers[2]: expected a host and a port, such as \"127.0.0.1:9092\"",
            "2:11: kafka.brokers[3]: expected a host and a port, such as \"127.0.0.1:9092\"",
            "2:11: kafka.brokers[4]: expected a host and a port, such as \"127.0.0.1:9092\"",
        ],
    );
}

#[test]
fn security_that_does_not_go_together_is_a_problem() {
    problems(
        &[("protocol = \"sasl_ssl\"", "protocol = \"plaintext\"")],
        &[
            "6:13: kafka.security.mechanism: goes with protocol = \"sasl_ssl\" or \"sasl_plaintext\" only",
            "7:12: kafka.security.username: goes with protocol = \"sasl_ssl\" or \"sasl_plaintext\" only",
            "8:12: kafka.security.password: goes with protocol = \"sasl_ssl\" or \"sasl_plaintext\" only",
            "9:11: kafka.security.ca_file: goes with protocol = \"ssl\" or \"sasl_ssl\" only",
            "10:20: kafka.security.certificate_file: goes with protocol = \"ssl\" or \"sasl_ssl\" only",
            "11:12: kafka.security.key_file: goes with protocol = \"ssl\" or \"sasl_ssl\" only",
        ],
    );
    problems(
        &[("username = \"weir\"\n", ""), ("password = \"${file:/run/secrets/kafka}\"\n", "")],
        &[
            "5:12: kafka.security.password: is missing, which sasl_ssl needs",
            "5:12: kafka.security.username: is missing, which sasl_ssl needs",
        ],
    );
    problems(
        &[("mechanism = \"scram-sha-512\"\n", "")],
        &["5:12: kafka.security.mechanism: is missing, which sasl_ssl needs"],
    );
    problems(
        &[
            ("mechanism = \"scram-sha-512\"", "mechanism = \"oauthbearer\""),
            ("username = \"weir\"\n", ""),
            ("password = \"${file:/run/secrets/kafka}\"\n", ""),
        ],
        &[],
    );
    problems(
        &[("key_file = \"weir.key\"\n", "")],
        &["10:20: kafka.security.key_file: is missing, which certificate_file needs"],
    );
    problems(
        &[("certificate_file = \"weir.pem\"\n", "")],
        &["10:12: kafka.security.certificate_file: is missing, which key_file needs"],
    );
}

#[test]
fn a_secret_that_cannot_be_read_is_a_problem_and_one_that_does_not_fit_is_not_shown() {
    problems(
        &[
            ("${file:/run/secrets/kafka}", "${file:/run/secrets/other}"),
            ("\"${env:KEY_PASSWORD}\"", "\"x${env:KEY_PASSWORD}\""),
            ("admin = \"0.0.0.0:9000\"", "admin = \"${env:KEY_PASSWORD}\""),
            ("group_protocol = \"consumer\"", "group_protocol = \"${env:KEY_PASSWORD}\""),
        ],
        &[
            "8:12: kafka.security.password: could not read ${file:/run/secrets/other}: it is not set",
            "15:22: kafka.properties.\"ssl.key.password\": a reference must be the whole value",
            "21:9: process.admin: invalid socket address syntax",
            "40:18: worker.metrics.group_protocol: expected `classic` or `consumer`",
        ],
    );
}

#[test]
fn every_property_that_weir_owns_is_refused_with_what_to_do_instead() {
    for owned in [
        "enable.auto.commit",
        "enable.auto.offset.store",
        "isolation.level",
        "auto.offset.reset",
        "transactional.id",
        "transaction.timeout.ms",
        "enable.idempotence",
        "partition.assignment.strategy",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "queued.min.messages",
        "queued.max.messages.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.kbytes",
        "partitioner",
        "message.max.bytes",
        "batch.size",
        "security.protocol",
        "sasl.password",
        "bootstrap.servers",
    ] {
        let found = parse(&patched(&[("client.id", owned)]), &[]).unwrap_err();
        let start = format!("topology.toml:14:1: kafka.properties.{}: Weir sets this property itself: ", quoted(owned));
        assert!(found.starts_with(&start) && !found.contains('\n'), "{found}");
    }
    problems(
        &[("client.id", "group.id")],
        &["14:1: kafka.properties.\"group.id\": Weir sets this property itself: use the worker's `group`"],
    );
}

#[test]
fn draining_ends_before_kafka_takes_the_partitions_away() {
    problems(
        &[("\"client.id\" = \"weir\"", "\"max.poll.interval.ms\" = \"30000\"")],
        &["41:17: worker.metrics.drain_timeout: 30s is not below max.poll.interval.ms, which is 30s: \
         Kafka would take the partitions away"],
    );
    problems(
        &[("drain_timeout = \"30s\"", "drain_timeout = \"60s\"")],
        &["41:17: worker.metrics.drain_timeout: 1m is not below max.poll.interval.ms, which is 1m: \
         Kafka would take the partitions away"],
    );
    problems(&[("\"client.id\" = \"weir\"", "\"max.poll.interval.ms\" = \"30001\"")], &[]);
    problems(
        &[("\"client.id\" = \"weir\"", "\"max.poll.interval.ms\" = \"long\"")],
        &["14:26: kafka.properties.\"max.poll.interval.ms\": expected a whole number of milliseconds"],
    );
}

#[test]
fn times_outside_their_ranges_are_problems() {
    problems(
        &[
            ("drain_timeout = \"30s\"", "drain_timeout = 30"),
            ("revoke_timeout = \"2s\"", "revoke_timeout = \"31s\""),
            ("commit_interval = \"500ms\"", "commit_interval = \"1ms\""),
            ("retention = \"2d\"", "retention = \"1s\""),
            ("max_message_bytes = \"4MiB\"", "max_message_bytes = \"1GiB\""),
            ("partitions = 24", "partitions = 0"),
        ],
        &[
            "28:14: topic.telemetry-metrics.partitions: 0 is outside 1..=10000",
            "32:13: topic.own.retention: 1s is outside 1m..=3650d",
            "34:21: topic.own.max_message_bytes: 1GiB is outside 1KiB..=512MiB",
            "41:17: worker.metrics.drain_timeout: expected a duration with its unit, such as \"90s\", not a whole number",
            "42:18: worker.metrics.revoke_timeout: 31s is outside 0s..=30s",
            "43:19: worker.metrics.commit_interval: 1ms is outside 10ms..=1m",
        ],
    );
}

#[test]
fn a_topic_of_ones_own_needs_partitions_and_a_name_that_kafka_takes() {
    problems(
        &[("[topic.own]\npartitions = 3", "[topic.\"own topic\"]")],
        &[
            "30:8: topic.\"own topic\": Kafka takes 1 to 249 letters, digits, dots, underscores and dashes as a topic's name",
            "30:8: topic.\"own topic\".partitions: is missing",
        ],
    );
    problems(
        &[("partitions = 3", "partitions = \"3\"")],
        &["31:14: topic.own.partitions: expected a whole number from 0 to 4294967295, not a string"],
    );
}

#[test]
fn more_replicas_in_sync_than_there_are_is_a_problem() {
    problems(
        &[("min_insync_replicas = 1", "min_insync_replicas = 3")],
        &["25:23: topic_defaults.min_insync_replicas: 3 is more than replication_factor = 2"],
    );
    problems(
        &[("min_insync_replicas = 1\n", ""), ("replication_factor = 2", "replication_factor = 1")],
        &["24:22: topic_defaults.min_insync_replicas: 2 is more than replication_factor = 1"],
    );
}

#[test]
fn topics_of_a_worker_are_names_or_regular_expressions() {
    problems(
        &[("\"telemetry-metrics\", \"^metrics-.*$\"", "\"a\", \"a b\", \"^(x\", \"a\", \"\"")],
        &[
            "37:10: worker.metrics.topics[1]: Kafka takes 1 to 249 letters, digits, dots, underscores and dashes \
         as a topic's name",
            "37:10: worker.metrics.topics[2]: not a regular expression: unclosed group",
            "37:10: worker.metrics.topics[3]: this topic is listed already",
            "37:10: worker.metrics.topics[4]: Kafka takes 1 to 249 letters, digits, dots, underscores and dashes \
         as a topic's name",
        ],
    );
    problems(
        &[("\"telemetry-metrics\", \"^metrics-.*$\"", "")],
        &["37:10: worker.metrics.topics: expected at least one topic"],
    );
    problems(&[("\"telemetry-metrics\", \"^metrics-.*$\"", "\"telemetry.metrics\"")], &[]);
}

#[test]
fn a_group_belongs_to_one_worker() {
    problems(
        &[("\"own-group\"", "\"weir-metrics-tokyo\"")],
        &["49:9: worker.metrics-tokyo.group: worker.metrics has this group, too: \
         each would get only a part of the records; give each its own"],
    );
    problems(&[("\"own-group\"", "\" \"")], &["38:9: worker.metrics.group: expected a name, not an empty one"]);
}

/// Every problem of a topology of a logs worker.
#[track_caller]
fn logs_problems(text: &str, want: &str) {
    let found = parse(text, &[]).unwrap_err();
    assert!(found.contains(want), "{want} is not in\n{found}");
}

#[test]
fn a_logs_worker_that_would_read_its_own_output_or_lacks_a_file_is_a_problem() {
    logs_problems(
        "[worker.logs]\ntopics = [\"^telemetry-logs\"]\n",
        "worker.logs.enrich.output: is among its own topics",
    );
    logs_problems(
        "[worker.logs.enrich]\noutput = \"telemetry-logs\"\n",
        "topology.toml:2:10: worker.logs.enrich.output: is among",
    );
    let missing = "[[worker.logs.enrich.lookup]]\nfile = \"no/such/file.csv\"\nkey = \"host.name\"\n";
    logs_problems(missing, "topology.toml:2:8: worker.logs.enrich.lookup[0].file: could not open no/such/file.csv");
    let broken = "[worker.logs.enrich.geoip]\ncity = \"Cargo.toml\"\n";
    logs_problems(
        broken,
        "topology.toml:2:8: worker.logs.enrich.geoip.city: could not use Cargo.toml: it is no MaxMind database",
    );
}

#[test]
fn a_worker_has_one_kind() {
    let both = "[worker.both.enrich]\n[worker.both.remote_write]\n";
    logs_problems(both, "worker.both: has two kinds, `enrich` and `remote_write`: make two workers of it");
}

#[test]
fn a_worker_of_another_name_needs_a_kind() {
    problems(
        &[("[worker.metrics-tokyo.remote_write]\nshards = 8", "[worker.tokyo]\n[worker.\"a b\".remote_writ]")],
        &[
            "49:9: worker.tokyo: nothing says what it does: add its kind as a table below it; known are \
             `enrich` and `remote_write`",
            "50:9: worker.\"a b\": expected letters, digits, underscores and dashes as a worker's name",
            "50:9: worker.\"a b\": nothing says what it does: add its kind as a table below it; known are \
             `enrich` and `remote_write`",
            "50:15: worker.\"a b\".remote_writ: unknown key; did you mean `remote_write`?",
        ],
    );
}

#[test]
fn the_consumer_protocol_does_not_go_with_settings_that_the_broker_decides() {
    problems(
        &[("\"client.id\" = \"weir\"", "\"session.timeout.ms\" = \"6000\"")],
        &[
            "14:1: worker.metrics.group_protocol: \"consumer\" does not go with session.timeout.ms in kafka.properties: \
         the broker decides it then",
        ],
    );
    problems(
        &[
            ("\"client.id\" = \"weir\"", "\"session.timeout.ms\" = \"6000\""),
            ("group_protocol = \"consumer\"", "group_protocol = \"classic\""),
        ],
        &[],
    );
}

#[test]
fn variables_override_the_file_and_the_defaults() {
    let topology = parse(
        GOOD,
        &[
            ("WEIR_KAFKA__BROKERS", "c:9092,d:9092"),
            ("WEIR_KAFKA__PROPERTIES__CLIENT_ID", "other"),
            ("WEIR_KAFKA__PROPERTIES__FETCH_WAIT_MAX_MS", "10"),
            ("WEIR_KAFKA__SECURITY__PASSWORD", "hunter5"),
            ("WEIR_PROCESS__LANES", "7"),
            ("WEIR_TOPIC__TELEMETRY_LOGS__PARTITIONS", "9"),
            ("WEIR_TOPIC__OWN__RETENTION", "3d"),
            ("WEIR_WORKER__METRICS__REMOTE_WRITE__URL", "http://other:9090/"),
            ("WEIR_WORKER__METRICS__TOPICS__0", "other"),
            ("WEIR_WORKER__METRICS_TOKYO__REMOTE_WRITE__SHARDS", "16"),
            ("WEIR_WORKER__METRICS_OSAKA__OTLP__PROMOTE_SCOPE_METADATA", "true"),
            ("WEIR_WORKER__METRICS_OSAKA__REMOTE_WRITE__0__URL", "http://first:9090/"),
            ("WEIR_WORKER__METRICS_OSAKA__REMOTE_WRITE__1__URL", "http://second:9090/"),
            ("WEIR_LOG", "not one of these"),
            ("OTHER__VARIABLE", "not one of these"),
        ],
    )
    .unwrap();
    let properties = topology.kafka.client_properties();
    assert_eq!(properties["bootstrap.servers"], "c:9092,d:9092");
    assert_eq!(properties["client.id"], "other");
    assert_eq!(properties["fetch.wait.max.ms"], "10");
    assert_eq!(properties["sasl.password"], "hunter5");
    assert_eq!(*topology.process.lanes.get_ref(), 7);
    assert_eq!(topology.topics["telemetry-logs"].partitions, 9);
    assert_eq!(topology.topics["own"].retention, weir_config::Duration::from_days(3));
    assert_eq!(topology.workers["metrics"].topics, ["other", "^metrics-.*$"]);
    let Kind::RemoteWrite(metrics) = &topology.workers["metrics"].kind else { panic!() };
    assert_eq!(one(metrics).url.get_ref(), "http://other:9090/");
    let Kind::RemoteWrite(tokyo) = &topology.workers["metrics-tokyo"].kind else { panic!() };
    assert_eq!(*one(tokyo).shards.get_ref(), 16);
    let Kind::RemoteWrite(osaka) = &topology.workers["metrics-osaka"].kind else { panic!() };
    assert!(osaka.otlp.promote_scope_metadata);
    let urls: Vec<_> = osaka.remote_write.iter().map(|endpoint| endpoint.url.get_ref().as_str()).collect();
    assert_eq!(urls, ["http://first:9090/", "http://second:9090/"]);
}

#[test]
fn a_variables_problems_name_the_variable() {
    let found = parse(
        GOOD,
        &[
            ("WEIR_KAFKA__BROKRES", "hunter5"),
            ("WEIR_KAFKA__SECURITY__PASSWROD", "hunter5"),
            ("WEIR_KAFKA__PROPERTIES__GROUP_ID", "x"),
            ("WEIR_PROCES__LANES", "hunter5"),
            ("WEIR_PROCESS__LANES", "many"),
            ("WEIR_WORKER__METRICS__DRAIN_TIMEOUT", "1h"),
            ("WEIR_WORKER__METRICS__REMOTE_WRITE__URL", "http://user:hunter5@host/"),
            ("WEIR_WORKER____", "x"),
        ],
    )
    .unwrap_err();
    let expected = [
        "WEIR_KAFKA__BROKRES: kafka.brokres: unknown key; did you mean `brokers`?",
        "WEIR_KAFKA__PROPERTIES__GROUP_ID: kafka.properties.\"group.id\": Weir sets this property itself: \
         use the worker's `group`",
        "WEIR_KAFKA__SECURITY__PASSWROD: kafka.security.passwrod: unknown key; did you mean `password`?",
        "WEIR_PROCESS__LANES: process.lanes: expected a whole number, 0 or more, not a string",
        "WEIR_PROCES__LANES: proces: unknown key; did you mean `process`?",
        "WEIR_WORKER__METRICS__DRAIN_TIMEOUT: worker.metrics.drain_timeout: 1h is not below max.poll.interval.ms, \
         which is 1m: Kafka would take the partitions away",
        "WEIR_WORKER__METRICS__REMOTE_WRITE__URL: worker.metrics.remote_write.url: \
         a URL is shown in logs and tables: it must not hold a user name or password",
        "WEIR_WORKER____: worker.\"\".\"\": unknown key; known are `topics`, `group`, `start`, `group_protocol`, \
         `drain_timeout`, `revoke_timeout`, `commit_interval`, `encoding`, `remote_write`, `otlp`, `enrich`",
    ];
    assert_eq!(found, expected.join("\n"));
}

/// Guards: no input makes it panic or loop, whatever a broken file looks like.
#[test]
fn a_file_cut_or_changed_anywhere_is_read_or_refused() {
    for (at, _) in GOOD.char_indices() {
        let (before, after) = GOOD.split_at(at);
        let shorter: String = after.chars().skip(1).collect();
        for changed in [
            before.to_owned(),
            after.to_owned(),
            format!("{before}{shorter}"),
            format!("{before}[{after}"),
            format!("{before}\"{after}"),
            format!("{before}.x = {after}"),
        ] {
            if let Err(problems) = parse(&changed, &[("WEIR_WORKER__METRICS__REMOTE_WRITE__SHARDS", "x")]) {
                assert!(!problems.is_empty() && !problems.contains("hunter"), "{problems}");
            }
        }
    }
}

#[test]
fn a_variable_of_any_depth_is_read_or_refused() {
    let deep = format!("WEIR_KAFKA{}", "__X".repeat(100_000));
    let found = parse("", &[(&deep, "x")]).unwrap_err();
    assert!(found.ends_with("kafka.x: unknown key; known are `brokers`, `security`, `properties`"), "{}", found.len());
}

//! What the other tests take for granted of the stack they stand on.

use std::time::Duration;

use nix::sys::signal::Signal;
use rdkafka::consumer::{BaseConsumer, Consumer};
use weir_tests::stack::{Collector, Kafka, Listener, Prometheus, PrometheusOptions, Record, folder, weir};
use weir_tests::wait::wait_until;

#[test]
fn records_come_back_as_they_were_written() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("records", 2);
    let written = [
        Record { partition: Some(0), timestamp_ms: Some(1), value: Some(b"a".to_vec()), ..Record::default() },
        Record { partition: Some(0), offset: 1, timestamp_ms: Some(2), key: Some(b"k".to_vec()), ..Record::default() },
        Record {
            partition: Some(1),
            timestamp_ms: Some(3),
            value: Some(Vec::new()),
            headers: vec![("full".to_owned(), Some(vec![0, 255])), ("null".to_owned(), None)],
            ..Record::default()
        },
    ];
    kafka.produce(&topic, &written);
    assert_eq!(kafka.read_all(&topic), written);
}

#[test]
fn the_listeners_with_a_login_obey_acls() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("acl", 1);
    let sees = |listener| {
        let client: BaseConsumer = kafka.client(listener).create().unwrap();
        let metadata = client.fetch_metadata(Some(&topic), Duration::from_secs(10)).map_err(|e| e.to_string())?;
        metadata.topics()[0].error().map_or(Ok(()), |error| Err(format!("{error:?}")))
    };
    for listener in [Listener::Sasl, Listener::MutualTls] {
        let refused = sees(listener).unwrap_err();
        assert!(refused.contains("TOPIC_AUTHORIZATION_FAILED"), "{listener:?}: {refused}");
    }
    let allow = ["--add", "--allow-principal", "User:weir", "--operation", "Describe", "--topic", &topic];
    kafka.tool("AclCommand", &allow);
    for listener in [Listener::Plain, Listener::Sasl, Listener::MutualTls] {
        wait_until(Duration::from_secs(10), "topic for who may see it", || sees(listener));
    }
}

#[test]
fn a_cluster_of_three_serves_while_one_node_is_down() {
    let kafka = Kafka::start(3);
    let topic = kafka.topic("three", 3);
    kafka.kill_node(2);
    let records: Vec<_> =
        (0..30).map(|i| Record { partition: Some(i % 3), value: Some(vec![7]), ..Record::default() }).collect();
    kafka.produce(&topic, &records);
    kafka.start_node(2);
    assert_eq!(kafka.read_all(&topic).len(), 30);
}

#[test]
fn two_prometheus_run_side_by_side_and_one_comes_back_after_a_crash() {
    let config = |name| format!("global: {{external_labels: {{name: {name}}}}}");
    let start = |name| Prometheus::start(PrometheusOptions { config: Some(config(name)), flags: Vec::new() });
    let (mut left, right) = (start("left"), start("right"));
    let says =
        |prometheus: &Prometheus| prometheus.get("/api/v1/status/config", &[]).map(|data| data["yaml"].to_string());
    assert!(says(&left).unwrap().contains("name: left"));
    assert!(says(&right).unwrap().contains("name: right"));

    left.process().kill();
    says(&left).unwrap_err();
    left.restart();
    assert_eq!(left.query("vector(1)").unwrap()[0]["value"][1], "1");

    left.process().signal(Signal::SIGSTOP);
    left.process().signal(Signal::SIGCONT);
    assert!(left.process().terminate(Duration::from_secs(10)).success());
    assert_eq!(right.query("vector(1)").unwrap()[0]["value"][1], "1");
}

#[test]
fn the_binary_under_test_runs_and_its_output_is_kept() {
    let mut process = weir(&folder("weir"), &["--version"]);
    assert!(process.finish(Duration::from_secs(10)).success());
    assert!(process.stdout().starts_with("weir "), "{}", process.stdout());
}

#[test]
fn a_collector_sends_what_it_measures_to_prometheus_over_otlp() {
    let prometheus = Prometheus::start(PrometheusOptions::default());
    let _collector = Collector::start(&format!(
        "
        receivers: {{host_metrics: {{collection_interval: 1s, scrapers: {{memory: }}}}}}
        exporters: {{otlp_http: {{endpoint: {}}}}}
        service: {{pipelines: {{metrics: {{receivers: [host_metrics], exporters: [otlp_http]}}}}}}
        ",
        prometheus.url("/api/v1/otlp")
    ));
    let used = wait_until(Duration::from_secs(20), "memory in use", || {
        let answer = prometheus.query("system_memory_usage_bytes{state='used'}")?;
        answer[0]["value"][1].as_str().map(str::to_owned).ok_or(format!("{answer}"))
    });
    assert!(used.parse::<f64>().unwrap() > 0.0, "{used}");
}

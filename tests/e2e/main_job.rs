//! The job Weir is for: metrics from real senders, through the Collector and Kafka, in Prometheus.

use std::collections::BTreeMap;
use std::thread::scope;

use weir_tests::stack::{Collector, Listener, Prometheus, PrometheusOptions, telemetrygen};
use weir_tests::wait::wait_until;

use crate::job::{Job, SOON, Topology, full, sample};

/// Samples by series and time in milliseconds. A series is its labels as JSON, sorted; a value is as the API has it.
type Samples = BTreeMap<String, BTreeMap<i64, String>>;

/// Scenario: telemetrygen (gauge, cumulative sum, histogram) and the host metrics receiver, with a resource and without
/// one, send through one Collector, which writes the same data to Kafka and straight to a second Prometheus by OTLP.
/// Guards: what comes through Kafka and Weir is what Prometheus makes of OTLP itself: the same series, `target_info`
/// among them, each with the same timestamps and values. Nothing is left out of the comparison. What differs by choice
/// (`docs/metrics.md`) is not sent.
#[test]
fn through_kafka_prometheus_has_the_same_series_and_samples_as_by_otlp() {
    let job = Job::new("main-job", 12, Topology::default());
    let [through_kafka, directly] = [(), ()].map(|()| Prometheus::start(PrometheusOptions::default()));
    let member = job.start(&through_kafka.url("/api/v1/write"));
    member.has_partitions(12);
    let mut collector = Collector::start(&config(&job, &directly));
    scope(|scope| {
        for (kind, name, service) in [
            ("Gauge", "water.level", "lock-1"),
            ("Sum", "boats.passed", "lock-2"),
            ("Histogram", "lock.duration", "lock-3"),
        ] {
            let endpoint = collector.otlp_grpc();
            scope.spawn(move || send(&endpoint, kind, name, service));
        }
    });
    wait_until(SOON, "host metrics", || {
        let seen = directly.query("count_over_time(system_cpu_load_average_1m{job=''}[1h]) >= 5")?;
        if seen[0].is_object() { Ok(()) } else { Err("too few".to_owned()) }
    });
    // It sends what it has to both before it ends.
    assert!(collector.process().terminate(SOON).success(), "{}", collector.process().stderr());
    job.caught_up(SOON);

    let (weir, otlp) = (samples(&through_kafka), samples(&directly));
    for name in
        ["water_level", "boats_passed_total", "lock_duration_bucket", "target_info", "system_cpu_time_seconds_total"]
    {
        let name = format!("\"__name__\":\"{name}\"");
        assert!(otlp.keys().any(|series| series.contains(&name)), "{name} is not in {:?}", otlp.keys());
    }
    let differences = differences(&weir, &otlp);
    assert!(differences.is_empty(), "{} differences, such as\n{}", differences.len(), differences.join("\n"));
    let count: usize = weir.values().map(BTreeMap::len).sum();
    println!("{count} samples of {} series", weir.len());
    assert!(count > 10_000, "{count}");
    assert_eq!(member.counter("weir_dead_letters_total"), Ok(0.0));
}

/// Sends points of a metric with telemetrygen.
fn send(endpoint: &str, kind: &str, name: &str, service: &str) {
    let points = if full() { "6000" } else { "600" };
    let sent = ["--metric-type", kind, "--aggregation-temporality", "cumulative", "--metrics", points, "--rate", "100"];
    let named = ["--otlp-metric-name", name, "--service", service, "--telemetry-attributes", "gate.side=\"west\""];
    let resource = ["service.namespace=\"canal\"", "deployment.environment=\"test\""];
    let resource = resource.iter().flat_map(|attribute| ["--otlp-attributes", attribute]).collect::<Vec<_>>();
    telemetrygen("metrics", endpoint, &[&sent[..], &named, &resource].concat());
}

/// The Collector: OTLP and host metrics, batched, to Kafka and to a Prometheus.
fn config(job: &Job, prometheus: &Prometheus) -> String {
    let scrapers = "{cpu: , load: , memory: , network: , disk: , filesystem: , paging: , processes: }";
    format!(
        "
        receivers:
          host_metrics: {{collection_interval: 1s, scrapers: {scrapers}}}
        processors:
          batch: {{timeout: 200ms, send_batch_size: 1024, send_batch_max_size: 2048}}
          resource:
            attributes:
              - {{action: upsert, key: service.name, value: machine}}
              - {{action: upsert, key: service.instance.id, value: 7}}
              - {{action: upsert, key: host.name, value: canal-1}}
              - {{action: upsert, key: 'Odd name: é', value: 'odd \"value\"'}}
        exporters:
          kafka:
            brokers: [{brokers}]
            metrics: {{topic: {topic}, encoding: otlp_proto}}
            partition_metrics_by_resource_attributes: true
            producer: {{compression: snappy, required_acks: -1, allow_auto_topic_creation: false}}
          otlp_http: {{endpoint: {otlp}}}
        service:
          pipelines:
            metrics: {{receivers: [otlp, host_metrics], processors: [batch], exporters: [kafka, otlp_http]}}
            metrics/2: {{receivers: [host_metrics], processors: [resource, batch], exporters: [kafka, otlp_http]}}
        ",
        brokers = job.kafka.bootstrap(Listener::Plain),
        topic = job.name,
        otlp = prometheus.url("/api/v1/otlp"),
    )
}

/// Everything that a Prometheus has.
fn samples(prometheus: &Prometheus) -> Samples {
    let answer = prometheus.query("{__name__=~'.+'}[3h]").unwrap();
    let owned = |(at_ms, value): (i64, &str)| (at_ms, value.to_owned());
    let point = |point| owned(sample(point));
    let series = answer.as_array().unwrap().iter();
    series
        .map(|one| (one["metric"].to_string(), one["values"].as_array().unwrap().iter().map(point).collect()))
        .collect()
}

/// The first difference of every series that is not the same in both.
fn differences(weir: &Samples, otlp: &Samples) -> Vec<String> {
    let names = weir.keys().chain(otlp.keys().filter(|name| !weir.contains_key(*name)));
    let none = BTreeMap::new();
    let difference = |name: &String| {
        let [weir, otlp] = [weir, otlp].map(|samples| samples.get(name).unwrap_or(&none));
        let at = weir.keys().chain(otlp.keys()).find(|at| weir.get(*at) != otlp.get(*at))?;
        let counts = format!("{} and {} samples", weir.len(), otlp.len());
        Some(format!("{name} at {at}: through Kafka {:?}, by OTLP {:?}; {counts}", weir.get(at), otlp.get(at)))
    };
    names.filter_map(difference).collect()
}

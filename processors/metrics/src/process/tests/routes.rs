//! Series as they are sent to each endpoint: rules, tenants, limits.

use serde::Deserialize;

use super::*;
use crate::config::Endpoints;

/// The tables of a worker.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Worker {
    remote_write: Endpoints,
    otlp: Otlp,
}

/// A worker's share of a partition.
struct Partitioned {
    processor: MetricsProcessor,
    shared: Arc<Shared>,
    registry: prometheus_client::registry::Registry,
    endpoints: usize,
}

impl Partitioned {
    fn of(text: &str) -> Self {
        let document = Document::parse("t.toml", text).unwrap();
        let (Worker { remote_write, otlp }, mut report) =
            document.read::<Worker>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
        remote_write.check(&mut report.at(""));
        otlp.check(&mut report.at("otlp"));
        report.finish().unwrap();
        let config = Config { remote_write, otlp };
        let mut registry = prometheus_client::registry::Registry::default();
        let instruments = Instruments::new(&mut registry);
        let shared = Shared::new(&config).unwrap();
        let endpoints = config.remote_write.iter().count();
        Self { processor: MetricsProcessor::new(&config, &shared, instruments), shared, registry, endpoints }
    }

    /// The samples that each endpoint is sent, as names with labels and value, and the reasons of dead letters.
    fn process(&mut self, metrics: &[(&str, f64)]) -> (Vec<Vec<String>>, Vec<&'static str>) {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        for (offset, (attributes, value)) in (0..).zip(metrics) {
            builder.push(offset, Some(0), None, Some(record(attributes, *value).as_bytes()), std::iter::empty());
        }
        let partition = Partition::open(TopicPartition::new("t", 0), 0);
        let (entry, hold) = partition.admit(Some((0, 1)), 0);
        hold.release();
        let outlets = vec![1; self.endpoints];
        let mut out = Outbox::with_outlets(entry, Budget::new(1 << 30), &outlets, Limits::all(1 << 20));
        self.processor.process(&builder.build().unwrap(), &mut out);
        let filled = out.finish();
        let sent = filled
            .shards
            .iter()
            .enumerate()
            .map(|(place, items)| items.iter().map(|item| shown(&item.value, place)).collect());
        (sent.collect(), filled.carried.dead_letters.iter().map(|letter| letter.reason).collect())
    }

    fn tick(&mut self, now_ms: i64) {
        let partition = Partition::open(TopicPartition::new("t", 0), 0);
        let (entry, hold) = partition.admit(None, 0);
        hold.release();
        let mut out = Outbox::new(entry, Budget::new(0), 1, Limits::all(0));
        self.processor.tick(Timestamp(now_ms), Memory::Plenty, &mut out);
    }

    fn counted(&self, line: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().any(|found| found == line)
    }
}

/// A record of one gauge `m` of the tenant `t`, written as `name=value` for each attribute; `@` is one of the resource.
fn record(attributes: &str, value: f64) -> String {
    let (resource, point): (Vec<_>, Vec<_>) = attributes.split_whitespace().partition(|one| one.starts_with('@'));
    let json = |attributes: Vec<&str>| {
        let json = attributes.iter().map(|one| {
            let (key, value) = one.trim_start_matches('@').split_once('=').unwrap();
            serde_json::json!({"key": key, "value": {"stringValue": value}})
        });
        json.collect::<Vec<_>>()
    };
    serde_json::json!({"resourceMetrics": [{
        "resource": {"attributes": json(resource)},
        "scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [
            {"timeUnixNano": "1000000", "asDouble": value, "attributes": json(point)},
        ]}}]}],
    }]})
    .to_string()
}

/// A sample as an endpoint gets it, without its time.
fn shown(sample: &Sample, place: usize) -> String {
    let mut builder = v2::Builder::new();
    builder.push(sample.series().form(place).unwrap(), sample.points(), &[]);
    let series = v2::decode(&decompress(&builder.finish().unwrap(), usize::MAX).unwrap()).unwrap().series.remove(0);
    let labels: Vec<_> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {}", labels.join(","), series.samples[0].value)
}

#[test]
fn each_endpoint_gets_series_with_labels_of_its_own_or_not_at_all() {
    let mut worker = Partitioned::of(
        r#"
        [[remote_write]]
        name = "all"
        url = "http://a/"
        [[remote_write]]
        name = "some"
        url = "http://b/"
        external_labels = { region = "eu", who = "weir" }
        [[remote_write.write_relabel_configs]]
        source_labels = ["id"]
        regex = "secret.*"
        action = "drop"
        [[remote_write.write_relabel_configs]]
        regex = "who"
        action = "labeldrop"
        "#,
    );
    for _ in 0..2 {
        let (sent, letters) = worker.process(&[("id=a", 1.0), ("id=secret-1", 2.0), ("id=b region=us", 3.0)]);
        assert_eq!(sent[0], ["__name__=m,id=a 1", "__name__=m,id=secret-1 2", "__name__=m,id=b,region=us 3"]);
        assert_eq!(sent[1], ["__name__=m,id=a,region=eu 1", "__name__=m,id=b,region=us 3"]);
        assert!(letters.is_empty());
    }
    assert!(worker.counted("samples_dropped_total{sink=\"some\"} 2"), "of known series, too");
}

#[test]
fn attributes_are_dropped_or_hashed_before_they_are_labels() {
    let mut worker = Partitioned::of(
        r#"
        [otlp]
        promote_all_resource_attributes = true
        attributes = [{ name = "user.id", action = "drop" }, { name = "session", action = "hash" }]
        "#,
    );
    let (sent, _) = worker.process(&[
        ("user.id=7 route=x", 1.0),
        ("user.id=8 route=x", 2.0),
        ("session=abc", 3.0),
        ("@user.id=9 @session=abc route=y", 4.0),
    ]);
    // The first digits of `printf abc | sha256sum`.
    let expected = [
        "__name__=m,route=x 1",
        "__name__=m,route=x 2",
        "__name__=m,session=ba7816bf8f01cfea 3",
        "__name__=m,route=y,session=ba7816bf8f01cfea 4",
    ];
    assert_eq!(sent, [expected]);
    assert!(worker.counted("attribute_sets_remembered 3"), "what is dropped makes no entry of its own");
}

#[test]
fn series_of_tenants_are_apart_and_a_name_that_is_no_header_is_refused() {
    let mut worker = Partitioned::of("[otlp.tenant]\nattribute = \"team\"\ndefault = \"nobody\"\n");
    let (sent, letters) = worker.process(&[("@team=a", 1.0), ("@team=b", 2.0), ("", 3.0), ("@team=a\u{7f}", 4.0)]);
    assert_eq!(sent, [["__name__=m 1", "__name__=m 2", "__name__=m 3"]]);
    assert_eq!(letters, ["invalid_tenant"]);
}

/// Scenario: a limit is reached, old series go on, one of them ends, and its place is free after the window.
#[test]
fn new_series_over_a_limit_are_let_go_and_old_ones_never() {
    let mut worker = Partitioned::of("[otlp.limits]\nseries_per_metric = 2\nwindow = \"1m\"\n");
    worker.tick(0);
    let (sent, letters) = worker.process(&[("id=a", 1.0), ("id=b", 2.0), ("id=c", 3.0)]);
    assert_eq!((sent[0].len(), letters.len()), (2, 0), "not a dead letter");
    assert!(worker.counted("points_let_go_total{reason=\"metric_series_limit\"} 1"));
    for half in 1..8 {
        let (sent, _) = worker.process(&[("id=a", 1.0), ("id=c", 3.0)]);
        assert!(sent[0][0].starts_with("__name__=m,id=a"), "{sent:?}");
        // `b` is not remembered after a window, and forgotten after two.
        assert_eq!(sent[0].len(), if half < 5 { 1 } else { 2 }, "half window {half}");
        worker.tick(half * 30_000);
    }
    assert_eq!(worker.shared.told()["series"], 2);
}

/// Guards: a series that its endpoints drop takes no place.
#[test]
fn what_is_dropped_is_not_counted_towards_limits() {
    let mut worker = Partitioned::of(
        "[remote_write]\nwrite_relabel_configs = [{ source_labels = [\"id\"], regex = \"x.*\", action = \"drop\" }]\n\
         [otlp.limits]\nseries_per_tenant = 1\n",
    );
    let (sent, _) = worker.process(&[("id=x1", 1.0), ("id=x2", 2.0), ("id=a", 3.0), ("id=b", 4.0)]);
    assert_eq!(sent, [["__name__=m,id=a 3"]]);
    assert_eq!(worker.shared.told()["series"], 1);
}

//! What the Collector's Kafka exporter writes is what every worker reads.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use weir_tests::stack::{Collector, Kafka, telemetrygen};
use weir_tests::wait::wait_until;

/// Scenario: two workers of telemetrygen send 20 points each, of one sum, through the Collector.
/// Guards: the shape of the metrics topic; resource, name, attributes and every point arrive.
#[test]
fn metrics_sent_to_the_collector_are_in_the_topic_as_otlp() {
    let kafka = Kafka::shared();
    let prefix = Kafka::unique("gateway");
    let topic = format!("{prefix}-metrics");
    kafka.create_topic(&topic, 3, &[]);
    let collector = Collector::gateway(kafka, &prefix);

    let sent = ["--workers", "2", "--metrics", "20", "--rate", "100", "--metric-type", "Sum"];
    let named =
        ["--otlp-metric-name", "boats.passed", "--service", "lock-7", "--telemetry-attributes", "gate=\"west\""];
    telemetrygen("metrics", &collector.otlp_grpc(), &[&sent[..], &named[..]].concat());

    let records = wait_until(Duration::from_secs(20), "40 points in the topic", || {
        let records = kafka.read_all(&topic);
        let points: usize = records.iter().map(|record| points(record.value.as_ref().unwrap())).sum();
        if points == 40 { Ok(records) } else { Err(format!("{points} points")) }
    });
    for record in &records {
        assert_eq!(record.key.as_ref().map(Vec::len), Some(16), "the key is a hash of the resource");
        assert_eq!(record.partition, records[0].partition, "one resource, one partition");
        assert_eq!(record.headers, [], "no header tells the encoding");
    }
}

/// Checks the one resource of `payload` and how its metrics are called; returns how many points they have.
fn points(payload: &[u8]) -> usize {
    let request = ExportMetricsServiceRequest::decode(payload).unwrap();
    let [resource] = &request.resource_metrics[..] else { panic!("{} resources", request.resource_metrics.len()) };
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    assert!(
        attributes.iter().any(|kv| kv.key == "service.name" && text(kv.value.as_ref()) == Some("lock-7")),
        "{attributes:?}"
    );
    let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let sums = metrics.map(|metric| {
        assert_eq!(metric.name, "boats.passed");
        let Some(Data::Sum(sum)) = &metric.data else { panic!("not a sum: {metric:?}") };
        for point in &sum.data_points {
            let gate = point.attributes.iter().find(|kv| kv.key == "gate").and_then(|kv| text(kv.value.as_ref()));
            assert_eq!(gate, Some("west"));
        }
        sum.data_points.len()
    });
    sums.sum()
}

fn text(value: Option<&opentelemetry_proto::tonic::common::v1::AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

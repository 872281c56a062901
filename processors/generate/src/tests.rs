use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message;

use super::*;

mod incidents;
mod records;
mod truth;

const START: UnixNanos = UnixNanos(1_790_000_000_000_000_000);

fn small() -> Config {
    Config { series: 400, points_per_record: 40, ..Config::default() }
}

fn later(start: UnixNanos, ms: u64) -> UnixNanos {
    UnixNanos(start.0 + ms * 1_000_000)
}

fn generator(config: Config) -> Generator {
    Generator::new(config, START).expect("a good configuration")
}

/// Records of one signal, `every_ms` apart.
fn make(generator: &mut Generator, signal: Signal, records: u64, every_ms: u64) -> Vec<Record> {
    let next = |at| generator.next(signal, later(START, at * every_ms)).expect("a record");
    (1..=records).map(next).collect()
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone().and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{}: {other:?}", attribute.key),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

/// OTLP name to Prometheus name, as the crate's documentation has it.
fn documented_names() -> HashMap<String, String> {
    let documentation = include_str!("lib.rs").lines().filter_map(|line| line.strip_prefix("//! |"));
    let cells = documentation.map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')).collect());
    let rows = cells.filter(|cells: &Vec<&str>| cells[2].contains(char::is_alphabetic) && cells[2] != "metric");
    rows.map(|cells| (cells[2].to_owned(), cells[5].to_owned())).collect()
}

/// A Prometheus sample, as a translation should make it.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    labels: BTreeMap<String, String>,
    at_ms: i64,
    value: f64,
}

impl Sample {
    fn name(&self) -> &str {
        &self.labels["__name__"]
    }

    fn check(&self, made: &mut Made) -> Verdict {
        made.check_sample(self.pairs(), self.at_ms, self.value)
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Translates a metrics record by the documentation's table.
fn translate(record: &Record) -> Vec<Sample> {
    let names = documented_names();
    let request = ExportMetricsServiceRequest::decode(record.value.as_slice()).expect("protobuf");
    assert_eq!(request.resource_metrics.len(), 1, "a record has one resource");
    let mut samples = Vec::new();
    let group = &request.resource_metrics[0];
    let resource = attributes(&group.resource.as_ref().expect("a resource").attributes);
    let mut target = BTreeMap::new();
    target.insert("job".to_owned(), format!("{}/{}", resource["service.namespace"], resource["service.name"]));
    target.insert("instance".to_owned(), resource["service.instance.id"].clone());
    for metric in &group.scope_metrics[0].metrics {
        let name = &names[&metric.name];
        let mut push = |suffix: &str, le: Option<String>, point: &[KeyValue], nanos: u64, value: f64| {
            let mut labels = target.clone();
            labels.insert("__name__".into(), format!("{name}{suffix}"));
            labels.extend(le.map(|le| ("le".into(), le)));
            labels.extend(attributes(point).into_iter().map(|(key, value)| (key.replace('.', "_"), value)));
            assert_eq!(nanos % 1_000_000, 0, "whole milliseconds");
            samples.push(Sample { labels, at_ms: (nanos / 1_000_000).cast_signed(), value });
        };
        let numbers = match metric.data.as_ref().expect("data") {
            metric::Data::Gauge(gauge) => &gauge.data_points,
            metric::Data::Sum(sum) => {
                assert_eq!(sum.aggregation_temporality, 2, "cumulative");
                assert_eq!(sum.is_monotonic, name.ends_with("_total"), "{name}");
                &sum.data_points
            }
            metric::Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    let (labels, at) = (&point.attributes, point.time_unix_nano);
                    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{name}");
                    let bounds = point.explicit_bounds.iter().map(|bound| format!("{bound}")).chain(["+Inf".into()]);
                    let mut below = 0;
                    for (le, count) in bounds.zip(&point.bucket_counts) {
                        below += count;
                        push("_bucket", Some(le), labels, at, below as f64);
                    }
                    push("_count", None, labels, at, point.count as f64);
                    push("_sum", None, labels, at, point.sum.expect("a sum"));
                }
                continue;
            }
            other => panic!("{other:?}"),
        };
        for point in numbers {
            let value = match point.value.expect("a value") {
                number_data_point::Value::AsDouble(value) => value,
                number_data_point::Value::AsInt(value) => value as f64,
            };
            push("", None, &point.attributes, point.time_unix_nano, value);
        }
    }
    samples
}

//! Views walked into the types of a generated decoder, to compare the two.

use opentelemetry_proto::tonic::common::v1::{self as common, AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::Message;
use weir_otlp as otlp;
use weir_otlp::{Error, ErrorKind, Signal};

type Result<T> = std::result::Result<T, Error>;

#[allow(dead_code, reason = "not every test that includes this file uses it")]
pub const SIGNALS: [Signal; 3] = [Signal::Metrics, Signal::Traces, Signal::Logs];

/// The views read what the generated decoder reads, or refuse what they are
/// documented to refuse.
#[allow(dead_code, reason = "not every test that includes this file uses it")]
#[track_caller]
pub fn assert_agreement(signal: Signal, bytes: &[u8]) {
    match (walked(signal, bytes), expected(signal, bytes)) {
        (Ok(got), Some(want)) => assert_eq!(got, want),
        // The generated decoder joins a singular message that occurs twice.
        (Err(error), Some(_)) => assert_eq!(error.kind(), ErrorKind::Repeated, "{error}"),
        (Err(error), None) => {
            assert!(error.offset() <= bytes.len(), "{error}");
            assert!(!error.path().is_empty(), "{error}");
        }
        // Fields of profiles, and of points that their kind does not have, are not checked.
        (Ok(_), None) => {}
    }
}

/// What a generated decoder makes of `bytes`, encoded again; none if it refuses.
///
/// What the views leave out is evened out: absent messages are empty ones,
/// enums without meaning unspecified, indexes of profiles nothing.
pub fn expected(signal: Signal, bytes: &[u8]) -> Option<Vec<u8>> {
    Some(match signal {
        Signal::Metrics => {
            let mut data = metrics::MetricsData::decode(bytes).ok()?;
            even_metrics(&mut data);
            data.encode_to_vec()
        }
        Signal::Traces => {
            let mut data = trace::TracesData::decode(bytes).ok()?;
            even_traces(&mut data);
            data.encode_to_vec()
        }
        Signal::Logs => {
            let mut data = logs::LogsData::decode(bytes).ok()?;
            even_logs(&mut data);
            data.encode_to_vec()
        }
    })
}

/// What the views make of `bytes`, every field of it, encoded again.
pub fn walked(signal: Signal, bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(match signal {
        Signal::Metrics => {
            let request = otlp::MetricsRequest::new(bytes);
            let resource_metrics = all(request.resource_metrics(), resource_metrics)?;
            metrics::MetricsData { resource_metrics }.encode_to_vec()
        }
        Signal::Traces => {
            let request = otlp::TracesRequest::new(bytes);
            let resource_spans = all(request.resource_spans(), resource_spans)?;
            trace::TracesData { resource_spans }.encode_to_vec()
        }
        Signal::Logs => {
            let request = otlp::LogsRequest::new(bytes);
            let resource_logs = all(request.resource_logs(), resource_logs)?;
            logs::LogsData { resource_logs }.encode_to_vec()
        }
    })
}

fn all<T, U>(items: impl IntoIterator<Item = Result<T>>, walk: impl Fn(T) -> Result<U>) -> Result<Vec<U>> {
    items.into_iter().map(|item| walk(item?)).collect()
}

fn attributes(view: otlp::Attributes<'_>) -> Result<Vec<KeyValue>> {
    all(view, |(key, value)| Ok(KeyValue { key: key.to_owned(), value: Some(any_value(value)?), key_strindex: 0 }))
}

fn any_value(view: otlp::AnyValue<'_>) -> Result<AnyValue> {
    use any_value::Value;
    let value = match view {
        otlp::AnyValue::Empty => None,
        otlp::AnyValue::String(text) => Some(Value::StringValue(text.to_owned())),
        otlp::AnyValue::Bool(value) => Some(Value::BoolValue(value)),
        otlp::AnyValue::Int(value) => Some(Value::IntValue(value)),
        otlp::AnyValue::Double(value) => Some(Value::DoubleValue(value)),
        otlp::AnyValue::Array(values) => {
            Some(Value::ArrayValue(common::ArrayValue { values: all(values, any_value)? }))
        }
        otlp::AnyValue::KvList(values) => {
            Some(Value::KvlistValue(common::KeyValueList { values: attributes(values)? }))
        }
        otlp::AnyValue::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
    };
    Ok(AnyValue { value })
}

fn resource(view: otlp::Resource<'_>) -> Result<Option<Resource>> {
    Ok(Some(Resource {
        attributes: attributes(view.attributes)?,
        dropped_attributes_count: view.dropped_attributes_count,
        // The views leave these to the raw bytes.
        entity_refs: Resource::decode(view.raw).map(|raw| raw.entity_refs).unwrap_or_default(),
    }))
}

fn scope(view: otlp::Scope<'_>) -> Result<Option<InstrumentationScope>> {
    Ok(Some(InstrumentationScope {
        name: view.name.to_owned(),
        version: view.version.to_owned(),
        attributes: attributes(view.attributes)?,
        dropped_attributes_count: view.dropped_attributes_count,
    }))
}

fn resource_metrics(view: otlp::ResourceMetrics<'_>) -> Result<metrics::ResourceMetrics> {
    Ok(metrics::ResourceMetrics {
        resource: resource(view.resource)?,
        scope_metrics: all(view.scope_metrics(), |view| {
            Ok(metrics::ScopeMetrics {
                scope: scope(view.scope)?,
                metrics: all(view.metrics(), metric)?,
                schema_url: view.schema_url.to_owned(),
            })
        })?,
        schema_url: view.schema_url.to_owned(),
    })
}

fn metric(view: otlp::Metric<'_>) -> Result<metrics::Metric> {
    use metrics::metric::Data;
    let data = match view.data {
        otlp::MetricData::None => None,
        otlp::MetricData::Gauge(points) => {
            Some(Data::Gauge(metrics::Gauge { data_points: all(points, number_point)? }))
        }
        otlp::MetricData::Sum { points, temporality, monotonic } => Some(Data::Sum(metrics::Sum {
            data_points: all(points, number_point)?,
            aggregation_temporality: temporality as i32,
            is_monotonic: monotonic,
        })),
        otlp::MetricData::Histogram { points, temporality } => Some(Data::Histogram(metrics::Histogram {
            data_points: all(points, histogram_point)?,
            aggregation_temporality: temporality as i32,
        })),
        otlp::MetricData::ExponentialHistogram { points, temporality } => {
            Some(Data::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: all(points, exponential_point)?,
                aggregation_temporality: temporality as i32,
            }))
        }
        otlp::MetricData::Summary(points) => {
            Some(Data::Summary(metrics::Summary { data_points: all(points, summary_point)? }))
        }
    };
    Ok(metrics::Metric {
        name: view.name.to_owned(),
        description: view.description.to_owned(),
        unit: view.unit.to_owned(),
        metadata: attributes(view.metadata)?,
        data,
    })
}

fn number_point(view: otlp::NumberPoint<'_>) -> Result<metrics::NumberDataPoint> {
    use metrics::number_data_point::Value;
    Ok(metrics::NumberDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        exemplars: all(view.exemplars, exemplar)?,
        flags: view.flags,
        value: view.value.map(|value| match value {
            otlp::Number::Int(value) => Value::AsInt(value),
            otlp::Number::Double(value) => Value::AsDouble(value),
        }),
    })
}

fn histogram_point(view: otlp::HistogramPoint<'_>) -> Result<metrics::HistogramDataPoint> {
    Ok(metrics::HistogramDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        count: view.count,
        sum: view.sum,
        bucket_counts: view.bucket_counts.iter().collect(),
        explicit_bounds: view.explicit_bounds.iter().collect(),
        exemplars: all(view.exemplars, exemplar)?,
        flags: view.flags,
        min: view.min,
        max: view.max,
    })
}

fn exponential_point(view: otlp::ExponentialHistogramPoint<'_>) -> Result<metrics::ExponentialHistogramDataPoint> {
    let buckets = |view: otlp::Buckets<'_>| {
        Some(metrics::exponential_histogram_data_point::Buckets {
            offset: view.offset,
            bucket_counts: view.bucket_counts.iter().collect(),
        })
    };
    Ok(metrics::ExponentialHistogramDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        count: view.count,
        sum: view.sum,
        scale: view.scale,
        zero_count: view.zero_count,
        positive: buckets(view.positive),
        negative: buckets(view.negative),
        flags: view.flags,
        exemplars: all(view.exemplars, exemplar)?,
        min: view.min,
        max: view.max,
        zero_threshold: view.zero_threshold,
    })
}

fn summary_point(view: otlp::SummaryPoint<'_>) -> Result<metrics::SummaryDataPoint> {
    Ok(metrics::SummaryDataPoint {
        attributes: attributes(view.attributes)?,
        start_time_unix_nano: view.start_time_unix_nano,
        time_unix_nano: view.time_unix_nano,
        count: view.count,
        sum: view.sum,
        quantile_values: all(view.quantile_values, |view| {
            let otlp::Quantile { quantile, value } = view;
            Ok(metrics::summary_data_point::ValueAtQuantile { quantile, value })
        })?,
        flags: view.flags,
    })
}

fn exemplar(view: otlp::Exemplar<'_>) -> Result<metrics::Exemplar> {
    use metrics::exemplar::Value;
    Ok(metrics::Exemplar {
        filtered_attributes: attributes(view.filtered_attributes)?,
        time_unix_nano: view.time_unix_nano,
        span_id: view.span_id.to_vec(),
        trace_id: view.trace_id.to_vec(),
        value: view.value.map(|value| match value {
            otlp::Number::Int(value) => Value::AsInt(value),
            otlp::Number::Double(value) => Value::AsDouble(value),
        }),
    })
}

fn resource_spans(view: otlp::ResourceSpans<'_>) -> Result<trace::ResourceSpans> {
    Ok(trace::ResourceSpans {
        resource: resource(view.resource)?,
        scope_spans: all(view.scope_spans(), |view| {
            Ok(trace::ScopeSpans {
                scope: scope(view.scope)?,
                spans: all(view.spans(), span)?,
                schema_url: view.schema_url.to_owned(),
            })
        })?,
        schema_url: view.schema_url.to_owned(),
    })
}

fn span(view: otlp::Span<'_>) -> Result<trace::Span> {
    Ok(trace::Span {
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        trace_state: view.trace_state.to_owned(),
        parent_span_id: view.parent_span_id.to_vec(),
        flags: view.flags,
        name: view.name.to_owned(),
        kind: view.kind,
        start_time_unix_nano: view.start_time_unix_nano,
        end_time_unix_nano: view.end_time_unix_nano,
        attributes: attributes(view.attributes)?,
        dropped_attributes_count: view.dropped_attributes_count,
        events: all(view.events, |view| {
            Ok(trace::span::Event {
                time_unix_nano: view.time_unix_nano,
                name: view.name.to_owned(),
                attributes: attributes(view.attributes)?,
                dropped_attributes_count: view.dropped_attributes_count,
            })
        })?,
        dropped_events_count: view.dropped_events_count,
        links: all(view.links, |view| {
            Ok(trace::span::Link {
                trace_id: view.trace_id.to_vec(),
                span_id: view.span_id.to_vec(),
                trace_state: view.trace_state.to_owned(),
                attributes: attributes(view.attributes)?,
                dropped_attributes_count: view.dropped_attributes_count,
                flags: view.flags,
            })
        })?,
        dropped_links_count: view.dropped_links_count,
        status: Some(trace::Status { message: view.status.message.to_owned(), code: view.status.code }),
    })
}

fn resource_logs(view: otlp::ResourceLogs<'_>) -> Result<logs::ResourceLogs> {
    Ok(logs::ResourceLogs {
        resource: resource(view.resource)?,
        scope_logs: all(view.scope_logs(), |view| {
            Ok(logs::ScopeLogs {
                scope: scope(view.scope)?,
                log_records: all(view.log_records(), log_record)?,
                schema_url: view.schema_url.to_owned(),
            })
        })?,
        schema_url: view.schema_url.to_owned(),
    })
}

fn log_record(view: otlp::LogRecord<'_>) -> Result<logs::LogRecord> {
    Ok(logs::LogRecord {
        time_unix_nano: view.time_unix_nano,
        observed_time_unix_nano: view.observed_time_unix_nano,
        severity_number: view.severity_number,
        severity_text: view.severity_text.to_owned(),
        body: Some(any_value(view.body)?),
        attributes: attributes(view.attributes)?,
        dropped_attributes_count: view.dropped_attributes_count,
        flags: view.flags,
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        event_name: view.event_name.to_owned(),
    })
}

fn even_attributes(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        attribute.key_strindex = 0;
        even_value(attribute.value.get_or_insert_default());
    }
}

fn even_value(value: &mut AnyValue) {
    use any_value::Value;
    match &mut value.value {
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(even_value),
        Some(Value::KvlistValue(list)) => even_attributes(&mut list.values),
        Some(Value::StringValueStrindex(_)) => value.value = None,
        _ => {}
    }
}

fn even_shared(resource: &mut Option<Resource>) {
    even_attributes(&mut resource.get_or_insert_default().attributes);
}

fn even_scope(scope: &mut Option<InstrumentationScope>) {
    even_attributes(&mut scope.get_or_insert_default().attributes);
}

fn even_exemplars(exemplars: &mut [metrics::Exemplar]) {
    exemplars.iter_mut().for_each(|e| even_attributes(&mut e.filtered_attributes));
}

fn even_temporality(temporality: &mut i32) {
    if !(0..=2).contains(temporality) {
        *temporality = 0;
    }
}

fn even_metrics(data: &mut metrics::MetricsData) {
    for resource in &mut data.resource_metrics {
        even_shared(&mut resource.resource);
        for scope in &mut resource.scope_metrics {
            even_scope(&mut scope.scope);
            scope.metrics.iter_mut().for_each(even_metric);
        }
    }
}

fn even_metric(metric: &mut metrics::Metric) {
    use metrics::metric::Data;
    even_attributes(&mut metric.metadata);
    let number = |point: &mut metrics::NumberDataPoint| {
        even_attributes(&mut point.attributes);
        even_exemplars(&mut point.exemplars);
    };
    match &mut metric.data {
        None => {}
        Some(Data::Gauge(gauge)) => gauge.data_points.iter_mut().for_each(number),
        Some(Data::Sum(sum)) => {
            even_temporality(&mut sum.aggregation_temporality);
            sum.data_points.iter_mut().for_each(number);
        }
        Some(Data::Histogram(histogram)) => {
            even_temporality(&mut histogram.aggregation_temporality);
            for point in &mut histogram.data_points {
                even_attributes(&mut point.attributes);
                even_exemplars(&mut point.exemplars);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            even_temporality(&mut histogram.aggregation_temporality);
            for point in &mut histogram.data_points {
                even_attributes(&mut point.attributes);
                even_exemplars(&mut point.exemplars);
                point.positive.get_or_insert_default();
                point.negative.get_or_insert_default();
            }
        }
        Some(Data::Summary(summary)) => {
            summary.data_points.iter_mut().for_each(|p| even_attributes(&mut p.attributes));
        }
    }
}

fn even_traces(data: &mut trace::TracesData) {
    for resource in &mut data.resource_spans {
        even_shared(&mut resource.resource);
        for scope in &mut resource.scope_spans {
            even_scope(&mut scope.scope);
            for span in &mut scope.spans {
                even_attributes(&mut span.attributes);
                span.events.iter_mut().for_each(|e| even_attributes(&mut e.attributes));
                span.links.iter_mut().for_each(|l| even_attributes(&mut l.attributes));
                span.status.get_or_insert_default();
            }
        }
    }
}

fn even_logs(data: &mut logs::LogsData) {
    for resource in &mut data.resource_logs {
        even_shared(&mut resource.resource);
        for scope in &mut resource.scope_logs {
            even_scope(&mut scope.scope);
            for record in &mut scope.log_records {
                even_value(record.body.get_or_insert_default());
                even_attributes(&mut record.attributes);
            }
        }
    }
}

//! Arbitrary OTLP messages, in the types of a generated decoder.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData, span::Event, span::Link,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z.]{0,12}", "\\PC{0,4}", "[\u{0}-\u{1f}\"\\\\é😀]{0,3}"]
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), len), Just(Vec::new())]
}

fn finite() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|v| Some(Value::StringValue(v))),
        any::<bool>().prop_map(|v| Some(Value::BoolValue(v))),
        any::<i64>().prop_map(|v| Some(Value::IntValue(v))),
        finite().prop_map(|v| Some(Value::DoubleValue(v))),
        vec(any::<u8>(), 0..6).prop_map(|v| Some(Value::BytesValue(v))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec((text(), inner), 0..3).prop_map(|pairs| {
                let values = pairs.into_iter().map(|(key, value)| pair(key, value)).collect();
                Value::KvlistValue(KeyValueList { values })
            }),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn pair(key: String, value: AnyValue) -> KeyValue {
    KeyValue { key, value: Some(value), key_strindex: 0 }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((text(), any_value()).prop_map(|(key, value)| pair(key, value)), 0..4)
}

fn entity_ref() -> impl Strategy<Value = EntityRef> {
    (text(), text(), vec(text(), 0..3), vec(text(), 0..2)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef { schema_url, r#type, id_keys, description_keys },
    )
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    (attributes(), any::<u32>(), vec(entity_ref(), 0..2)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| {
            Some(Resource { attributes, dropped_attributes_count, entity_refs })
        },
    )
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    (text(), text(), attributes(), any::<u32>()).prop_map(|(name, version, attributes, dropped_attributes_count)| {
        Some(InstrumentationScope { name, version, attributes, dropped_attributes_count })
    })
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    use exemplar::Value;
    let value = option::of(prop_oneof![finite().prop_map(Value::AsDouble), any::<i64>().prop_map(Value::AsInt)]);
    let one = (attributes(), any::<u64>(), id(8), id(16), value).prop_map(
        |(filtered_attributes, time_unix_nano, span_id, trace_id, value)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    );
    vec(one, 0..2)
}

fn number_points() -> impl Strategy<Value = Vec<NumberDataPoint>> {
    use number_data_point::Value;
    let value = option::of(prop_oneof![finite().prop_map(Value::AsDouble), any::<i64>().prop_map(Value::AsInt)]);
    let one = (attributes(), any::<[u64; 2]>(), exemplars(), any::<u32>(), value).prop_map(
        |(attributes, [start_time_unix_nano, time_unix_nano], exemplars, flags, value)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags,
            value,
        },
    );
    vec(one, 0..3)
}

fn histogram_points() -> impl Strategy<Value = Vec<HistogramDataPoint>> {
    let buckets = (vec(any::<u64>(), 0..4), vec(finite(), 0..4));
    let limits = [option::of(finite()), option::of(finite()), option::of(finite())];
    let one = (attributes(), any::<[u64; 3]>(), limits, buckets, exemplars(), any::<u32>()).prop_map(
        |(attributes, [start, time, count], [sum, min, max], buckets, exemplars, flags)| HistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            bucket_counts: buckets.0,
            explicit_bounds: buckets.1,
            exemplars,
            flags,
            min,
            max,
        },
    );
    vec(one, 0..3)
}

fn exponential_points() -> impl Strategy<Value = Vec<ExponentialHistogramDataPoint>> {
    let buckets = || {
        (any::<i32>(), vec(any::<u64>(), 0..4))
            .prop_map(|(offset, bucket_counts)| Some(Buckets { offset, bucket_counts }))
    };
    let limits = [option::of(finite()), option::of(finite()), option::of(finite())];
    let scale = (any::<i32>(), any::<u32>(), finite());
    let one = (attributes(), any::<[u64; 4]>(), limits, scale, [buckets(), buckets()], exemplars()).prop_map(
        |(attributes, numbers, [sum, min, max], scale, buckets, exemplars)| {
            let [start_time_unix_nano, time_unix_nano, count, zero_count] = numbers;
            let [positive, negative] = buckets;
            ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                count,
                sum,
                scale: scale.0,
                zero_count,
                positive,
                negative,
                flags: scale.1,
                exemplars,
                min,
                max,
                zero_threshold: scale.2,
            }
        },
    );
    vec(one, 0..3)
}

fn summary_points() -> impl Strategy<Value = Vec<SummaryDataPoint>> {
    let quantile = (finite(), finite()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    let one = (attributes(), any::<[u64; 3]>(), finite(), vec(quantile, 0..3), any::<u32>()).prop_map(
        |(attributes, [start, time, count], sum, quantile_values, flags)| SummaryDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            quantile_values,
            flags,
        },
    );
    vec(one, 0..3)
}

fn metric() -> impl Strategy<Value = Metric> {
    let data = prop_oneof![
        number_points().prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (number_points(), 0..3, any::<bool>()).prop_map(|(data_points, temporality, monotonic)| {
            Data::Sum(Sum { data_points, aggregation_temporality: temporality, is_monotonic: monotonic })
        }),
        (histogram_points(), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (exponential_points(), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }),
        summary_points().prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];
    ([text(), text(), text()], attributes(), option::of(data))
        .prop_map(|([name, description, unit], metadata, data)| Metric { name, description, unit, metadata, data })
}

pub fn metrics_data() -> impl Strategy<Value = MetricsData> {
    let scope = (scope(), vec(metric(), 0..3), text()).prop_map(|(scope, metrics, schema_url)| ScopeMetrics {
        scope,
        metrics,
        schema_url,
    });
    let resource = (resource(), vec(scope, 0..3), text())
        .prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics { resource, scope_metrics, schema_url });
    vec(resource, 0..3).prop_map(|resource_metrics| MetricsData { resource_metrics })
}

fn span() -> impl Strategy<Value = Span> {
    let event = (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(16), id(8), text(), attributes(), any::<[u32; 2]>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, [dropped, flags])| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count: dropped,
            flags,
        },
    );
    let status = (text(), any::<i32>()).prop_map(|(message, code)| Some(Status { message, code }));
    let ids = (id(16), id(8), id(8), text());
    let times = (any::<[u64; 2]>(), any::<[u32; 4]>(), any::<i32>());
    (ids, text(), times, attributes(), vec(event, 0..3), vec(link, 0..3), status).prop_map(
        |(ids, name, (times, counts, kind), attributes, events, links, status)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            trace_state: ids.3,
            parent_span_id: ids.2,
            flags: counts[0],
            name,
            kind,
            start_time_unix_nano: times[0],
            end_time_unix_nano: times[1],
            attributes,
            dropped_attributes_count: counts[1],
            events,
            dropped_events_count: counts[2],
            links,
            dropped_links_count: counts[3],
            status,
        },
    )
}

pub fn traces_data() -> impl Strategy<Value = TracesData> {
    let scope = (scope(), vec(span(), 0..3), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    });
    let resource = (resource(), vec(scope, 0..3), text())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource, 0..3).prop_map(|resource_spans| TracesData { resource_spans })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let numbers = (any::<[u64; 2]>(), any::<i32>(), any::<[u32; 2]>());
    (numbers, text(), any_value(), attributes(), id(16), id(8), text()).prop_map(
        |(numbers, severity_text, body, attributes, trace_id, span_id, event_name)| LogRecord {
            time_unix_nano: numbers.0[0],
            observed_time_unix_nano: numbers.0[1],
            severity_number: numbers.1,
            severity_text,
            body: Some(body),
            attributes,
            dropped_attributes_count: numbers.2[0],
            flags: numbers.2[1],
            trace_id,
            span_id,
            event_name,
        },
    )
}

pub fn logs_data() -> impl Strategy<Value = LogsData> {
    let scope = (scope(), vec(log_record(), 0..3), text()).prop_map(|(scope, log_records, schema_url)| ScopeLogs {
        scope,
        log_records,
        schema_url,
    });
    let resource = (resource(), vec(scope, 0..3), text()).prop_map(|(resource, scope_logs, schema_url)| ResourceLogs {
        resource,
        scope_logs,
        schema_url,
    });
    vec(resource, 0..3).prop_map(|resource_logs| LogsData { resource_logs })
}

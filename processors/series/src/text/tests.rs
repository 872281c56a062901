use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue as Proto, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, ResourceMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use weir_otlp::MetricsRequest;

use super::*;

/// The value as the label of a resource attribute, by way of the wire.
fn text(value: Value) -> String {
    let attributes = vec![key_value("key", value)];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let data = MetricsData { resource_metrics: vec![ResourceMetrics { resource, ..ResourceMetrics::default() }] };
    let bytes = data.encode_to_vec();
    let resource = MetricsRequest::new(&bytes).resource_metrics().next().unwrap().unwrap().resource;
    let (_, value) = resource.attributes.iter().next().unwrap().unwrap();
    label_value(value).unwrap()
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

fn any(value: Value) -> Proto {
    Proto { value: Some(value) }
}

fn string(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn array(values: impl IntoIterator<Item = Value>) -> Value {
    Value::ArrayValue(ArrayValue { values: values.into_iter().map(any).collect() })
}

// The wanted texts of both tests are what Go's strconv and encoding/json print.

#[test]
fn bounds_are_written_without_an_exponent() {
    let cases = [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (2.5, "2.5"),
        (1e-7, "0.0000001"),
        (1e21, "1000000000000000000000"),
        (123_456_789.123_456_78, "123456789.12345678"),
        (f64::MIN_POSITIVE, &format!("0.{}22250738585072014", "0".repeat(307))),
        (5e-324, &format!("0.{}5", "0".repeat(323))),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
    ];
    for (value, want) in cases {
        assert_eq!(bound(value), want);
    }
}

#[test]
fn attribute_values_are_written_as_the_collector_writes_them() {
    let map = Value::KvlistValue(KeyValueList {
        values: vec![
            key_value("b", Value::IntValue(-1)),
            key_value("a\n", string("<&>\u{2028}\u{1}\u{7f}\"\\")),
            key_value("b", Value::DoubleValue(1e21)),
        ],
    });
    let cases = [
        (string("plain é"), "plain é"),
        (Value::BoolValue(true), "true"),
        (Value::BoolValue(false), "false"),
        (Value::IntValue(i64::MIN), "-9223372036854775808"),
        (Value::DoubleValue(0.0), "0"),
        (Value::DoubleValue(1.0), "1"),
        (Value::DoubleValue(0.000_001), "0.000001"),
        (Value::DoubleValue(0.000_000_12), "1.2e-7"),
        (Value::DoubleValue(-1.5e300), "-1.5e+300"),
        (Value::DoubleValue(1e20), "100000000000000000000"),
        (Value::DoubleValue(1e21), "1e+21"),
        (Value::DoubleValue(f64::NAN), "NaN"),
        (Value::DoubleValue(f64::INFINITY), "Infinity"),
        (Value::DoubleValue(f64::NEG_INFINITY), "-Infinity"),
        (Value::BytesValue(b"\x00\xff?".to_vec()), "AP8/"),
        (array([]), "[]"),
        (array([string("x"), Value::IntValue(1), Value::DoubleValue(0.5), array([])]), r#"["x",1,0.5,[]]"#),
        (array([Value::BytesValue(b"\x01".to_vec()), Value::BoolValue(true)]), r#"["AQ==",true]"#),
        (map, "{\"a\\n\":\"<&>\\u2028\\u0001\u{7f}\\\"\\\\\",\"b\":1e+21}"),
        (array([Value::DoubleValue(f64::NAN)]), ""),
    ];
    for (value, want) in cases {
        assert_eq!(text(value), want);
    }
}

use super::*;
use crate::{AnyValue, LogsRequest, MetricData, MetricsRequest, Number, TracesRequest};

#[track_caller]
fn refused(signal: Signal, text: &str, kind: JsonErrorKind, path: &str) {
    let error = json_to_protobuf(signal, text.as_bytes()).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (kind, path), "{error}");
}

/// The bytes of a request with one point of a gauge, holding `members`.
fn point(members: &str) -> Result<Vec<u8>, JsonError> {
    let text = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[
            {{{members}}}]}}}}]}}]}}]}}"#
    );
    json_to_protobuf(Signal::Metrics, text.as_bytes())
}

#[track_caller]
fn value(members: &str) -> Option<Number> {
    let bytes = point(members).unwrap();
    let resource = MetricsRequest::new(&bytes).resource_metrics().next().unwrap().ok().unwrap();
    let scope = resource.scope_metrics().next().unwrap().ok().unwrap();
    let metric = scope.metrics().next().unwrap().ok().unwrap();
    let MetricData::Gauge(points) = metric.data else { panic!("not a gauge") };
    points.iter().next().unwrap().ok().unwrap().value
}

#[track_caller]
fn with_body(body: &str, check: impl FnOnce(AnyValue<'_>)) {
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{body}}}]}}]}}]}}"#);
    let bytes = json_to_protobuf(Signal::Logs, text.as_bytes()).unwrap();
    let resource = LogsRequest::new(&bytes).resource_logs().next().unwrap().ok().unwrap();
    let scope = resource.scope_logs().next().unwrap().ok().unwrap();
    check(scope.log_records().next().unwrap().ok().unwrap().body);
}

#[test]
fn a_span_reads_with_hexadecimal_identities_and_enums_by_number_or_name() {
    for kind in ["2", "\"SPAN_KIND_SERVER\""] {
        let text = format!(
            r#"{{"resourceSpans": [{{
              "resource": {{"attributes": [{{"key": "service.name", "value": {{"stringValue": "shop"}}}}]}},
              "scopeSpans": [{{"scope": {{"name": "http"}}, "spans": [{{
                "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
                "parentSpanId": "", "name": "GET /", "kind": {kind}, "flags": 257,
                "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000,
                "status": {{"code": "STATUS_CODE_ERROR", "message": null}},
                "somethingNew": {{"deep": [1, {{"er": null}}]}} }}]}}]}}]}}"#
        );
        let bytes = json_to_protobuf(Signal::Traces, text.as_bytes()).unwrap();
        let resource = TracesRequest::new(&bytes).resource_spans().next().unwrap().ok().unwrap();
        let scope = resource.scope_spans().next().unwrap().ok().unwrap();
        let span = scope.spans().next().unwrap().ok().unwrap();
        assert_eq!(span.trace_id, b"\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c");
        assert_eq!(span.span_id, b"\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74");
        assert_eq!((span.parent_span_id, span.name, span.kind), (&b""[..], "GET /", 2));
        assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
        assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
        assert_eq!((span.status.code, span.flags, scope.scope.name), (2, 257, "http"));
    }
}

#[test]
fn integers_are_numbers_or_strings() {
    for text in [r#""asInt": -7"#, r#""asInt": "-7""#, r#""as_int": -7.0"#, r#""asInt": "-7e0""#] {
        assert_eq!(value(text), Some(Number::Int(-7)), "{text}");
    }
    assert_eq!(value(r#""asInt": "9223372036854775807""#), Some(Number::Int(i64::MAX)));
    assert_eq!(value(r#""asInt": 0"#), Some(Number::Int(0)));
    assert_eq!(value(r#""asInt": null"#), None);
}

#[test]
fn doubles_are_read_to_the_nearest_value_and_name_what_json_cannot_write() {
    let double = |text| match value(text) {
        Some(Number::Double(value)) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(double(r#""asDouble": 0.1"#), 0.1);
    assert_eq!(double(r#""asDouble": 9007199254740993"#), 9_007_199_254_740_992.0);
    assert_eq!(double(r#""asDouble": "1.5""#), 1.5);
    assert_eq!(double(r#""asDouble": 5"#), 5.0);
    assert!(double(r#""asDouble": "NaN""#).is_nan());
    assert_eq!(double(r#""asDouble": "-Infinity""#), f64::NEG_INFINITY);
    assert_eq!(double(r#""asDouble": "Infinity""#), f64::INFINITY);
}

#[test]
fn what_does_not_fit_its_field_is_refused_with_its_path() {
    let at = |name: &str| format!("resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].{name}");
    for (members, kind, path) in [
        (r#""asInt": 1.5"#, JsonErrorKind::OutOfRange, at("as_int")),
        (r#""asInt": 9223372036854775808"#, JsonErrorKind::OutOfRange, at("as_int")),
        (r#""asInt": "many""#, JsonErrorKind::WrongType, at("as_int")),
        (r#""asInt": true"#, JsonErrorKind::WrongType, at("as_int")),
        (r#""flags": 4294967296"#, JsonErrorKind::OutOfRange, at("flags")),
        (r#""timeUnixNano": -1"#, JsonErrorKind::OutOfRange, at("time_unix_nano")),
        (r#""asDouble": "inf""#, JsonErrorKind::WrongType, at("as_double")),
        (r#""attributes": {}"#, JsonErrorKind::WrongType, at("attributes")),
        (r#""attributes": [null]"#, JsonErrorKind::WrongType, at("attributes[0]")),
        (r#""attributes": [{"key": 1}]"#, JsonErrorKind::WrongType, at("attributes[0].key")),
        (r#""exemplars": [{"spanId": "abc"}]"#, JsonErrorKind::BadHex, at("exemplars[0].span_id")),
        (r#""exemplars": [{"spanId": "+a"}]"#, JsonErrorKind::BadHex, at("exemplars[0].span_id")),
    ] {
        let error = point(members).unwrap_err();
        assert_eq!((error.kind, error.path), (kind, path), "{members}");
    }
    let span = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SERVER"}]}]}]}"#;
    let path = "resource_spans[0].scope_spans[0].spans[0].kind";
    refused(Signal::Traces, span, JsonErrorKind::UnknownName, path);
}

#[test]
fn an_error_says_nothing_of_the_payload() {
    let error = point(r#""attributes": [{"key": "k", "value": {"boolValue": "secret"}}]"#);
    let error = error.unwrap_err();
    assert!(error.path.ends_with("attributes[0].value.bool_value"), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn bytes_are_base64_of_either_alphabet() {
    for text in ["-_8=", "+/8=", "+/8"] {
        with_body(&format!(r#"{{"bytesValue": "{text}"}}"#), |body| {
            let AnyValue::Bytes(bytes) = body else { panic!("not bytes") };
            assert_eq!(bytes, [0xfb, 0xff], "{text}");
        });
    }
    for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")] {
        assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
    }
    for text in ["Z", "Zm9vY", "Zm 9", "Zm9===", "=", "===", "Zg=v", "é"] {
        assert_eq!(base64(text), None, "{text}");
    }
}

#[test]
fn a_body_nests_lists_and_maps() {
    let body = r#"{"kvlistValue": {"values": [{"key": "ids", "value":
        {"arrayValue": {"values": [{"intValue": "1"}, {}, {"boolValue": true}]}}}]}}"#;
    with_body(body, |body| {
        let AnyValue::KvList(map) = body else { panic!("not a map") };
        let (key, ids) = map.iter().next().unwrap().ok().unwrap();
        let AnyValue::Array(ids) = ids else { panic!("not a list") };
        let ids: Vec<_> = ids.iter().map(|id| id.ok().unwrap()).collect();
        assert_eq!(key, "ids");
        assert!(matches!(ids[..], [AnyValue::Int(1), AnyValue::Empty, AnyValue::Bool(true)]));
    });
}

#[test]
fn nesting_without_end_is_too_deep() {
    let open = r#"{"arrayValue":{"values":["#.repeat(100_000);
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}"#);
    let error = json_to_protobuf(Signal::Logs, text.as_bytes()).unwrap_err();
    assert_eq!(error.kind, JsonErrorKind::TooDeep);
    // What is passed over is not walked, however deep.
    let text = format!("{{\"unknown\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(json_to_protobuf(Signal::Logs, text.as_bytes()), Ok(Vec::new()));
}

#[test]
fn text_that_is_no_object_is_refused() {
    for (text, kind) in [
        ("", JsonErrorKind::Syntax),
        ("{", JsonErrorKind::Syntax),
        ("{} {}", JsonErrorKind::Syntax),
        ("[]", JsonErrorKind::WrongType),
        ("null", JsonErrorKind::WrongType),
        ("7", JsonErrorKind::WrongType),
    ] {
        refused(Signal::Metrics, text, kind, "request");
    }
    assert_eq!(json_to_protobuf(Signal::Metrics, b" {} "), Ok(Vec::new()));
}

#[test]
fn names_are_lower_camel_case_or_as_declared() {
    assert!(is_camel("startTimeUnixNano", "start_time_unix_nano"));
    assert!(is_camel("count", "count"));
    for name in ["starttimeunixnano", "StartTimeUnixNano", "startTimeUnixNan", "startTimeUnixNanos"] {
        assert!(!is_camel(name, "start_time_unix_nano"), "{name}");
    }
}

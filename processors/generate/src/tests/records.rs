use std::io::Read;

use super::*;

fn bytes(config: Config) -> Vec<Record> {
    let mut generator = generator(config);
    let signals = [Signal::Metrics, Signal::Traces, Signal::Logs];
    let next = |(at, signal): (u64, _)| generator.next(signal, later(START, at * 70)).expect("a record");
    (0..).zip(signals.into_iter().cycle()).take(600).map(next).collect()
}

#[test]
fn the_same_seed_and_calls_give_the_same_bytes_and_other_seeds_do_not() {
    let config = Config { churn: 0.5, malformed: 0.1, incidents: vec![Incident::Api.into()], ..small() };
    let once = bytes(config.clone());
    assert!(once == bytes(config.clone()));
    let other = bytes(Config { seed: 2, ..config });
    let same = once.iter().zip(&other).filter(|(one, other)| !one.value.is_empty() && one.value == other.value);
    assert_eq!(same.count(), 0);
}

#[test]
fn bytes_do_not_change_from_version_to_version() {
    let digest = bytes(small()).iter().fold(0, |state, record| {
        let part = |state, bytes: &[u8]| bytes.iter().fold(state, |state, byte| mix::mix(state ^ u64::from(*byte)));
        part(part(state, &record.key), &record.value)
    });
    assert_eq!(digest, 0x14ba_3774_4043_d773, "{digest:#x}");
}

/// Every service speaks, each metric of the documentation is there with its unit, and keys are one a resource.
#[test]
fn metrics_records_have_one_resource_and_every_documented_metric() {
    let mut generator = generator(small());
    let records = make(&mut generator, Signal::Metrics, 300, 50);
    let mut seen: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    let mut keys: HashMap<Vec<u8>, String> = HashMap::new();
    for record in &records {
        let request = ExportMetricsServiceRequest::decode(record.value.as_slice()).expect("protobuf");
        let group = &request.resource_metrics[0];
        let resource = attributes(&group.resource.as_ref().expect("a resource").attributes);
        let required = ["cloud.region", "deployment.environment.name", "service.namespace", "service.version"];
        assert!(required.iter().all(|key| !resource[*key].is_empty()));
        assert_eq!(resource.contains_key("device_id"), resource["service.name"] == "headset");
        assert_eq!(record.key.len(), 16);
        let instance = resource["service.instance.id"].clone();
        assert_eq!(*keys.entry(record.key.clone()).or_insert_with(|| instance.clone()), instance);
        let metrics = &group.scope_metrics[0].metrics;
        let documented = include_str!("../lib.rs");
        for metric in metrics {
            assert!(!metric.description.is_empty());
            let line = documented.lines().find(|line| line.contains(&format!("`{}`", metric.name)));
            let unit = format!("| `{}` |", metric.unit);
            assert!(metric.unit.is_empty() || line.is_some_and(|line| line.contains(&unit)), "{}", metric.name);
        }
        let names = metrics.iter().map(|metric| metric.name.clone());
        seen.entry(resource["service.name"].clone()).or_default().extend(names);
        let points = translate(record).iter().filter(|sample| !sample.labels.contains_key("le")).count();
        let sums = translate(record).iter().filter(|sample| sample.name().ends_with("_seconds_sum")).count();
        assert_eq!(record.items as usize, points - sums);
    }
    assert_eq!(seen.len(), 8);
    let all: HashSet<String> = seen.into_values().flatten().collect();
    assert_eq!(all, documented_names().into_keys().collect());
}

#[test]
fn there_are_as_many_series_as_asked_for() {
    assert_eq!(generator(Config { series: 0, ..Config::default() }).series(), 85);
    for series in [1_000, 20_000] {
        let made = generator(Config { series, ..Config::default() }).series();
        assert!((series..series + 33).contains(&made), "{made}");
    }
}

#[test]
fn records_have_about_as_many_points_as_asked_for() {
    let mut generator = generator(Config { points_per_record: 500, ..Config::default() });
    for record in make(&mut generator, Signal::Metrics, 100, 1_000) {
        assert!((490..=500).contains(&record.items), "{}", record.items);
    }
    assert_eq!(make(&mut generator, Signal::Logs, 1, 1_000)[0].items, 500);
}

#[test]
fn churn_replaces_its_share_of_the_instances_each_minute() {
    let instances = |churn: f64| {
        let mut generator = generator(Config { churn, points_per_record: 1, ..Config::default() });
        // Ten minutes, in which each of about a hundred instances speaks about 80 times.
        let next = |at| generator.next(Signal::Metrics, later(START, at * 75)).expect("a record");
        let samples = (1..=8_000_u64).map(next).flat_map(|record| translate(&record));
        samples.map(|sample| sample.labels["instance"].clone()).collect::<HashSet<_>>().len()
    };
    let (still, churned) = (instances(0.0), instances(0.1));
    // A tenth each minute: all of them once. The very last ones had no turn yet.
    assert!((still * 2 - 2..=still * 2).contains(&churned), "{still} and {churned}");
}

#[test]
fn a_trace_crosses_the_layers_and_every_parent_is_in_it() {
    let mut generator = generator(small());
    let mut services = HashSet::new();
    let (mut failed, mut lengths) = (0, HashSet::new());
    for record in make(&mut generator, Signal::Traces, 1_000, 20) {
        let request = ExportTraceServiceRequest::decode(record.value.as_slice()).expect("protobuf");
        let mut spans = HashMap::new();
        for group in &request.resource_spans {
            let resource = attributes(&group.resource.as_ref().expect("a resource").attributes);
            services.insert(resource["service.name"].clone());
            spans.extend(group.scope_spans[0].spans.iter().map(|span| (span.span_id.clone(), span)));
        }
        assert_eq!(spans.len(), record.items as usize);
        lengths.insert(spans.len());
        assert_eq!(spans.values().filter(|span| span.parent_span_id.is_empty()).count(), 1);
        let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for span in spans.values() {
            assert_eq!(hex(&span.trace_id).into_bytes(), record.key);
            assert!(span.start_time_unix_nano < span.end_time_unix_nano);
            let Some(parent) = spans.get(&span.parent_span_id) else { continue };
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
            // Only what a message caused outlives its cause.
            let caused = span.kind == 5 || parent.kind == 5;
            assert!(caused || parent.end_time_unix_nano >= span.end_time_unix_nano, "{}", span.name);
        }
        let orphans =
            spans.values().filter(|span| !span.parent_span_id.is_empty() && !spans.contains_key(&span.parent_span_id));
        assert_eq!(orphans.count(), 0);
        failed += u32::from(spans.values().any(|span| span.status.is_some()));
    }
    assert_eq!(services.len(), 8);
    assert_eq!(lengths, HashSet::from([7, 12]));
    assert!((5..60).contains(&failed), "{failed}");
}

#[test]
fn log_lines_carry_the_ids_of_spans_of_their_own_instance() {
    let mut generator = generator(Config { malformed: 0.1, churn: 0.5, ..small() });
    let mut spans = HashMap::new();
    let (mut linked, mut text) = (0, String::new());
    for at in 0..600 {
        let now = later(START, at * 100);
        let record = generator.next(Signal::Traces, now).expect("a record");
        if record.malformed.is_none() {
            let request = ExportTraceServiceRequest::decode(record.value.as_slice()).expect("protobuf");
            for group in &request.resource_spans {
                let ids = group.scope_spans[0].spans.iter().map(|span| (span.trace_id.clone(), span.span_id.clone()));
                spans.extend(ids.map(|ids| (ids, group.resource.clone())));
            }
        }
        let record = generator.next(Signal::Logs, now).expect("a record");
        if record.malformed.is_some() {
            continue;
        }
        let request = ExportLogsServiceRequest::decode(record.value.as_slice()).expect("protobuf");
        let group = &request.resource_logs[0];
        assert_eq!(group.scope_logs[0].log_records.len(), record.items as usize);
        for line in group.scope_logs[0].log_records.iter() {
            let body = line.body.clone().and_then(|body| body.value);
            let Some(any_value::Value::StringValue(body)) = body else { panic!("{body:?}") };
            text.push_str(&body);
            if !line.trace_id.is_empty() {
                linked += 1;
                let ids = (line.trace_id.clone(), line.span_id.clone());
                assert_eq!(spans.get(&ids), Some(&group.resource));
            }
        }
    }
    assert!(linked > 1_000, "{linked}");
    let expected = ["@example.com", "Bearer ", "password=", "eyJhbGciOiJIUzI1NiJ9.", "access_token=", "090-", "作業員"];
    expected.iter().for_each(|expected| assert!(text.contains(expected), "{expected}"));
    // The start is 2026-09-21 14:13:20 UTC.
    assert!(text.contains("[21/Sep/2026:14:13:2"));
}

fn decodes(signal: Signal, encoding: Encoding, value: &[u8]) -> bool {
    match (encoding, signal) {
        (Encoding::Protobuf, Signal::Metrics) => ExportMetricsServiceRequest::decode(value).is_ok(),
        (Encoding::Protobuf, Signal::Logs) => ExportLogsServiceRequest::decode(value).is_ok(),
        (Encoding::Protobuf, Signal::Traces) => ExportTraceServiceRequest::decode(value).is_ok(),
        (Encoding::Json, Signal::Metrics) => serde_json::from_slice::<ExportMetricsServiceRequest>(value).is_ok(),
        (Encoding::Json, Signal::Logs) => serde_json::from_slice::<ExportLogsServiceRequest>(value).is_ok(),
        (Encoding::Json, Signal::Traces) => serde_json::from_slice::<ExportTraceServiceRequest>(value).is_ok(),
    }
}

#[test]
fn malformed_records_are_the_share_asked_for_and_do_not_decode() {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        for signal in [Signal::Metrics, Signal::Logs, Signal::Traces] {
            let mut generator = generator(Config { malformed: 0.2, encoding, ..small() });
            let mut kinds = HashSet::new();
            let records = make(&mut generator, signal, 1_000, 50);
            for record in &records {
                let Some(malformed) = record.malformed else {
                    assert!(decodes(signal, encoding, &record.value));
                    continue;
                };
                kinds.insert(malformed);
                assert_eq!((record.items, record.key.is_empty()), (0, false));
                // No bytes are a valid message in protobuf; JSON of another signal has only unknown fields.
                let valid = match encoding {
                    Encoding::Protobuf => malformed == Malformation::Empty,
                    Encoding::Json => malformed == Malformation::WrongSignal,
                };
                assert_eq!(decodes(signal, encoding, &record.value), valid, "{signal:?} {malformed:?}");
            }
            assert_eq!(kinds.len(), Malformation::all().len());
            let share = records.iter().filter(|record| record.malformed.is_some()).count();
            assert!((150..250).contains(&share), "{share} of 1000");
        }
    }
}

#[test]
fn malformed_records_leave_nothing_in_the_truth_and_no_gap_in_it() {
    let mut generator = generator(Config { malformed: 0.3, ..small() });
    let mut made = generator.made();
    let metrics = make(&mut generator, Signal::Metrics, 300, 50);
    metrics.iter().for_each(|record| made.add(&record.truth));
    let good = metrics.iter().filter(|record| record.malformed.is_none());
    for sample in good.flat_map(translate) {
        assert_eq!(sample.check(&mut made), Verdict::First);
    }
    assert_eq!(made.missing(), Counts::default());
}

fn decompress(compression: Compression, value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = match compression {
        Compression::None => return value.to_vec(),
        Compression::Gzip => flate2::read::GzDecoder::new(value).read_to_end(&mut plain),
        Compression::Zstd => return zstd::decode_all(value).expect("zstd"),
        Compression::Snappy => snap::read::FrameDecoder::new(value).read_to_end(&mut plain),
    };
    read.expect("compressed");
    plain
}

#[test]
fn compressed_records_hold_the_same_messages() {
    let plain = bytes(small());
    let expected = [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd"), (Compression::Snappy, "x-snappy-framed")];
    for (compression, header) in expected {
        for (record, plain) in bytes(Config { compression, ..small() }).iter().zip(&plain) {
            assert_eq!(record.headers, [("content-encoding", header)]);
            assert!(decompress(compression, &record.value) == plain.value);
        }
    }
    assert!(plain.iter().all(|record| record.headers.is_empty()));
}

#[test]
fn json_says_the_same_as_protobuf() {
    for (protobuf, json) in bytes(small()).iter().zip(bytes(Config { encoding: Encoding::Json, ..small() })) {
        let (protobuf, json) = (protobuf.value.as_slice(), json.value.as_slice());
        match serde_json::from_slice::<serde_json::Value>(json).expect("JSON").as_object() {
            Some(object) if object.contains_key("resourceMetrics") => {
                let json: ExportMetricsServiceRequest = serde_json::from_slice(json).expect("OTLP JSON");
                assert_eq!(ExportMetricsServiceRequest::decode(protobuf).expect("protobuf"), json);
            }
            Some(object) if object.contains_key("resourceLogs") => {
                let json: ExportLogsServiceRequest = serde_json::from_slice(json).expect("OTLP JSON");
                assert_eq!(ExportLogsServiceRequest::decode(protobuf).expect("protobuf"), json);
            }
            _ => {
                let json: ExportTraceServiceRequest = serde_json::from_slice(json).expect("OTLP JSON");
                assert_eq!(ExportTraceServiceRequest::decode(protobuf).expect("protobuf"), json);
            }
        }
    }
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let refused = |config| Generator::new(config, START).err().expect("refused").to_string();
    assert_eq!(refused(Config { churn: 1.5, ..small() }), "churn: 1.5 is outside 0..=1");
    assert_eq!(refused(Config { malformed: f64::NAN, ..small() }), "malformed: NaN is outside 0..=1");
    assert_eq!(refused(Config { points_per_record: 0, ..small() }), "points_per_record: 0 is outside 1..=100000");
}

use super::*;

/// Adds all records, then returns what a translation makes of them.
fn told(generator: &Generator, records: &[Record]) -> (Made, Vec<Sample>) {
    let mut made = generator.made();
    records.iter().for_each(|record| made.add(&record.truth));
    (made, records.iter().flat_map(translate).collect())
}

#[test]
fn every_sample_of_every_record_is_known_once_and_nothing_is_missing() {
    let incidents = Incident::all().iter().map(|incident| Occurrence::from(*incident)).collect();
    let mut generator = generator(Config { churn: 0.3, incidents, ..small() });
    let records = make(&mut generator, Signal::Metrics, 2_000, 400);
    let (mut made, samples) = told(&generator, &records);
    assert_eq!(made.made().samples, samples.len() as u64);
    assert_eq!(made.missing().samples, samples.len() as u64);
    for sample in &samples {
        assert_eq!(made.expect(sample.pairs(), sample.at_ms), Some(sample.value), "{sample:?}");
        assert_eq!(sample.check(&mut made), Verdict::First, "{sample:?}");
    }
    assert_eq!(made.missing(), Counts::default());
    assert!(samples.iter().all(|sample| sample.check(&mut made) == Verdict::Identical));
    assert_eq!(made.missing(), Counts::default());
}

#[test]
fn a_dropped_record_is_missed() {
    let mut generator = generator(small());
    let records = make(&mut generator, Signal::Metrics, 100, 50);
    let (mut made, samples) = told(&generator, &records);
    let lost = translate(&records[42]);
    for sample in samples.iter().filter(|sample| !lost.contains(sample)) {
        assert_eq!(sample.check(&mut made), Verdict::First);
    }
    assert_eq!(made.missing(), Counts { samples: lost.len() as u64, ..Counts::default() });
    let named = made.missing_samples(10_000);
    assert_eq!(named.len(), lost.len());
    let one = &lost[0];
    let expected = named.iter().find(|text| text.ends_with(&format!(" {}", one.at_ms)));
    assert!(expected.is_some_and(|text| text.contains(&one.labels["instance"]) && text.contains(one.name())));
}

#[test]
fn an_altered_value_differs_and_stays_missing() {
    let mut generator = generator(small());
    let records = make(&mut generator, Signal::Metrics, 1, 50);
    let (mut made, samples) = told(&generator, &records);
    for sample in &samples {
        let altered = Sample { value: f64::from_bits(sample.value.to_bits() ^ 1), ..sample.clone() };
        assert_eq!(altered.check(&mut made), Verdict::Different { expected: sample.value });
    }
    assert_eq!(made.missing().samples, samples.len() as u64);
}

#[test]
fn a_foreign_series_or_time_is_unknown() {
    let mut generator = generator(small());
    let records = make(&mut generator, Signal::Metrics, 1, 50);
    let (mut made, samples) = told(&generator, &records);
    let sample = &samples[0];
    let with = |label: &str, value: &str| {
        let mut foreign = sample.clone();
        foreign.labels.insert(label.into(), value.into());
        foreign
    };
    let serial = sample.labels["instance"].rsplit_once('-').expect("a serial number").1.to_owned();
    let foreign = [
        with("__name__", "device_battery"),
        with("cluster", "a"),
        with("job", "headset"),
        with("instance", &format!("hmd-000000-{serial}")),
        with("instance", "hmd"),
        Sample { at_ms: sample.at_ms + 1, ..sample.clone() },
    ];
    for foreign in foreign {
        assert_eq!(foreign.check(&mut made), Verdict::Unknown, "{foreign:?}");
    }
    let mut without = sample.clone();
    without.labels.remove("job");
    assert_eq!(without.check(&mut made), Verdict::Unknown);
    assert_eq!(sample.check(&mut made), Verdict::First);
}

#[test]
fn target_info_is_right_and_not_counted() {
    let mut generator = generator(small());
    let records = make(&mut generator, Signal::Metrics, 1, 50);
    let (mut made, samples) = told(&generator, &records);
    let mut info = samples[0].clone();
    info.labels.insert("__name__".into(), "target_info".into());
    info.labels.insert("cloud_region".into(), "eu-central-1".into());
    info.value = 1.0;
    assert_eq!(info.check(&mut made), Verdict::NotCounted);
    info.value = 2.0;
    assert_eq!(info.check(&mut made), Verdict::Different { expected: 1.0 });
    info.labels.insert("instance".into(), "hmd-000000-0".into());
    assert_eq!(info.check(&mut made), Verdict::Unknown);
}

#[test]
fn spans_and_lines_are_known_once() {
    let mut generator = generator(small());
    let mut made = generator.made();
    let traces = make(&mut generator, Signal::Traces, 50, 10);
    let logs = make(&mut generator, Signal::Logs, 50, 10);
    traces.iter().skip(1).chain(&logs[1..]).for_each(|record| made.add(&record.truth));
    for (at, record) in traces.iter().enumerate() {
        let request = ExportTraceServiceRequest::decode(record.value.as_slice()).expect("protobuf");
        let spans = request.resource_spans.iter().flat_map(|group| &group.scope_spans[0].spans);
        for span in spans {
            // The first record was not told of.
            let first = if at == 0 { Verdict::Unknown } else { Verdict::First };
            let again = if at == 0 { Verdict::Unknown } else { Verdict::Identical };
            assert_eq!(made.check_span(&span.trace_id, &span.span_id), first);
            assert_eq!(made.check_span(&span.trace_id, &span.span_id), again);
            assert_eq!(made.check_span(&span.span_id, &span.span_id), Verdict::Unknown);
            assert_eq!(made.check_span(&span.trace_id, &[7; 8]), Verdict::Unknown);
        }
    }
    let count = |records: &[Record]| records.iter().skip(1).map(|record| u64::from(record.items)).sum::<u64>();
    assert_eq!(made.made(), Counts { samples: 0, lines: count(&logs), spans: count(&traces) });
    assert_eq!(made.missing(), Counts { lines: count(&logs), ..Counts::default() });
    for (at, record) in logs.iter().enumerate().take(49) {
        for uid in uids(record) {
            let verdict = made.check_line(&uid);
            assert_eq!(verdict, if at == 0 { Verdict::Unknown } else { Verdict::First });
            assert_eq!(made.check_line(&uid.to_uppercase()), uppercase_verdict(&uid, at));
        }
    }
    assert_eq!(made.missing().lines, u64::from(logs[49].items));
    for nonsense in ["", "-", "1-2", "zz", "0000000000000002-0000000000000001"] {
        assert_eq!(made.check_line(nonsense), Verdict::Unknown);
    }
}

/// A uid is compared letter by letter, so one in capitals is another, unless it has no letters.
fn uppercase_verdict(uid: &str, record: usize) -> Verdict {
    if record > 0 && uid.to_uppercase() == uid { Verdict::Identical } else { Verdict::Unknown }
}

fn uids(record: &Record) -> Vec<String> {
    let request = ExportLogsServiceRequest::decode(record.value.as_slice()).expect("protobuf");
    let lines = &request.resource_logs[0].scope_logs[0].log_records;
    lines.iter().map(|line| attributes(&line.attributes)["log.record.uid"].clone()).collect()
}

#[test]
fn timestamps_rise_and_counters_never_fall_within_a_series() {
    let incidents = Incident::all().iter().map(|incident| Occurrence::from(*incident)).collect();
    let mut generator = generator(Config { incidents, ..small() });
    // Too fast for one millisecond a step at first, then slow, so that the incidents come and go.
    let mut records = make(&mut generator, Signal::Metrics, 500, 0);
    records.extend(make(&mut generator, Signal::Metrics, 3_000, 300));
    let mut last: HashMap<BTreeMap<String, String>, (i64, f64)> = HashMap::new();
    for sample in records.iter().flat_map(translate) {
        let rising = ["_total", "_bucket", "_count", "_sum"].iter().any(|end| sample.name().ends_with(end));
        if let Some((at_ms, value)) = last.insert(sample.labels.clone(), (sample.at_ms, sample.value)) {
            assert!(sample.at_ms > at_ms, "{sample:?} after {at_ms}");
            assert!(!rising || sample.value >= value, "{sample:?} after {value}");
        }
    }
    assert_eq!(last.len(), generator.series());
}

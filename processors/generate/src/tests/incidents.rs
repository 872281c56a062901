use super::*;

/// Samples from 60 s before an incident until 90 s after it, every 5 s.
fn samples(incident: Option<Incident>) -> Vec<Sample> {
    let occurrence =
        |incident| Occurrence { incident, after: Duration::from_secs(60), lasts: Duration::from_secs(300) };
    let incidents = incident.map(occurrence).into_iter().collect();
    let mut generator = generator(Config { series: 1, points_per_record: 1, incidents, ..Config::default() });
    make(&mut generator, Signal::Metrics, 8 * 90, 625).iter().flat_map(translate).collect()
}

/// By series, what was seen from one second to another.
fn by_series(samples: &[Sample], name: &str, from_s: i64, to_s: i64) -> Vec<(BTreeMap<String, String>, Vec<f64>)> {
    let start_ms = (START.0 / 1_000_000).cast_signed();
    let within = |sample: &&Sample| ((from_s + 1) * 1_000..to_s * 1_000).contains(&(sample.at_ms - start_ms));
    let mut series: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.name() == name).filter(within) {
        series.entry(sample.labels.clone()).or_default().push(sample.value);
    }
    assert!(!series.is_empty(), "{name}");
    series.into_iter().collect()
}

fn rise(values: &[f64]) -> f64 {
    values.last().expect("a value") - values.first().expect("a value")
}

/// How much counters rose whose label has one of these values.
fn rise_of(series: &[(BTreeMap<String, String>, Vec<f64>)], label: &str, wanted: &[&str]) -> f64 {
    let wanted = series.iter().filter(|(labels, _)| wanted.contains(&labels[label].as_str()));
    wanted.map(|(_, values)| rise(values)).sum()
}

/// Whether what an incident's alert rule watches is over its threshold all the time (or, of counters, in
/// sum), and whether it is below all the time.
fn breached(samples: &[Sample], incident: Incident, from_s: i64, to_s: i64) -> bool {
    let gauge = |name: &str, beyond: fn(f64) -> bool| {
        let values: Vec<f64> = by_series(samples, name, from_s, to_s).into_iter().flat_map(|(_, all)| all).collect();
        let some = values.iter().any(|value| beyond(*value));
        assert_eq!(some, values.iter().all(|value| beyond(*value)), "{name} from {from_s} to {to_s}: {values:?}");
        some
    };
    let slow = |name: &str, bound: &str| {
        let series = by_series(samples, &format!("{name}_bucket"), from_s, to_s);
        rise_of(&series, "le", &[bound]) < 0.95 * rise_of(&series, "le", &["+Inf"])
    };
    let failed = |name: &str| {
        let series = by_series(samples, name, from_s, to_s);
        rise_of(&series, "outcome", &["failed"]) / rise_of(&series, "outcome", &["ok", "failed"])
    };
    match incident {
        Incident::Battery => gauge("device_battery_percent", |value| value <= 20.0),
        Incident::Connection => gauge("device_connection_up", |value| value == 0.0),
        Incident::StreamDelay => gauge("stream_delay_seconds", |value| value > 1.0),
        Incident::Recording => failed("recordings_total") > 0.05,
        Incident::Storage => gauge("storage_use_ratio", |value| value > 0.8),
        Incident::Api => slow("api_request_duration_seconds", "3"),
        Incident::DbPool => gauge("db_pool_use_ratio", |value| value > 0.9),
        Incident::EventDelay => gauge("event_delay_seconds", |value| value > 300.0),
        Incident::Etl => failed("etl_jobs_total") > 0.0,
        Incident::Report => gauge("report_delay_seconds", |value| value > 86_400.0),
        Incident::Page => slow("page_load_duration_seconds", "10"),
        Incident::Sessions => gauge("sessions_active", |value| value > 100.0),
        Incident::Cpu => gauge("process_cpu_utilization_ratio", |value| value > 0.9),
    }
}

#[test]
fn each_incident_crosses_its_threshold_and_comes_back() {
    for incident in Incident::all() {
        let samples = samples(Some(*incident));
        assert!(!breached(&samples, *incident, 0, 60), "{incident} before");
        assert!(breached(&samples, *incident, 60, 360), "{incident} during");
        assert!(!breached(&samples, *incident, 360, 450), "{incident} after");
        let others = Incident::all().iter().filter(|other| *other != incident);
        others.for_each(|other| assert!(!breached(&samples, *other, 60, 360), "{other} during {incident}"));
    }
}

#[test]
fn without_incidents_nothing_crosses_a_threshold() {
    let samples = samples(None);
    Incident::all().iter().for_each(|incident| assert!(!breached(&samples, *incident, 0, 450), "{incident}"));
}

#[test]
fn an_incident_strikes_every_third_instance() {
    let incidents =
        vec![Occurrence { incident: Incident::Battery, after: Duration::ZERO, lasts: Duration::from_secs(3_600) }];
    let mut generator = generator(Config { series: 2_000, points_per_record: 1, incidents, ..Config::default() });
    let records = make(&mut generator, Signal::Metrics, 2_000, 1);
    let mut low: HashMap<String, bool> = HashMap::new();
    for sample in records.iter().flat_map(translate).filter(|sample| sample.name() == "device_battery_percent") {
        low.insert(sample.labels["instance"].clone(), sample.value <= 20.0);
    }
    let struck = low.values().filter(|low| **low).count();
    assert_eq!(struck, low.len().div_ceil(3));
}

#[test]
fn names_read_back_and_others_are_refused() {
    for incident in Incident::all() {
        assert_eq!(incident.to_string().parse(), Ok(*incident));
        assert!(!incident.help().is_empty());
    }
    let error = "fire".parse::<Incident>().expect_err("no such incident");
    assert_eq!(error.to_string(), r#"no incident is called "fire""#);
}

#[test]
fn traces_and_logs_of_a_layer_in_trouble_show_it() {
    let errors = |incidents: Vec<Occurrence>| {
        let mut generator = generator(Config { incidents, ..small() });
        let at = later(START, 90_000);
        let record = |generator: &mut Generator, signal| generator.next(signal, at).expect("a record");
        let (mut failed, mut slow, mut lines) = (0, 0, 0);
        for _ in 0..200 {
            let traces = record(&mut generator, Signal::Traces);
            let request = ExportTraceServiceRequest::decode(traces.value.as_slice()).expect("protobuf");
            let mut spans = request.resource_spans.iter().flat_map(|group| &group.scope_spans[0].spans);
            let server = spans.find(|span| span.name == "POST /v1/events" && span.kind == 2);
            let server = server.expect("a server span");
            failed += u32::from(server.status.as_ref().is_some_and(|status| status.code == 2));
            slow += u32::from(server.end_time_unix_nano - server.start_time_unix_nano > 3_000_000_000);
            let logs = record(&mut generator, Signal::Logs);
            let request = ExportLogsServiceRequest::decode(logs.value.as_slice()).expect("protobuf");
            let records = &request.resource_logs[0].scope_logs[0].log_records;
            lines += records.iter().filter(|line| line.severity_number == 17).count();
        }
        (failed, slow, lines)
    };
    let (failed, slow, lines) = errors(Vec::new());
    assert!(failed < 10 && slow == 0, "{failed} failed, {slow} slow");
    let (more_failed, all_slow, more_lines) = errors(vec![Incident::Api.into()]);
    assert!(more_failed > 100 && all_slow == 200, "{more_failed} failed, {all_slow} slow");
    assert!(more_lines > lines + 50, "{more_lines} error lines, {lines} without trouble");
}

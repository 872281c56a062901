use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};

use super::*;

/// 2026-11-21T15:48:20Z in milliseconds.
const NOW_MS: i64 = 1_795_276_100_000;

/// A partition's processors, one after the other, and the state that they leave.
struct Life {
    text: &'static str,
    processor: LogsProcessor,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    offset: i64,
}

/// A point: its labels, when, since when, and what it says: lines, or how many, their sum and the buckets.
#[derive(Debug, Clone, PartialEq)]
struct Point {
    labels: String,
    at_ms: i64,
    since_ms: i64,
    count: u64,
    sum: f64,
    buckets: Vec<u64>,
}

impl Life {
    fn new(text: &'static str) -> Self {
        Self { text, processor: processor(text), state: BTreeMap::new(), offset: 0 }
    }

    fn outbox(&self, limit: usize) -> Outbox<Infallible> {
        let id = TopicPartition::new("telemetry-logs", 3);
        let (entry, hold) = Partition::open(id, self.offset).admit(Some((self.offset, self.offset + 1)), 0);
        hold.release();
        Outbox::new(entry, Budget::new(1 << 30), 1, Limits::all(limit))
    }

    fn process(&mut self, request: &ExportLogsServiceRequest, limit: usize) -> Vec<Output> {
        let mut builder = BatchBuilder::new(TopicPartition::new("telemetry-logs", 3));
        builder.push(self.offset, Some(NOW_MS), None, Some(&request.encode_to_vec()), std::iter::empty());
        let mut out = self.outbox(limit);
        self.processor.process(&builder.build().unwrap(), &mut out);
        self.offset += 1;
        self.take(out)
    }

    fn tick(&mut self, now_ms: i64) -> Vec<Output> {
        let mut out = self.outbox(1 << 20);
        self.processor.tick(Timestamp(now_ms), Memory::Plenty, &mut out);
        self.take(out)
    }

    fn take(&mut self, out: Outbox<Infallible>) -> Vec<Output> {
        let carried = out.finish().carried;
        for (key, value) in carried.state {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
        Arc::try_unwrap(carried.outputs).unwrap()
    }

    /// A new process, with what is committed.
    fn restart(&mut self) {
        self.processor = processor(self.text);
        for (key, value) in &self.state {
            self.processor.restore(key, value).unwrap();
        }
    }

    /// What is told at a time, by the metrics' names; a process tells at once what is due.
    fn told(&mut self, now_ms: i64) -> BTreeMap<String, Vec<Point>> {
        told(&self.tick(now_ms))
    }
}

fn told(outputs: &[Output]) -> BTreeMap<String, Vec<Point>> {
    let mut told: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for output in outputs {
        assert_eq!((&*output.topic, output.partition), ("telemetry-metrics", None));
        assert_eq!(output.key.as_deref(), Some(&b"weir-logs/telemetry-logs/3"[..]));
        let request = ExportMetricsServiceRequest::decode(output.value.as_deref().unwrap()).unwrap();
        let [resource] = &request.resource_metrics[..] else { panic!() };
        let identity = &resource.resource.as_ref().unwrap().attributes;
        assert_eq!(string(identity, "service.name"), Some("weir-logs"));
        assert_eq!(string(identity, "service.instance.id"), Some("telemetry-logs/3"));
        for metric in &resource.scope_metrics[0].metrics {
            told.entry(metric.name.clone()).or_default().extend(points(metric.data.as_ref().unwrap()));
        }
    }
    told
}

fn points(data: &Data) -> Vec<Point> {
    let labels = |attributes: &[KeyValue]| {
        let shown = attributes.iter().map(|pair| match value(attributes, &pair.key) {
            Some(any_value::Value::StringValue(text)) => format!("{}={text}", pair.key),
            other => format!("{}={other:?}", pair.key),
        });
        shown.collect::<Vec<_>>().join(" ")
    };
    let ms = |nanos: u64| i64::try_from(nanos / 1_000_000).unwrap();
    match data {
        Data::Sum(sum) => {
            assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
            let point = |point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
                let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!() };
                Point {
                    labels: labels(&point.attributes),
                    at_ms: ms(point.time_unix_nano),
                    since_ms: ms(point.start_time_unix_nano),
                    count: count.cast_unsigned(),
                    sum: 0.0,
                    buckets: Vec::new(),
                }
            };
            sum.data_points.iter().map(point).collect()
        }
        Data::Histogram(histogram) => {
            assert_eq!(histogram.aggregation_temporality, 2);
            let points = histogram.data_points.iter();
            points
                .map(|point| Point {
                    labels: labels(&point.attributes),
                    at_ms: ms(point.time_unix_nano),
                    since_ms: ms(point.start_time_unix_nano),
                    count: point.count,
                    sum: point.sum.unwrap(),
                    buckets: point.bucket_counts.clone(),
                })
                .collect()
        }
        _ => panic!("{data:?}"),
    }
}

/// The last count of each series of a metric.
fn counts(told: &BTreeMap<String, Vec<Point>>, metric: &str) -> BTreeMap<String, u64> {
    told.get(metric).into_iter().flatten().map(|point| (point.labels.clone(), point.count)).collect()
}

fn map(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(labels, count)| ((*labels).to_owned(), *count)).collect()
}

#[test]
fn lines_are_counted_by_service_class_and_severity_without_configuration() {
    let mut life = Life::new("");
    let error = LogRecord { severity_number: 17, ..line("x") };
    let bodies = [line("INFO done response_time=30ms status_code=200"), line("level=error a=1"), error, line("x")];
    life.process(&request(bodies.to_vec()), 1 << 20);
    life.process(&request(vec![line("<86>Nov 21 15:48:20 h sshd[1]: Failed password for root")]), 1 << 20);
    let told = life.told(NOW_MS);
    let lines = [
        ("service.name=checkout weir.class=app severity=error", 2),
        ("service.name=checkout weir.class=app severity=info", 1),
        ("service.name=checkout weir.class=app", 1),
        ("service.name=checkout weir.class=security severity=info", 1),
    ];
    assert_eq!(counts(&told, "log.lines"), map(&lines));
    assert_eq!(counts(&told, "log.errors"), map(&[("service.name=checkout", 2)]));
    assert_eq!(counts(&told, "log.failed_logins"), map(&[("service.name=checkout", 1)]));
    let [nothing, times] = &told["log.response_time"][..] else { panic!("{told:?}") };
    assert_eq!(
        (nothing.count, nothing.sum, nothing.at_ms, nothing.since_ms),
        (0, 0.0, NOW_MS - 15_000, NOW_MS - 15_000)
    );
    assert_eq!((times.count, times.sum, times.at_ms, times.since_ms), (1, 0.03, NOW_MS, NOW_MS - 15_000));
    // Above 0.025, at most 0.05.
    assert_eq!((times.buckets.len(), times.buckets[3]), (15, 1), "{times:?}");
}

/// Guards: a series without lines goes on, so that the next line is an increase; times only grow.
#[test]
fn totals_are_told_every_interval_with_times_that_grow_even_if_the_clock_goes_back() {
    let mut life = Life::new("");
    let one = |life: &mut Life| drop(life.process(&request(vec![line("x")]), 1 << 20));
    one(&mut life);
    let last = |told: &BTreeMap<String, Vec<Point>>| {
        let points = &told["log.lines"];
        (points.len(), points.last().unwrap().count, points.last().unwrap().at_ms - NOW_MS)
    };
    assert_eq!(last(&life.told(NOW_MS)), (2, 1, 0), "it begins with nothing");
    assert_eq!(life.tick(NOW_MS + 14_000).len(), 0);
    assert_eq!(last(&told(&life.tick(NOW_MS + 15_000))), (1, 1, 15_000));
    life.restart();
    one(&mut life);
    // The new owner's clock is four minutes behind.
    assert_eq!(life.tick(NOW_MS - 240_000).len(), 0);
    assert_eq!(last(&told(&life.tick(NOW_MS - 225_000))), (1, 2, 15_001));
    assert_eq!(last(&told(&life.tick(NOW_MS - 210_000))), (1, 2, 15_002));
    // Set back once more, under the same owner.
    assert_eq!(last(&told(&life.tick(NOW_MS - 260_000))), (1, 2, 15_003));
}

/// Guards: one owner with a wrong clock costs no more than the time until the next one.
#[test]
fn a_clock_that_was_far_ahead_is_forgotten() {
    let mut life = Life::new("");
    life.process(&request(vec![line("x")]), 1 << 20);
    life.told(NOW_MS + 86_400_000);
    life.restart();
    assert_eq!(life.tick(NOW_MS).len(), 0);
    let points = told(&life.tick(NOW_MS + 15_000)).remove("log.lines").unwrap();
    let points: Vec<_> = points.iter().map(|point| (point.count, point.since_ms, point.at_ms)).collect();
    assert_eq!(points, [(1, NOW_MS, NOW_MS + 15_000)]);
    life.restart();
    assert_eq!(told(&life.tick(NOW_MS + 3_615_000)).len(), 1, "an hour more");
    assert_eq!(life.tick(NOW_MS + 3_630_000).len(), 0);
}

#[test]
fn a_partition_that_changes_hands_more_often_than_the_interval_is_told_all_the_same() {
    let mut life = Life::new("");
    let mut told_at = Vec::new();
    for second in (0..60).step_by(5) {
        life.restart();
        life.process(&request(vec![line("x")]), 1 << 20);
        if !life.tick(NOW_MS + second * 1_000).is_empty() {
            told_at.push(second);
        }
    }
    assert_eq!(told_at, [0, 15, 30, 45]);
}

#[test]
fn lines_of_a_request_that_is_not_written_are_not_counted() {
    let mut life = Life::new("");
    let payload = [&request(vec![line("x")]).encode_to_vec()[..], b"\x0a\x05\xff"].concat();
    let at = Origin { topic: "t", partition: 3, offset: 0, time_nanos: 0 };
    let tables = life.processor.tables.now();
    let mut broken = Request { payload: &payload, at, key: None, tables: &tables, too_large: None };
    let mut out = life.outbox(1 << 20);
    let whole = Part { lines: 0..u32::MAX, parsed: true };
    life.processor.produce(&mut broken, whole, &mut out).unwrap_err();
    life.process(&request(vec![line("x")]), 1 << 20);
    let lines = [("service.name=checkout weir.class=app", 1)];
    assert_eq!(counts(&life.told(NOW_MS), "log.lines"), map(&lines));
}

#[test]
fn every_metric_that_is_told_has_points_however_full_its_record_is() {
    let text = format!(
        "[measure]\nready_made = false\n[[measure.rule]]\nname = \"a\"\nlabels = [\"user\"]\n\
        [[measure.rule]]\nname = \"b\"\ndescription = \"{}\"\n",
        "d".repeat(1_024)
    );
    let text: &str = text.leak();
    let mut records = BTreeMap::new();
    for series in 90..125 {
        let mut life = Life::new(text);
        let body = |n: usize| line(&format!(r#"{{"user":"u{n} {}"}}"#, "x".repeat(240)));
        life.process(&request((0..series).map(body).collect()), 1 << 20);
        let outputs = life.tick(NOW_MS);
        for output in &outputs {
            let request = ExportMetricsServiceRequest::decode(output.value.as_deref().unwrap()).unwrap();
            for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
                assert!(!points(metric.data.as_ref().unwrap()).is_empty(), "{} with {series} series", metric.name);
            }
        }
        *records.entry(outputs.len()).or_insert(0) += 1;
    }
    assert!(records.len() > 1, "none filled a record: {records:?}");
}

/// Guards: what a resource has is masked as it leaves, whatever the class of the line that is counted.
#[test]
fn a_label_of_a_resource_is_masked_as_the_resource_is() {
    let mut life =
        Life::new("[measure]\nready_made = false\n[[measure.rule]]\nname = \"lines\"\nlabels = [\"host.ip\"]\n");
    let asa = line("%ASA-6-302016: Teardown UDP connection 5");
    let address = || pair("host.ip", text("192.0.2.7"));
    let mut sent = request(vec![asa.clone(), LogRecord { attributes: vec![address()], ..asa }]);
    sent.resource_logs[0].resource.as_mut().unwrap().attributes.push(address());
    let left = requests(&life.process(&sent, 1 << 20)).remove(0);
    let masked = string(resource(&left), "host.ip").unwrap();
    assert_ne!(masked, "192.0.2.7");
    let told = counts(&life.told(NOW_MS), "lines");
    assert_eq!(told, map(&[(&format!("host.ip={masked}"), 1), ("host.ip=192.0.2.7", 1)]));
}

#[test]
fn a_series_without_lines_for_an_hour_is_forgotten_and_begins_anew() {
    let mut life = Life::new("");
    life.process(&request(vec![line("x")]), 1 << 20);
    life.told(NOW_MS);
    assert_eq!(told(&life.tick(NOW_MS + 3_600_000))["log.lines"].len(), 1);
    assert_eq!(life.tick(NOW_MS + 3_615_000).len(), 0);
    assert_eq!(life.state.keys().collect::<Vec<_>>(), [b"c"], "its state is gone too");
    life.restart();
    life.process(&request(vec![line("x")]), 1 << 20);
    let told = life.told(NOW_MS + 7_200_000);
    let points: Vec<_> = told["log.lines"].iter().map(|point| (point.count, point.since_ms - NOW_MS)).collect();
    assert_eq!(points, [(0, 7_185_000), (1, 7_185_000)]);
}

/// Guards: a record that leaves in parts, and a line that does not leave at all, count no line twice.
#[test]
fn a_record_that_is_split_counts_each_of_its_lines_once() {
    let mut registry = prometheus_client::registry::Registry::default();
    let mut life = Life::new("");
    life.processor = with("", SharedTables::default(), Instruments::new(&mut registry));
    let mut lines: Vec<_> = (0..40).map(|n| line(&format!(r#"{{"n":{n},"text":"{}"}}"#, "x".repeat(200)))).collect();
    lines.push(line(&"x".repeat(5_000)));
    assert!(life.process(&request(lines), 4_000).len() > 4);
    let told = life.told(NOW_MS);
    assert_eq!(counts(&told, "log.lines"), map(&[("service.name=checkout weir.class=app", 40)]));
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    assert!(shown.contains("log_lines_total{parser=\"json\",class=\"app\"} 40"), "{shown}");
}

const RULES: &str = r#"[measure]
ready_made = false
max_series = 3
[[measure.rule]]
name = "payments"
class = ["app"]
severity = "warn"
attribute = "kind"
value = "^pay"
labels = ["user", "code", "severity", "weir.parser", "none"]
[[measure.rule]]
name = "waits"
observe = "ms"
unit = "ms"
bounds = [10, 20]
"#;

#[test]
fn a_rule_holds_where_all_its_conditions_do_and_observes_numbers_alone() {
    let mut life = Life::new(RULES);
    let bodies = [
        r#"{"level":"warn","kind":"payment","user":"u1","code":7,"ms":10}"#,
        r#"{"level":"fatal","kind":"payment","user":"u1","code":7,"ms":"10.5"}"#,
        r#"{"level":"info","kind":"payment","user":"u1","ms":"long"}"#,
        r#"{"level":"warn","kind":"refund","user":"u1","ms":true}"#,
        r#"{"level":"warn","user":"u1","ms":1e3}"#,
    ];
    life.process(&request(bodies.map(line).to_vec()), 1 << 20);
    let told = life.told(NOW_MS);
    let payments =
        [("user=u1 code=7 severity=warn weir.parser=json", 1), ("user=u1 code=7 severity=fatal weir.parser=json", 1)];
    assert_eq!(counts(&told, "payments"), map(&payments));
    let waits = told["waits"].last().unwrap();
    assert_eq!((waits.count, waits.sum, &waits.buckets), (3, 1020.5, &vec![1, 1, 1]));
}

/// Guards: labels are masked as the line is, cut, and bounded in number.
#[test]
fn labels_are_masked_cut_and_bounded_in_number() {
    let mut registry = prometheus_client::registry::Registry::default();
    let mut life = Life::new(RULES);
    life.processor = with(RULES, SharedTables::default(), Instruments::new(&mut registry));
    let body = |user: &str| line(&format!(r#"{{"level":"warn","kind":"pay","user":"{user}"}}"#));
    let long = "ü".repeat(500);
    let users = ["canary@example.com", "other@example.com", &long, "u3", "u4", "u5", "u4", "u3"];
    life.process(&request(users.map(body).to_vec()), 1 << 20);
    let payments = counts(&life.told(NOW_MS), "payments");
    assert_eq!(payments.len(), 4, "{payments:?}");
    assert_eq!(payments["otel.metric.overflow=Some(BoolValue(true))"], 3, "{payments:?}");
    assert_eq!(payments.values().sum::<u64>(), 8);
    let shown = format!("{payments:?}{:?}", life.state);
    assert!(
        !shown.contains("canary")
            && !String::from_utf8_lossy(
                &life.state.keys().chain(life.state.values()).flatten().copied().collect::<Vec<_>>()
            )
            .contains("canary"),
        "{shown}"
    );
    assert!(payments.keys().any(|labels| labels.matches('ü').count() == 128), "{payments:?}");
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    assert!(shown.contains("log_lines_overflowed_total{rule=\"payments\"} 3"), "{shown}");
    // As many for the next process.
    life.restart();
    life.process(&request(vec![body("u9"), body("u3")]), 1 << 20);
    assert_eq!(counts(&life.told(NOW_MS + 60_000), "payments")["otel.metric.overflow=Some(BoolValue(true))"], 4);
}

/// Scenario: the process ends, and the next one has other rules.
#[test]
fn state_of_rules_that_are_gone_or_changed_is_forgotten_and_the_others_go_on() {
    let mut life = Life::new(RULES);
    let body = line(r#"{"level":"warn","kind":"pay","user":"u","ms":15}"#);
    life.process(&request(vec![body.clone()]), 1 << 20);
    life.told(NOW_MS);
    assert_eq!(life.state.len(), 3);
    life.text = "[measure]\nready_made = false\n[[measure.rule]]\nname = \"payments\"\nlabels = [\"user\"]\n\
        [[measure.rule]]\nname = \"waits\"\nobserve = \"ms\"\nbounds = [10, 30]\n";
    life.restart();
    life.process(&request(vec![body]), 1 << 20);
    let told = life.told(NOW_MS + 60_000);
    let payments = [("user=u severity=warn weir.parser=json", 1), ("user=u", 1)];
    assert_eq!(counts(&told, "payments"), map(&payments));
    assert_eq!(told["waits"].last().unwrap().count, 1, "other bounds, another total");
    assert_eq!(life.state.len(), 4);
    let later = life.processor.restore(b"c", b"\x02").unwrap_err();
    assert!(matches!(later, StateError::Version { found: 2, known: 1 }), "{later}");
    for (key, value) in [(&b"x"[..], &b"\x01"[..]), (b"s\x0a", b"\x01"), (b"c", b""), (b"s", b"\x01\x09\x01")] {
        assert!(matches!(life.processor.restore(key, value), Err(StateError::Malformed { .. })), "{key:?}");
    }
}

#[test]
fn response_times_are_measured_in_lines_of_every_form() {
    let mut life = Life::new("");
    let bodies = [
        "INFO done response_time=250ms",
        "level=info msg=done response_time=250ms",
        r#"{"msg":"done","response_time":250}"#,
        r#"<13>Nov 21 15:48:20 h app: {"response_time":"0.25s"}"#,
        "level=info msg=done response_time=soon",
    ];
    life.process(&request(bodies.map(line).to_vec()), 1 << 20);
    let told = life.told(NOW_MS);
    let times = told["log.response_time"].last().unwrap();
    assert_eq!((times.count, times.sum), (4, 1.0));
}

/// Lines that a ready-made rule is of, and some that look like them.
#[test]
fn the_ready_made_rules_know_their_lines() {
    let at = "Nov 21 15:48:20 h";
    let event = |id: u32| format!("<Event><System><EventID Qualifiers='0'>{id}</EventID></System></Event>");
    let cases = [
        ("log.failed_logins", format!("<86>{at} sshd[7]: Failed password for root from 192.0.2.1 port 22 ssh2"), true),
        ("log.failed_logins", format!("<86>{at} login: pam_unix(login:auth): authentication failure; user=eve"), true),
        ("log.failed_logins", "ERROR login failed user=eve status_code=401".into(), true),
        ("log.failed_logins", event(4625), true),
        ("log.failed_logins", "%ASA-6-605004: Login denied from 192.0.2.9/77 to inside:192.0.2.1/ssh".into(), true),
        ("log.failed_logins", format!("<86>{at} sshd[7]: Accepted password for root"), false),
        ("log.failed_logins", event(4624), false),
        (
            "log.privilege_changes",
            format!("<85>{at} sudo[9]: eve : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh"),
            true,
        ),
        ("log.privilege_changes", format!("<86>{at} su[9]: pam_unix(su:session): session opened for user root"), true),
        ("log.privilege_changes", format!("<86>{at} usermod[5]: add 'eve' to group 'wheel'"), true),
        ("log.privilege_changes", format!("<86>{at} sshd[5]: session opened for user eve"), false),
        ("log.privilege_changes", "the word sudo: COMMAND in an application".into(), false),
        ("log.config_changes", "%ASA-5-111008: User 'eve' executed the 'write memory' command.".into(), true),
        ("log.config_changes", format!("<110>{at} audisp: type=CONFIG_CHANGE msg=audit(1:2): op=add_rule"), true),
        ("log.config_changes", format!("<30>{at} mgd[5]: UI_COMMIT: User 'eve' requested 'commit' operation"), true),
        ("log.config_changes", "%ASA-6-302016: Teardown UDP connection 5".into(), false),
        (
            "log.waf_blocks",
            "2026/11/21 15:48:20 [error] 7#7: *1 ModSecurity: Access denied with code 403 (phase 2)".into(),
            true,
        ),
        ("log.waf_blocks", r#"{"terminatingRuleId":"r1","action":"BLOCK"}"#.into(), true),
        ("log.waf_blocks", r#"{"terminatingRuleId":"Default_Action","action":"ALLOW"}"#.into(), false),
    ];
    for (metric, body, holds) in cases {
        let mut life = Life::new("");
        life.process(&request(vec![line(&body)]), 1 << 20);
        assert_eq!(life.told(NOW_MS).contains_key(metric), holds, "{metric}: {body}");
    }
}

proptest! {
    /// Scenario: processes end at any time between records, and totals are told at any.
    /// Guards: what is counted in the end is what came in, each line once (invariants 7 and 11), and no total that was
    /// told is ever above a later one.
    #[test]
    fn every_line_counts_once_whatever_ends_in_between(steps in prop::collection::vec((0_u8..4, 1_usize..5), 1..40)) {
        let mut life = Life::new(RULES);
        let (mut now_ms, mut sent, mut last) = (NOW_MS, 0, 0);
        for (step, size) in steps {
            match step {
                0 => life.restart(),
                1 => {
                    now_ms += 15_000;
                    let told = counts(&told(&life.tick(now_ms)), "payments").values().sum();
                    prop_assert!(told == 0 || (last..=sent).contains(&told), "{} after {}, of {}", told, last, sent);
                    last = last.max(told);
                }
                _ => {
                    let body = |n: usize| line(&format!(r#"{{"level":"warn","kind":"pay","user":"u{n}","ms":{n}}}"#));
                    life.process(&request((0..size).map(body).collect()), 1 << 20);
                    sent += size as u64;
                }
            }
        }
        life.restart();
        let told = life.told(now_ms + 60_000);
        prop_assert_eq!(counts(&told, "payments").values().sum::<u64>(), sent);
        prop_assert_eq!(told.get("waits").map_or(0, |points| points.last().unwrap().count), sent);
    }
}

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;
use weir_config::Document;
use weir_contract::{BatchBuilder, Budget, DeadLetter, Limits, Partition, TopicPartition};

use super::enrich::lookup::Lookup;
use super::enrich::tables::Table;
use super::*;

mod measure;
mod volume;

/// 2026-11-21T15:48:20Z.
const NOW: u64 = 1_795_276_100_000_000_000;
const SECRETS: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

fn config(text: &str) -> Config {
    let document = Document::parse("config.toml", text).unwrap();
    let (config, mut report) = document.read::<Config>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
    config.check(&mut report.at(""));
    report.finish().unwrap();
    config
}

fn processor(text: &str) -> LogsProcessor {
    with(text, SharedTables::default(), Instruments::default())
}

fn with(text: &str, tables: SharedTables, instruments: Instruments) -> LogsProcessor {
    let rulings = Rulings::new(&config(text), "weir-logs").unwrap();
    LogsProcessor::new(&rulings, &TopicPartition::new("telemetry-logs", 3), tables, instruments)
}

/// What a processor makes of records of one batch, for a topic that takes so many bytes.
fn run(processor: &mut LogsProcessor, values: &[&[u8]], first: i64, limit: usize) -> (Vec<Output>, Vec<DeadLetter>) {
    let id = TopicPartition::new("telemetry-logs", 3);
    let mut builder = BatchBuilder::new(id.clone());
    for (offset, value) in (first..).zip(values) {
        builder.push(offset, Some(1_795_276_100_000), Some(b"key"), Some(value), std::iter::empty());
    }
    let (entry, hold) = Partition::open(id, first).admit(Some((first, first + 1)), 0);
    hold.release();
    let mut out = Outbox::new(entry, Budget::new(1 << 30), 1, Limits::all(limit));
    processor.process(&builder.build().unwrap(), &mut out);
    let carried = out.finish().carried;
    (Arc::try_unwrap(carried.outputs).unwrap(), carried.dead_letters)
}

fn requests(outputs: &[Output]) -> Vec<ExportLogsServiceRequest> {
    outputs.iter().map(|output| ExportLogsServiceRequest::decode(output.value.as_deref().unwrap()).unwrap()).collect()
}

fn one(processor: &mut LogsProcessor, request: &ExportLogsServiceRequest) -> ExportLogsServiceRequest {
    let (outputs, letters) = run(processor, &[&request.encode_to_vec()], 41, 1 << 21);
    assert_eq!((outputs.len(), letters.len()), (1, 0), "{letters:?}");
    requests(&outputs).remove(0)
}

fn of(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(text: &str) -> AnyValue {
    of(any_value::Value::StringValue(text.to_owned()))
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn line(body: &str) -> LogRecord {
    LogRecord { time_unix_nano: NOW, body: Some(text(body)), ..LogRecord::default() }
}

fn request(records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let resource = Resource { attributes: vec![pair("service.name", text("checkout"))], ..Resource::default() };
    let scope = InstrumentationScope { name: "s".into(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records: records, ..ScopeLogs::default() }];
    let logs = ResourceLogs { resource: Some(resource), scope_logs, schema_url: "https://example.com/1".into() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }
}

fn lines(request: &ExportLogsServiceRequest) -> Vec<LogRecord> {
    let scopes = request.resource_logs.iter().flat_map(|logs| &logs.scope_logs);
    scopes.flat_map(|logs| logs.log_records.clone()).collect()
}

fn value<'v>(attributes: &'v [KeyValue], key: &str) -> Option<&'v any_value::Value> {
    assert!(attributes.iter().filter(|pair| pair.key == key).count() <= 1, "{key} is there twice: {attributes:?}");
    attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn string<'v>(attributes: &'v [KeyValue], key: &str) -> Option<&'v str> {
    match value(attributes, key) {
        Some(any_value::Value::StringValue(text)) => Some(text),
        _ => None,
    }
}

fn resource(request: &ExportLogsServiceRequest) -> &[KeyValue] {
    &request.resource_logs[0].resource.as_ref().unwrap().attributes
}

#[test]
fn a_record_leaves_with_its_key_in_its_partition_and_each_line_knows_where_it_is_from() {
    let sent = request(vec![line("a=1 b=2"), line("plain words")]);
    let (outputs, _) = run(&mut processor(""), &[&sent.encode_to_vec()], 41, 1 << 21);
    let output = &outputs[0];
    assert_eq!(
        (&*output.topic, output.partition, output.key.as_deref()),
        (crate::config::OUTPUT, Some(3), Some(&b"key"[..]))
    );
    let got = lines(&requests(&outputs)[0]);
    let told = |key| got.iter().map(|line| string(&line.attributes, key).unwrap()).collect::<Vec<_>>();
    assert_eq!(told("weir.origin"), ["telemetry-logs/3/41/0", "telemetry-logs/3/41/1"]);
    assert_eq!(told("weir.parser"), ["logfmt", "none"]);
    assert_eq!(told("weir.class"), ["app", "app"]);
}

#[test]
fn what_nobody_changes_is_copied_with_fields_that_nobody_knows() {
    let mut record = line("nothing to see here");
    record.observed_time_unix_nano = NOW + 5;
    record.flags = 1;
    record.severity_number = 9;
    record.severity_text = "Information".into();
    record.event_name = "e".into();
    record.dropped_attributes_count = 2;
    record.attributes =
        vec![pair("n", of(any_value::Value::IntValue(7))), pair("d", of(any_value::Value::DoubleValue(0.5)))];
    let sent = request(vec![record.clone()]);
    let mut bytes = sent.encode_to_vec();
    // An unknown field of the request, after its end.
    bytes.extend(b"\xfa\x3e\x03new");
    let (outputs, letters) = run(&mut processor("required = []"), &[&bytes], 0, 1 << 21);
    assert!(letters.is_empty(), "{letters:?}");
    let mut got = requests(&outputs).remove(0);
    assert!(outputs[0].value.as_ref().unwrap().ends_with(b"\xfa\x3e\x03new"));
    let attributes = &mut got.resource_logs[0].scope_logs[0].log_records[0].attributes;
    attributes.retain(|pair| !pair.key.starts_with("weir."));
    assert_eq!(got, sent);
}

#[test]
fn time_severity_and_trace_come_from_the_line_where_the_record_has_none() {
    let body = r#"{"time":"2026-11-21T15:00:00Z","level":"warn","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"}"#;
    let empty = LogRecord { body: Some(text(body)), ..LogRecord::default() };
    let full = LogRecord {
        time_unix_nano: NOW,
        severity_number: 17,
        severity_text: "mine".into(),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..empty.clone()
    };
    let number = LogRecord { severity_number: 10, ..line("x") };
    let word = LogRecord { severity_text: "CRITICAL".into(), ..line("x") };
    let prose = line("done, trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7");
    let got = lines(&one(&mut processor(""), &request(vec![empty, full, number, word, prose])));
    let ids = |line: &LogRecord| (line.trace_id.first().copied(), line.span_id.first().copied());
    assert_eq!(
        (got[0].time_unix_nano, got[0].severity_number, got[0].severity_text.as_str()),
        (NOW - 2_900_000_000_000, 13, "warn")
    );
    assert_eq!((ids(&got[0]), ids(&got[4])), ((Some(0x4b), Some(0)), (Some(0x4b), Some(0))));
    assert_eq!((got[1].time_unix_nano, got[1].severity_number, got[1].severity_text.as_str()), (NOW, 17, "mine"));
    assert_eq!(ids(&got[1]), (Some(1), Some(2)));
    assert_eq!((got[2].severity_number, got[2].severity_text.as_str()), (10, "INFO2"));
    assert_eq!((got[3].severity_number, got[3].severity_text.as_str()), (21, "CRITICAL"));
}

/// Everything that could hold a secret holds one; none of them may be in what leaves.
#[test]
fn no_secret_leaves_by_a_side_door() {
    let nested = of(any_value::Value::KvlistValue(KeyValueList {
        values: vec![
            pair("deep", of(any_value::Value::ArrayValue(ArrayValue { values: vec![text(SECRETS)] }))),
            pair("password", text("canary-1")),
            pair("eve-canary@example.com", text("key of a map")),
        ],
    }));
    let mut record =
        line(&format!(r#"{{"password":"canary-2","inner":{{"token":"{SECRETS}"}},"mail":"eve-canary@example.com"}}"#));
    record.attributes = vec![
        pair("authorization", text("Bearer canary-3")),
        pair("nested", nested.clone()),
        pair("bytes", of(any_value::Value::BytesValue(format!("\u{1}password=canary-4 {SECRETS}").into_bytes()))),
        pair("broken", of(any_value::Value::BytesValue([b"\xff\xfe password=canary-5 ", SECRETS.as_bytes()].concat()))),
        pair("password", of(any_value::Value::IntValue(1_234_567_890_123))),
        pair("weir.origin", text("forged canary-9")),
    ];
    record.event_name = format!("event {SECRETS}");
    record.severity_text = format!("ERROR {SECRETS}");
    let structured = LogRecord { body: Some(nested.clone()), ..line("") };
    let lost = LogRecord {
        body: Some(of(any_value::Value::BytesValue([b"\xff password=canary-6 ", SECRETS.as_bytes()].concat()))),
        ..line("")
    };
    let mut sent = request(vec![
        record,
        structured,
        lost,
        line("login failed user=eve password=canary-7 from eve-canary@example.com"),
    ]);
    sent.resource_logs[0].resource.as_mut().unwrap().attributes.extend([
        pair("process.command_line", text(&format!("x --password=canary-8 {SECRETS}"))),
        pair("nested", nested.clone()),
    ]);
    sent.resource_logs[0].scope_logs[0].scope.as_mut().unwrap().attributes = vec![pair("nested", nested)];
    let (outputs, letters) = run(&mut processor(""), &[&sent.encode_to_vec()], 41, 1 << 21);
    assert!(letters.is_empty(), "{letters:?}");
    let left = String::from_utf8_lossy(outputs[0].value.as_deref().unwrap()).into_owned();
    let got = requests(&outputs).remove(0);
    for secret in ["canary-", "eve-canary", SECRETS, "1234567890123"] {
        assert!(!left.contains(secret), "{secret} left: {got:#?}");
    }
    let got = lines(&got);
    assert_eq!(string(&got[0].attributes, "weir.parser"), Some("json"));
    assert!(string(&got[0].attributes, "password").is_some_and(|text| text.contains("REDACTED")), "{:?}", got[0]);
    let Some(any_value::Value::StringValue(body)) = got[0].body.as_ref().unwrap().value.as_ref() else { panic!() };
    assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "JSON stays JSON: {body}");
}

/// Guards: what is masked in a body for what stands around it is masked where it was read out of it, too.
#[test]
fn what_is_read_out_of_a_masked_part_of_a_body_does_not_leave_by_itself() {
    let rule = "[mask.fields]\n\"kept\" = \"keep\"\n[measure]\nready_made = false\n[[measure.rule]]\nname = \"n\"\n\
        labels = [\"sid\"]\n";
    let mut processor = processor(rule);
    let bodies = [
        "sent Cookie: sid=canary-1; lang=canary-2",
        "ERROR n=7 sent Cookie: sid=12345678",
        "[web] Authorization: Digest username=\"canary-3\", response=\"canary-4\"",
        "<13>Nov 21 15:48:20 web-1 cookie: sid=canary-5",
        "sid=canary-6 stays, kept=eve",
        "ERROR sid=\"a \\\"b\\\" c\" mail=eve@example.com",
    ];
    let sent = request(bodies.map(line).to_vec());
    let got = lines(&one(&mut processor, &sent));
    let sid = |at: usize| string(&got[at].attributes, "sid");
    assert_eq!(
        [0, 1, 3, 4, 5].map(sid),
        [
            Some("[REDACTED:body]"),
            Some("[REDACTED:body]"),
            Some("[REDACTED:body]"),
            Some("canary-6"),
            Some("a \"b\" c")
        ]
    );
    let left = format!("{got:?}");
    for hidden in ["canary-1", "canary-2", "canary-3", "canary-4", "canary-5", "12345678", "eve@"] {
        assert!(!left.contains(hidden), "{hidden} left: {left}");
    }
    assert_eq!(value(&got[1].attributes, "n"), Some(&any_value::Value::IntValue(7)));
}

/// Two workers, other partitions, the same key: what is equal is so after masking, wherever it stands.
#[test]
#[expect(clippy::string_slice, reason = "a text in ASCII")]
fn hashes_and_pseudonyms_join_across_workers_and_places_and_change_with_the_key() {
    let keyed = |key: &str, id: &str| {
        format!(
            "[mask]\nkeys = [{{ id = \"{id}\", key = \"{key}\", encoding = \"raw\" }}]\n\
             [mask.actions]\nemail = \"hash\"\ncard = \"partial\"\n"
        )
    };
    let mail = "Eve.Adams@example.com";
    let nested = of(any_value::Value::KvlistValue(KeyValueList { values: vec![pair("inner", text(mail))] }));
    let sent = |number: u8| {
        let body = format!("mail from {mail} at 192.0.2.{number}");
        let attributes = vec![pair("to", text(mail)), pair("deep", nested.clone()), pair("ip", text("192.0.2.77"))];
        let mut sent = request(vec![LogRecord { attributes, ..line(&body) }]);
        sent.resource_logs[0].resource.as_mut().unwrap().attributes.push(pair("owner", text(mail)));
        sent
    };
    // Each hash, and the addresses' pseudonyms.
    let masked = |text: &str, partition: i32, number: u8| {
        let rulings = Rulings::new(&config(text), "weir-logs").unwrap();
        let id = TopicPartition::new("telemetry-logs", partition);
        let mut processor = LogsProcessor::new(&rulings, &id, SharedTables::default(), Instruments::default());
        let got = one(&mut processor, &sent(number));
        let line = &lines(&got)[0];
        let shown = format!("{got:?}");
        assert!(!shown.to_lowercase().contains("eve.adams") && !shown.contains("192.0.2."), "{shown}");
        let hashes: std::collections::BTreeSet<_> =
            shown.split("[HASH:").skip(1).map(|rest| rest.split(']').next().unwrap().to_owned()).collect();
        assert_eq!((hashes.len(), shown.matches("[HASH:").count()), (1, 4), "{shown}");
        let Some(any_value::Value::StringValue(body)) = line.body.as_ref().unwrap().value.as_ref() else { panic!() };
        let address = body.rsplit(' ').next().unwrap().to_owned();
        (hashes.into_iter().next().unwrap(), address, string(&line.attributes, "ip").unwrap().to_owned())
    };
    let (old, new) = (keyed("0123456789abcdef", "2025"), keyed("0123456789abcdeg", "2026"));
    let (one, other) = (masked(&old, 0, 77), masked(&old, 5, 77));
    assert_eq!(one, other);
    assert_eq!(one.1, one.2, "in a body as in an attribute");
    let network = |address: &str| address.rsplit_once('.').unwrap().0.to_owned();
    let neighbour = masked(&old, 1, 78);
    assert!(neighbour.1 != one.1 && network(&neighbour.1) == network(&one.1), "{one:?} {neighbour:?}");
    let rotated = masked(&new, 0, 77);
    assert!(one.0.starts_with("email:2025:") && rotated.0.starts_with("email:2026:"), "{one:?} {rotated:?}");
    assert!(one.0[11..] != rotated.0[11..] && one.1 != rotated.1, "{one:?} {rotated:?}");
}

#[test]
fn resources_get_what_is_configured_and_what_is_missing_is_told_and_counted() {
    let mut registry = prometheus_client::registry::Registry::default();
    let added = "resource = { \"cloud.region\" = \"ap-northeast-1\", \"service.name\" = \"other\" }";
    let mut processor = with(added, SharedTables::default(), Instruments::new(&mut registry));
    let mut sent = request(vec![line("x")]);
    sent.resource_logs[0].resource.as_mut().unwrap().attributes.push(pair("deployment.environment", text("prod")));
    let got = one(&mut processor, &sent);
    let found = |key| string(resource(&got), key);
    assert_eq!((found("service.name"), found("cloud.region")), (Some("checkout"), Some("ap-northeast-1")));
    assert_eq!((found("deployment.environment"), found("deployment.environment.name")), (Some("prod"), Some("prod")));
    let missing = ArrayValue { values: vec![text("service.version")] };
    assert_eq!(value(resource(&got), "weir.missing"), Some(&any_value::Value::ArrayValue(missing)));
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    assert!(shown.contains("resource_attributes_missing_total{attribute=\"service.version\"} 1"), "{shown}");
    assert!(shown.contains("log_lines_total{parser=\"none\",class=\"app\"} 1"), "{shown}");
}

#[test]
fn tables_are_looked_up_and_a_new_one_counts_from_the_next_batch_on() {
    let text = "[[lookup]]\nfile = \"hosts.csv\"\nkey = \"host.name\"\n[[lookup]]\nfile = \"services.json\"\nkey = \"service.name\"\n";
    let tables = SharedTables::default();
    let lookup = |bytes: &[u8]| Table::Lookup(Lookup::read(bytes, None).unwrap());
    let mut processor = with(text, tables.clone(), Instruments::default());
    let sent = request(vec![line("<13>Nov 21 15:48:20 web-1 app: x"), line("none")]);
    let owner = |got: &ExportLogsServiceRequest| string(&lines(got)[0].attributes, "owner").map(str::to_owned);
    assert_eq!(owner(&one(&mut processor, &sent)), None, "no table yet");
    tables.put(0, lookup(b"host,owner,message\nweb-1,eve,not over what is there\n"));
    tables.put(1, lookup(br#"{"checkout":{"team":"shop"}}"#));
    let got = one(&mut processor, &sent);
    assert_eq!(owner(&got).as_deref(), Some("eve"));
    assert_eq!(string(resource(&got), "team"), Some("shop"));
    assert_eq!(string(&lines(&got)[0].attributes, "message"), Some("x"));
    assert_eq!(string(&lines(&got)[1].attributes, "owner"), None);
    tables.put(0, lookup(b"host,owner\nweb-1,kenji\n"));
    assert_eq!(owner(&one(&mut processor, &sent)).as_deref(), Some("kenji"));
}

#[test]
fn classes_come_from_the_rules_then_from_what_the_line_is() {
    let text = "[[class]]\nclass = \"audit\"\nattribute = \"event\"\nvalue = \"^grant\"\n[[class]]\nclass = \"job\"\nservice = \"^batch\"\n\
        [[class]]\nclass = \"security\"\nparser = \"logfmt\"\nbody = \"intrusion\"\n";
    let bodies = [
        r#"{"event":"granted"}"#,
        r#"{"event":"read"}"#,
        "a=1 b=intrusion",
        "intrusion",
        "192.0.2.1 - - [21/Nov/2026:15:48:20 +0000] \"GET / HTTP/1.1\" 200 1",
        "%ASA-6-302016: Teardown UDP connection 5",
        "<86>Nov 21 15:48:20 h sshd[1]: x",
        "<110>Nov 21 15:48:20 h x[1]: x",
        "<78>Nov 21 15:48:20 h cron[1]: x",
        "<6>Nov 21 15:48:20 h kernel: x",
        "<134>Nov 21 15:48:20 h app: x",
        "Nov 21 15:48:20 h sudo: x",
    ];
    let sent = request(bodies.map(line).to_vec());
    let got = one(&mut processor(text), &sent);
    let classes: Vec<_> =
        lines(&got).iter().map(|line| string(&line.attributes, "weir.class").unwrap().to_owned()).collect();
    let want = [
        "audit", "app", "security", "app", "access", "security", "security", "audit", "job", "infra", "app", "security",
    ];
    assert_eq!(classes, want);
    let mut batch = request(vec![line("x")]);
    batch.resource_logs[0].resource.as_mut().unwrap().attributes =
        vec![pair("service.name", super::tests::text("batch-7"))];
    assert_eq!(string(&lines(&one(&mut processor(text), &batch))[0].attributes, "weir.class"), Some("job"));
}

#[test]
fn a_record_that_has_grown_over_the_topics_limit_leaves_in_parts_and_in_order() {
    let bodies: Vec<_> = (0..40).map(|n| format!(r#"{{"n":{n},"text":"{}"}}"#, "x".repeat(200))).collect();
    let sent = request(bodies.iter().map(|body| line(body)).collect());
    let (outputs, letters) = run(&mut processor(""), &[&sent.encode_to_vec()], 41, 4_000);
    assert!(outputs.len() > 4 && letters.is_empty(), "{} outputs, {letters:?}", outputs.len());
    assert!(outputs.iter().all(|output| output.framed_bytes() <= 4_000));
    let got: Vec<_> = requests(&outputs).iter().flat_map(lines).collect();
    let origins: Vec<_> = got.iter().map(|line| string(&line.attributes, "weir.origin").unwrap().to_owned()).collect();
    assert_eq!(origins, (0..40).map(|n| format!("telemetry-logs/3/41/{n}")).collect::<Vec<_>>());
    // A line that fits only as it came is not parsed; one that never fits is told, and its neighbours go on.
    let sent = request(vec![line("x"), line(&format!(r#"{{"n":"{}"}}"#, "x".repeat(2_500))), line(&"x".repeat(5_000))]);
    let (outputs, letters) = run(&mut processor(""), &[&sent.encode_to_vec()], 41, 4_000);
    let got: Vec<_> = requests(&outputs).iter().flat_map(lines).collect();
    assert_eq!(got.len(), 2);
    assert_eq!(string(&got[1].attributes, "weir.parser"), Some("none"));
    assert_eq!((letters.len(), letters[0].reason), (1, "line_too_large"));
    assert!(letters[0].detail.contains("the first at index 2"), "{}", letters[0].detail);
}

#[test]
fn a_bad_record_is_rejected_with_its_place_and_its_neighbours_go_on() {
    let good = request(vec![line("x")]).encode_to_vec();
    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a=1 b=2"}}]}]}]}"#;
    let mut bad = request(vec![line("hunter2 hunter2")]).encode_to_vec();
    let at = bad.windows(7).position(|window| window == b"hunter2").unwrap();
    bad[at] = 0xff;
    let values: [&[u8]; 6] = [&good, b"\x0a\xff", &bad, json, br#"{"resourceLogs":"hunter2"}"#, b""];
    let (outputs, letters) = run(&mut processor(""), &values, 40, 1 << 21);
    let about: Vec<_> = letters.iter().map(|letter| (letter.offset, letter.reason)).collect();
    assert_eq!(about, [(41, "truncated"), (42, "invalid_utf8"), (44, "json_wrong_type")]);
    assert!(letters[1].detail.contains("log_records[0].body.string_value"), "{}", letters[1].detail);
    assert!(letters.iter().all(|letter| !letter.detail.contains("hunter2")), "{letters:?}");
    let origins: Vec<_> = requests(&outputs)
        .iter()
        .flat_map(lines)
        .map(|line| string(&line.attributes, "weir.origin").unwrap().to_owned())
        .collect();
    assert_eq!(origins, ["telemetry-logs/3/40/0", "telemetry-logs/3/43/0"]);
}

fn several() -> Vec<Vec<u8>> {
    let bodies =
        ["a=1 b=2", "plain", r#"{"level":"error"}"#, "<13>Nov 21 15:48:20 h app: x", "card 4111 1111 1111 1111"];
    let one =
        |n: usize| request(bodies.iter().cycle().skip(n).take(3).map(|body| line(body)).collect()).encode_to_vec();
    (0..8).map(|n| if n == 5 { b"\x0a\xff".to_vec() } else { one(n) }).collect()
}

proptest! {
    /// Guards: invariant 7.
    #[test]
    fn batching_changes_nothing(cuts in prop::collection::vec(any::<bool>(), 8), limit in 500_usize..3_000) {
        let values = several();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let want = run(&mut processor(""), &values, 0, limit);
        let mut batched = processor("");
        let (mut outputs, mut letters, mut from) = (Vec::new(), Vec::new(), 0);
        for to in 1..=values.len() {
            if to == values.len() || cuts[to] {
                let (more, refused) = run(&mut batched, &values[from..to], i64::try_from(from).unwrap(), limit);
                outputs.extend(more);
                letters.extend(refused);
                from = to;
            }
        }
        prop_assert_eq!((outputs, letters), want);
    }

    #[test]
    fn bytes_of_any_kind_are_sent_on_or_rejected(value: Vec<u8>) {
        run(&mut processor(""), &[&value], 0, 1 << 21);
    }

    #[test]
    fn a_changed_request_is_sent_on_or_rejected_and_stays_a_request(at: prop::sample::Index, bytes in prop::array::uniform3(any::<u8>())) {
        let mut value = several().remove(2);
        let at = at.index(value.len() - bytes.len());
        value[at..at + bytes.len()].copy_from_slice(&bytes);
        let (outputs, letters) = run(&mut processor(""), &[&value], 0, 1 << 21);
        prop_assert!(letters.len() <= 1);
        for output in outputs {
            prop_assert!(LogsRequest::new(output.value.as_deref().unwrap()).check().is_ok());
        }
    }
}

use super::*;

/// A line of each class that can be dropped, and of each that cannot.
const LINES: [(&str, &str); 6] = [
    ("192.0.2.1 - - [21/Nov/2026:15:48:20 +0000] \"GET / HTTP/1.1\" 200 1", "access"),
    ("level=info msg=x", "app"),
    ("<110>Nov 21 15:48:20 h x[1]: x", "audit"),
    ("<86>Nov 21 15:48:20 h sshd[1]: x", "security"),
    ("<78>Nov 21 15:48:20 h cron[1]: x", "job"),
    ("<6>Nov 21 15:48:20 h kernel: x", "infra"),
];

/// How many lines of each class leave.
fn left(outputs: &[Output]) -> std::collections::BTreeMap<String, usize> {
    let mut left = std::collections::BTreeMap::new();
    for line in requests(outputs).iter().flat_map(lines) {
        *left.entry(string(&line.attributes, "weir.class").unwrap().to_owned()).or_default() += 1;
    }
    left
}

fn shown(registry: &prometheus_client::registry::Registry) -> String {
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, registry).unwrap();
    shown
}

#[test]
fn the_harshest_rules_leave_audit_and_security_as_they_are_and_count_what_they_drop() {
    let mut registry = prometheus_client::registry::Registry::default();
    let text =
        "[volume]\nrepeated = true\nmax_body = \"256B\"\nmax_attribute = \"64B\"\n[[volume.limit]]\nkeep = 0.0\n";
    let mut processor = with(text, SharedTables::default(), Instruments::new(&mut registry));
    let long = "y".repeat(1_000);
    let records = LINES.map(|(body, _)| LogRecord {
        attributes: vec![pair("long", super::text(&long))],
        ..line(&format!("{body} {long}"))
    });
    let sent = request([records.clone(), records].concat());
    let (outputs, letters) = run(&mut processor, &[&sent.encode_to_vec()], 41, 1 << 21);
    assert!(letters.is_empty());
    assert_eq!(left(&outputs), [("audit".to_owned(), 2), ("security".to_owned(), 2)].into());
    for line in requests(&outputs).iter().flat_map(lines) {
        assert_eq!(string(&line.attributes, "long"), Some(&*long));
        assert_eq!((value(&line.attributes, "weir.truncated"), value(&line.attributes, "weir.repeated")), (None, None));
    }
    let shown = shown(&registry);
    for class in ["access", "app", "job", "infra"] {
        for reason in ["sampled", "repeated"] {
            let counted = format!("log_lines_dropped_total{{reason=\"{reason}\",class=\"{class}\"}} 1");
            assert!(shown.contains(&counted), "{counted}: {shown}");
        }
    }
    assert!(!shown.contains("dropped_total{reason=\"sampled\",class=\"audit\"}"), "{shown}");
}

/// Guards: what is sampled is so wherever it is read again; the share is the one that is asked for; errors stay.
#[test]
fn sampling_keeps_a_share_of_the_lines_that_it_is_of_and_the_same_ones_every_time() {
    let text = "[[volume.limit]]\nclass = [\"app\"]\nup_to = \"info\"\nkeep = 0.1\n";
    let info = |n: usize| line(&format!("level=info n={n}"));
    let sent = request((0..10_000).map(info).collect()).encode_to_vec();
    let origins = |first: i64| -> Vec<String> {
        let (outputs, _) = run(&mut processor(text), &[&sent], first, 1 << 24);
        let lines: Vec<_> = requests(&outputs).iter().flat_map(lines).collect();
        lines.iter().map(|line| string(&line.attributes, "weir.origin").unwrap().to_owned()).collect()
    };
    let kept = origins(41);
    // Five standard deviations.
    assert!((850..1_150).contains(&kept.len()), "{} of 10,000", kept.len());
    assert_eq!(kept, origins(41));
    let indexes = |origins: &[String]| -> Vec<_> {
        origins.iter().map(|origin| origin.rsplit_once('/').unwrap().1.to_owned()).collect()
    };
    assert_ne!(indexes(&kept), indexes(&origins(42)), "another record, another choice");
    let others = ["level=error a=1", "level=warn a=1", "nobody knows how bad"].map(line);
    let access = LogRecord { severity_number: 9, ..line(LINES[0].0) };
    let others = [others.to_vec(), vec![access]].concat();
    assert_eq!(
        lines(&one(&mut processor(text), &request(others.iter().cycle().take(200).cloned().collect()))).len(),
        200
    );
}

/// How many lines of class app leave of records with one each, at these times, in milliseconds from one on, where three
/// may a second; each is another process's.
fn left_at(times: &[Option<i64>]) -> Vec<usize> {
    let text = "[[volume.limit]]\nclass = [\"app\"]\nper_second = 3\n";
    let sent = request(vec![line("x"), line("<86>Nov 21 15:48:20 h sshd[1]: x")]).encode_to_vec();
    let mut state: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut kept = Vec::new();
    for (offset, millis) in times.iter().enumerate() {
        let mut processor = processor(text);
        state.iter().for_each(|(key, value)| processor.restore(key, value).unwrap());
        let id = TopicPartition::new("telemetry-logs", 3);
        let offset = i64::try_from(offset).unwrap();
        let mut builder = BatchBuilder::new(id.clone());
        builder.push(offset, millis.map(|millis| 1_795_276_100_000 + millis), None, Some(&sent), std::iter::empty());
        let (entry, hold) = Partition::open(id, offset).admit(Some((offset, offset + 1)), 0);
        hold.release();
        let mut out = Outbox::new(entry, Budget::new(1 << 30), 1, Limits::all(1 << 20));
        processor.process(&builder.build().unwrap(), &mut out);
        let carried = out.finish().carried;
        kept.push(requests(&carried.outputs).iter().flat_map(lines).count() - 1);
        for (key, value) in carried.state {
            state.retain(|(have, _)| *have != key);
            state.push((key, value.unwrap()));
        }
    }
    kept
}

#[test]
fn a_rate_holds_for_each_second_of_the_records_and_goes_on_in_the_next_process() {
    // Producers whose clocks are behind a little count in the newest second.
    let times = [0, 500, 900, 100, 999, 1_000, 900, 2_500].map(Some);
    assert_eq!(left_at(&times), [1, 1, 1, 0, 0, 1, 1, 1]);
    let times = [60_000, 60_000, 60_000, 0, -1_000].map(Some);
    assert_eq!(left_at(&times), [1, 1, 1, 0, 1], "a minute, and more");
}

/// Guards: one time from the future closes no limit for good, and lines without a time are not limited.
#[test]
fn a_rate_goes_on_after_a_clock_that_was_ahead_and_leaves_records_without_a_time_alone() {
    let ahead = Some(3_600_000);
    let times = [ahead, ahead, ahead, ahead, Some(0), Some(0), Some(0), Some(0), Some(1_000)];
    assert_eq!(left_at(&times), [1, 1, 1, 0, 1, 1, 1, 0, 1]);
    assert_eq!(left_at(&[None; 5]), [1; 5]);
}

/// Guards: a line that is too large with what was read out of it is of its class still, without it.
#[test]
fn an_audit_line_that_is_too_large_with_what_was_read_out_of_it_leaves_whole() {
    let text = "[volume]\nmax_body = \"256B\"\n[[volume.limit]]\nkeep = 0.0\n";
    let body = format!("<110>Nov 21 15:48:20 h x[1]: {}", "y".repeat(2_500));
    let sent = request(vec![line(&body)]).encode_to_vec();
    let (outputs, letters) = run(&mut processor(text), &[&sent], 41, 4_000);
    assert!(letters.is_empty(), "{letters:?}");
    let got = requests(&outputs).iter().flat_map(lines).collect::<Vec<_>>();
    let [got] = &got[..] else { panic!("{got:?}") };
    let told = ["weir.class", "weir.parser", "message"].map(|name| string(&got.attributes, name));
    assert_eq!((told, &got.body), ([Some("audit"), Some("none"), None], &Some(super::text(&body))));
}

#[test]
fn names_severities_and_events_are_not_cut_and_mark_nothing_as_cut() {
    let long = "x9".repeat(50);
    let record = LogRecord {
        severity_text: long.clone(),
        event_name: long.clone(),
        attributes: vec![pair(&long, super::text("s"))],
        ..line("x")
    };
    let got = lines(&one(&mut processor("[volume]\nmax_attribute = \"64B\"\n"), &request(vec![record]))).remove(0);
    assert_eq!((&got.severity_text, &got.event_name), (&long, &long));
    assert_eq!(string(&got.attributes, &long), Some("s"));
    assert_eq!(value(&got.attributes, "weir.truncated"), None);
}

#[test]
fn lines_that_repeat_are_counted_on_the_first_of_them() {
    let again =
        |n: u64| LogRecord { time_unix_nano: NOW + n, observed_time_unix_nano: NOW + 2 * n, ..line("disk is full") };
    let other = LogRecord { severity_number: 17, ..again(5) };
    let forged = LogRecord { attributes: vec![pair("weir.repeated", of(any_value::Value::IntValue(7)))], ..line("x") };
    let sent = request(vec![again(0), line("x"), again(1), other, again(2), forged]);
    let got = lines(&one(&mut processor("[volume]\nrepeated = true\n"), &sent));
    let told = |line: &LogRecord| match value(&line.attributes, "weir.repeated") {
        Some(any_value::Value::IntValue(more)) => *more,
        _ => 0,
    };
    assert_eq!(got.iter().map(told).collect::<Vec<_>>(), [2, 0, 0, 0], "{got:?}");
    assert_eq!(got[0].time_unix_nano, NOW);
    assert_eq!(lines(&one(&mut processor(""), &sent)).len(), 6, "off by default");
    // Cut in parts, too: 16 lines of two kinds.
    let many: Vec<_> = (0..16).map(|n| line(&format!("{} {}", n % 2, "z".repeat(1_000)))).collect();
    let sent = request(many).encode_to_vec();
    let (outputs, _) = run(&mut processor("[volume]\nrepeated = true\n"), &[&sent], 41, 1_800);
    let got: Vec<_> = requests(&outputs).iter().flat_map(lines).collect();
    assert_eq!((outputs.len(), got.iter().map(told).collect::<Vec<_>>()), (2, vec![7, 7]));
}

/// Guards: what is cut was masked before, is text still, and says so.
#[test]
fn long_texts_are_cut_after_they_are_masked_and_marked() {
    let text = "required = []\n[volume]\nmax_body = \"256B\"\nmax_attribute = \"64B\"\n";
    let card = format!("{} 4111 1111 1111 1111 {}", "ü".repeat(120), "x".repeat(500));
    let nested =
        of(any_value::Value::ArrayValue(ArrayValue { values: vec![super::text(&"n".repeat(100)), super::text("s")] }));
    let record = LogRecord {
        attributes: vec![
            pair("short", super::text("s")),
            pair("long", super::text(&"ü".repeat(100))),
            pair("nested", nested),
        ],
        ..line(&card)
    };
    let mut sent = request(vec![record, line("x")]);
    sent.resource_logs[0].resource.as_mut().unwrap().attributes.push(pair("cmd", super::text(&"c".repeat(500))));
    let mut registry = prometheus_client::registry::Registry::default();
    let mut processor = with(text, SharedTables::default(), Instruments::new(&mut registry));
    let got = one(&mut processor, &sent);
    let cut = &lines(&got)[0];
    let Some(any_value::Value::StringValue(body)) = cut.body.as_ref().unwrap().value.as_ref() else { panic!() };
    assert!(body.len() <= 256 && !body.contains("4111"), "{body}");
    assert_eq!(string(&cut.attributes, "long"), Some(&*"ü".repeat(32)));
    let names = ["body", "long", "nested"].map(super::text).to_vec();
    let marked = any_value::Value::ArrayValue(ArrayValue { values: names });
    let mut told = value(&cut.attributes, "weir.truncated").cloned().unwrap();
    if let any_value::Value::ArrayValue(list) = &mut told {
        list.values.sort_by_key(|value| format!("{value:?}"));
    }
    assert_eq!(told, marked);
    assert_eq!(value(&lines(&got)[1].attributes, "weir.truncated"), None);
    assert_eq!(string(resource(&got), "cmd").map(str::len), Some(500), "a resource is of lines of every class");
    assert!(shown(&registry).contains("log_values_truncated_total{class=\"app\"} 3"), "{}", shown(&registry));
}

#[test]
fn a_record_of_which_no_line_leaves_leaves_nothing() {
    let (outputs, letters) = run(
        &mut processor("[[volume.limit]]\nkeep = 0.0\n"),
        &[&request(vec![line("x"), line("y")]).encode_to_vec()],
        41,
        1 << 20,
    );
    assert!(outputs.is_empty() && letters.is_empty());
}

#[test]
fn user_agents_are_taken_apart_without_replacing_what_is_there() {
    let body = "192.0.2.1 - - [21/Nov/2026:15:48:20 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"curl/8.9.1\"";
    let own = LogRecord {
        attributes: vec![
            pair("user_agent.original", super::text("Mozilla/5.0 (compatible; Googlebot/2.1)")),
            pair("user_agent.name", super::text("mine")),
        ],
        ..line("x")
    };
    let got = lines(&one(&mut processor(""), &request(vec![line(body), own])));
    let of = |at: usize, name: &str| string(&got[at].attributes, name);
    assert_eq!((of(0, "user_agent.name"), of(0, "user_agent.version")), (Some("curl"), Some("8.9.1")));
    assert_eq!((of(1, "user_agent.name"), of(1, "user_agent.version")), (Some("mine"), Some("2.1")));
    assert_eq!(of(1, "user_agent.synthetic.type"), Some("bot"));
}

proptest! {
    /// Guards: invariant 7, with everything on that drops or counts.
    #[test]
    fn batching_changes_nothing_of_what_is_dropped(cuts in prop::collection::vec(any::<bool>(), 8), limit in 700_usize..3_000) {
        let text = "[volume]\nrepeated = true\nmax_body = \"256B\"\n[[volume.limit]]\nclass = [\"app\"]\nkeep = 0.5\n\
            per_second = 4\n";
        let values = several();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let want = run(&mut processor(text), &values, 0, limit);
        let mut batched = processor(text);
        let (mut outputs, mut from) = (Vec::new(), 0);
        for to in 1..=values.len() {
            if to == values.len() || cuts[to] {
                outputs.extend(run(&mut batched, &values[from..to], i64::try_from(from).unwrap(), limit).0);
                from = to;
            }
        }
        prop_assert_eq!(outputs, want.0);
    }
}

//! `weir dlq` on a Kafka of its own: what is listed and shown, and what goes back, once.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Record, folder, free_ports, weir};
use weir_tests::wait::wait_until;

use crate::bad_input::{Arrived, good, receiver};
use crate::commands::{Ran, run, topology};

const DEAD_LETTERS: &str = "weir-dead-letters";
const PARTITIONS: i32 = 3;
const ENDS: Duration = Duration::from_secs(60);
/// In keys and values of letters, and nowhere else.
const CANARY: &str = "canary-51d0b2fe";
/// Clears the screen, colours, and turns the direction of writing, with and without an escape character.
const HOSTILE: &str = "\u{1b}[2J\u{9b}31m\u{202e}\r\u{7}";

/// A cluster with a dead-letter topic, for one test at a time: two redrives at once fence each other.
fn cluster() -> (MutexGuard<'static, ()>, &'static Kafka) {
    static CLUSTER: OnceLock<Kafka> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock();
    let kafka = CLUSTER.get_or_init(|| {
        let kafka = Kafka::start(1);
        kafka.create_topic(DEAD_LETTERS, PARTITIONS, &[("max.message.bytes", "2097152")]);
        kafka
    });
    (turn, kafka)
}

/// A topic of its own, with a topology whose worker `metrics` reads it as a group of the same name.
fn job(kafka: &Kafka, name: &str, settings: &[(&str, &str)]) -> (String, String) {
    let name = Kafka::unique(name);
    kafka.create_topic(&name, 2, settings);
    let topology = topology(kafka, &format!("[worker.metrics]\ntopics = [\"{name}\"]\ngroup = \"{name}\"\n"));
    (name, topology)
}

fn said(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}

/// A dead letter of the job of that name, with a header of its own.
fn letter(name: &str, number: i32) -> Record {
    let about = [
        ("own", "1"),
        ("weir.dlq.worker", "metrics"),
        ("weir.dlq.group", name),
        ("weir.dlq.topic", name),
        ("weir.dlq.partition", &(number % 2).to_string()),
        ("weir.dlq.offset", &number.to_string()),
        ("weir.dlq.timestamp", "5"),
        ("weir.dlq.reason", "malformed"),
        ("weir.dlq.detail", "at byte 3"),
        ("weir.dlq.version", "1"),
    ];
    Record {
        partition: Some(number % PARTITIONS),
        key: Some(format!("key-{number}").into_bytes()),
        value: Some(format!("value-{number}").into_bytes()),
        headers: about.map(|(name, value)| said(name, value)).to_vec(),
        ..Record::default()
    }
}

/// The letter with another header of that name, which counts for it.
fn with(mut letter: Record, name: &str, value: &str) -> Record {
    letter.headers.push(said(name, value));
    letter
}

/// What of a job's letters is listed.
#[track_caller]
fn listed(topology: &str, name: &str, more: &[&str]) -> Vec<Value> {
    let ran = run(topology, &[&["dlq", "list", "--topic", name, "--json"], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.json()["more"], false);
    ran.json()["letters"].as_array().unwrap().clone()
}

#[track_caller]
fn redrive(topology: &str, name: &str) -> Ran {
    run(topology, &["dlq", "redrive", "--topic", name, "--yes"])
}

/// Marks letters of partition 0 as redriven, and sees the mark written.
fn send_mark(producer: &BaseProducer, offsets: &str) {
    let version = Header { key: "weir.redrive.marker", value: Some("1") };
    let mark: BaseRecord<'_, str, str> = BaseRecord::to(DEAD_LETTERS).partition(0).payload(offsets);
    producer.send(mark.headers(OwnedHeaders::new().insert(version))).map_err(|(error, _)| error).unwrap();
    producer.flush(ENDS).unwrap();
}

/// How often each key is in the topic, for readers of committed records.
fn keys(kafka: &Kafka, name: &str) -> BTreeMap<Vec<u8>, usize> {
    let mut keys = BTreeMap::new();
    for record in kafka.read_all(name) {
        *keys.entry(record.key.unwrap()).or_default() += 1;
    }
    keys
}

/// Scenario: letters are looked at, redriven, and redriven again.
/// Guards: each is a record again once, as it was, with its group and count; what was redriven is listed no more.
#[test]
fn a_letter_goes_back_once_however_often_it_is_asked_for() {
    let (_turn, kafka) = cluster();
    let (name, topology) = job(kafka, "redriven", &[]);
    let letters: Vec<_> = (0..5).map(|number| letter(&name, number)).collect();
    kafka.produce(DEAD_LETTERS, &letters);

    let planned = run(&topology, &["dlq", "redrive", "--topic", &name, "--dry-run"]);
    assert_eq!((planned.code, planned.err.as_str()), (0, ""));
    let plan = format!(
        " worker   group{0}  topic{0}  reason     letters\n metrics  {name}  {name}  malformed  5\n5 letters to redrive\n",
        " ".repeat(name.len() - 5)
    );
    assert_eq!(planned.out, plan);
    let refused = run(&topology, &["dlq", "redrive", "--topic", &name]);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""), "there is nobody to ask");
    assert_eq!(kafka.read_all(&name), [], "nothing was changed");

    let redriven = redrive(&topology, &name);
    assert_eq!((redriven.code, redriven.out), (0, format!("{plan}5 letters went back\n")), "{}", redriven.err);
    let mut there = kafka.read_all(&name);
    there.sort_by_key(|record| record.key.clone());
    for (record, number) in there.iter().zip(0..) {
        let was = letter(&name, number);
        let headers = [said("own", "1"), said("weir.redrive.group", &name), said("weir.redrive.count", "1")];
        assert_eq!((&record.key, &record.value), (&was.key, &was.value));
        assert_eq!((record.partition, &*record.headers), (Some(number % 2), &headers[..]));
    }
    assert_eq!(there.len(), 5);

    let again = redrive(&topology, &name);
    assert_eq!(
        (again.code, again.out.as_str()),
        (0, "5 letters redriven already\nnothing to redrive\n"),
        "{}",
        again.err
    );
    assert_eq!(kafka.read_all(&name).len(), 5);
    assert_eq!(listed(&topology, &name, &[]).len(), 0);
    let all = listed(&topology, &name, &["--all"]);
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|letter| letter["redriven"] == true), "{all:?}");

    // A later letter of the same topic goes alone.
    kafka.produce(DEAD_LETTERS, &[letter(&name, 9)]);
    assert_eq!(redrive(&topology, &name).code, 0);
    assert_eq!(keys(kafka, &name).values().copied().collect::<Vec<_>>(), [1; 6]);
}

/// Scenario: a redrive died with its transaction open, half of it and its mark written.
/// Guards: nothing of it counts, and the next one redrives everything once.
#[test]
fn a_redrive_that_died_in_its_transaction_has_done_nothing() {
    let (_turn, kafka) = cluster();
    let (name, topology) = job(kafka, "died", &[]);
    kafka.produce(DEAD_LETTERS, &[letter(&name, 0), letter(&name, 3)]);
    let offsets: Vec<_> = listed(&topology, &name, &[]).iter().map(|letter| letter["offset"].to_string()).collect();
    assert_eq!(offsets.len(), 2);

    let mut config = kafka.client(Listener::Plain);
    let producer: BaseProducer = config.set("transactional.id", "weir-dlq-redrive").create().unwrap();
    producer.init_transactions(ENDS).unwrap();
    producer.begin_transaction().unwrap();
    let record: BaseRecord<'_, str, str> = BaseRecord::to(&name).partition(0).key("key-0").payload("value-0");
    producer.send(record).map_err(|(error, _)| error).unwrap();
    send_mark(&producer, &offsets.join(" "));
    producer.flush(ENDS).unwrap();
    drop(producer);

    let redriven = redrive(&topology, &name);
    assert_eq!(redriven.code, 0, "{}{}", redriven.out, redriven.err);
    assert_eq!(keys(kafka, &name), [(b"key-0".to_vec(), 1), (b"key-3".to_vec(), 1)].into());
}

/// Scenario: an earlier redrive's mark is committed, and cannot be read while another transaction before it is open.
/// Guards: nothing goes before it can be read, and what it names does not go again.
#[test]
fn a_mark_that_is_hidden_at_first_is_found_before_anything_goes() {
    let (_turn, kafka) = cluster();
    let (name, topology) = job(kafka, "hidden", &[]);
    kafka.produce(DEAD_LETTERS, &[letter(&name, 0), letter(&name, 3)]);
    let first = listed(&topology, &name, &[])[0]["offset"].to_string();
    let producer = |id: &str| {
        let mut config = kafka.client(Listener::Plain);
        let producer: BaseProducer = config.set("transactional.id", id).create().unwrap();
        producer.init_transactions(ENDS).unwrap();
        producer.begin_transaction().unwrap();
        producer
    };
    let open = producer(&name);
    send_mark(&open, "");
    let earlier = producer("weir-dlq-redrive");
    let record: BaseRecord<'_, str, str> = BaseRecord::to(&name).partition(0).key("key-0").payload("value-0");
    earlier.send(record).map_err(|(error, _)| error).unwrap();
    send_mark(&earlier, &first);
    earlier.commit_transaction(ENDS).unwrap();

    let folder = folder("command");
    fs::write(folder.join("topology.toml"), &topology).unwrap();
    let mut process = weir(&folder, &["dlq", "redrive", "--topic", &name, "--yes"]);
    wait_until(
        ENDS,
        "plan",
        || if process.stdout().ends_with("2 letters to redrive\n") { Ok(()) } else { Err("none") },
    );
    open.abort_transaction(ENDS).unwrap();
    assert_eq!(process.finish(ENDS).code(), Some(0), "{}", process.stderr());
    assert!(process.stdout().ends_with("\n1 letter went back\n"), "{}", process.stdout());
    assert_eq!(keys(kafka, &name), [(b"key-0".to_vec(), 1), (b"key-3".to_vec(), 1)].into());
}

/// Scenario: redrives of many letters are killed while they write, then two run at once, then one to its end.
/// Guards: every letter is there exactly once for readers of committed records.
#[test]
fn redrives_that_are_killed_or_fenced_redrive_every_letter_once() {
    let (_turn, kafka) = cluster();
    let (name, topology) = job(kafka, "killed", &[]);
    let letters: Vec<_> = (0..9000).map(|number| letter(&name, number)).collect();
    kafka.produce(DEAD_LETTERS, &letters);
    let mut config = kafka.client(Listener::Plain);
    let client: BaseConsumer = config.set("isolation.level", "read_uncommitted").create().unwrap();
    let written = || (0..2).map(|partition| client.fetch_watermarks(&name, partition, ENDS).unwrap().1).sum::<i64>();
    let start = || {
        let folder = folder("command");
        fs::write(folder.join("topology.toml"), &topology).unwrap();
        weir(&folder, &["dlq", "redrive", "--topic", &name, "--yes"])
    };

    let mut killed = 0;
    for _ in 0..3 {
        let (before, mut process) = (written(), start());
        wait_until(ENDS, "record of this redrive", || {
            if written() > before || !process.is_running() { Ok(()) } else { Err("none yet") }
        });
        killed += usize::from(process.is_running());
        process.kill();
    }
    assert!(killed > 0, "none was killed on its way");
    let mut both = [start(), start()];
    let codes = both.each_mut().map(|process| process.finish(ENDS).code().unwrap());
    println!("killed {killed}, two at once ended with {codes:?}, {} offsets written", written());
    assert!(codes.contains(&0), "{codes:?}: {}{}", both[0].stderr(), both[1].stderr());

    let last = redrive(&topology, &name);
    assert_eq!(last.code, 0, "{}", last.err);
    assert!(last.out.ends_with("nothing to redrive\n"), "{}", last.out);
    let keys = keys(kafka, &name);
    assert_eq!((keys.len(), keys.values().max()), (9000, Some(&1)));
}

#[test]
fn every_filter_takes_what_it_says() {
    let (_turn, kafka) = cluster();
    let (name, topology) = job(kafka, "filters", &[]);
    let at = |timestamp_ms, letter| Record { timestamp_ms: Some(timestamp_ms), ..letter };
    let day = 86_400_000;
    let now = weir_fleet::commands::terminal::time_ms("0s").unwrap();
    kafka.produce(
        DEAD_LETTERS,
        &[
            at(now - 3 * day, letter(&name, 0)),
            at(now - 2 * day, with(letter(&name, 3), "weir.dlq.reason", "too_large")),
            at(now - day, with(letter(&name, 6), "weir.dlq.worker", "other")),
            at(now, letter(&name, 1)),
        ],
    );
    let numbers = |more: &[&str]| -> Vec<_> {
        listed(&topology, &name, more).iter().map(|letter| letter["origin_offset"].as_i64().unwrap()).collect()
    };
    let time = |ms| weir_fleet::commands::terminal::time(Some(ms));
    assert_eq!(numbers(&[]), [0, 3, 6, 1], "in order of time");
    assert_eq!(numbers(&["--worker", "other"]), [6]);
    assert_eq!(numbers(&["--reason", "too_large"]), [3]);
    assert_eq!(numbers(&["--since", "36h"]), [6, 1]);
    assert_eq!(numbers(&["--since", &time(now - 5 * day / 2), "--until", "1h"]), [3, 6]);
    assert_eq!(numbers(&["--partition", "1"]), [1]);
    assert_eq!(numbers(&["--worker", "nobody"]), NOTHING);
    let letters = listed(&topology, &name, &["--reason", "too_large"]);
    let [one] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(
        *one,
        json!({"partition": 0, "offset": one["offset"], "written_ms": now - 2 * day, "worker": "metrics",
            "group": name, "topic": name, "origin_partition": 1, "origin_offset": 3, "origin_ms": 5,
            "reason": "too_large", "detail": "at byte 3", "key_bytes": 5, "value_bytes": 7,
            "redrives": 0, "redriven": false})
    );
    let offset = one["offset"].to_string();
    let named = ["--partition", "0", "--offset", &offset];
    assert_eq!(numbers(&named), [3]);
    let shown = run(&topology, &[&["dlq", "show"][..], &named].concat());
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.starts_with(&format!("partition 0 offset {offset}: written ")), "{}", shown.out);
    assert!(shown.out.contains("key 5 bytes, value 7 bytes\n  own: 1\n"), "{}", shown.out);
    assert_eq!(run(&topology, &[&["dlq", "redrive", "--yes"][..], &named].concat()).code, 0);
    assert_eq!(keys(kafka, &name), [(b"key-3".to_vec(), 1)].into(), "that one alone");
    let shown = run(&topology, &[&["dlq", "show"][..], &named].concat());
    assert!(shown.code == 0 && shown.out.contains(", redriven\n"), "{}", shown.out);

    let none = run(&topology, &["dlq", "show", "--partition", "0", "--offset", "1000000"]);
    assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (1, "", "weir: there is no such letter\n"));
    let wrong = run(&topology, &["dlq", "list", "--partition", "3"]);
    let told = "weir: weir-dead-letters has 3 partitions, and so no partition 3\n";
    assert_eq!((wrong.code, wrong.err.as_str()), (2, told));
}

/// No letter at all.
const NOTHING: [i64; 0] = [];

/// Scenario: letters that cannot go beside letters that can.
/// Guards: the answer is no, each reason is said, and the others went.
#[test]
fn a_letter_that_cannot_go_stays_with_the_reason_said() {
    let (_turn, kafka) = cluster();
    let (name, topology) = job(kafka, "staying", &[("max.message.bytes", "4000")]);
    // Larger than the topic takes, however it is compressed.
    let mut state = 1_u32;
    let large = (0..20_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let large: Vec<u8> = large.collect();
    let gone = |letter: Record| Record { key: None, value: None, ..letter };
    let letters = [
        letter(&name, 0),
        with(letter(&name, 3), "weir.redrive.count", "3"),
        with(gone(letter(&name, 6)), "weir.dlq.timestamp", ""),
        with(gone(letter(&name, 9)), "weir.dlq.size", "9"),
        with(letter(&name, 12), "weir.dlq.group", "nobody"),
        with(letter(&name, 15), "weir.dlq.partition", "2"),
        with(letter(&name, 18), "weir.dlq.version", "2"),
        Record { value: Some(large), ..letter(&name, 21) },
        with(letter(&name, 24), "weir.redrive.count", "2"),
    ];
    kafka.produce(DEAD_LETTERS, &letters);
    let ran = redrive(&topology, &name);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for why in [
        "was redriven 3 times already",
        "has no value: retention had removed the record before it could be read again",
        "has no value: the record was larger than the dead-letter topic takes",
        "is for a group that reads no such topic in the topology",
        "is of a topic or partition that the cluster does not have",
        "was written by another version of Weir",
    ] {
        let line = ran.out.lines().find(|line| line.ends_with(&format!(": it {why}")));
        assert!(
            line.is_some_and(|line| line.starts_with("1 letter stays, the first at partition 0 offset ")),
            "{}",
            ran.out
        );
    }
    assert!(ran.out.contains(&format!(": it was refused by {name}[1]: ")), "{}", ran.out);
    assert!(ran.out.ends_with("\n2 letters went back\n"), "{}", ran.out);
    let records = kafka.read_all(&name);
    let counts: BTreeMap<_, _> =
        records.iter().map(|record| (record.key.clone(), record.headers.last().cloned())).collect();
    let expected = [("key-0", "1"), ("key-24", "3")];
    let expected = expected.map(|(key, count)| (Some(key.into()), Some(said("weir.redrive.count", count))));
    assert_eq!((records.len(), counts), (2, expected.into()));
    assert_eq!(redrive(&topology, &name).code, 1, "what stays, stays");
}

/// Scenario: headers that a terminal would act on; a canary in keys and values, as text and as bytes.
/// Guards: nothing that a terminal acts on is ever printed, and nothing of a payload unless it is asked for.
#[test]
fn payloads_are_shown_only_on_demand_and_nothing_reaches_the_terminal_raw() {
    let (_turn, kafka) = cluster();
    let (name, topology) = job(kafka, "hostile", &[]);
    let hostile = |mut letter: Record, value: Vec<u8>| {
        letter.key = Some(format!("{CANARY}{HOSTILE}").into_bytes());
        letter.value = Some(value);
        for header in ["weir.dlq.reason", "weir.dlq.detail", "weir.dlq.worker", HOSTILE] {
            letter.headers.push(said(header, &format!("x{HOSTILE}")));
        }
        letter
    };
    let text = format!("{{\n  \"secret\": \"{CANARY}{HOSTILE}\"\n}}");
    let bytes = [CANARY.as_bytes(), HOSTILE.as_bytes(), &[0xff, 0]].concat();
    kafka.produce(DEAD_LETTERS, &[hostile(letter(&name, 0), text.into_bytes()), hostile(letter(&name, 1), bytes)]);
    let harmless = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}');

    for args in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--all", "--log-level", "trace"],
        &["show"],
        &["redrive", "--dry-run"],
        &["redrive", "--yes", "--log-level", "trace"],
    ] {
        let ran = run(&topology, &[&["dlq"], args, &["--topic", &name]].concat());
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        assert!(ran.out.contains("x\\u{1b}[2J") || ran.out.contains("x\\u001b[2J"), "{args:?}: {}", ran.out);
        for text in [&ran.out, &ran.err] {
            assert!(harmless(text), "{args:?}: {text:?}");
            assert!(!text.contains("canary") && !text.contains("63 61 6e 61 72 79"), "{args:?}: {text}");
        }
    }
    let shown = run(&topology, &["dlq", "show", "--topic", &name, "--all", "--payload"]);
    assert!(shown.code == 0 && harmless(&shown.out), "{:?}", shown.out);
    for line in [
        &*format!("    {CANARY}\\u{{1b}}[2J\\u{{9b}}31m\\u{{202e}}\\r\\u{{7}}"),
        &format!("      \"secret\": \"{CANARY}\\u{{1b}}[2J\\u{{9b}}31m\\u{{202e}}\\r\\u{{7}}\""),
        "    00000000  63 61 6e 61 72 79 2d 35 31 64 30 62 32 66 65 1b  |canary-51d0b2fe.|",
    ] {
        assert!(shown.out.lines().any(|shown| shown == line), "{line}: {}", shown.out);
    }
}

/// Scenario: two groups read one topic, and both reject a record; the letters of one group go back, with one whose
/// record can be read by now.
/// Guards: that group alone processes them, the other passes over them, and both reach the end.
#[test]
fn a_redriven_record_counts_once_in_every_group() {
    let (_turn, kafka) = cluster();
    let (name, admin) = (kafka.topic("groups", 2), free_ports());
    let arrived = Arrived::default();
    let receiver = receiver(&arrived);
    let other = format!("{name}-other");
    let mut text = format!("[process]\nadmin = \"127.0.0.1:{admin}\"\n");
    for (worker, group) in [("metrics", &name), ("second", &other)] {
        text += &format!("[worker.{worker}]\ntopics = [\"{name}\"]\ngroup = \"{group}\"\n");
        text += &format!("[worker.{worker}.remote_write]\nurl = \"{}\"\n", receiver.url());
    }
    let (topology, folder) = (topology(kafka, &text), folder("groups"));
    fs::write(folder.join("topology.toml"), &topology).unwrap();
    let bad = |partition| Record { partition: Some(partition), value: Some(vec![0xff; 9]), ..Record::default() };
    kafka.produce(&name, &[bad(0)]);
    kafka.produce(DEAD_LETTERS, &[Record { value: Some(good(1)), ..letter(&name, 1) }]);
    let mut process = weir(&folder, &["run", "metrics", "second"]);
    let letters = |count: usize| {
        wait_until(ENDS, "dead letters", || {
            let letters = listed(&topology, &name, &["--all"]);
            if letters.len() == count { Ok(letters) } else { Err(format!("{letters:?}")) }
        })
    };
    letters(3);
    let caught_up = || {
        wait_until(ENDS, "end of the lag", || {
            let ran = run(&topology, &["lag", "--max-records", "0"]);
            if ran.code == 0 { Ok(()) } else { Err(ran.out + &ran.err) }
        });
    };
    caught_up();
    assert_eq!(arrived.lock().len(), 0);

    let redriven = run(&topology, &["dlq", "redrive", "--worker", "metrics", "--topic", &name, "--yes"]);
    assert!(
        redriven.code == 0 && redriven.out.ends_with("\n2 letters went back\n"),
        "{}{}",
        redriven.out,
        redriven.err
    );
    let letters = letters(4);
    caught_up();
    let facts = |letter: &Value| {
        let text = |name: &str| letter[name].as_str().unwrap().to_owned();
        (text("worker"), text("group"), letter["redrives"].as_i64().unwrap(), letter["redriven"].as_bool().unwrap())
    };
    let mut facts: Vec<_> = letters.iter().map(facts).collect();
    facts.sort();
    let of = |worker: &str, group: &str, redrives, redriven| (worker.to_owned(), group.to_owned(), redrives, redriven);
    let expected = [
        of("metrics", &name, 0, true),
        of("metrics", &name, 0, true),
        of("metrics", &name, 1, false),
        of("second", &other, 0, false),
    ];
    assert_eq!(facts, expected);
    assert_eq!(arrived.lock().get(&("good".to_owned(), "1".to_owned())), Some(&1), "once, not once a group");

    let metrics = http::get(&format!("http://127.0.0.1:{admin}/metrics"), &[]).unwrap();
    let count = |counter: &str, worker: &str| {
        let worker = format!("worker=\"{worker}\"");
        let of = |line: &&str| line.starts_with(&format!("weir_{counter}{{")) && line.contains(&worker);
        metrics.lines().filter(of).map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    assert_eq!((count("records_received_total", "metrics"), count("records_passed_over_total", "metrics")), (3, 0));
    assert_eq!((count("records_received_total", "second"), count("records_passed_over_total", "second")), (1, 2));
    assert!(process.terminate(ENDS).success(), "{}", process.stderr());
    // Nothing but passed-over records came, and they were committed: a restart meets none of them.
    caught_up();
}

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use std::{env, fs};

use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use weir_config::unset;

use super::*;
use crate::config::{Delimited, Pattern};

/// 2026-11-21T15:48:20Z: the time of the record that a line is in.
const NOW: Clock = Clock { reference_nanos: 1_795_276_100_000_000_000, utc_offset_seconds: 0 };

fn parsers() -> Parsers {
    let delimited = |name: &str, separator: &str, columns: &str| Delimited {
        name: unset(name.to_owned()),
        separator: unset(separator.to_owned()),
        columns: unset(columns.split(' ').map(str::to_owned).collect()),
    };
    let pattern = |name: &str, regex: &str| {
        Compiled::new(&Pattern { name: unset(name.to_owned()), regex: unset(regex.to_owned()) }).unwrap()
    };
    Parsers {
        order: Vec::new(),
        patterns: vec![
            pattern(
                "payment",
                r"^PAY (?<payment__id>[0-9a-f]{8}) (?<level>\w+) amount (?<amount>[0-9.]+)(?: (?<currency>[A-Z]{3}))?$",
            ),
            pattern("door", r"^door (?P<door>\d+) (?:opened|closed) by badge (?P<badge>\w+) at (?P<time>\S+)"),
        ],
        delimited: vec![
            delimited("orders", ",", "time order.id user.name amount level"),
            delimited("tabs", "\t", "host request millis"),
            delimited("pipes", "|", "a b c d"),
        ],
    }
}

/// A line as the golden files write it: `\n`, `\r`, `\t`, `\0`, `\\` and `\xNN` are bytes; what is not UTF-8 is read as
/// the worker reads a body of bytes.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().unwrap() {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'0' => bytes.push(0),
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => bytes.extend([b'\\', other].iter().skip(usize::from(other == b'\\'))),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn plain(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::List(values) => values.iter().map(plain).collect(),
        Value::Map(values) => values.iter().map(|(key, value)| (key.to_string(), plain(value))).collect(),
    }
}

fn render(line: &str) -> Json {
    let parsers = parsers();
    let mut parsed = Parsed::default();
    let (parser, rule) = parsers.parse(line, NOW, &mut parsed);
    let mut out = json!({"parser": parser.as_str()});
    let mut put = |name: &str, value: Json| out.as_object_mut().unwrap().insert(name.to_owned(), value);
    if !rule.is_empty() {
        put("rule", json!(rule));
    }
    if let Some(nanos) = parsed.time_nanos {
        put("time", json!(humantime::format_rfc3339(UNIX_EPOCH + Duration::from_nanos(nanos)).to_string()));
    }
    if let Some(severity) = &parsed.severity {
        put("severity", json!([severity.number, severity.text]));
    }
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if let Some(id) = parsed.trace_id {
        put("trace", json!(hex(&id)));
    }
    if let Some(id) = parsed.span_id {
        put("span", json!(hex(&id)));
    }
    if parsed.dropped > 0 {
        put("dropped", json!(parsed.dropped));
    }
    if !parsed.attributes.is_empty() {
        let attributes = parsed.attributes.iter().map(|(key, value)| (key.to_string(), plain(value)));
        put("attributes", attributes.collect());
    }
    out
}

/// Checks a golden file: each line after `> ` is followed by `= ` and what is read out of it. How many there are.
fn check(file: &Path) -> usize {
    let text = fs::read_to_string(file).unwrap();
    let (mut got, mut checked) = (String::new(), 0);
    for line in text.lines() {
        if line.starts_with("= ") {
            continue;
        }
        got.push_str(line);
        got.push('\n');
        if let Some(line) = line.strip_prefix("> ") {
            got.push_str(&format!("= {}\n", render(&unescaped(line))));
            checked += 1;
        }
    }
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, &got).unwrap();
    }
    let want = fs::read_to_string(file).unwrap();
    for (got, want) in got.lines().zip(want.lines()) {
        assert_eq!(got, want, "{}: UPDATE_GOLDEN=1, then read the diff", file.display());
    }
    assert_eq!(got.lines().count(), want.lines().count(), "{}", file.display());
    checked
}

#[test]
fn golden_lines_are_read_as_written_beside_them() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let checked: usize =
        files.filter(|file| file.extension().is_some_and(|end| end == "txt")).map(|file| check(&file)).sum();
    assert!(checked >= 300, "only {checked} lines");
}

#[test]
fn the_examples_of_the_documentation_are_read_as_it_says_and_there_is_one_for_each_parser() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/logs.md");
    assert_eq!(check(&file), Parser::ALL.len());
    let text = fs::read_to_string(file).unwrap();
    for parser in Parser::ALL {
        assert!(text.contains(&format!("\"parser\":\"{}\"", parser.as_str())), "{parser:?}");
    }
}

#[test]
fn a_parser_that_is_not_listed_is_not_tried_and_those_that_are_come_in_order() {
    let taken = |order: &[ParserKind], line: &str| {
        let parsers = Parsers { order: order.to_vec(), ..parsers() };
        parsers.parse(line, NOW, &mut Parsed::default()).0
    };
    let line = "2026-11-21 15:48:20 ERROR a=1 b=2";
    assert_eq!(taken(&[], line), Parser::App);
    assert_eq!(taken(&[ParserKind::Json, ParserKind::Logfmt], line), Parser::None);
    assert_eq!(taken(&[ParserKind::Json, ParserKind::App], line), Parser::App);
    assert_eq!(taken(&[ParserKind::App, ParserKind::Json], r#"{"a":"b=1"}"#), Parser::App);
    assert_eq!(taken(&[ParserKind::Json, ParserKind::App], r#"{"a":"b=1"}"#), Parser::Json);
}

/// Beginnings that lead into each parser, and what it may hang on.
const BEGINNINGS: [&str; 22] = [
    "{\"a\":",
    "{\"a\":\"\\\"",
    "[",
    "[a=",
    "<a>",
    "<a b=\"",
    "<a>&lt;",
    "<34>1 ",
    "<34>1 - h a p m [i n=\"",
    "<34>Oct 11 22:14:15 h a: ",
    "Feb 19 02:26:26 a %ASA-6-302016: ",
    "%ASA-6-302016: user <",
    "1.2.3.4 - - [21/Nov/2026:15:48:20 +0000] \"",
    "a=1 b=2 ",
    "a=1 b=\"",
    "2026-11-21 15:48:20 ERROR ",
    "trace_id=",
    "INFO ",
    "a\tb\tc",
    "a|b|",
    "PAY 01234567 INFO amount ",
    "x",
];
/// What repeats.
const REPEATED: [&str; 26] = [
    "{\"a\":",
    "[",
    "]",
    "<a>",
    "</a>",
    "&amp;",
    "&",
    "a=",
    "=",
    "a=\"",
    "\\\"",
    "\\",
    "\"",
    "'",
    " ",
    ",",
    "flags ",
    "user <",
    "for 1.2.3.4 ",
    "connection ",
    "trace_id=",
    "1.2.3.4 ",
    "::",
    "[a] ",
    "a=1 ",
    "é",
];

/// What this thread has worked, whatever else the machine does.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Formats whose lines are a thousand times as long: each byte takes the same work, from 1 KiB to 1 MiB. It would take a
/// thousand times as much if work grew by its square; sixteen times is what caches and short lines' beginnings may make.
#[test]
fn a_byte_of_a_megabyte_takes_the_work_of_one_of_a_kilobyte() {
    let lines: [(&str, &str, &str); 8] = [
        ("{\"a\":[", "{\"b\":\"c d\",\"e\":12},", "0]}"),
        ("<a>", "<b c=\"d\">e &amp; f</b>", "</a>"),
        ("<13>1 2026-11-21T15:48:20Z h a 1 m [x@1 a=\"b\"] ", "k=v 192.0.2.1 text ", "x"),
        ("<13>Nov 21 15:48:20 web-1 app[7]: ", "k=v 192.0.2.1 text ", "x"),
        ("%ASA-6-302016: Teardown UDP connection 5 for outside:1.1.0.0/53 ", "to dmz1:192.0.2.19/59232 ", "bytes 1"),
        ("192.0.2.1 - - [21/Nov/2026:15:48:20 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"", "a \\\"b\\\" c ", "\""),
        ("a=1 ", "b=\"c d\" e=12 ", "f=1"),
        ("[2026-11-21 15:48:20] [ERROR] ", "[main] k=v text ", "x"),
    ];
    let parsers = parsers();
    for (beginning, repeated, end) in lines {
        let line = |bytes: usize| format!("{beginning}{}{end}", repeated.repeat(bytes / repeated.len()));
        // The least of several turns: what else the thread is made to do is none of the parser's.
        let work = |line: &str, turns: usize| {
            let turn = || {
                let start = worked();
                for _ in 0..turns {
                    parsers.parse(line, NOW, &mut Parsed::default());
                }
                worked() - start
            };
            (0..5).map(|_| turn()).min().unwrap()
        };
        let (short, long) = (work(&line(1 << 10), 1 << 10), work(&line(1 << 20), 1));
        assert!(long < short * 16, "{beginning:?}: {short:?} for 1,024 lines of 1 KiB, {long:?} for one of 1 MiB");
    }
}

#[test]
fn a_line_of_a_megabyte_is_read_like_any_other() {
    let long = "x".repeat(1 << 20);
    for (line, parser, name) in [
        (format!(r#"{{"level":"error","a":"{long}"}}"#), Parser::Json, "a"),
        (format!("<r><a>{long}</a></r>"), Parser::Xml, "r.a"),
        (format!("<13>1 2026-11-21T15:48:20Z h app 1 m - {long}"), Parser::SyslogRfc5424, "message"),
        (format!("<13>Nov 21 15:48:20 h app[7]: {long}"), Parser::SyslogRfc3164, "message"),
        (
            format!("192.0.2.1 - - [21/Nov/2026:15:48:20 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"{long}\""),
            Parser::Access,
            "user_agent.original",
        ),
        (format!("level=error a={long}"), Parser::Logfmt, "a"),
        (format!("a,b,{long},d,e"), Parser::Delimited, "user.name"),
        (format!("[ERROR] {long}"), Parser::Bracketed, "message"),
        (format!("ERROR a={long}"), Parser::App, "a"),
    ] {
        let (parsers, mut parsed) = (parsers(), Parsed::default());
        assert_eq!(parsers.parse(&line, NOW, &mut parsed).0, parser);
        assert_eq!(parsed.get(name).and_then(Value::as_text).map(str::len), Some(1 << 20), "{parser:?}");
    }
}

/// The work for a line grows as the line does: sixteen times the bytes take no more than a hundred times the work, and
/// would take 256 times as much if it grew by its square.
#[test]
fn time_a_byte_is_level_whatever_repeats() {
    let parsers = parsers();
    let time = |line: &str| {
        let start = worked();
        let mut parsed = Parsed::default();
        parsers.parse(line, NOW, &mut parsed);
        for kind in [ParserKind::App, ParserKind::Bracketed, ParserKind::Logfmt, ParserKind::Xml, ParserKind::CiscoAsa]
        {
            Parsers { order: vec![kind], ..Parsers::default() }.parse(line, NOW, &mut parsed);
            parsed.clear();
        }
        trace::of_text(line, &trace::Finder::default());
        worked() - start
    };
    for beginning in BEGINNINGS {
        for repeated in REPEATED {
            let line = |bytes: usize| format!("{beginning}{}", repeated.repeat(bytes / repeated.len()));
            let (short, long) = (time(&line(1 << 15)), time(&line(1 << 19)));
            let most = (short * 100).max(Duration::from_millis(50));
            assert!(long < most, "{beginning:?} and {repeated:?} repeated: {short:?} for 32 KiB, {long:?} for 512 KiB");
        }
    }
    let (short, long) = ["a=1 b=\"c d\" 192.0.2.1 ".repeat(50), "a=1 b=\"c d\" 192.0.2.1 ".repeat(50_000)]
        .map(|line| time(&line))
        .into();
    assert!(long < (short * 5_000).max(Duration::from_millis(50)), "{short:?} for 1 KiB, {long:?} for 1 MiB");
}

#[test]
fn nesting_without_end_ends_the_parser_and_not_the_worker() {
    for (open, close) in [("{\"a\":", "}"), ("[", "]"), ("<a>", "</a>")] {
        let line = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let (parser, _) = parsers().parse(&line, NOW, &mut Parsed::default());
        assert_ne!(parser, Parser::Json);
        assert_ne!(parser, Parser::Xml);
    }
}

/// A time as Apache writes it, in UTC.
#[expect(clippy::string_slice, reason = "a time in ASCII")]
fn apache_time(seconds: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let month: usize = text[5..7].parse().unwrap();
    format!("{}/{}/{}:{} +0000", &text[8..10], MONTHS[month - 1], &text[..4], &text[11..19])
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_ends_the_worker(beginning in prop::sample::select(&BEGINNINGS[..]), text in "\\PC{0,200}", bytes: Vec<u8>) {
        let parsers = parsers();
        let binary = String::from_utf8_lossy(&bytes).into_owned();
        for line in [text.clone(), binary.clone(), format!("{beginning}{text}"), format!("{beginning}{binary}")] {
            let mut parsed = Parsed::default();
            let (parser, _) = parsers.parse(&line, NOW, &mut parsed);
            prop_assert!(parser != Parser::None || parsed.attributes.is_empty());
            trace::of_text(&line, &trace::Finder::default());
        }
    }

    #[test]
    fn a_golden_line_that_is_cut_and_changed_does_not_end_the_worker(at: prop::sample::Index, cut: prop::sample::Index, byte: u8) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let all: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
        let lines: Vec<_> = all.lines().filter_map(|line| line.strip_prefix("> ")).collect();
        let mut bytes = unescaped(lines[at.index(lines.len())]).into_bytes();
        if !bytes.is_empty() {
            let at = cut.index(bytes.len());
            bytes[at] = byte;
            render(&String::from_utf8_lossy(&bytes));
            bytes.truncate(at);
            render(&String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn json_is_read_back(members in prop::collection::btree_map("[b-z][a-z.]{0,8}", json_value(), 1..8)) {
        let want: Json = members.into_iter().collect();
        let got = render(&want.to_string());
        prop_assert_eq!(&got["parser"], "json");
        prop_assert_eq!(&got["attributes"], &want);
    }

    #[test]
    fn logfmt_is_read_back(pairs in prop::collection::btree_map("[b-z][a-z_]{0,8}", "[a-zA-Z \\\\\"=é]{0,12}", 2..8)) {
        let text = |value: &String| if value == "true" || value == "false" { format!("{value}.") } else { value.clone() };
        let written = pairs.iter().map(|(key, value)| {
            format!("{key}=\"{}\"", text(value).replace('\\', "\\\\").replace('"', "\\\""))
        });
        let got = render(&written.collect::<Vec<_>>().join(" "));
        prop_assert_eq!(&got["parser"], "logfmt");
        let want: Json = pairs.iter().map(|(key, value)| (key.clone(), Json::from(text(value)))).collect();
        prop_assert_eq!(&got["attributes"], &want);
    }

    #[test]
    fn structured_data_is_read_back(value in "[ -~é]{1,20}", id in "[a-z]{1,8}@[0-9]{1,5}", name in "[a-zA-Z]{1,8}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let got = render(&format!("<34>1 2026-11-21T15:48:20Z host app 7 ID1 [{id} {name}=\"{escaped}\"] text"));
        prop_assert_eq!(&got["parser"], "syslog_rfc5424");
        prop_assert_eq!(&got["attributes"][format!("syslog.{id}.{name}")], &Json::from(value));
    }

    #[test]
    fn access_lines_are_read_back(
        client in "[0-9]{1,3}\\.0\\.2\\.[0-9]{1,2}",
        seconds in 1_000_000_000_u64..4_000_000_000,
        method in "GET|POST|PROPFIND",
        path in "/[a-zA-Z0-9_./%-]{0,20}",
        status in 100_u16..600,
        size in any::<u32>(),
        agent in "[!-,.-~é]([ -~é]{0,20}[!-~é])?",
    ) {
        let at = apache_time(seconds);
        let escaped = agent.replace('\\', "\\\\").replace('"', "\\\"");
        let got = render(&format!("{client} - eve [{at}] \"{method} {path} HTTP/1.1\" {status} {size} \"-\" \"{escaped}\""));
        prop_assert_eq!(&got["parser"], "access");
        let want = json!({
            "client.address": client, "user.name": "eve", "http.request.method": method, "url.path": path,
            "network.protocol.name": "http", "network.protocol.version": "1.1", "http.response.status_code": status,
            "http.response.body.size": size, "user_agent.original": agent,
        });
        prop_assert_eq!(&got["attributes"], &want);
        let time = humantime::format_rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        prop_assert_eq!(&got["time"], &time);
    }

    #[test]
    fn lines_of_rfc_3164_are_read_back(
        priority in 0_u32..192, host in "[a-z][a-z0-9-]{0,10}", app in "[a-z]{1,8}", pid in 1_u32..100_000,
        text in "[a-z][a-zA-Z é.!?]{0,30}[a-z]", day in 1_u32..29, second in 0_u32..60,
    ) {
        let got = render(&format!("<{priority}>Nov {day:2} 15:48:{second:02} {host} {app}[{pid}]: {text}"));
        prop_assert_eq!(&got["parser"], "syslog_rfc3164");
        let about = [("host.name", host), ("syslog.appname", app), ("syslog.procid", pid.to_string()), ("message", text)];
        for (name, want) in about {
            prop_assert_eq!(&got["attributes"][name], &Json::from(want));
        }
        prop_assert_eq!(&got["attributes"]["syslog.priority"], &json!(priority));
        prop_assert_eq!(&got["attributes"]["syslog.facility"], &json!(priority / 8));
        // Before the record's own time and two days: this year, else the one before.
        let year = if (day, second) <= (23, 20) { 2026 } else { 2025 };
        prop_assert_eq!(&got["time"], &format!("{year}-11-{day:02}T15:48:{second:02}Z"));
    }

    #[test]
    fn messages_of_firewalls_are_read_back(
        id in any::<u32>(), zones in ("[a-z]{1,8}", "[a-z]{1,8}"), ports in any::<(u16, u16)>(), bytes in any::<u32>(),
        transport in "TCP|UDP", octets in any::<(u8, u8)>(),
    ) {
        let line = format!(
            "%ASA-6-302016: Teardown {transport} connection {id} for {}:10.0.0.{}/{} to {}:192.0.2.{}/{} duration 0:00:07 \
             bytes {bytes}",
            zones.0, octets.0, ports.0, zones.1, octets.1, ports.1
        );
        let mut got = render(&line);
        prop_assert_eq!(&got["parser"], "cisco_asa");
        got["attributes"].as_object_mut().unwrap().remove("message");
        let want = json!({
            "cisco.asa.action": "Teardown", "cisco.asa.message_number": "302016", "cisco.asa.connection_id": id,
            "network.transport": transport.to_lowercase(), "cisco.asa.source_zone": zones.0,
            "cisco.asa.destination_zone": zones.1, "source.address": format!("10.0.0.{}", octets.0),
            "destination.address": format!("192.0.2.{}", octets.1), "source.port": ports.0,
            "destination.port": ports.1, "cisco.asa.duration": "0:00:07", "cisco.asa.bytes": bytes,
        });
        prop_assert_eq!(&got["attributes"], &want);
    }

    #[test]
    fn delimited_columns_are_read_back(fields in prop::collection::vec("[b-z,\"é]{1,10}", 5)) {
        let written: Vec<_> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        let parsers = Parsers { order: vec![ParserKind::Delimited], ..parsers() };
        let line = written.join(",");
        let mut parsed = Parsed::default();
        prop_assert_eq!(parsers.parse(&line, NOW, &mut parsed), (Parser::Delimited, "orders"));
        for (name, field) in ["time", "order.id", "user.name", "amount", "level"].iter().zip(&fields) {
            prop_assert_eq!(parsed.get(name).and_then(Value::as_text), Some(field.as_str()));
        }
    }

    #[test]
    fn xml_text_is_read_back(text in "[ -~é]{0,20}x", attribute in "[ -~é]{0,20}y") {
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let got = render(&format!("<a b=\"{}\"><c>{}</c></a>", escape(&attribute), escape(&text)));
        prop_assert_eq!(&got["attributes"]["a.b"], &Json::from(attribute));
        prop_assert_eq!(&got["attributes"]["a.c"], &Json::from(text.trim_ascii()));
    }

    #[test]
    fn times_are_read_back(seconds in 1_000_000_000_u64..4_000_000_000, nanos in 0_u32..1_000_000_000) {
        let time = UNIX_EPOCH + Duration::new(seconds, nanos);
        let want = seconds * 1_000_000_000 + u64::from(nanos);
        let text = humantime::format_rfc3339_nanos(time).to_string();
        prop_assert_eq!(time::whole(&text, NOW), Some(want));
        prop_assert_eq!(time::whole(&text.replace('T', " ").replace('Z', "+00:00"), NOW), Some(want));
    }
}

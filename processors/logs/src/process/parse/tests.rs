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
        let all: String = fs::read_dir(dir).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
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

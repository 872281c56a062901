use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::{ByteSize, Checker, Duration, Secret, quoted, unset};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    kafka: Kafka,
    worker: BTreeMap<Spanned<String>, Worker>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kafka {
    brokers: Spanned<Vec<String>>,
    ports: Vec<u16>,
    password: Option<Secret>,
    properties: BTreeMap<Spanned<String>, Secret>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: unset(vec!["127.0.0.1:9092".to_owned()]),
            ports: Vec::new(),
            password: None,
            properties: BTreeMap::new(),
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Worker {
    linger: Spanned<Duration>,
    bytes: Spanned<ByteSize>,
    shards: Spanned<u32>,
    url: Spanned<String>,
    live: bool,
    encoding: Encoding,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
enum Encoding {
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "otlp_json")]
    Json,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            linger: unset(Duration::from_millis(200)),
            bytes: unset(ByteSize::mib(4)),
            shards: unset(4),
            url: unset("http://127.0.0.1:9090".to_owned()),
            live: true,
            encoding: Encoding::Auto,
        }
    }
}

impl Worker {
    fn check(&self, at: &mut Checker<'_>) {
        at.within(&self.linger, "linger", Duration::from_millis(1)..=Duration::from_secs(60));
        at.within(&self.bytes, "bytes", ByteSize::kib(64)..=ByteSize::mib(32));
        at.within(&self.shards, "shards", 1..=256);
        at.url(&self.url, "url");
    }
}

fn resolve(reference: Reference<'_>) -> io::Result<String> {
    match reference {
        Reference::Env("PASSWORD") => Ok("hunter2".to_owned()),
        Reference::Env("LANES") => Ok("7".to_owned()),
        Reference::File("/run/secret") => Ok("hunter3".to_owned()),
        Reference::Env(_) => Err(io::Error::new(io::ErrorKind::NotFound, "not set")),
        Reference::File(_) => Err(io::ErrorKind::NotFound.into()),
    }
}

fn read(text: &str, variables: &[(&str, &str)]) -> (File, String) {
    let mut document = match Document::parse("t.toml", text) {
        Ok(document) => document,
        Err(problems) => return (File::default(), problems.to_string()),
    };
    for (variable, value) in variables {
        let path = variable.trim_start_matches("WEIR_").split("__").map(str::to_ascii_lowercase).collect();
        document.set(variable, path, value);
    }
    let (file, mut report) = document.read::<File>(&resolve);
    for (name, worker) in &file.worker {
        worker.check(&mut report.at("worker").under(&quoted(name.get_ref())));
    }
    (file, report.finish().err().map(|problems| problems.to_string()).unwrap_or_default())
}

#[track_caller]
fn problems(text: &str, variables: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(read(text, variables).1, expected.join("\n"));
}

#[test]
fn an_empty_document_is_its_defaults() {
    assert_eq!(read("", &[]), (File::default(), String::new()));
}

#[test]
fn every_problem_is_found_at_once_each_at_its_place() {
    problems(
        r#"
[kafka]
brokers = "a:9092"
ports = [1, "two", 3, 70000, true]
passwort = "hunter2"
password = 5
nothing_like_it = 1

[kafka.properties]
"client.id" = 5

[worker.metrics]
linger = "0s"
lnger = "1s"
bytes = 5
shards = -1
url = "ftp://x"
live = "yes"
encoding = "jsn"

[worker."ü x"]
  "linger" = "ü"
  bytes = "1B"
  shards = 1.5

[workers.metrics]
linger = "1s"
"#,
        &[],
        &[
            "t.toml:3:11: kafka.brokers: expected a list, not a string",
            "t.toml:4:13: kafka.ports[1]: expected a whole number from 0 to 65535, not a string",
            "t.toml:4:23: kafka.ports[2]: expected a whole number from 0 to 65535",
            "t.toml:4:30: kafka.ports[2]: expected a whole number from 0 to 65535, not a boolean",
            "t.toml:5:1: kafka.passwort: unknown key; did you mean `password`?",
            "t.toml:6:12: kafka.password: expected a string, not a whole number",
            "t.toml:7:1: kafka.nothing_like_it: unknown key; known are `brokers`, `ports`, `password`, `properties`",
            "t.toml:10:15: kafka.properties.\"client.id\": expected a string, not a whole number",
            "t.toml:13:10: worker.metrics.linger: 0s is outside 1ms..=1m",
            "t.toml:14:1: worker.metrics.lnger: unknown key; did you mean `linger`?",
            "t.toml:15:9: worker.metrics.bytes: expected a size with its unit, such as \"64MiB\", not a whole number",
            "t.toml:16:10: worker.metrics.shards: expected a whole number from 0 to 4294967295",
            "t.toml:17:7: worker.metrics.url: expected a URL that starts with http:// or https://",
            "t.toml:18:8: worker.metrics.live: expected true or false, not a string",
            "t.toml:19:12: worker.metrics.encoding: expected `auto` or `otlp_json`",
            "t.toml:22:14: worker.\"\\u{fc} x\".linger: expected a duration with its unit, such as 200ms, 90s or 14d",
            "t.toml:23:11: worker.\"\\u{fc} x\".bytes: 1B is outside 64KiB..=32MiB",
            "t.toml:24:12: worker.\"\\u{fc} x\".shards: expected a whole number from 0 to 4294967295, not a number",
            "t.toml:26:2: workers: unknown key; did you mean `worker`?",
        ],
    );
}

#[test]
fn every_fault_of_the_syntax_is_found() {
    let (_, problems) = read("a = \n[b\nc = 'x\n[kafka]\nbrokers = []\nbrokers = []\n", &[]);
    let positions: Vec<_> = problems.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(positions, ["t.toml:1:5", "t.toml:2:3", "t.toml:6:1"], "{problems}");
}

#[test]
fn a_table_where_a_value_belongs_and_a_value_where_a_table_belongs_are_found() {
    problems(
        "kafka = 5\n[worker.metrics.linger]\nx = 1\n[worker.metrics.encoding]\n[worker.metrics.url.y]\n",
        &[],
        &[
            "t.toml:1:9: kafka: expected a table, not a whole number",
            "t.toml:2:1: worker.metrics.linger: expected a duration with its unit, such as \"90s\", not a table",
            "t.toml:4:1: worker.metrics.encoding: expected a string",
            "t.toml:5:17: worker.metrics.url: expected a string, not a table",
        ],
    );
}

#[test]
fn a_reference_is_a_whole_value_and_is_never_shown() {
    let text = r#"
[kafka]
brokers = ["${env:PASSWORD}", "${env:NONE}"]
password = "${file:/run/secret}"
ports = ["${env:PASSWORD}"]
properties = { "sasl.x" = "${env:PASSWORD}", "ssl.y" = "a ${env:PASSWORD}", "ssl.z" = "${vault:x}" }
[worker.metrics]
linger = "${env:PASSWORD}"
encoding = "${env:PASSWORD}"
live = "${file:/missing}"
"#;
    let (file, problems) = read(text, &[]);
    assert_eq!(
        problems,
        [
            "t.toml:3:31: kafka.brokers[1]: could not read ${env:NONE}: not set",
            "t.toml:5:10: kafka.ports[0]: expected a whole number from 0 to 65535, not a string",
            "t.toml:6:56: kafka.properties.\"ssl.y\": a reference must be the whole value",
            "t.toml:6:87: kafka.properties.\"ssl.z\": expected ${env:NAME} or ${file:PATH}",
            "t.toml:8:10: worker.metrics.linger: expected a duration with its unit, such as 200ms, 90s or 14d",
            "t.toml:9:12: worker.metrics.encoding: expected `auto` or `otlp_json`",
            "t.toml:10:8: worker.metrics.live: could not read ${file:/missing}: entity not found",
        ]
        .join("\n")
    );
    assert_eq!(file.kafka.password.as_ref().unwrap().expose(), "hunter3");
    assert_eq!(file.kafka.brokers.get_ref(), &["hunter2"]);
    assert_eq!(file.kafka.properties["sasl.x"].expose(), "hunter2");
    assert!(!format!("{:?}", file.kafka.properties).contains("hunter"));
}

#[test]
fn a_variable_sets_a_value_of_any_type_whatever_the_file_says() {
    let text = "[kafka]\nbrokers = [\"old:1\", \"old:2\"]\n[worker.metrics-tokyo]\nshards = 9\n";
    let (file, problems) = read(
        text,
        &[
            ("WEIR_KAFKA__BROKERS__1", "new:2"),
            ("WEIR_KAFKA__BROKERS__2", "new:3"),
            ("WEIR_KAFKA__PORTS", "[1, 2]"),
            ("WEIR_KAFKA__PASSWORD", "${env:PASSWORD}"),
            ("WEIR_WORKER__METRICS_TOKYO__SHARDS", "${env:LANES}"),
            ("WEIR_WORKER__METRICS_TOKYO__LIVE", "false"),
            ("WEIR_WORKER__METRICS_TOKYO__URL", "http://a,b/"),
            ("WEIR_WORKER__OTHER__LINGER", "5s"),
        ],
    );
    assert_eq!(problems, "");
    assert_eq!(file.kafka.brokers.get_ref(), &["old:1", "new:2", "new:3"]);
    assert_eq!(file.kafka.ports, [1, 2]);
    assert_eq!(file.kafka.password.unwrap().expose(), "hunter2");
    let tokyo = &file.worker["metrics-tokyo"];
    assert_eq!((*tokyo.shards.get_ref(), tokyo.live, tokyo.url.get_ref().as_str()), (7, false, "http://a,b/"));
    assert_eq!(*file.worker["other"].linger.get_ref(), Duration::from_secs(5));

    let (file, problems) = read("", &[("WEIR_KAFKA__BROKERS", "a:9092, b:9092"), ("WEIR_KAFKA__PORTS__0", "5")]);
    assert_eq!(
        (problems.as_str(), file.kafka.brokers.get_ref().join(" "), file.kafka.ports),
        ("", "a:9092 b:9092".to_owned(), vec![5])
    );
}

#[test]
fn a_variables_problem_names_the_variable_and_not_its_value() {
    problems(
        "[kafka]\nports = [1]\nbroker = []\n[worker.metrics]\nshards = 0\n",
        &[
            ("WEIR_KAFFKA__BROKERS", "hunter2"),
            ("WEIR_KAFFKA__PORTS", "hunter2"),
            ("WEIR_KAFKA__BROKRES", "hunter2"),
            ("WEIR_KAFKA__PASSWORD", "${env:NONE}"),
            ("WEIR_KAFKA__PORTS__5", "5"),
            ("WEIR_KAFKA__PORTS__X", "5"),
            ("WEIR_KAFKA__PORTS", "[1, -2]"),
            ("WEIR_WORKER__METRICS__SHARDS", "hunter2"),
            ("WEIR_WORKER__METRICS__LINGER", "hunter2"),
            ("WEIR_WORKER__METRICS__LIVE__X", "hunter2"),
            ("WEIR_WORKER__OTHER__SHARDS", "1000"),
            ("WEIR_WORKER__OTHER__BYTES", "-5"),
        ],
        &[
            "t.toml:3:1: kafka.broker: unknown key; did you mean `brokers`?",
            "WEIR_KAFFKA__BROKERS: kaffka: unknown key; did you mean `kafka`?",
            "WEIR_KAFFKA__PORTS: kaffka: unknown key; did you mean `kafka`?",
            "WEIR_KAFKA__BROKRES: kafka.brokres: unknown key; did you mean `brokers`?",
            "WEIR_KAFKA__PASSWORD: kafka.password: could not read ${env:NONE}: not set",
            "WEIR_KAFKA__PORTS: kafka.ports[1]: expected a whole number from 0 to 65535",
            "WEIR_KAFKA__PORTS__5: kafka.ports.5: index 5 is past the end of 1 elements",
            "WEIR_KAFKA__PORTS__X: kafka.ports.x: x is not an index of a list",
            "WEIR_WORKER__METRICS__LINGER: worker.metrics.linger: expected a duration with its unit, such as 200ms, 90s or 14d",
            "WEIR_WORKER__METRICS__LIVE__X: worker.metrics.live: expected true or false, not a table",
            "WEIR_WORKER__METRICS__SHARDS: worker.metrics.shards: expected a whole number from 0 to 4294967295, not a string",
            "WEIR_WORKER__OTHER__BYTES: worker.other.bytes: expected a size with its unit, such as \"64MiB\", not a whole number",
            "WEIR_WORKER__OTHER__SHARDS: worker.other.shards: 1000 is outside 1..=256",
        ],
    );
}

#[test]
fn a_url_with_credentials_is_refused_since_it_is_shown() {
    problems(
        "[worker.a]\nurl = 'http://u:p@host/'\n[worker.b]\nurl = 'http://u@host/'\n[worker.c]\nurl = 'x'\n[worker.d]\nurl = 'http://'\n",
        &[],
        &[
            "t.toml:2:7: worker.a.url: a URL is shown in logs and tables: it must not hold a user name or password",
            "t.toml:4:7: worker.b.url: a URL is shown in logs and tables: it must not hold a user name or password",
            "t.toml:6:7: worker.c.url: expected a URL such as http://127.0.0.1:9090/path",
            "t.toml:8:7: worker.d.url: expected a URL such as http://127.0.0.1:9090/path",
        ],
    );
}

#[test]
fn a_problem_of_a_default_names_the_file_alone() {
    let (_, mut report) = Document::parse("t.toml", "").unwrap().read::<File>(&resolve);
    report.at("").within(&unset(5), "x", 6..=7);
    report.at("a").problem(0..0, "", "is missing");
    assert_eq!(report.finish().unwrap_err().to_string(), "t.toml: a: is missing\nt.toml: x: 5 is outside 6..=7");
}

#[test]
fn what_could_not_be_read_is_no_second_problem() {
    let (_, mut report) = Document::parse("t.toml", "[kafka]\nports = 5").unwrap().read::<File>(&resolve);
    report.at("kafka").problem(0..0, "ports", "is missing");
    report.at("kafka").problem(0..0, "ports.x", "is missing");
    report.at("kafka").problem(0..0, "portsmouth", "is missing");
    assert_eq!(
        report.finish().unwrap_err().to_string(),
        "t.toml: kafka.portsmouth: is missing\nt.toml:2:9: kafka.ports: expected a list, not a whole number"
    );
}

/// Guards: what a rule for labels writes is not taken for a reference.
#[test]
fn a_group_of_a_regular_expression_is_no_reference() {
    let (file, problems) = read("[kafka]\nbrokers = [\"${1}\"]\n", &[]);
    assert_eq!((problems.as_str(), file.kafka.brokers.get_ref().as_slice()), ("", &["${1}".to_owned()][..]));
}

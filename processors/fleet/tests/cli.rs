//! The binary as a script meets it: exit codes, standard output and standard error.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a test fails by a panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const WITH_SECRETS: &str = r#"
[kafka]
brokers = ["kafka:9092"]
[kafka.security]
protocol = "sasl_plaintext"
mechanism = "plain"
username = "weir"
password = "${file:secret}"
[kafka.properties]
"sasl.oauthbearer.client.secret" = "${env:WEIR_TEST_SECRET}"
[worker.metrics.remote_write]
url = "http://prometheus:9090/api/v1/write?token=hunter4"
headers = { X-Api-Key = "hunter5" }
[worker.metrics.remote_write.security]
username = "weir"
password = "${file:secret}"
"#;

/// Runs `weir` in `dir` without a terminal and without variables of this process's.
fn weir(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code, standard output, standard error.
#[track_caller]
fn parts(output: &Output) -> (i32, String, String) {
    let parts = (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr));
    assert!(!parts.1.contains('\u{1b}') && !parts.2.contains('\u{1b}'), "colours without a terminal: {parts:?}");
    parts
}

#[test]
fn without_a_file_the_defaults_are_checked_and_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = parts(&weir(dir.path(), &["check"], &[("WEIR_PROCESS__LANES", "2")]));
    let (first, notices) = err.split_once('\n').unwrap();
    assert_eq!((code, first), (0, "weir: there is no topology.toml here: these are the defaults"));
    assert!(notices.lines().all(|notice| notice.starts_with("weir: worker.logs: mask: ")), "{notices}");
    assert!(notices.contains("ipv4: pseudonymise needs a key"), "{notices}");
    let expected = "\
kafka    127.0.0.1:9092 (plaintext)
process  budget 256MiB, lanes 2, admin 127.0.0.1:9464

 worker   kind          topics             group         start     delivers to
 logs     enrich        telemetry-logs     weir-logs     earliest  topic telemetry-logs-enriched
                                                                   topic telemetry-metrics
 metrics  remote_write  telemetry-metrics  weir-metrics  earliest  http://127.0.0.1:9090/api/v1/write

 worker   endpoint        protocol  shards  authorization  relabelling
 metrics  127.0.0.1:9090  auto      4       none           none

 topic                    partitions  retention  compression  largest record  replicas (in sync)
 telemetry-logs           6           14d        producer     1MiB            3 (2)
 telemetry-logs-enriched  6           14d        producer     2MiB            3 (2)
 telemetry-metrics        12          30d        snappy       1MiB            3 (2)
 telemetry-traces         8           7d         producer     1MiB            3 (2)
 weir-dead-letters        4           30d        producer     2MiB            3 (2)
 weir-dead-letters-logs   4           30d        producer     2MiB            3 (2)
";
    assert_eq!(out, expected);
}

#[test]
fn json_has_the_whole_fleet() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("topology.toml"), "[worker.metrics]\ngroup = \"own\"\n").unwrap();
    let (code, out, err) = parts(&weir(dir.path(), &["check", "--json"], &[("WEIR_PROCESS__LANES", "2")]));
    assert_eq!((code, err.as_str()), (0, ""));
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["ok"], true);
    assert_eq!(found["file"], "topology.toml");
    assert_eq!(found["problems"], serde_json::json!([]));
    assert_eq!(
        found["fleet"]["workers"]["metrics"],
        serde_json::json!({
            "kind": "remote_write", "topics": ["telemetry-metrics"], "group": "own", "start": "earliest",
            "group_protocol": "classic", "drain_timeout": "20s", "revoke_timeout": "1s", "commit_interval": "1s",
            "encoding": "auto",
            "remote_write": [{
                "name": null, "url": "http://127.0.0.1:9090/api/v1/write", "protocol": "auto", "max_samples": 10000,
                "max_bytes": "4MiB", "linger": "200ms", "shards": 4, "timeout": "30s", "headers": [],
                "security": {
                    "username": null, "bearer_token_file": null, "ca_file": null, "certificate_file": null,
                    "key_file": null,
                },
                "external_labels": {}, "write_relabel_configs": [],
            }],
            "otlp": {
                "delta_to_cumulative": false, "delta_max_series": 100_000, "delta_max_stale": "1h",
                "translation_strategy": "UnderscoreEscapingWithSuffixes", "promote_resource_attributes": [],
                "promote_all_resource_attributes": false, "ignore_resource_attributes": [],
                "keep_identifying_resource_attributes": false, "convert_histograms_to_nhcb": false,
                "promote_scope_metadata": false,
                "label_name_underscore_sanitization": true, "label_name_preserve_multiple_underscores": true,
                "series_cache": "96MiB", "attributes": [], "tenant": null,
                "limits": {"series_per_tenant": null, "series_per_metric": null, "window": "1h"},
            },
        })
    );
    assert_eq!(
        found["fleet"]["process"],
        serde_json::json!({"budget": "256MiB", "lanes": 2, "instance_id": null, "admin": "127.0.0.1:9464"})
    );
    assert_eq!(found["fleet"]["topics"]["telemetry-metrics"]["partitions"], 12);
}

#[test]
fn problems_are_listed_at_once_and_the_answer_is_no() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("other.toml"), "[kafka]\nbrokres = []\n[process]\nlanes = 0\n").unwrap();
    let args = ["check", "--topology", "other.toml"];
    let (code, out, err) = parts(&weir(dir.path(), &args, &[("WEIR_KAFKA__BROKERS", "x")]));
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "other.toml:2:1: kafka.brokres: unknown key; did you mean `brokers`?\n\
         other.toml:4:9: process.lanes: 0 is outside 1..=256\n\
         WEIR_KAFKA__BROKERS: kafka.brokers[0]: expected a host and a port, such as \"127.0.0.1:9092\"\n"
    );
    assert_eq!(err, "weir: 3 problems\n");

    let (code, out, err) = parts(&weir(dir.path(), &["--topology", "other.toml", "check", "--json"], &[]));
    assert_eq!((code, err.as_str()), (1, ""));
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        found,
        serde_json::json!({
            "ok": false,
            "file": "other.toml",
            "fleet": null,
            "problems": [
                {"file": "other.toml", "line": 2, "column": 1, "path": "kafka.brokres",
                 "message": "unknown key; did you mean `brokers`?"},
                {"file": "other.toml", "line": 4, "column": 9, "path": "process.lanes",
                 "message": "0 is outside 1..=256"},
            ],
        })
    );
}

#[test]
fn a_secret_is_in_no_output() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("topology.toml"), WITH_SECRETS).unwrap();
    fs::write(dir.path().join("secret"), "hunter2\n").unwrap();
    let environment = [("WEIR_TEST_SECRET", "hunter3")];
    for args in [&["check"][..], &["check", "--json"], &["check", "--log-level", "trace"]] {
        let (code, out, err) = parts(&weir(dir.path(), args, &environment));
        let noticed = err.lines().all(|line| line.starts_with("weir: worker.logs: mask: "));
        assert!(code == 0 && noticed, "{out}{err}");
        assert!(out.contains("kafka:9092") && !out.contains("hunter") && !err.contains("hunter"), "{out}{err}");
    }
    let (code, out, err) = parts(&weir(dir.path(), &["check"], &[]));
    assert_eq!((code, err.as_str()), (1, "weir: 1 problem\n"));
    assert_eq!(
        out,
        "topology.toml:10:36: kafka.properties.\"sasl.oauthbearer.client.secret\": \
         could not read ${env:WEIR_TEST_SECRET}: it is not set\n"
    );
}

#[test]
fn a_named_file_that_is_missing_or_unreadable_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = parts(&weir(dir.path(), &["check", "--topology", "none.toml"], &[]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "weir: there is no none.toml: write it, or leave --topology out to use the defaults (weir check shows them)\n"
    );

    let (code, _, err) = parts(&weir(dir.path(), &["check", "--topology", "."], &[]));
    assert_eq!(code, 2);
    assert!(err.starts_with("weir: could not read .: "), "{err}");

    fs::write(dir.path().join("topology.toml"), [0xff, 0xfe]).unwrap();
    let (code, _, err) = parts(&weir(dir.path(), &["check"], &[]));
    assert_eq!((code, err.as_str()), (2, "weir: could not read topology.toml: stream did not contain valid UTF-8\n"));
}

#[test]
fn wrong_flags_exit_with_2_and_name_the_right_ones() {
    let dir = tempfile::tempdir().unwrap();
    for (args, hint) in [
        (&["check", "--jsn"][..], "'--json'"),
        (&["chek"], "'check'"),
        (&["check", "--log-format", "xml"], "text, json"),
        (&["completions", "nosuchshell"], "bash"),
        (&[], "check"),
    ] {
        let (code, out, err) = parts(&weir(dir.path(), args, &[]));
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(hint), "{args:?}: {err}");
    }
    let (code, _, err) = parts(&weir(dir.path(), &["check"], &[("RUST_LOG", "weir=loud")]));
    assert_eq!(code, 2);
    assert!(err.starts_with("weir: RUST_LOG is no filter, such as info or weir_kafka=debug: "), "{err}");
}

#[test]
fn every_command_has_help_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["check", "completions"] {
        let (code, out, err) = parts(&weir(dir.path(), &[command, "--help"], &[]));
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("Example") && out.contains(&format!("  weir {command}")), "{out}");
    }
    let (code, out, _) = parts(&weir(dir.path(), &["--version"], &[]));
    assert_eq!((code, out), (0, format!("weir {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn completions_are_written_for_every_shell() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, err) = parts(&weir(dir.path(), &["completions", shell], &[]));
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("weir") && out.contains("topology") && out.contains("log-format"), "{shell}");
    }
}

/// Scenario: `weir completions bash | head -0`.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

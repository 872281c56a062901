//! `topics`, `lag`, `generate`, `dlq` and `state` where they cannot run: wrong flags, no Kafka, no terminal; `mask`,
//! which needs none of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests; a test fails by a panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Runs `weir` in an empty folder without a terminal; exit code, standard output, standard error.
fn weir(args: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(args).current_dir(dir.path()).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// An address at which nobody answers.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn every_command_has_help_with_examples_and_exit_codes() {
    for command in [
        &["topics"][..],
        &["topics", "plan"],
        &["topics", "apply"],
        &["lag"],
        &["generate"],
        &["mask"],
        &["replay"],
        &["skip"],
        &["dlq"],
        &["dlq", "list"],
        &["dlq", "show"],
        &["dlq", "redrive"],
        &["state"],
        &["state", "show"],
        &["state", "size"],
        &["state", "reset"],
    ] {
        let (code, out, err) = weir(&[command, &["--help"]].concat(), &[]);
        assert_eq!((code, err.as_str()), (0, ""));
        let example = format!("Examples:\n  weir {}", command.join(" "));
        assert!(out.contains(&example), "{out}");
        let has_commands = matches!(command, ["topics" | "dlq" | "state"]);
        assert!(has_commands || out.contains("Exit codes: 0"), "{out}");
    }
}

#[test]
fn the_help_of_generate_names_every_incident() {
    let (_, out, _) = weir(&["generate", "--help"], &[]);
    for incident in ["battery", "connection", "stream-delay", "recording", "storage", "api", "db-pool", "event-delay"] {
        assert!(out.contains(&format!("- {incident}:")), "{incident}: {out}");
    }
    assert!(out.contains("- cpu:") && out.contains("- etl:") && out.contains("CPU above 90 %"), "{out}");
}

#[test]
fn wrong_flags_exit_with_2_and_name_the_right_ones() {
    for (args, hint) in [
        (&["topics"][..], "apply"),
        (&["topics", "plan", "--yes"], "--yes"),
        (&["topics", "delete"], "delete"),
        (&["lag", "--max-records", "few"], "--max-records"),
        (&["lag", "nosuchworker"], "there are: logs, metrics"),
        (&["generate", "--signal", "metrics,log"], "logs"),
        (&["generate", "--rate", "0"], "above 0"),
        (&["generate", "--incident", "flood"], "stream-delay"),
        (&["generate", "--compression", "lz4"], "snappy"),
        (&["generate", "--duration", "soon"], "--duration"),
        (&["mask", "--class", "web"], "access, app, audit, security, job, infra"),
        (&["mask", "--topology", "none.toml"], "--topology"),
        (&["replay", "nosuchworker", "--from", "0"], "there are: logs, metrics"),
        (&["replay", "metrics"], "--from"),
        (&["replay", "metrics", "--from", "soon"], "a time ago such as 2h"),
        (&["check", "--live", "--acls"], "cannot be used with"),
        (&["generate", "--malformed", "2"], "malformed: 2 is outside 0..=1"),
        (&["dlq"], "redrive"),
        (&["dlq", "delete"], "delete"),
        (&["dlq", "list", "--payload"], "--payload"),
        (&["dlq", "list", "--since", "yesterday"], "2026-01-31T12:00:00Z, or how long ago, such as 2h"),
        (&["dlq", "show", "--offset", "3"], "--partition"),
        (&["dlq", "show", "--partition=-1"], "--partition"),
        (&["dlq", "redrive", "--all"], "--all"),
        (&["state", "show"], "WORKER"),
        (&["state", "show", "nosuchworker"], "there are: logs, metrics"),
        (&["state", "reset", "nosuchworker", "--yes"], "there are: logs, metrics"),
    ] {
        let (code, out, err) = weir(args, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(hint), "{args:?}: {err}");
    }
}

#[test]
fn without_a_terminal_apply_wants_to_be_told_yes() {
    let (code, out, err) = weir(&["topics", "apply"], &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "weir: there is no terminal to ask on: look at `weir topics plan`, then run `weir topics apply --yes`\n"
    );
}

#[test]
fn without_a_terminal_a_redrive_wants_to_be_told_yes() {
    let (code, out, err) = weir(&["dlq", "redrive"], &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    let told = "weir: there is no terminal to ask on: look at `weir dlq redrive --dry-run`, \
        then run `weir dlq redrive --yes`\n";
    assert_eq!(err, told);
}

#[test]
fn a_worker_that_keeps_no_state_has_none_to_show_or_drop() {
    for command in ["show", "size", "reset"] {
        let (code, out, err) = weir(&["state", command, "metrics"], &[("WEIR_KAFKA__BROKERS", &nobody())]);
        assert_eq!((code, out.as_str(), err.as_str()), (2, "", "weir: worker metrics keeps no state\n"), "{command}");
    }
}

#[test]
fn without_a_kafka_every_command_says_so_in_time() {
    let address = nobody();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for args in [
            &["topics", "plan"][..],
            &["topics", "apply", "--yes"],
            &["lag"],
            &["generate"],
            &["dlq", "list"],
            &["dlq", "redrive", "--dry-run"],
            &["replay", "metrics", "--from", "0"],
        ] {
            let address = &address;
            scope.spawn(move || {
                let (code, out, err) = weir(args, &[("WEIR_KAFKA__BROKERS", address), ("RUST_LOG", "error")]);
                assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
                let expected = format!(
                    "weir: no Kafka answers at {address}: start it, or set kafka.brokers in the topology \
                     (or WEIR_KAFKA__BROKERS): topics failed: "
                );
                assert!(err.starts_with(&expected), "{args:?}: {err}");
            });
        }
    });
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// Runs `weir mask` over `input`.
fn mask(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("mask")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    })
}

#[test]
fn mask_writes_one_line_for_each_as_its_class_says() {
    let input =
        b"login of eve@example.com from 192.0.2.19 password=hunter2\n\xff\xfe raw\n{\"card\":4111111111111111}\n";
    let output = mask(&[], input);
    let expected = b"login of [REDACTED:email] from [REDACTED:ipv4] password=[REDACTED:password]\n\xff\xfe raw\n\
        {\"card\":\"[REDACTED:card]\"}\n";
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    assert_eq!(output.stdout, expected, "{}", String::from_utf8_lossy(&output.stdout));

    let output = mask(&["--class", "audit", "--explain"], input);
    let first = output.stdout.split(|byte| *byte == b'\n').next().unwrap();
    let expected = "login of eve@example.com from 192.0.2.19 password=[REDACTED:password]\tpassword 50..57 redact";
    assert_eq!(String::from_utf8_lossy(first), expected);
}

/// Scenario: `tail -f app.log | weir mask`: a line comes out before the next one goes in.
#[test]
fn mask_writes_a_line_as_soon_as_it_has_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let mut child = command.arg("mask").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(stdout).lines();
    for _ in 0..3 {
        stdin.write_all(b"to eve@example.com\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "to [REDACTED:email]");
    }
    drop(stdin);
    assert!(lines.next().is_none() && child.wait().unwrap().success());
}

/// Scenario: `weir mask < large.log | head -1`.
#[test]
fn mask_ends_well_when_nobody_reads_on() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("mask").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // Until it has noticed: then its input is closed, too.
    while stdin.write_all(&b"to eve@example.com\n".repeat(1000)).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

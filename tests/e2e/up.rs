//! `weir up`: everything in one process, and a verdict that can be believed.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use weir_tests::http;
use weir_tests::stack::{Process, Prometheus, PrometheusOptions, Signal, folder, free_ports, weir, weir_binary};
use weir_tests::wait::wait_until;

use crate::screen::Screen;

const ENDS: Duration = Duration::from_secs(120);

/// The last line of standard output.
#[track_caller]
fn summary(process: &Process) -> Value {
    let out = process.stdout();
    serde_json::from_str(out.lines().last().unwrap()).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// A figure of the summary that only metrics have.
#[track_caller]
fn metrics(summary: &Value, key: &str) -> u64 {
    summary[key]["metrics"].as_u64().unwrap_or_else(|| panic!("no {key} in {summary}"))
}

/// The sum of a counter's series in a scrape, of those that have `label`.
fn counter(scrape: &str, name: &str, label: &str) -> u64 {
    let series = scrape.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    series
        .filter(|line| line.contains(label))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Scenario: twenty seconds of load with a few malformed records, scraped all the while.
/// Guards: the form of the summary, a line every five seconds where there is no terminal, and that the summary, the
/// worker's counters and what the receiver was sent agree to the last sample.
#[test]
fn the_summary_is_right_and_agrees_with_the_counters() {
    let (folder, admin) = (folder("up"), free_ports());
    let address = format!("127.0.0.1:{admin}");
    let args = ["up", "--for", "20s", "--json", "--malformed", "0.02", "--admin", &address];
    let mut process = weir(&folder, &args);
    let mut last = String::new();
    wait_until(ENDS, "end", || {
        // The counters stand still while the last commit is waited for, and the server answers until the end.
        for _ in 0..10 {
            last = http::get(&format!("http://{address}/metrics"), &[]).unwrap_or(std::mem::take(&mut last));
        }
        if process.is_running() { Err("it runs") } else { Ok(()) }
    });
    assert_eq!(process.finish(ENDS).code(), Some(0), "{}", process.stdout());

    let summary = summary(&process);
    for key in ["produced", "delivered", "dead_lettered", "duplicated", "missing"] {
        assert!(summary[key].is_object(), "{key} in {summary}");
    }
    assert!((20.0..60.0).contains(&summary["seconds"].as_f64().unwrap()), "{summary}");
    let of = |key| metrics(&summary, key);
    assert_eq!(["missing", "duplicated", "unknown"].map(of), [0; 3], "{summary}");
    assert!(of("produced") > 100_000 && of("dead_lettered") > 5, "{summary}");
    let logs = |key: &str| summary[key]["logs"].as_u64().unwrap();
    assert_eq!(["missing", "duplicated", "unknown"].map(logs), [0; 3], "{summary}");
    assert_eq!(logs("delivered"), logs("produced"), "{summary}");
    assert!(
        summary["produced"]["logs"].as_u64() > Some(10_000) && summary["produced"]["traces"].as_u64() > Some(10_000)
    );
    assert_eq!(of("delivered"), of("produced"));

    assert_eq!(counter(&last, "weir_dead_letters_total", ""), of("dead_lettered") + logs("dead_lettered"));
    let judged = |verdict: &str| counter(&last, "weir_up_samples_total", &format!("verdict=\"{verdict}\""));
    assert_eq!(judged("first"), of("delivered"));
    assert_eq!(["different", "unknown", "identical"].map(judged), [0; 3]);
    let sent = of("delivered") + judged("not_counted");
    assert!(judged("not_counted") > 0, "{last}");
    assert_eq!(counter(&last, "weir_items_delivered_total", ""), sent);
    assert_eq!(counter(&last, "weir_up_samples_total", ""), sent);

    let err = process.stderr();
    let seconds: Vec<u64> = err
        .lines()
        .filter(|line| line.contains(" metrics: ") && line.contains(" records/s, ") && line.contains(", lag "))
        .map(|line| line.trim_start().split('s').next().unwrap().parse().unwrap())
        .collect();
    assert!(seconds.len() >= 4, "{err}");
    assert!(seconds.windows(2).rev().skip(1).all(|pair| (5..=7).contains(&(pair[1] - pair[0]))), "{seconds:?}");
    assert!(!err.contains('\u{1b}'), "{err}");
}

/// Guards: what a real Prometheus has is what was made; whether it was sent something twice it cannot tell.
#[test]
fn a_real_prometheus_is_asked_back() {
    let prometheus = Prometheus::start(PrometheusOptions::default());
    let (url, address) = (prometheus.url(""), format!("127.0.0.1:{}", free_ports()));
    let args = ["up", "--for", "5s", "--json", "--rate", "5000", "--prometheus", &url, "--admin", &address];
    let mut process = weir(&folder("up"), &args);
    assert_eq!(process.finish(ENDS).code(), Some(0), "{}", process.stdout());
    let summary = summary(&process);
    assert_eq!(["missing", "unknown"].map(|key| metrics(&summary, key)), [0; 2], "{summary}");
    assert!(metrics(&summary, "produced") > 10_000, "{summary}");
    assert_eq!(metrics(&summary, "delivered"), metrics(&summary, "produced"));
    assert_eq!(summary["duplicated"].get("metrics"), None, "{summary}");
}

#[test]
fn ctrl_c_brings_everything_to_its_end_and_prints_the_summary() {
    let (folder, address) = (folder("up"), format!("127.0.0.1:{}", free_ports()));
    let mut process = weir(&folder, &["up", "--json", "--admin", &address]);
    wait_until(ENDS, "delivery", || {
        let scrape = http::get(&format!("http://{address}/metrics"), &[])?;
        if counter(&scrape, "weir_items_delivered_total", "") > 10_000 { Ok(()) } else { Err("too few".to_owned()) }
    });
    process.signal(Signal::SIGINT);
    assert_eq!(process.finish(ENDS).code(), Some(0), "{}", process.stdout());
    let summary = summary(&process);
    assert_eq!(["missing", "duplicated", "unknown"].map(|key| metrics(&summary, key)), [0; 3], "{summary}");
    assert!(metrics(&summary, "delivered") > 10_000, "{summary}");
}

/// Scenario: standard error is a terminal of that width, standard output a file or the terminal too.
/// Guards: one table, redrawn in its place, and nothing left of those before.
#[track_caller]
fn table_on_a_terminal(width: usize, out: &str) {
    let folder = folder("terminal");
    let command = format!(
        "stty cols {width} rows 40; exec '{}' up --for 6s --json --rate 2000 --log-level error --admin 127.0.0.1:{} {out}",
        weir_binary().display(),
        free_ports()
    );
    // `script` waits for every child, and would take over that of `guard`: so it is a child itself.
    let mut shell = Command::new("bash");
    shell.args(["-c", "script --quiet --flush --return --command \"$0\" /dev/null; exit $?", &command]);
    let mut process = Process::spawn("terminal", &folder, &shell);
    assert_eq!(process.finish(ENDS).code(), Some(0), "{}", process.stdout());
    let text = process.stdout();
    assert!(text.matches("records/s").count() >= 3, "it is drawn again and again: {text:?}");

    let mut screen = Screen::show(width, &text);
    let at = screen.iter().position(|line| line.starts_with('{'));
    let json = at.map_or_else(|| fs::read_to_string(folder.join("out")).unwrap(), |at| screen.drain(at..).collect());
    let summary: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(metrics(&summary, "missing"), 0);
    let table = screen.join("\n");
    println!("{table}");
    let words: Vec<&str> = table.split_whitespace().collect();
    for word in ["metrics", "records/s", "lag", "delivered"] {
        assert_eq!(words.iter().filter(|have| **have == word).count(), 1, "{word} stands once: {table}\n{text:?}");
    }
    let delivered = metrics(&summary, "delivered");
    let whole = |word: &&str| word.parse().is_ok_and(|number: u64| number >= delivered);
    assert!(words.iter().any(whole), "no figure is broken: {table}");
    assert!(screen.len() < 10, "{table}");
}

#[test]
fn the_table_is_redrawn_in_its_place() {
    table_on_a_terminal(100, "> out");
}

#[test]
fn the_table_is_redrawn_in_its_place_on_a_narrow_terminal() {
    table_on_a_terminal(40, "> out");
    table_on_a_terminal(40, "");
}

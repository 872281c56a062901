//! Several receivers of one worker.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, folder, free_ports, weir};
use weir_tests::wait::wait_until;

use crate::receiver::{Answers, Judge, Judgement, Receiver, url};
use crate::replay::record;

/// How long anything may take; a sink that is blocked is tried again every ten seconds.
const ENDS: Duration = Duration::from_secs(120);
const RECORDS: i64 = 30;

/// What a receiver got: the region and the value of each sample.
type Got = Arc<Mutex<BTreeSet<(Option<String>, i64)>>>;

fn keeps(got: &Got) -> Judge {
    let got = Arc::clone(got);
    Box::new(move |series| {
        let region = series.labels.iter().find(|(name, _)| name == "region").map(|(_, value)| value.clone());
        for sample in &series.samples {
            #[expect(clippy::cast_possible_truncation, reason = "whole numbers")]
            got.lock().insert((region.clone(), sample.value as i64));
        }
        Judgement::Taken
    })
}

/// Scenario: of two receivers one wants a login that it is not given; then it takes what it is sent.
/// Guards: invariant 1; the other gets everything at once, and the blocked one is named everywhere.
#[test]
fn an_offset_waits_for_every_endpoint_and_the_blocked_one_is_named() {
    let (kafka, topic, admin) = (Kafka::shared(), Kafka::unique("endpoints"), free_ports());
    kafka.create_topic(&topic, 1, &[("retention.ms", "-1")]);
    kafka.produce(&topic, &(0..RECORDS).map(|offset| record(0, offset)).collect::<Vec<_>>());
    let [near, far] = [Got::default(), Got::default()];
    let near_receiver = Receiver::start(free_ports(), Answers::Judges, keeps(&near));
    let far_port = free_ports();
    let far_receiver = Receiver::start(far_port, Answers::Unauthorized, keeps(&far));
    let folder = folder("endpoints");
    let text = format!(
        "[kafka]\nbrokers = [\"{}\"]\n[process]\nadmin = \"127.0.0.1:{admin}\"\n\
         [worker.metrics]\ntopics = [\"{topic}\"]\ngroup = \"{topic}\"\n\
         [[worker.metrics.remote_write]]\nname = \"near\"\nurl = \"{}\"\n\
         [[worker.metrics.remote_write]]\nname = \"far\"\nurl = \"{}\"\nexternal_labels = {{ region = \"eu\" }}\n",
        kafka.bootstrap(Listener::Plain),
        near_receiver.url(),
        url(far_port),
    );
    fs::write(folder.join("topology.toml"), text).unwrap();
    let mut process = weir(&folder, &["run", "metrics"]);
    let status =
        || http::get_json(&format!("http://127.0.0.1:{admin}/status"), &[]).map(|mut all| all["metrics"].take());
    let all =
        |region: Option<&str>| (0..RECORDS).map(|value| (region.map(str::to_owned), value)).collect::<BTreeSet<_>>();

    wait_until(ENDS, "blocked endpoint", || {
        let status = status()?;
        let blocked = status["sinks"]["far"]["blocked_shards"].as_u64() > Some(0);
        // It is taken once a second.
        let there = !status["partitions"][format!("{topic}[0]")]["committed"].is_null();
        if blocked && there && *near.lock() == all(None) { Ok(()) } else { Err(status.to_string()) }
    });
    let shown = status().unwrap();
    assert_eq!(shown["partitions"][format!("{topic}[0]")]["committed"], 0, "{shown}");
    assert_eq!(shown["sinks"]["near"]["blocked_shards"], 0, "{shown}");
    let ready = http::get(&format!("http://127.0.0.1:{admin}/readyz"), &[]).unwrap_err();
    assert!(ready.contains("far: ") && ready.contains("401"), "{ready}");
    let metrics = http::get(&format!("http://127.0.0.1:{admin}/metrics"), &[]).unwrap();
    for (sink, blocked) in [("far", "1"), ("near", "0")] {
        let line = metrics.lines().find(|line| line.starts_with("weir_sink_blocked{") && line.contains(sink));
        assert!(line.is_none_or(|line| line.ends_with(blocked)) && (sink == "near" || line.is_some()), "{metrics}");
    }
    assert!(process.stderr().lines().any(|line| line.contains("blocked") && line.contains("far")));

    drop(far_receiver);
    let _far_receiver = Receiver::start(far_port, Answers::Judges, keeps(&far));
    wait_until(ENDS, "commit", || {
        let status = status()?;
        let committed = &status["partitions"][format!("{topic}[0]")]["committed"];
        if *committed == RECORDS { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!((near.lock().clone(), far.lock().clone()), (all(None), all(Some("eu"))));
    assert_eq!(process.terminate(ENDS).code(), Some(0));
}

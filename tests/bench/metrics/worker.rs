//! `weir run metrics` on a topic that is full already.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Process, folder, free_ports};
use weir_tests::wait::wait_until;

use super::load::Filled;
use super::receiver::Receiver;
use crate::process::{Cost, cpu, peak_bytes};

/// How long a run may take.
const ENDS: Duration = Duration::from_secs(300);

/// What a receiver has seen: its first and last request, and how many samples.
#[derive(Default)]
struct Seen {
    first: Option<Instant>,
    last: Option<Instant>,
    samples: u64,
}

/// Runs until everything is committed.
pub(crate) fn run(kafka: &Kafka, topic: &str, protocol: &str, weir: &Path, filled: &Filled) -> Cost {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let receiver = {
        let seen = Arc::clone(&seen);
        Receiver::start(move |samples| {
            let (now, mut seen) = (Instant::now(), seen.lock());
            seen.first.get_or_insert(now);
            seen.last = Some(now);
            seen.samples += samples as u64;
        })
    };
    let (folder, admin) = (folder("bench"), format!("127.0.0.1:{}", free_ports()));
    let topology = format!(
        "[kafka]\nbrokers = [\"{}\"]\n[process]\nadmin = \"{admin}\"\n[worker.metrics]\ntopics = [\"{topic}\"]\n\
         group = \"{topic}-{protocol}\"\n[worker.metrics.remote_write]\nurl = \"{}\"\nprotocol = \"{protocol}\"\n",
        kafka.bootstrap(Listener::Plain),
        receiver.url()
    );
    fs::write(folder.join("topology.toml"), topology).unwrap();
    let mut process = Process::spawn("weir", &folder, Command::new(weir).args(["run", "metrics"]));
    wait_until(ENDS, "end of the lag", || {
        assert!(process.is_running(), "weir ended");
        let status = http::get_json(&format!("http://{admin}/status"), &[])?;
        let partitions = status["metrics"]["partitions"].as_object().ok_or("no partitions")?;
        let committed: i64 = partitions.values().map(|partition| partition["committed"].as_i64().unwrap()).sum();
        if committed == i64::try_from(filled.records).unwrap() { Ok(()) } else { Err(format!("{committed} records")) }
    });
    let (cpu, peak_bytes) = (cpu(process.id()), peak_bytes(process.id()));
    assert!(process.terminate(ENDS).success(), "{}", process.stderr());
    let seen = seen.lock();
    assert!(seen.samples >= filled.samples, "{} of {} samples", seen.samples, filled.samples);
    let wall = seen.last.unwrap() - seen.first.unwrap();
    Cost { wall, cpu, peak_bytes, arrived: seen.samples }
}

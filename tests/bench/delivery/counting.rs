//! The counting worker as a process.

use std::fs;
use std::process::Command;
use std::time::Duration;

use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Process, folder, free_ports};
use weir_tests::wait::wait_until;

use super::topics::{PARTITIONS, Ran, rate};

/// How long a run may take.
const ENDS: Duration = Duration::from_secs(300);

/// A process that counts a topic, in a group of the output's name.
pub(crate) struct Counter {
    pub process: Process,
    admin: String,
}

impl Counter {
    pub fn start(kafka: &Kafka, source: &str, output: &str, worker: &str) -> Self {
        let (folder, admin) = (folder("bench"), format!("127.0.0.1:{}", free_ports()));
        let topology = format!(
            "[kafka]\nbrokers = [\"{}\"]\n[process]\nadmin = \"{admin}\"\n[worker.counting]\ntopics = [\"{source}\"]\n\
             group = \"{output}\"\n{worker}\n[worker.counting.remote_write]\nurl = \"http://127.0.0.1:1/\"\n",
            kafka.bootstrap(Listener::Plain),
        );
        fs::write(folder.join("topology.toml"), topology).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_counting"));
        command.args(["--topology", "topology.toml", "--output", output, "--state", &format!("{output}-state")]);
        Self { process: Process::spawn("counting", &folder, &command), admin }
    }

    /// What was committed, over all partitions, and how many there are that run.
    pub fn committed(&self) -> Result<(u64, usize), String> {
        let status = http::get_json(&format!("http://{}/status", self.admin), &[])?;
        let partitions = status["counting"]["partitions"].as_object().ok_or("no partitions")?;
        let running = partitions.values().filter(|partition| partition["life"] != "opening");
        let all = running.map(|partition| partition["committed"].as_u64().unwrap_or_default());
        Ok(all.fold((0, 0), |(sum, count), committed| (sum + committed, count + 1)))
    }

    /// A quantile of the time of a commit, in seconds, by the histogram's buckets.
    fn commit_seconds(&self, share: f64) -> f64 {
        let text = http::get(&format!("http://{}/metrics", self.admin), &[]).unwrap();
        let buckets: Vec<(f64, f64)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("weir_commit_seconds_bucket{")?.split_once("le=\"")?.1.split_once('"'))
            .filter_map(|(bound, rest)| Some((bound.parse().ok()?, rest.split(' ').next_back()?.parse().ok()?)))
            .collect();
        let wanted = share * buckets.last().unwrap().1;
        let mut before = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= wanted && count > before.1 {
                return before.0 + (bound - before.0) * (wanted - before.1) / (count - before.1);
            }
            before = (bound, count);
        }
        before.0
    }
}

pub(crate) fn topics(kafka: &Kafka) -> String {
    let output = kafka.topic("counted", PARTITIONS);
    kafka.create_topic(&format!("{output}-state"), PARTITIONS, &[("cleanup.policy", "compact")]);
    output
}

pub(crate) fn run(kafka: &Kafka, source: &str, records: u64, interval: Duration) -> Ran {
    let output = topics(kafka);
    let interval = format!("commit_interval = \"{}ms\"", interval.as_millis());
    let mut counter = Counter::start(kafka, source, &output, &interval);
    wait_until(ENDS, "end of the lag", || {
        assert!(counter.process.is_running(), "it ended: {}", counter.process.stderr());
        let (committed, _) = counter.committed()?;
        if committed == records { Ok(()) } else { Err(format!("{committed} records")) }
    });
    let commit_seconds = [counter.commit_seconds(0.5), counter.commit_seconds(0.99)];
    assert!(counter.process.terminate(ENDS).success(), "{}", counter.process.stderr());
    Ran { records_per_second: rate(kafka, &output, records), commit_seconds }
}

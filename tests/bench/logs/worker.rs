//! `weir run logs`, on a topic that is full already or is being filled.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use weir_mask::Detector;
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Process, folder, free_ports};
use weir_tests::wait::wait_until;

use super::load::Filled;
use super::output::Output;
use super::{Job, PARTITIONS};
use crate::process::{Cost, cpu, peak_bytes};

/// How long a run may take.
pub(crate) const ENDS: Duration = Duration::from_secs(300);

/// What a run came to.
pub(crate) struct Ran {
    pub cost: Cost,
    /// Of keys and values that were written, before compression.
    pub bytes: u64,
}

/// How a worker is started.
pub(crate) struct Start<'s> {
    pub kafka: &'s Kafka,
    pub topic: &'s str,
    pub job: Job,
    /// Whether it counts lines to metrics.
    pub measures: bool,
    pub weir: &'s Path,
}

/// A worker that runs.
pub(crate) struct Running {
    /// The topic that it writes to.
    pub output: String,
    admin: String,
    process: Process,
}

impl Start<'_> {
    /// Its `topology.toml`; the group and the topics are named after the output.
    fn topology(&self, admin: &str, output: &str) -> String {
        let (topic, brokers) = (self.topic, self.kafka.bootstrap(Listener::Plain));
        let mut text = format!(
            "[kafka]\nbrokers = [\"{brokers}\"]\n[process]\nadmin = \"{admin}\"\n[worker.logs]\n\
             topics = [\"{topic}\"]\ngroup = \"{output}\"\n[worker.logs.enrich]\noutput = \"{output}\"\n"
        );
        if self.job == Job::Enrich {
            // No line here is XML, which its first byte says.
            text += "parsers = [\"xml\"]\n[worker.logs.enrich.mask.actions]\n";
            for detector in Detector::ALL.iter().filter(|detector| **detector != Detector::Field) {
                writeln!(text, "{} = \"keep\"", detector.name()).unwrap();
            }
        }
        let measures = self.measures;
        write!(text, "[worker.logs.enrich.measure]\noutput = \"{output}-measured\"\nready_made = {measures}\n")
            .unwrap();
        text
    }
}

impl Running {
    pub fn start(start: &Start<'_>) -> Self {
        let (folder, admin) = (folder("bench"), format!("127.0.0.1:{}", free_ports()));
        let output = Kafka::unique("enriched");
        start.kafka.create_topic(&output, PARTITIONS, &[("max.message.bytes", "2097152")]);
        start.kafka.create_topic(&format!("{output}-measured"), PARTITIONS, &[]);
        start.kafka.create_topic(&format!("weir-{output}-state"), PARTITIONS, &[("cleanup.policy", "compact")]);
        fs::write(folder.join("topology.toml"), start.topology(&admin, &output)).unwrap();
        let process = Process::spawn("weir", &folder, Command::new(start.weir).args(["run", "logs"]));
        Self { output, admin, process }
    }

    /// How many partitions it reads, and how many records of them are committed.
    pub fn committed(&mut self) -> Result<(usize, i64), String> {
        assert!(self.process.is_running(), "weir ended: {}", self.process.stderr());
        let status = http::get_json(&format!("http://{}/status", self.admin), &[])?;
        let partitions = status["logs"]["partitions"].as_object().ok_or("no partitions")?;
        let open = partitions.values().filter(|partition| partition["life"] != "opening");
        let committed = open.clone().map(|partition| partition["committed"].as_i64().unwrap_or(0)).sum();
        Ok((open.count(), committed))
    }

    /// Ends it; what it has cost in processor time, and its peak memory in bytes.
    pub fn end(mut self) -> (Duration, u64) {
        let cost = (cpu(self.process.id()), peak_bytes(self.process.id()));
        assert!(self.process.terminate(ENDS).success(), "{}", self.process.stderr());
        cost
    }
}

/// Runs until everything is committed.
pub(crate) fn run(start: &Start<'_>, filled: &Filled) -> Ran {
    let mut running = Running::start(start);
    let records = i64::try_from(filled.records).unwrap();
    wait_until(ENDS, "end of the lag", || {
        let (_, committed) = running.committed()?;
        if committed >= records { Ok(()) } else { Err(format!("{committed} of {records} records")) }
    });
    let topic = running.output.clone();
    let (cpu, peak_bytes) = running.end();
    let output = Output::read(start.kafka, &topic);
    output.check(filled.lines, start.job == Job::Mask);
    Ran { cost: Cost { wall: output.wall(), cpu, peak_bytes, arrived: output.lines }, bytes: output.bytes }
}

//! A job under test: a topic, a group, and the processes that share them: a worker of `weir run`, or the counting one.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Process, folder, free_ports, weir};
use weir_tests::wait::wait_until;

/// A sample as Prometheus's API has it: its time in milliseconds, and its value.
pub(crate) fn sample(point: &Value) -> (i64, &str) {
    #[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
    let at_ms = (point[0].as_f64().unwrap() * 1e3).round() as i64;
    (at_ms, point[1].as_str().unwrap())
}

/// How long anything may take that does not wait for a session to run out.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Whether the long forms of the tests run.
pub(crate) fn full() -> bool {
    std::env::var_os("WEIR_FULL").is_some()
}

/// A cluster of three nodes that the tests of whole jobs share; it has the topic of dead letters.
pub(crate) fn cluster() -> &'static Kafka {
    static CLUSTER: OnceLock<Kafka> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let kafka = Kafka::start(3);
        kafka.create_topic("weir-dead-letters", 4, &[("max.message.bytes", "2097152")]);
        kafka.create_topic("weir-dead-letters-logs", 4, &[("max.message.bytes", "2097152")]);
        kafka
    })
}

/// What runs in the processes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `weir run metrics`.
    Metrics,
    /// `weir run logs`.
    Logs,
    /// The counting worker.
    Counting,
}

/// A topic and the group that reads it, both of the same name.
pub(crate) struct Job {
    pub kafka: &'static Kafka,
    /// The topic, and the group.
    pub name: String,
    pub partitions: i32,
    program: Program,
    /// What its `topology.toml` says besides.
    topology: Topology,
}

/// Lines of the tables of a `topology.toml`.
#[derive(Default)]
pub(crate) struct Topology {
    /// Of `[kafka.properties]`.
    pub properties: &'static str,
    /// Of `[process]`.
    pub process: &'static str,
    /// Of the worker's table.
    pub worker: &'static str,
    /// Of its table `remote_write`, `url` apart.
    pub remote_write: &'static str,
    /// Of its table `otlp`.
    pub otlp: &'static str,
    /// Of its table `enrich.measure`, `output` apart.
    pub measure: &'static str,
}

/// One process of a job.
pub(crate) struct Member {
    pub process: Process,
    admin: String,
    worker: &'static str,
}

impl Program {
    /// What the worker is called.
    fn worker(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Counting => "counting",
        }
    }

    fn start(self, folder: &Path, job: &Job) -> Process {
        match self {
            Self::Metrics | Self::Logs => weir(folder, &["run", self.worker()]),
            Self::Counting => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_counting"));
                command.args(["--topology", "topology.toml"]);
                command.args(["--output", &job.output(), "--state", &job.state()]);
                Process::spawn("counting", folder, &command)
            }
        }
    }
}

impl Job {
    /// A metrics job of a name of its own, made from `name`.
    pub fn new(name: &str, partitions: i32, topology: Topology) -> Self {
        Self::on(cluster(), Program::Metrics, name, partitions, topology)
    }

    /// A job on that cluster, with the topics of its output and its state where it has them.
    pub fn on(kafka: &'static Kafka, program: Program, name: &str, partitions: i32, topology: Topology) -> Self {
        let job = Self { kafka, name: kafka.topic(name, partitions), partitions, program, topology };
        if program != Program::Metrics {
            kafka.create_topic(&job.output(), partitions, &[("max.message.bytes", "2097152")]);
        }
        if program == Program::Logs {
            kafka.create_topic(&job.measured(), partitions, &[]);
        }
        if program != Program::Metrics {
            kafka.create_topic(&job.state(), partitions, &[("cleanup.policy", "compact")]);
        }
        job
    }

    /// Where the counting worker writes every change, and the logs worker every line.
    pub fn output(&self) -> String {
        format!("{}-output", self.name)
    }

    /// Where the logs worker writes what lines are counted to.
    pub fn measured(&self) -> String {
        format!("{}-measured", self.name)
    }

    /// Its changelog.
    pub fn state(&self) -> String {
        let prefix = if self.program == Program::Logs { "weir-" } else { "" };
        format!("{prefix}{}-state", self.name)
    }

    /// A job of the metrics worker that reads what this one, of the logs worker, counts lines to.
    pub fn measuring(&self, topology: Topology) -> Self {
        Self {
            kafka: self.kafka,
            name: self.measured(),
            partitions: self.partitions,
            program: Program::Metrics,
            topology,
        }
    }

    /// Starts a process that delivers to `url`; its admin server answers when this returns.
    #[track_caller]
    pub fn start(&self, url: &str) -> Member {
        self.start_at(&self.kafka.bootstrap(Listener::Plain), url)
    }

    /// As [`Job::start`], with Kafka at another address.
    #[track_caller]
    pub fn start_at(&self, brokers: &str, url: &str) -> Member {
        self.start_with(brokers, url, "")
    }

    /// As [`Job::start`], with a name that outlives it.
    #[track_caller]
    pub fn start_as(&self, url: &str, instance: &str) -> Member {
        self.start_with(&self.kafka.bootstrap(Listener::Plain), url, &format!("instance_id = \"{instance}\"\n"))
    }

    #[track_caller]
    fn start_with(&self, brokers: &str, url: &str, identity: &str) -> Member {
        let (folder, admin) = (folder("job"), format!("127.0.0.1:{}", free_ports()));
        fs::write(folder.join("topology.toml"), self.text(brokers, &admin, url, identity)).unwrap();
        let mut process = self.program.start(&folder, self);
        wait_until(SOON, "admin server", || {
            assert!(process.is_running(), "it ended: {}", process.stderr());
            http::get(&format!("http://{admin}/healthz"), &[])
        });
        Member { process, admin, worker: self.program.worker() }
    }

    fn text(&self, brokers: &str, admin: &str, url: &str, identity: &str) -> String {
        let (Topology { properties, process, worker, remote_write, otlp, measure }, name) =
            (&self.topology, &self.name);
        let (brokers, kind) = (brokers.replace(',', "\", \""), self.program.worker());
        let mut text = format!("[kafka]\nbrokers = [\"{brokers}\"]\n[kafka.properties]\n{properties}\n");
        write!(text, "[process]\nadmin = \"{admin}\"\n{identity}{process}\n").unwrap();
        write!(text, "[worker.{kind}]\ntopics = [\"{name}\"]\ngroup = \"{name}\"\n{worker}\n").unwrap();
        match self.program {
            Program::Metrics | Program::Counting => {
                write!(text, "[worker.{kind}.remote_write]\nurl = \"{url}\"\n{remote_write}\n").unwrap();
                if !otlp.is_empty() {
                    write!(text, "[worker.{kind}.otlp]\n{otlp}\n").unwrap();
                }
            }
            Program::Logs => {
                let (lines, metrics) = (self.output(), self.measured());
                write!(text, "[worker.{kind}.enrich]\noutput = \"{lines}\"\n").unwrap();
                write!(text, "[worker.{kind}.enrich.measure]\noutput = \"{metrics}\"\n{measure}\n").unwrap();
            }
        }
        text
    }

    /// What the group has committed and where the log ends, by partition.
    pub fn offsets(&self) -> Result<Vec<(i64, i64)>, String> {
        let error = |error: rdkafka::error::KafkaError| error.to_string();
        let client: BaseConsumer =
            self.kafka.client(Listener::Plain).set("group.id", &self.name).create().map_err(error)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.name, 0, self.partitions - 1);
        let committed = client.committed_offsets(asked, Duration::from_secs(10)).map_err(error)?;
        let pair = |partition| {
            let place = committed.find_partition(&self.name, partition).map(|found| found.offset());
            let committed = if let Some(Offset::Offset(offset)) = place { offset } else { 0 };
            let (_, end) = client.fetch_watermarks(&self.name, partition, Duration::from_secs(10)).map_err(error)?;
            Ok((committed, end))
        };
        (0..self.partitions).map(pair).collect()
    }

    /// Waits until the group has committed the end of every partition, each exactly.
    #[track_caller]
    pub fn caught_up(&self, deadline: Duration) {
        wait_until(deadline, "end of the lag", || {
            let offsets = self.offsets()?;
            if offsets.iter().all(|(committed, end)| committed == end) { Ok(()) } else { Err(format!("{offsets:?}")) }
        });
    }
}

impl Member {
    /// How its worker stands.
    pub fn status(&self) -> Result<Value, String> {
        http::get_json(&format!("http://{}/status", self.admin), &[]).map(|mut status| status[self.worker].take())
    }

    /// The value of one of its counters, its series added up; `name` as it is exposed.
    pub fn counter(&self, name: &str) -> Result<f64, String> {
        let text = http::get(&format!("http://{}/metrics", self.admin), &[])?;
        let series =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// How many partitions it reads.
    pub fn running(&self) -> Result<usize, String> {
        let status = self.status()?;
        let partitions = status["partitions"].as_object().ok_or("no partitions")?;
        Ok(partitions.values().filter(|partition| partition["life"] != "opening").count())
    }

    /// Why partitions of it do not open.
    pub fn problems(&self) -> Result<Vec<String>, String> {
        let status = self.status()?;
        let partitions = status["partitions"].as_object().ok_or("no partitions")?;
        let said =
            partitions.iter().filter_map(|(id, partition)| Some(format!("{id}: {}", partition["problem"].as_str()?)));
        Ok(said.collect())
    }

    /// Waits until it reads at least so many partitions.
    #[track_caller]
    pub fn has_partitions(&self, count: usize) {
        wait_until(SOON, "partitions", || {
            let running = self.running()?;
            if running >= count { Ok(()) } else { Err(format!("{running} of {count}")) }
        });
    }

    /// A line of `/proc/PID/status` such as `VmHWM`, in bytes.
    pub fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kib = found.and_then(|value| value.trim().strip_suffix(" kB")).unwrap();
        kib.trim().parse::<u64>().unwrap() * 1024
    }
}

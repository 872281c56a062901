//! `topology.toml`: which topics exist, which worker reads which, and where it delivers.
//!
//! In: the file's text and the `WEIR_` variables. Out: a [`Topology`] with every default filled in, or every problem
//! at once. The file patches the default fleet: an empty one means exactly the defaults, and a worker or topic that
//! it leaves out is there all the same.

mod environment;
mod kafka;
mod topic;
mod worker;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context;
use serde::Deserialize;
use weir_config::{ByteSize, Checker, Document, Problems, Reference, Resolve, Spanned, quoted, unset};

pub use kafka::{KafkaConfig, Mechanism, Protocol, Security};
pub use topic::{Compression, DEAD_LETTERS, LOGS_DEAD_LETTERS, Topic, TopicDefaults};
pub use worker::{Encoding, GroupProtocol, Kind, Start, Worker};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "topology.toml";

/// The largest topology file, in bytes; far above any that a person writes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The largest secret in a file, in bytes; above every password, token and key.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The whole fleet, with every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// How to reach Kafka.
    pub kafka: KafkaConfig,
    /// What the workers of one process share.
    pub process: Process,
    /// Every topic that `weir topics` creates and checks, by name.
    pub topics: BTreeMap<String, Topic>,
    /// Every worker, by name.
    pub workers: BTreeMap<String, Worker>,
}

/// What the workers of one process share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Process {
    /// Bytes of what is under way, 16MiB to 1TiB.
    pub budget: Spanned<ByteSize>,
    /// Threads that process records, 1 to 256; the machine's cores by default.
    pub lanes: Spanned<usize>,
    /// A name that outlives restarts: static membership, stable transactional IDs.
    pub instance_id: Option<Spanned<String>>,
    /// Where the admin server listens.
    pub admin: SocketAddr,
}

/// Where a topology came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This file.
    File(PathBuf),
    /// No file was named and [`DEFAULT_FILE`] is not there.
    Defaults,
}

/// Why there is no topology.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The named file is not there.
    #[error("there is no {}: write it, or leave --topology out to use the defaults (weir check shows them)", path.display())]
    Missing {
        /// The named file.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("could not read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was read, and has problems.
    #[error("{problems}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Problems,
    },
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    kafka: KafkaConfig,
    process: Process,
    topic_defaults: TopicDefaults,
    topic: BTreeMap<Spanned<String>, topic::Table>,
    worker: BTreeMap<Spanned<String>, worker::Table>,
}

/// Reads the topology at `path`, or [`DEFAULT_FILE`] if it is there, with this process's environment.
///
/// # Errors
/// The named file is missing or unreadable, or anything in it or in the environment is wrong.
pub fn load(path: Option<&Path>) -> Result<(Topology, Origin), LoadError> {
    let file = path.unwrap_or(Path::new(DEFAULT_FILE)).to_owned();
    let (text, origin) = match fs::File::open(&file).and_then(|file| read_bounded(file, FILE_BYTES_MAX)) {
        Ok(text) => (text, Origin::File(file.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path {
            Some(path) => return Err(LoadError::Missing { path: path.to_owned() }),
            None => (String::new(), Origin::Defaults),
        },
        Err(source) => return Err(LoadError::Unreadable { path: file, source }),
    };
    // What is not text cannot name a key, and is no value of one.
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match Topology::parse(&file.display().to_string(), &text, &environment, &resolve) {
        Ok(topology) => Ok((topology, origin)),
        Err(problems) => Err(LoadError::Invalid { path: file, problems }),
    }
}

/// What a reference stands for, in this process.
fn resolve(reference: Reference<'_>) -> io::Result<String> {
    match reference {
        Reference::Env(name) => match std::env::var(name) {
            Ok(value) => Ok(value),
            Err(std::env::VarError::NotPresent) => Err(io::Error::new(io::ErrorKind::NotFound, "it is not set")),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
            }
        },
        Reference::File(path) => {
            let mut secret = read_bounded(fs::File::open(path)?, SECRET_BYTES_MAX)?;
            // An editor ends a file with a newline; a secret does not have one.
            secret.truncate(secret.trim_end_matches(['\r', '\n']).len());
            Ok(secret)
        }
    }
}

fn read_bounded(file: fs::File, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = file.take(bytes_max + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= bytes_max) {
        Ok(text)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {bytes_max} bytes")))
    }
}

impl Default for Process {
    fn default() -> Self {
        Self {
            budget: unset(ByteSize::mib(256)),
            lanes: unset(std::thread::available_parallelism().map_or(1, usize::from)),
            instance_id: None,
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
        }
    }
}

impl Process {
    fn check(&self, at: &mut Checker<'_>) {
        at.within(&self.budget, "budget", ByteSize::mib(16)..=ByteSize::gib(1024));
        at.within(&self.lanes, "lanes", 1..=256);
        if let Some(id) = self.instance_id.as_ref().filter(|id| id.get_ref().trim().is_empty()) {
            at.problem(id.span(), "instance_id", "expected a name, not an empty one");
        }
    }
}

impl Default for Topology {
    fn default() -> Self {
        File::default().resolved()
    }
}

impl Topology {
    /// The worker of that name.
    ///
    /// # Errors
    /// There is none; it says which there are.
    pub fn worker(&self, name: &str) -> anyhow::Result<&Worker> {
        self.workers.get(name).with_context(|| {
            let known: Vec<_> = self.workers.keys().map(String::as_str).collect();
            format!("there is no worker {name:?} in the topology; there are: {}", known.join(", "))
        })
    }

    /// Reads `text`, called `file` in messages, with the `WEIR_` variables of `environment` over it.
    ///
    /// # Errors
    /// Every problem of the file and of the variables.
    pub fn parse(
        file: &str,
        text: &str,
        environment: &[(String, String)],
        resolve: Resolve<'_>,
    ) -> Result<Self, Problems> {
        let mut document = Document::parse(file, text)?;
        for (variable, value) in environment {
            if let Some(path) = environment::path(variable) {
                document.set(variable, path, value);
            }
        }
        let (mut file, mut report) = document.read::<File>(resolve);
        file.add_defaults();
        file.check(&mut report.at(""));
        report.finish()?;
        Ok(file.resolved())
    }
}

impl File {
    fn add_defaults(&mut self) {
        for name in topic::DEFAULTS.iter().map(|(name, _)| name) {
            self.topic.entry(unset((*name).to_owned())).or_default();
        }
        // Whoever names a worker has named all that there are.
        if self.worker.is_empty() {
            for name in worker::DEFAULTS {
                self.worker.entry(unset((*name).to_owned())).or_default();
            }
        }
        for (name, worker) in &mut self.worker {
            worker.add_default_kind(name.get_ref());
        }
    }

    fn check(&self, at: &mut Checker<'_>) {
        self.kafka.check(&mut at.under("kafka"));
        self.process.check(&mut at.under("process"));
        self.topic_defaults.check(&mut at.under("topic_defaults"));
        for (name, topic) in &self.topic {
            topic.check(name, &mut at.under("topic").under(&quoted(name.get_ref())));
        }
        let poll_interval = self.kafka.max_poll_interval();
        let mut groups = BTreeMap::new();
        for (name, worker) in &self.worker {
            let at = &mut at.under("worker");
            let at = &mut at.under(&quoted(name.get_ref()));
            worker.check(name, poll_interval, at);
            worker.check_group(name, &mut groups, at);
            if worker.group_protocol == GroupProtocol::Consumer {
                self.kafka.check_consumer_protocol(at);
            }
        }
    }

    /// The fleet; to be called on what has no problem, for what has one is left out.
    fn resolved(mut self) -> Topology {
        self.add_defaults();
        let topics = self.topic.into_iter().filter_map(|(name, topic)| {
            let topic = topic.resolved(name.get_ref(), &self.topic_defaults)?;
            Some((name.into_inner(), topic))
        });
        let workers = self.worker.into_iter().filter_map(|(name, worker)| {
            let worker = worker.resolved(name.get_ref())?;
            Some((name.into_inner(), worker))
        });
        Topology { topics: topics.collect(), workers: workers.collect(), kafka: self.kafka, process: self.process }
    }
}

#[cfg(test)]
mod tests;

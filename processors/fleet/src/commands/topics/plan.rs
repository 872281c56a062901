//! What has to be done for the cluster's topics to be those of the topology; pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use weir_config::{ByteSize, Duration};

use crate::cluster::sources;
use crate::connection::{BROKERS_LIMIT_BYTES, RECORD_OVERHEAD_BYTES};
use crate::topology::{DEAD_LETTERS, Topic, Topology, Worker};

const CLEANUP: &str = "cleanup.policy";
const COMPRESSION: &str = "compression.type";
const LARGEST: &str = "max.message.bytes";
const IN_SYNC: &str = "min.insync.replicas";
const RETENTION: &str = "retention.ms";

/// A topic as it is in the cluster.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub partitions: i32,
    pub replicas: i32,
    pub settings: BTreeMap<String, String>,
}

/// What is to be done, in this order, and what is to be known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands) struct Plan {
    pub steps: Vec<Step>,
    /// Differences that stay.
    pub remarks: Vec<Remark>,
    /// What a person has to change in the topology first.
    pub problems: Vec<Remark>,
}

/// Something to say about a topic.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Remark {
    pub topic: String,
    pub message: String,
}

/// One call to the cluster.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(in crate::commands) enum Step {
    Create { topic: String, partitions: i32, replication_factor: u16, settings: BTreeMap<&'static str, String> },
    Grow { topic: String, from: i32, to: i32 },
    Alter { topic: String, settings: BTreeMap<&'static str, Change> },
}

/// A setting's value, before and after.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Change {
    pub from: Option<String>,
    pub to: String,
}

impl Plan {
    /// Compares; `cluster` has those topics of the topology and of its workers that are there.
    pub(super) fn new(topology: &Topology, cluster: &BTreeMap<String, Seen>) -> Self {
        let mut plan = Self::default();
        // State first: a source that grows finds its changelog's partitions there.
        for (name, wanted) in changelogs(topology, cluster) {
            plan.take(&name, wanted, cluster);
        }
        for (name, topic) in &topology.topics {
            plan.take(name, Wanted::from(topic), cluster);
        }
        plan.check_sources(topology, cluster);
        plan.check_outputs(topology, cluster);
        plan
    }

    fn take(&mut self, name: &str, wanted: Wanted, cluster: &BTreeMap<String, Seen>) {
        match cluster.get(name) {
            Some(seen) => self.change(name, wanted, seen),
            None => self.steps.push(Step::Create {
                topic: name.to_owned(),
                partitions: wanted.partitions,
                replication_factor: wanted.replication_factor,
                settings: wanted.settings,
            }),
        }
    }

    fn change(&mut self, name: &str, topic: Wanted, seen: &Seen) {
        let (has, written) = (seen.partitions, topic.partitions);
        if has < written {
            self.steps.push(Step::Grow { topic: name.to_owned(), from: has, to: written });
        }
        if has > written {
            self.remark(name, format!("has {has} partitions, {written} are written; Weir never shrinks a topic"));
        }
        let (has, written) = (seen.replicas, topic.replication_factor);
        if has != i32::from(written) {
            let message = format!("its replication factor is {has}, {written} is written; Weir does not move replicas");
            self.remark(name, message);
        }
        if has < i32::from(topic.min_insync_replicas) {
            let in_sync = topic.min_insync_replicas;
            let message = format!(
                "{IN_SYNC} {in_sync} is more than its replication factor {has}, and nothing could be written: \
                 change topic_defaults.min_insync_replicas, or add replicas first"
            );
            self.problems.push(Remark { topic: name.to_owned(), message });
        }
        let settings: BTreeMap<_, _> = topic
            .settings
            .into_iter()
            .filter(|(name, to)| seen.settings.get(*name) != Some(to))
            .map(|(name, to)| (name, Change { from: seen.settings.get(name).cloned(), to }))
            .collect();
        if !settings.is_empty() {
            self.steps.push(Step::Alter { topic: name.to_owned(), settings });
        }
    }

    /// What workers read must be there, and fit their dead-letter topic with headers around it.
    fn check_sources(&mut self, topology: &Topology, cluster: &BTreeMap<String, Seen>) {
        let mut largest: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for (name, worker) in &topology.workers {
            let known = topology.topics.keys().chain(cluster.keys()).map(String::as_str);
            for source in sources(worker, known) {
                let there = cluster.get(source).and_then(|seen| seen.settings.get(LARGEST)?.parse().ok());
                let limit = topology.topics.get(source).map(|topic| topic.max_message_bytes.get()).or(there);
                match limit {
                    Some(limit) => {
                        let largest = largest.entry(worker.kind.dead_letters()).or_default();
                        *largest = (limit, source).max(*largest);
                    }
                    None => self.problems.push(Remark {
                        topic: source.to_owned(),
                        message: format!("worker.{name} reads it, and neither the topology nor the cluster has it"),
                    }),
                }
            }
        }
        for (letters, (bytes, source)) in largest {
            let needed = bytes.saturating_add(u64::try_from(RECORD_OVERHEAD_BYTES).unwrap_or(u64::MAX));
            if let Some(taken) = topology.topics.get(letters).map(|topic| topic.max_message_bytes)
                && taken < ByteSize::bytes(needed)
            {
                let (bytes, needed) = (ByteSize::bytes(bytes), ByteSize::bytes(needed));
                let message = format!(
                    "takes {taken}, but a record of {source} may be {bytes}, which with its headers makes {needed}: \
                     raise max_message_bytes"
                );
                self.problems.push(Remark { topic: letters.to_owned(), message });
            }
        }
    }

    /// What workers write to must be there, with a partition for each of its source's.
    fn check_outputs(&mut self, topology: &Topology, cluster: &BTreeMap<String, Seen>) {
        let count = |topic: &str| {
            let there = cluster.get(topic).map(|seen| seen.partitions);
            topology.topics.get(topic).map(partitions).max(there)
        };
        for (name, worker) in &topology.workers {
            let Some(output) = worker.kind.output() else { continue };
            let known = topology.topics.keys().chain(cluster.keys()).map(String::as_str);
            let most = sources(worker, known).into_iter().filter_map(|source| Some((count(source)?, source))).max();
            let message = match (count(output), most) {
                (None, _) => {
                    format!("worker.{name} writes to it, and neither the topology nor the cluster has it")
                }
                (Some(has), Some((needed, source))) if has < needed => format!(
                    "has {has} partitions and {source} {needed}: worker.{name} keeps a record's partition, so raise \
                     partitions"
                ),
                _ => continue,
            };
            self.problems.push(Remark { topic: output.to_owned(), message });
        }
        for (name, worker) in &topology.workers {
            if let Some(metrics) = worker.kind.measures().filter(|metrics| count(metrics).is_none()) {
                let message = format!("worker.{name} writes to it, and neither the topology nor the cluster has it");
                self.problems.push(Remark { topic: metrics.to_owned(), message });
            }
        }
    }

    fn remark(&mut self, topic: &str, message: String) {
        self.remarks.push(Remark { topic: topic.to_owned(), message });
    }
}

impl Step {
    /// The topic that it changes.
    pub(in crate::commands) fn topic(&self) -> &str {
        let (Self::Create { topic, .. } | Self::Grow { topic, .. } | Self::Alter { topic, .. }) = self;
        topic
    }

    /// The step in a few words, as "could not ..." takes them.
    pub(in crate::commands) fn attempt(&self) -> String {
        match self {
            Self::Create { topic, replication_factor, .. } => {
                format!("create {topic} with replication factor {replication_factor}")
            }
            Self::Grow { topic, to, .. } => format!("grow {topic} to {to} partitions"),
            Self::Alter { topic, settings } => {
                let names: Vec<_> = settings.keys().copied().collect();
                format!("alter {topic}: {}", names.join(", "))
            }
        }
    }
}

/// A topic as it should be.
struct Wanted {
    partitions: i32,
    replication_factor: u16,
    min_insync_replicas: u16,
    settings: BTreeMap<&'static str, String>,
}

impl From<&Topic> for Wanted {
    fn from(topic: &Topic) -> Self {
        Self {
            partitions: partitions(topic),
            replication_factor: topic.replication_factor,
            min_insync_replicas: topic.min_insync_replicas,
            settings: settings(topic).into(),
        }
    }
}

/// The changelogs of workers that keep state: compacted, a partition for each of the sources, replicated as those.
fn changelogs(topology: &Topology, cluster: &BTreeMap<String, Seen>) -> BTreeMap<String, Wanted> {
    let changelog = |worker: &Worker| {
        let name = worker.state_topic()?;
        let read = sources(worker, topology.topics.keys().chain(cluster.keys()).map(String::as_str));
        let written = |source: &&str| topology.topics.get(*source);
        let there = read.iter().filter_map(|source| cluster.get(*source)).map(|seen| seen.partitions);
        let model = read.iter().find_map(written).or_else(|| topology.topics.get(DEAD_LETTERS))?;
        let settings = [
            (CLEANUP, "compact".to_owned()),
            (LARGEST, BROKERS_LIMIT_BYTES.to_string()),
            (IN_SYNC, model.min_insync_replicas.to_string()),
        ];
        let wanted = Wanted {
            partitions: read.iter().filter_map(written).map(partitions).chain(there).max()?,
            replication_factor: model.replication_factor,
            min_insync_replicas: model.min_insync_replicas,
            settings: settings.into(),
        };
        Some((name, wanted))
    };
    topology.workers.values().filter_map(changelog).collect()
}

fn partitions(topic: &Topic) -> i32 {
    i32::try_from(topic.partitions).unwrap_or(i32::MAX)
}

/// The settings that Weir writes; all others are the cluster's.
fn settings(topic: &Topic) -> [(&'static str, String); 5] {
    [
        (CLEANUP, "delete".to_owned()),
        (COMPRESSION, topic.compression.to_string()),
        (LARGEST, topic.max_message_bytes.get().to_string()),
        (IN_SYNC, topic.min_insync_replicas.to_string()),
        (RETENTION, topic.retention.get().as_millis().to_string()),
    ]
}

/// A setting's value for people.
fn shown(name: &str, value: &str) -> String {
    match (name, value.parse::<u64>()) {
        (RETENTION, Ok(millis)) => Duration::from_millis(millis).to_string(),
        (RETENTION, Err(_)) => "unlimited".to_owned(),
        (LARGEST, Ok(bytes)) => ByteSize::bytes(bytes).to_string(),
        _ => value.to_owned(),
    }
}

/// The plan for people, a line for each thing.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Remark { topic, message } in &self.problems {
            writeln!(f, "! {topic}: {message}")?;
        }
        for step in &self.steps {
            step.fmt(f)?;
        }
        for Remark { topic, message } in &self.remarks {
            writeln!(f, "  {topic}: {message}")?;
        }
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        match (self.steps.len(), self.problems.len()) {
            (0, 0) => writeln!(f, "nothing to do"),
            (steps, 0) => writeln!(f, "{}; nothing is deleted", count(steps, "step")),
            (steps, problems) => writeln!(f, "{}, {}", count(problems, "problem"), count(steps, "step")),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { topic, partitions, replication_factor, settings } => {
                let settings: Vec<_> =
                    settings.iter().map(|(name, value)| format!("{name} {}", shown(name, value))).collect();
                writeln!(f, "+ {topic}: create, partitions {partitions}, replication factor {replication_factor}")?;
                writeln!(f, "      {}", settings.join(", "))
            }
            Self::Grow { topic, from, to } => writeln!(
                f,
                "~ {topic}: grow from {from} to {to} partitions; \
                 keys then go to other partitions than before, so records of one key may overtake older ones"
            ),
            Self::Alter { topic, settings } => {
                for (name, Change { from, to }) in settings {
                    let before = from.as_ref().map_or_else(|| "-".to_owned(), |from| shown(name, from));
                    write!(f, "~ {topic}: {name} {before} -> {}", shown(name, to))?;
                    let shorter = *name == RETENTION && shorter(from.as_deref(), to);
                    writeln!(f, "{}", if shorter { "; Kafka removes records that are older" } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

/// Whether records are kept for less time than before; a negative time is for ever.
fn shorter(from: Option<&str>, to: &str) -> bool {
    let millis = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    from.is_some_and(|from| millis(to) < millis(from))
}

#[cfg(test)]
mod tests;

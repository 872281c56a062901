//! The cluster as the commands see it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use regex::Regex;
use weir_contract::TopicPartition;
use weir_kafka::real::{Admin, Topic};
use weir_kafka::{Class, ClientError, Committed, Isolation};

use crate::connection;
use crate::topology::{Topology, Worker};

/// How long a group's coordinator may take to be there.
const COORDINATOR: Duration = Duration::from_secs(10);
/// How long a call that failed is left alone.
const LOOK: Duration = Duration::from_millis(200);

/// A cluster that has answered.
pub struct Cluster {
    /// Asks it more, and changes it.
    pub admin: Admin,
    /// Its topics, by name.
    pub topics: BTreeMap<String, Topic>,
}

impl Cluster {
    /// Asks the cluster for its topics; blocks, 10 s at most. Records are read under the permissions of `group`.
    ///
    /// # Errors
    /// It does not answer, or librdkafka refuses a property.
    pub fn reach(topology: &Topology, group: &str) -> anyhow::Result<Self> {
        let brokers = connection::brokers(topology, false);
        let admin = Admin::open(&brokers, group)?;
        let topics = Self::topics(&admin).with_context(|| {
            format!(
                "no Kafka answers at {}: start it, or set kafka.brokers in the topology (or WEIR_KAFKA__BROKERS)",
                brokers.brokers
            )
        })?;
        Ok(Self { admin, topics })
    }

    /// Asks for the topics, by name.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn topics(admin: &Admin) -> anyhow::Result<BTreeMap<String, Topic>> {
        Ok(admin.topics()?.into_iter().map(|topic| (topic.name.clone(), topic)).collect())
    }

    /// Every partition that a worker reads.
    ///
    /// # Errors
    /// The cluster lacks a topic.
    pub fn partitions(&self, worker: &Worker) -> anyhow::Result<Vec<TopicPartition>> {
        let mut ids = Vec::new();
        for topic in sources(worker, self.topics.keys().map(String::as_str)) {
            let there = self.topics.get(topic);
            let there =
                there.with_context(|| format!("the cluster has no topic {topic}: `weir topics apply` creates it"))?;
            ids.extend((0..there.partitions).map(|partition| TopicPartition::new(topic, partition)));
        }
        Ok(ids)
    }

    /// What a group has committed of partitions, in their order. A coordinator that has just started, or moved, does
    /// not know it at once.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub fn committed(&self, group: &str, of: &[TopicPartition]) -> Result<Vec<Option<Committed>>, ClientError> {
        let retriable = |error: &ClientError| error.class == Class::Retriable;
        retried(Instant::now() + COORDINATOR, retriable, || self.admin.committed(group, of, Isolation::Uncommitted))
    }
}

/// The same call again, until it is done, fails with what does not pass, or the time is up.
///
/// # Errors
/// Those of the call.
pub fn retried<T, E>(until: Instant, passes: impl Fn(&E) -> bool, call: impl Fn() -> Result<T, E>) -> Result<T, E> {
    loop {
        match call() {
            Err(error) if passes(&error) && Instant::now() < until => sleep(LOOK),
            ended => return ended,
        }
    }
}

/// The topics that a worker reads: those it names, and those of `known` that its expressions match.
pub fn sources<'a>(worker: &'a Worker, known: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let (expressions, names): (Vec<_>, Vec<_>) = worker.topics.iter().partition(|topic| topic.starts_with('^'));
    // The topology has been checked: each of them is an expression.
    let expressions: Vec<_> = expressions.into_iter().filter_map(|text| Regex::new(text).ok()).collect();
    let matched = known.into_iter().filter(|topic| expressions.iter().any(|expression| expression.is_match(topic)));
    names.into_iter().map(String::as_str).chain(matched).collect()
}

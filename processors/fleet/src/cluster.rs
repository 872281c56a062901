//! The cluster as the commands see it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use regex::Regex;
use weir_kafka::real::{Admin, Topic};

use crate::connection;
use crate::topology::{Topology, Worker};

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
}

/// The topics that a worker reads: those it names, and those of `known` that its expressions match.
pub fn sources<'a>(worker: &'a Worker, known: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let (expressions, names): (Vec<_>, Vec<_>) = worker.topics.iter().partition(|topic| topic.starts_with('^'));
    // The topology has been checked: each of them is an expression.
    let expressions: Vec<_> = expressions.into_iter().filter_map(|text| Regex::new(text).ok()).collect();
    let matched = known.into_iter().filter(|topic| expressions.iter().any(|expression| expression.is_match(topic)));
    names.into_iter().map(String::as_str).chain(matched).collect()
}

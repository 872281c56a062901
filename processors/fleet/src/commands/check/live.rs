//! `weir check --live`: the cluster, the topics, the ACLs and the sinks, tried without an effect on any of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use weir_contract::{Failure, Next, Sink};
use weir_kafka::real::{Admin, Allowed};
use weir_metrics::config::Endpoint;
use weir_metrics::{Config, Instruments, Remote, RemoteWriteSink};

use super::acls::{self, Acl, Pattern, Resource, Who};
use crate::cluster::{Cluster, sources};
use crate::commands::run::runtime;
use crate::commands::topics;
use crate::connection;
use crate::topology::{Kind, Topology};

/// The group under which the cluster is looked at; nothing is read.
const GROUP: &str = "weir-check";

/// What one try came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was tried.
    pub subject: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, and what to do about it.
    pub message: String,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Ok,
    Problem,
    NotTried,
}

/// Everything that was tried, whatever the others came to.
pub(super) fn look(topology: &Topology) -> Vec<Finding> {
    let brokers = topology.kafka.brokers.get_ref().join(", ");
    let subject = format!("kafka {brokers}");
    let mut found = Vec::new();
    match Cluster::reach(topology, GROUP) {
        Ok(cluster) => {
            let message = format!("answers; it shows {} topics", cluster.topics.len());
            found.push(Finding { subject, outcome: Outcome::Ok, message });
            found.extend(topics(topology, &cluster));
            found.extend(tried_acls(topology, &cluster));
        }
        Err(error) => {
            found.push(Finding { subject, outcome: Outcome::Problem, message: crate::chain(error.as_ref()) });
            let message = "no Kafka answers".to_owned();
            found.push(Finding { subject: "topics and ACLs".to_owned(), outcome: Outcome::NotTried, message });
        }
    }
    for (name, worker) in &topology.workers {
        match &worker.kind {
            Kind::RemoteWrite(config) => {
                let endpoints = config.remote_write.iter().enumerate();
                found.extend(endpoints.map(|(place, endpoint)| sink(name, config, place, endpoint)));
            }
            // Its topic and its ACLs are tried already.
            Kind::Enrich(_) => {}
        }
    }
    found
}

/// The topics against the topology; those that may not be seen are missing.
fn topics(topology: &Topology, cluster: &Cluster) -> Vec<Finding> {
    let about = |topic: &str, outcome, message| Finding { subject: format!("topic {topic}"), outcome, message };
    let plan = match topics::compare(topology, &cluster.admin, &cluster.topics) {
        Ok(plan) => plan,
        Err(error) => {
            let error = crate::chain(error.as_ref());
            let message =
                format!("{error}; where the ACL DESCRIBE_CONFIGS is missing, `weir topics plan` needs it, too");
            return vec![Finding { subject: "topics' settings".to_owned(), outcome: Outcome::NotTried, message }];
        }
    };
    let mut steps: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for step in &plan.steps {
        steps.entry(step.topic()).or_default().push(step.attempt());
    }
    let mut found: Vec<_> = steps
        .into_iter()
        .map(|(topic, steps)| {
            let hidden = if cluster.topics.contains_key(topic) { "" } else { ", or may not be seen (ACL DESCRIBE)" };
            let message =
                format!("is not as the topology says{hidden}: `weir topics apply` would {}", steps.join(", "));
            about(topic, Outcome::Problem, message)
        })
        .collect();
    found.extend(plan.problems.iter().map(|one| about(&one.topic, Outcome::Problem, one.message.clone())));
    found.extend(plan.remarks.iter().map(|one| about(&one.topic, Outcome::Ok, one.message.clone())));
    let told: BTreeSet<_> = found.iter().map(|one| one.subject.clone()).collect();
    let fine = topology.topics.keys().map(|topic| about(topic, Outcome::Ok, "is as the topology says".to_owned()));
    found.extend(fine.filter(|one| !told.contains(&one.subject)));
    found
}

/// The ACLs that the workers need, against what the brokers say that this client may do.
fn tried_acls(topology: &Topology, cluster: &Cluster) -> Vec<Finding> {
    let mut found = Vec::new();
    for acl in acls::of_workers(topology) {
        let worker = match &acl.who {
            Who::Worker(name) => topology.workers.get(name),
            Who::Command(_) => None,
        };
        let names = match (acl.pattern, worker) {
            (Pattern::Expression, Some(worker)) => sources(worker, cluster.topics.keys().map(String::as_str)),
            _ => BTreeSet::from([acl.name.as_str()]),
        };
        found.extend(
            names
                .into_iter()
                .map(|name| tried(topology, &cluster.admin, &Acl { name: name.to_owned(), ..acl.clone() })),
        );
    }
    found
}

fn tried(topology: &Topology, admin: &Admin, acl: &Acl) -> Finding {
    let subject = format!("{}: {} on {}", acl.who.shown(), acl.operations(), acl.subject());
    let told = match acl.resource {
        Resource::Topic => admin.allowed_on_topic(&acl.name),
        Resource::Group => admin.allowed_on_group(&acl.name),
        Resource::TransactionalId => {
            // No worker has that one, so nobody is fenced.
            let own = format!("{}check-{:016x}", acl.name, connection::random());
            admin.use_transactional_id(&own).map(|()| Allowed::Operations(acl.operations.clone()))
        }
    };
    let (outcome, message) = match told {
        Ok(Allowed::Operations(allowed)) => {
            let missing: Vec<_> = acl.operations.iter().filter(|needed| !allowed.contains(needed)).collect();
            if missing.is_empty() {
                (Outcome::Ok, "allowed".to_owned())
            } else {
                let missing: Vec<_> = missing.into_iter().map(ToString::to_string).collect();
                (Outcome::Problem, format!("{} is missing: {}", missing.join(", "), acl.command(topology)))
            }
        }
        Ok(Allowed::Unknown) => (Outcome::NotTried, "the brokers do not say what is allowed".to_owned()),
        Ok(Allowed::Refused(why)) => (Outcome::Problem, format!("{why}: {}", acl.command(topology))),
        Err(error) => (Outcome::Problem, format!("{error}: {}", acl.command(topology))),
    };
    Finding { subject, outcome, message }
}

/// Sends the sink a request without a sample.
fn sink(name: &str, config: &Config, place: usize, endpoint: &Endpoint) -> Finding {
    let tried = runtime().and_then(|runtime| {
        let remote = Remote::new(config, place, &Instruments::default())?;
        let mut sink = RemoteWriteSink::new(&remote);
        loop {
            sink.pack(&[]);
            match runtime.block_on(sink.deliver()) {
                Err(error) if error.next() == Next::Repack => {}
                delivered => return Ok(delivered),
            }
        }
    });
    let (outcome, message) = match tried {
        Ok(Ok(())) => (Outcome::Ok, "took a request without samples".to_owned()),
        Ok(Err(error)) => judged(&error),
        Err(error) => (Outcome::Problem, crate::chain(error.as_ref())),
    };
    Finding { subject: format!("worker {name}: {}", endpoint.shown_url()), outcome, message }
}

/// What an answer to a request without samples means.
fn judged(error: &weir_metrics::DeliverError) -> (Outcome, String) {
    let told = crate::chain(error);
    match error.next() {
        // It has read the request, and wants samples in it.
        Next::Reject { .. } | Next::Split { .. } => (Outcome::Ok, format!("answers: {told}")),
        Next::Retry { .. } | Next::Repack => (Outcome::Problem, format!("{told}: is it up, and is the URL right?")),
        Next::Blocked => (Outcome::Problem, format!("{told}: look at its credentials and its URL")),
    }
}

/// The findings for people, problems last, where they are seen.
pub(super) fn shown(found: &[Finding]) -> String {
    let mut sorted: Vec<_> = found.iter().collect();
    sorted.sort_by_key(|one| one.outcome == Outcome::Problem);
    let line = |one: &&Finding| {
        let outcome = match one.outcome {
            Outcome::Ok => "ok       ",
            Outcome::Problem => "problem  ",
            Outcome::NotTried => "not tried",
        };
        format!("{outcome}  {}: {}\n", one.subject, one.message)
    };
    sorted.iter().map(line).collect()
}

//! What the workers of a running process say of themselves, over its admin server.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::commands::run::runtime;

/// How long the admin server may take.
const ANSWER: Duration = Duration::from_secs(3);

/// The largest answer, in bytes: some thousands of partitions.
const BYTES_MAX: usize = 4 << 20;

/// What holds the front of a partition.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Held {
    pub by: String,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: Option<i64>,
}

/// The answer of `/status`, as far as it is needed; by worker.
#[derive(Debug, Deserialize)]
pub(super) struct Statuses(BTreeMap<String, Worker>);

#[derive(Debug, Deserialize)]
struct Worker {
    session_error: Option<String>,
    sinks: BTreeMap<String, Sink>,
    commit_error: Option<String>,
    partitions: BTreeMap<String, Partition>,
}

#[derive(Debug, Deserialize)]
struct Sink {
    last_error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    life: String,
    oldest_since_ms: Option<i64>,
    waits_for: Option<String>,
    opening_error: Option<String>,
    problem: Option<String>,
}

/// Asks the admin server at `url`.
pub(super) fn ask(url: &str) -> anyhow::Result<Statuses> {
    let url = format!("{}/status", url.trim_end_matches('/'));
    let body = runtime()?.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).build()?;
        let mut answer = client.get(&url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            anyhow::ensure!(body.len() <= BYTES_MAX, "{url} answered more than {BYTES_MAX} bytes");
        }
        anyhow::Ok(body)
    })?;
    serde_json::from_slice(&body).with_context(|| format!("{url} is no admin server of Weir's"))
}

impl Statuses {
    /// What holds a partition of a worker; none where nothing does, or its process is another one.
    pub(super) fn of(&self, worker: &str, partition: &str) -> Option<Held> {
        let worker = self.0.get(worker)?;
        let partition = worker.partitions.get(partition)?;
        if let Some(problem) = partition.problem.as_ref().or(partition.opening_error.as_ref()) {
            return Some(Held { by: format!("{}: {problem}", partition.life), since_ms: None });
        }
        match &partition.waits_for {
            Some(waits) => Some(Held { by: waits.clone(), since_ms: partition.oldest_since_ms }),
            None if partition.life == "running" => None,
            None => Some(Held { by: partition.life.clone(), since_ms: None }),
        }
    }

    /// What is wrong with a worker as a whole.
    pub(super) fn problem(&self, worker: &str) -> Option<String> {
        let worker = self.0.get(worker)?;
        let own = [&worker.session_error, &worker.commit_error].into_iter().flatten().next().cloned();
        own.or_else(|| {
            worker.sinks.iter().find_map(|(name, sink)| Some(format!("{name}: {}", sink.last_error.as_ref()?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use weir_runtime::{Health, PartitionStatus, WorkerStatus};

    use super::*;

    /// What the admin server answers for one worker.
    fn statuses(status: &WorkerStatus) -> Statuses {
        serde_json::from_value(serde_json::json!({"metrics": status})).unwrap()
    }

    fn partition(change: impl FnOnce(&mut PartitionStatus)) -> BTreeMap<String, PartitionStatus> {
        let mut partition = PartitionStatus { life: "running", ..PartitionStatus::default() };
        change(&mut partition);
        BTreeMap::from([("t[0]".to_owned(), partition)])
    }

    fn waiting(partition: &mut PartitionStatus) {
        partition.waits_for = Some("processing or deliveries");
        partition.oldest_since_ms = Some(5);
    }

    #[test]
    fn a_batch_under_way_holds_and_the_worker_says_what_is_wrong() {
        let mut status = WorkerStatus { partitions: partition(waiting), ..WorkerStatus::default() };
        let held = statuses(&status).of("metrics", "t[0]").unwrap();
        assert_eq!(held, Held { by: "processing or deliveries".into(), since_ms: Some(5) });
        assert_eq!(statuses(&status).problem("metrics"), None);

        let troubled = Health { last_error: Some("503".into()), ..Health::default() };
        status.sinks = BTreeMap::from([("a".to_owned(), Health::default()), ("b".to_owned(), troubled)]);
        assert_eq!(statuses(&status).problem("metrics").as_deref(), Some("b: 503"));
        status.commit_error = Some("fenced".into());
        assert_eq!(statuses(&status).problem("metrics").as_deref(), Some("fenced"));
    }

    #[test]
    fn a_partition_that_does_not_open_says_why() {
        let partitions = partition(|partition| {
            partition.life = "opening";
            partition.problem = Some("no offset".into());
        });
        let status = WorkerStatus { partitions, ..WorkerStatus::default() };
        let held = statuses(&status).of("metrics", "t[0]").unwrap();
        assert_eq!(held, Held { by: "opening: no offset".into(), since_ms: None });
    }

    #[test]
    fn nothing_holds_what_runs_or_is_elsewhere() {
        let status = WorkerStatus { partitions: partition(|_| {}), ..WorkerStatus::default() };
        for (worker, partition) in [("metrics", "t[0]"), ("metrics", "t[1]"), ("logs", "t[0]")] {
            assert_eq!(statuses(&status).of(worker, partition), None);
        }
    }
}

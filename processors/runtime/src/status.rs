//! How a worker stands, for `/status` and `/readyz`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use weir_contract::{Oldest, Standing, Timestamp};
use weir_kafka::{ClientError, Life};

use crate::chain;

/// What a worker shows of itself; shared with the admin server.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<WorkerStatus>>);

/// How a worker stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkerStatus {
    /// Whether the group has given it an assignment, which may be of nothing.
    pub assigned: bool,
    /// Why its session with Kafka ended or does not begin, until the next assignment.
    pub session_error: Option<String>,
    /// How the outside is, by outlet.
    pub sinks: BTreeMap<String, Health>,
    /// Why the last commit failed, until one succeeds.
    pub commit_error: Option<String>,
    /// Its partitions, as `topic[partition]`.
    pub partitions: BTreeMap<String, PartitionStatus>,
    /// What only workers of its kind show.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

/// How the outside is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Health {
    /// Shards whose request is being tried again.
    pub retrying_shards: usize,
    /// Shards that a person has to help: credentials, a missing address.
    pub blocked_shards: usize,
    /// What the outside said last, of those shards.
    pub last_error: Option<String>,
}

/// How a partition stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PartitionStatus {
    /// Where it is in its life: opening, running, paused (and why), at the end of a bounded run, draining.
    pub life: &'static str,
    /// The offset of the next record that it takes.
    pub position: i64,
    /// The offset that is committed, of what this process has done.
    pub committed: i64,
    /// Records from there to the partition's end, as it was asked for last.
    pub lag_records: Option<i64>,
    /// The age of the first record that is not committed, by its timestamp; 0 without lag, none
    /// where that record is not there yet.
    pub freshness_seconds: Option<f64>,
    /// Batches under way.
    pub batches: usize,
    /// The first offset of the oldest batch under way.
    pub oldest_offset: Option<i64>,
    /// When that batch was taken, in milliseconds since the epoch.
    pub oldest_since_ms: Option<i64>,
    /// How long ago that was.
    pub oldest_age_seconds: Option<f64>,
    /// What it waits for: processing or deliveries, records kept, the commit.
    pub waits_for: Option<&'static str>,
    /// Why it has not opened yet, which passes.
    pub opening_error: Option<String>,
    /// Why it does not open before a person helps.
    pub problem: Option<String>,
}

impl Status {
    /// A copy of how it stands now.
    pub fn get(&self) -> WorkerStatus {
        self.0.lock().clone()
    }

    /// Whether it has its partitions, its commits go through, and the outside takes what it sends.
    pub fn is_ready(&self) -> bool {
        let status = self.0.lock();
        status.assigned
            && status.commit_error.is_none()
            && status.sinks.values().all(|sink| sink.retrying_shards == 0 && sink.blocked_shards == 0)
    }

    /// It has no session, and so no partition, for that reason.
    pub(crate) fn lose_session(&self, error: &ClientError) {
        self.update(|status| {
            status.assigned = false;
            status.session_error = Some(chain(error));
            status.commit_error = None;
            status.partitions.clear();
        });
    }

    pub(crate) fn add_sink(&self, outlet: &str) {
        self.update(|status| {
            status.sinks.entry(outlet.to_owned()).or_default();
        });
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut WorkerStatus)) {
        change(&mut self.0.lock());
    }
}

impl PartitionStatus {
    pub(crate) fn show(&mut self, life: Life, standing: Option<Standing>, now: Timestamp) {
        self.life = match life {
            Life::Opening => "opening",
            Life::Running => "running",
            Life::Paused => "paused for the budget",
            Life::Ended => "at the end of its run",
            Life::Draining => "draining",
        };
        let Some(standing) = standing else { return };
        (self.problem, self.opening_error) = (None, None);
        self.position = standing.next;
        self.committed = standing.position;
        self.batches = standing.entries;
        self.oldest_offset = standing.oldest.map(|oldest| oldest.offset);
        self.oldest_since_ms = standing.oldest.map(|oldest| oldest.since_ms);
        self.oldest_age_seconds = self.oldest_since_ms.map(|since_ms| seconds(since_ms, now));
        self.freshness_seconds = match standing.timestamp_ms {
            Some(timestamp_ms) => Some(seconds(timestamp_ms, now)),
            None if self.lag_records == Some(0) => Some(0.0),
            None => None,
        };
        self.waits_for = standing.oldest.map(|oldest| match oldest {
            Oldest { deliveries: 1.., .. } => "processing or deliveries",
            Oldest { kept: 1.., .. } => "records kept by the processor",
            _ => "the commit",
        });
    }
}

/// Seconds from a time, in milliseconds since the epoch, until now; none of them negative.
fn seconds(since_ms: i64, now: Timestamp) -> f64 {
    let ms = now.0.saturating_sub(since_ms).max(0);
    Duration::from_millis(ms.unsigned_abs()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use weir_contract::{Partition, TopicPartition};

    use super::*;

    #[test]
    fn a_partition_shows_what_it_has_taken_what_is_committed_and_what_holds_it() {
        let partition = Partition::open(TopicPartition::new("t", 0), 10);
        let mut status = PartitionStatus { lag_records: Some(0), ..PartitionStatus::default() };
        partition.admit(None, 0).1.release();
        status.show(Life::Running, Some(partition.standing()), Timestamp(5_000));
        let seen = (status.position, status.committed, status.freshness_seconds, status.waits_for);
        assert_eq!(seen, (10, 10, Some(0.0), None), "a tick is nothing to wait for");

        let (entry, processing) = partition.admit(Some((10, 20)), 4_000);
        entry.date(1_000);
        status.show(Life::Running, Some(partition.standing()), Timestamp(5_000));
        assert_eq!((status.position, status.committed, status.batches), (20, 10, 1));
        assert_eq!((status.freshness_seconds, status.oldest_age_seconds), (Some(4.0), Some(1.0)));
        assert_eq!((status.oldest_offset, status.waits_for), (Some(10), Some("processing or deliveries")));

        processing.release();
        status.show(Life::Paused, Some(partition.standing()), Timestamp(6_000));
        assert_eq!((status.life, status.waits_for), ("paused for the budget", Some("the commit")));
        partition.settle(&partition.front());
        status.show(Life::Running, Some(partition.standing()), Timestamp(6_000));
        assert_eq!((status.committed, status.waits_for, status.oldest_age_seconds), (20, None, None));
    }
}

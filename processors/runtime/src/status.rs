//! How a worker stands, for `/status` and `/readyz`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use weir_contract::Standing;
use weir_kafka::Life;

/// What a worker shows of itself; shared with the admin server.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<WorkerStatus>>);

/// How a worker stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkerStatus {
    /// Whether the group has given it an assignment, which may be of nothing.
    pub assigned: bool,
    /// How the outside is.
    pub sink: Health,
    /// Why the last commit failed, until one succeeds.
    pub commit_error: Option<String>,
    /// Its partitions, as `topic[partition]`.
    pub partitions: BTreeMap<String, PartitionStatus>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// Where it is in its life: opening, running, paused, draining.
    pub life: &'static str,
    /// The offset that is committed, of what this process has done.
    pub committed: i64,
    /// Records from there to the partition's end, as of the last poll.
    pub lag_records: Option<i64>,
    /// Batches under way.
    pub batches: usize,
    /// The first offset of the oldest batch under way.
    pub oldest_offset: Option<i64>,
    /// When that batch was taken, in milliseconds since the epoch.
    pub oldest_since_ms: Option<i64>,
    /// What it waits for: processing or deliveries, records kept, the commit.
    pub waits_for: Option<&'static str>,
    /// Why it does not open.
    pub problem: Option<String>,
}

impl Status {
    /// A copy of how it stands now.
    pub fn get(&self) -> WorkerStatus {
        self.0.lock().clone()
    }

    /// Whether it has its partitions and the outside takes what it sends.
    pub fn is_ready(&self) -> bool {
        let status = self.0.lock();
        status.assigned && status.sink.retrying_shards == 0 && status.sink.blocked_shards == 0
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut WorkerStatus)) {
        change(&mut self.0.lock());
    }
}

impl PartitionStatus {
    pub(crate) fn show(&mut self, life: Life, standing: Option<Standing>) {
        self.life = match life {
            Life::Opening => "opening",
            Life::Running => "running",
            Life::Paused => "paused for the budget",
            Life::Draining => "draining",
        };
        let Some(standing) = standing else { return };
        self.problem = None;
        self.committed = standing.position;
        self.batches = standing.entries;
        self.oldest_offset = standing.oldest.map(|oldest| oldest.offset);
        self.oldest_since_ms = standing.oldest.map(|oldest| oldest.since_ms);
        self.waits_for = match standing.oldest {
            Some(oldest) if oldest.deliveries > 0 => Some("processing or deliveries"),
            Some(_) => Some("records kept by the processor"),
            None if standing.entries > 0 => Some("the commit"),
            None => None,
        };
    }
}

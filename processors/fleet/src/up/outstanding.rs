//! What was produced and is not committed yet: the embedded Kafka keeps 5 MiB of a partition and drops what is older,
//! so no more than that may be waiting.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use weir_contract::TopicPartition;
use weir_generate::{Record, Signal};

use super::TOPICS;
use crate::fleet::Fleet;
use crate::topology::Topology;

/// What may wait in a partition, in bytes.
const BYTES_MAX: u64 = 3 << 20;
/// What a record weighs in the log beside its key and value, in bytes, at most.
const RECORD_OVERHEAD_BYTES: u64 = 256;
/// How often the generator asks for room.
const ASK: Duration = Duration::from_millis(10);

/// Per partition, the records that wait.
pub(super) struct Outstanding {
    partitions: BTreeMap<Signal, i32>,
    /// Topics that a worker reads; the others' records wait for nobody.
    read: Vec<Signal>,
    waiting: Mutex<BTreeMap<TopicPartition, Waiting>>,
}

#[derive(Default)]
struct Waiting {
    /// The next record's offset.
    next: i64,
    /// Each record that waits, and what it weighs.
    records: VecDeque<(i64, u64)>,
    bytes: u64,
}

impl Outstanding {
    pub(super) fn new(topology: &Topology) -> Self {
        let partitions = |name: &str| topology.topics.get(name).map_or(1, |topic| topic.partitions);
        let read = |name: &str| topology.workers.values().any(|worker| worker.topics.iter().any(|topic| topic == name));
        Self {
            partitions: TOPICS
                .iter()
                .map(|(signal, name)| (*signal, i32::try_from(partitions(name)).unwrap_or(1)))
                .collect(),
            read: TOPICS.iter().filter(|(_, name)| read(name)).map(|(signal, _)| *signal).collect(),
            waiting: Mutex::default(),
        }
    }

    /// The partition of a record, once there is room for it; none if `stop` comes first.
    pub(super) fn room(&self, record: &Record, stop: &AtomicBool) -> Option<TopicPartition> {
        let (_, topic) = TOPICS.iter().find(|(signal, _)| *signal == record.signal)?;
        let partitions = self.partitions.get(&record.signal).copied().unwrap_or(1).max(1);
        let hash =
            BuildHasherDefault::<DefaultHasher>::default().hash_one(&record.key) % u64::from(partitions.unsigned_abs());
        let id = TopicPartition::new(*topic, i32::try_from(hash).unwrap_or_default());
        if !self.read.contains(&record.signal) {
            return Some(id);
        }
        let bytes = (record.key.len() + record.value.len()) as u64 + RECORD_OVERHEAD_BYTES;
        loop {
            {
                let mut waiting = self.waiting.lock();
                let waiting = waiting.entry(id.clone()).or_default();
                if waiting.bytes == 0 || waiting.bytes + bytes <= BYTES_MAX {
                    waiting.records.push_back((waiting.next, bytes));
                    waiting.next += 1;
                    waiting.bytes += bytes;
                    return Some(id);
                }
            }
            if stop.load(Ordering::SeqCst) {
                return None;
            }
            std::thread::sleep(ASK);
        }
    }

    /// Takes note of what the workers have committed.
    pub(super) fn committed(&self, fleet: &Fleet) {
        let mut all = self.waiting.lock();
        for running in fleet.running() {
            for (id, status) in running.status.get().partitions {
                let Some((_, waiting)) = all.iter_mut().find(|(waiting, _)| waiting.to_string() == id) else {
                    continue;
                };
                while let Some((_, bytes)) = waiting.records.pop_front_if(|(offset, _)| *offset < status.committed) {
                    waiting.bytes -= bytes;
                }
            }
        }
    }

    /// How many records wait, of all topics.
    pub(super) fn records(&self) -> i64 {
        self.records_of(|_| true)
    }

    /// How many records of some topics wait.
    pub(super) fn records_of(&self, topic: impl Fn(&str) -> bool) -> i64 {
        let all = self.waiting.lock();
        let waiting = all.iter().filter(|(id, _)| topic(&id.topic)).map(|(_, waiting)| waiting.records.len());
        i64::try_from(waiting.sum::<usize>()).unwrap_or(i64::MAX)
    }
}

//! What a client fetches and hands out, as librdkafka does: what was fetched stays in its queue until
//! it is given or a pause or seek throws it away.

use weir_contract::TopicPartition;
use weir_kafka::{Arrived, Rebalance, Take};

use super::group::{Change, Fetch};
use super::kafka::{C, P};
use super::log::{Log, Record};
use super::{Mutation, State};

/// Gives a record to whoever takes it.
pub(super) fn give(log: &Log, offset: i64, record: &Record, take: &mut Take<'_>) -> bool {
    let mut headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    take(Arrived {
        topic: &log.id.topic,
        partition: log.id.partition,
        offset,
        timestamp_ms: Some(record.timestamp_ms),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &mut headers,
    })
}

impl State {
    /// Fetches and gives records; whether a partition was found to be out of range, which is said
    /// once, and not beside a change.
    pub fn deliver(&mut self, client: C, take: &mut Take<'_>, beside_a_change: bool) -> bool {
        let mut left = 1 + self.rng.index(12);
        let mut out_of_range = false;
        let partitions: Vec<P> = self.kafka.clients[client].fetch.keys().copied().collect();
        let first = self.rng.index(partitions.len());
        'all: for index in 0..partitions.len() {
            let partition = partitions[(first + index) % partitions.len()];
            let log = &self.kafka.logs[partition];
            let Some(fetch) = self.kafka.clients[client].fetch.get_mut(&partition) else { continue };
            if fetch.paused && self.mutation != Some(Mutation::PauseIsIgnored) {
                continue;
            }
            if fetch.position >= fetch.fetched && !fetch.broken {
                if fetch.position < log.low {
                    fetch.broken = !beside_a_change;
                    out_of_range |= fetch.broken;
                    continue;
                }
                let there = u64::try_from(log.stable() - fetch.position).unwrap_or(0);
                let more = i64::try_from(self.rng.below(there + 1)).unwrap_or(0);
                fetch.fetched = fetch.position + more;
            }
            while fetch.position < fetch.fetched {
                let at = fetch.position;
                fetch.position += 1;
                if let Some(record) = log.visible(at) {
                    let more = give(log, at, record, take);
                    left -= 1;
                    if !more || left == 0 {
                        break 'all;
                    }
                }
            }
        }
        out_of_range
    }

    /// For a mutation: what is not open yet is fetched, from what is committed.
    pub fn resume_what_is_opening(&mut self, client: C) {
        for partition in self.kafka.clients[client].assignment.clone() {
            let position = self.kafka.offsets.get(&partition).map_or(0, |(offset, _)| *offset);
            let fetch = Fetch { position, fetched: position, ..Fetch::default() };
            self.kafka.clients[client].fetch.entry(partition).or_insert(fetch);
        }
    }

    /// Whether a poll has something at once.
    pub fn has_something(&self, client: C) -> bool {
        let consumer = &self.kafka.clients[client];
        consumer.awaiting.is_none() && !consumer.events.is_empty()
            || consumer.fetch.iter().any(|(partition, fetch)| {
                !fetch.paused && !fetch.broken && fetch.position < self.kafka.logs[*partition].stable()
            })
    }

    pub fn hand_out(&mut self, client: C) -> Option<Rebalance> {
        let consumer = &mut self.kafka.clients[client];
        if consumer.awaiting.is_some() {
            return None;
        }
        let change = consumer.events.pop_front()?;
        consumer.awaiting = Some(change.clone());
        if matches!(change, Change::Revoked(_)) {
            self.covers("a partition that is revoked");
        }
        let consumer = &self.kafka.clients[client];
        let name = consumer.name.clone();
        self.note(name, || format!("is told: {change:?}"));
        if self.is_mutated(Mutation::AnswersBeforeTheCommit)
            && let Change::Revoked(list) = &change
        {
            self.let_go(client, list);
        }
        let named = |list: Vec<P>| list.into_iter().map(|one| self.kafka.logs[one].id.clone()).collect();
        Some(match change {
            Change::Assigned(list) => Rebalance::Assigned(named(list)),
            Change::Revoked(list) => Rebalance::Revoked(named(list)),
            Change::Lost(list) => Rebalance::Lost(named(list)),
        })
    }

    pub fn indices(&self, partitions: &[TopicPartition]) -> Vec<P> {
        partitions.iter().map(|id| self.kafka.index(id)).collect()
    }
}

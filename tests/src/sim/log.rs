//! A partition's log: records, transaction markers, what is visible of it, and its compaction.

use std::collections::{BTreeMap, BTreeSet};

use weir_contract::TopicPartition;

/// A record in a log.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What stands at an offset: a record or, without one, a transaction's marker.
struct Entry {
    txn: Option<u64>,
    record: Option<Record>,
}

/// A partition's log, from offset 0.
pub(crate) struct Log {
    pub id: TopicPartition,
    /// The first offset that retention has left; what is below can still be in a client's queue.
    pub low: i64,
    entries: Vec<Entry>,
    /// Transactions without a marker yet, each with its first offset.
    open: BTreeMap<u64, i64>,
    aborted: BTreeSet<u64>,
    /// Readers on their way through it.
    pub readers: usize,
}

impl Log {
    pub fn new(id: TopicPartition) -> Self {
        Self { id, low: 0, entries: Vec::new(), open: BTreeMap::new(), aborted: BTreeSet::new(), readers: 0 }
    }

    /// The high watermark.
    pub fn high(&self) -> i64 {
        offset(self.entries.len())
    }

    /// The last stable offset.
    pub fn stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or_else(|| self.high())
    }

    pub fn append(&mut self, txn: Option<u64>, record: Record) -> i64 {
        let at = self.high();
        if let Some(txn) = txn {
            self.open.entry(txn).or_insert(at);
        }
        self.entries.push(Entry { txn, record: Some(record) });
        at
    }

    /// Writes a transaction's marker, which makes its records visible, or never to be.
    pub fn mark(&mut self, txn: u64, commit: bool) {
        self.open.remove(&txn);
        if !commit {
            self.aborted.insert(txn);
        }
        self.entries.push(Entry { txn: Some(txn), record: None });
    }

    /// What was written there, visible or not.
    pub fn written(&self, at: i64) -> Option<&Record> {
        self.entry(at)?.record.as_ref()
    }

    /// What a read-committed reader sees there.
    pub fn visible(&self, at: i64) -> Option<&Record> {
        let entry = self.entry(at).filter(|_| at < self.stable())?;
        let aborted = entry.txn.is_some_and(|txn| self.aborted.contains(&txn));
        entry.record.as_ref().filter(|_| !aborted)
    }

    /// All that a read-committed reader sees.
    pub fn committed(&self) -> impl Iterator<Item = (i64, &Record)> {
        (0..self.stable()).filter_map(|at| Some((at, self.visible(at)?)))
    }

    /// Leaves the last record of each key alone, of what is stable, and not even that if it is a
    /// tombstone; how many tombstones that were. Kafka keeps those long enough for whoever has begun to
    /// read.
    pub fn compact(&mut self) -> usize {
        let mut last = BTreeMap::new();
        for (at, record) in self.committed() {
            last.insert(record.key.clone(), (at, record.value.is_none()));
        }
        let last: BTreeMap<i64, bool> = last.into_values().collect();
        let (stable, read) = (self.stable(), self.readers > 0);
        let mut tombstones = 0;
        for (at, entry) in (0..stable).zip(&mut self.entries) {
            let tombstone = last.get(&at).copied();
            if tombstone.is_none_or(|tombstone| tombstone && !read) {
                tombstones += usize::from(tombstone.is_some() && entry.record.is_some());
                entry.record = None;
            }
        }
        tombstones
    }

    /// Loses everything, as a topic does that is deleted and created again.
    pub fn lose(&mut self) {
        *self = Self::new(self.id.clone());
    }

    fn entry(&self, at: i64) -> Option<&Entry> {
        self.entries.get(usize::try_from(at).ok()?)
    }
}

fn offset(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

//! All that a processor can do to the world.

use std::sync::Arc;

use crate::{Budget, Carried, Entry, Hold, Output, Record};

/// Where a processor puts what it makes of a batch.
#[derive(Debug)]
pub struct Outbox<T> {
    entry: Arc<Entry>,
    budget: Budget,
    max_output_bytes: usize,
    outputs: Vec<Output>,
    filled: Filled<T>,
}

/// What a processor made of a batch.
#[derive(Debug)]
pub struct Filled<T> {
    /// Items for the outside, by shard.
    pub shards: Vec<Vec<Item<T>>>,
    /// What each shard's items weigh, in bytes.
    pub weights: Vec<usize>,
    /// What rides with the batch.
    pub carried: Carried,
    /// Decisions to journal.
    pub journal: Vec<Journaled<T>>,
}

/// A decision, and what it lets out.
#[derive(Debug)]
pub struct Journaled<T> {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; none forgets it.
    pub value: Option<Vec<u8>>,
    /// What leaves, and is released, only once the decision is committed: each hold with its items.
    pub released: Vec<(Hold, Vec<Sharded<T>>)>,
}

/// An item with its shard, and what it weighs in bytes.
pub type Sharded<T> = (usize, Item<T>, usize);

/// Something for the outside that knows its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<T> {
    /// The record it was made of.
    pub offset: i64,
    /// What the sink packs.
    pub value: T,
}

/// What a decision lets out of what was kept.
#[derive(Debug)]
pub struct Released<T> {
    /// The hold that kept it; released when its items are acknowledged, at once if there are none.
    pub hold: Hold,
    /// The hash that says the shard, the item, and what it weighs in bytes.
    pub items: Vec<(u64, Item<T>, usize)>,
}

/// A decision on its way to the changelog.
pub struct Decision {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; none forgets it.
    pub value: Option<Vec<u8>>,
    /// Lets out what the decision releases, once it is committed.
    pub let_out: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decision").field("key_bytes", &self.key.len()).finish_non_exhaustive()
    }
}

/// An output over the limit of its topic; it was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("output of {bytes} bytes is over the limit of {limit_bytes} bytes")]
pub struct OutputTooLarge {
    /// What it weighs.
    pub bytes: usize,
    /// What the topics take.
    pub limit_bytes: usize,
}

impl<T> Outbox<T> {
    /// An outbox for an entry; `shards` is at least one.
    pub fn new(entry: Arc<Entry>, budget: Budget, shards: usize, max_output_bytes: usize) -> Self {
        let shards = shards.max(1);
        Self {
            entry,
            budget,
            max_output_bytes,
            outputs: Vec::new(),
            filled: Filled {
                shards: (0..shards).map(|_| Vec::new()).collect(),
                weights: vec![0; shards],
                carried: Carried::default(),
                journal: Vec::new(),
            },
        }
    }

    /// Sends an item of the record at `offset` to the outside, weighing about so many bytes. What
    /// must stay in order has the same hash, and so the same shard.
    pub fn emit(&mut self, offset: i64, hash: u64, value: T, bytes: usize) {
        let shard = shard_of(hash, self.filled.shards.len());
        if let (Some(items), Some(weight)) = (self.filled.shards.get_mut(shard), self.filled.weights.get_mut(shard)) {
            items.push(Item { offset, value });
            *weight += bytes;
        }
    }

    /// Sends a record to a Kafka topic, in the transaction that commits the batch.
    ///
    /// # Errors
    /// A record over the limit is not taken: it would abort the same transaction for ever.
    pub fn produce(&mut self, output: Output) -> Result<(), OutputTooLarge> {
        let bytes = output.weight();
        if bytes > self.max_output_bytes {
            return Err(OutputTooLarge { bytes, limit_bytes: self.max_output_bytes });
        }
        self.outputs.push(output);
        Ok(())
    }

    /// Sends a record to the dead letters: why (from the worker's closed list), and what helps to
    /// find the cause (names and positions, never values).
    pub fn reject(&mut self, record: &Record<'_>, reason: &'static str, detail: String) {
        self.filled.carried.dead_letters.push(record.dead_letter(reason, detail));
    }

    /// Remembers a value under a key, as of this batch.
    pub fn remember(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.filled.carried.state.push((key, Some(value)));
    }

    /// Forgets a key, as of this batch.
    pub fn forget(&mut self, key: Vec<u8>) {
        self.filled.carried.state.push((key, None));
    }

    /// Keeps the batch from being committed, for records of it that the processor keeps, weighing
    /// about so many bytes.
    pub fn keep(&self, bytes: usize) -> Hold {
        self.entry.keep(self.budget.charge(bytes))
    }

    /// Writes a decision to the changelog in a transaction that comes before any of `released`
    /// leaves. After a crash the same records meet the same decision.
    pub fn journal(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, released: Vec<Released<T>>) {
        let shards = self.filled.shards.len();
        let sharded = |Released { hold, items }| {
            let items = items.into_iter().map(|(hash, item, bytes)| (shard_of(hash, shards), item, bytes));
            (hold, items.collect())
        };
        self.filled.journal.push(Journaled { key, value, released: released.into_iter().map(sharded).collect() });
    }

    /// What was put into it.
    pub fn finish(mut self) -> Filled<T> {
        self.filled.carried.outputs = Arc::new(self.outputs);
        self.filled
    }
}

/// The shard of a hash. The upper bits decide, so that it does not matter which lower bits a
/// processor's own tables have used.
#[expect(clippy::cast_possible_truncation, reason = "the product's upper half is below `shards`, a usize")]
fn shard_of(hash: u64, shards: usize) -> usize {
    ((u128::from(hash) * shards as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{BatchBuilder, Partition, TopicPartition};

    fn outbox(shards: usize) -> Outbox<&'static str> {
        let (entry, processing) = Partition::open(TopicPartition::new("t", 0), 0).admit(Some((0, 1)), 0);
        processing.release();
        Outbox::new(entry, Budget::new(0), shards, 10)
    }

    proptest! {
        #[test]
        fn every_hash_has_a_shard_and_the_same_one(hash: u64, shards in 1_usize..1000) {
            let shard = shard_of(hash, shards);
            prop_assert!(shard < shards);
            prop_assert_eq!(shard, shard_of(hash, shards));
        }
    }

    #[test]
    fn items_of_one_hash_share_a_shard_in_order() {
        let mut out = outbox(4);
        out.emit(1, u64::MAX, "a", 3);
        out.emit(2, 0, "b", 4);
        out.emit(3, u64::MAX, "c", 5);
        let filled = out.finish();
        assert_eq!(filled.shards[3], vec![Item { offset: 1, value: "a" }, Item { offset: 3, value: "c" }]);
        assert_eq!(filled.weights, vec![4, 0, 0, 8]);
    }

    #[test]
    fn an_output_over_the_limit_is_not_taken() {
        let mut out = outbox(1);
        let output = |bytes| Output {
            topic: "o".into(),
            partition: None,
            key: None,
            value: Some(vec![0; bytes]),
            headers: Vec::new(),
        };
        assert_eq!(out.produce(output(11)), Err(OutputTooLarge { bytes: 11, limit_bytes: 10 }));
        assert_eq!(out.produce(output(10)), Ok(()));
        assert_eq!(out.finish().carried.outputs.len(), 1);
    }

    #[test]
    fn what_is_kept_holds_its_batch() {
        let partition = Partition::open(TopicPartition::new("t", 0), 0);
        let (entry, processing) = partition.admit(Some((0, 1)), 0);
        let out: Outbox<()> = Outbox::new(entry, Budget::new(0), 1, 10);
        let kept = out.keep(5);
        processing.release();
        assert!(partition.front().entries.is_empty());
        kept.release();
        assert_eq!(partition.front().position, 1);
    }

    #[test]
    fn a_rejected_record_rides_with_its_batch() {
        let mut builder = BatchBuilder::new(TopicPartition::new("t", 0));
        builder.push(4, None, None, Some(b"?"), std::iter::empty());
        let batch = builder.build().unwrap();
        let mut out = outbox(1);
        for record in batch.records() {
            out.reject(&record, "malformed", "at byte 0".into());
        }
        assert_eq!(out.finish().carried.dead_letters[0].offset, 4);
    }
}

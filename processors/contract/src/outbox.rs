//! All that a processor can do to the world.

use std::ops::Range;
use std::sync::Arc;

use crate::{Budget, Carried, Entry, Hold, Limits, Output, Record, TooLarge};

/// Where a processor puts what it makes of a batch.
#[derive(Debug)]
pub struct Outbox<T> {
    entry: Arc<Entry>,
    budget: Budget,
    limits: Limits,
    /// The shards of each way to the outside.
    outlets: Vec<Range<usize>>,
    outputs: Vec<Output>,
    filled: Filled<T>,
}

/// What a processor made of a batch.
#[derive(Debug)]
pub struct Filled<T> {
    /// Items for the outside, by shard: those of the first outlet, then those of the next.
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
    /// The number of the entry that it was made in.
    pub entry: u64,
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

impl<T> Outbox<T> {
    /// An outbox for an entry, with one outlet of that many shards, at least one.
    pub fn new(entry: Arc<Entry>, budget: Budget, shards: usize, limits: Limits) -> Self {
        Self::with_outlets(entry, budget, &[shards], limits)
    }

    /// An outbox with an outlet for each number of shards, all of them at least one.
    pub fn with_outlets(entry: Arc<Entry>, budget: Budget, outlets: &[usize], limits: Limits) -> Self {
        let mut shards = 0;
        let mut next = |count: &usize| {
            let first = shards;
            shards += (*count).max(1);
            first..shards
        };
        let outlets = outlets.iter().map(&mut next).collect();
        Self {
            entry,
            budget,
            limits,
            outlets,
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
    #[inline]
    pub fn emit(&mut self, offset: i64, hash: u64, value: T, bytes: usize) {
        self.emit_to(0, offset, hash, value, bytes);
    }

    /// The same, by one of several outlets: the batch is finished once each has acknowledged what it was sent.
    #[inline]
    pub fn emit_to(&mut self, outlet: usize, offset: i64, hash: u64, value: T, bytes: usize) {
        let shard = self.outlets.get(outlet).map(|shards| shards.start + shard_of(hash, shards.len()));
        let slot =
            shard.and_then(|shard| Some((self.filled.shards.get_mut(shard)?, self.filled.weights.get_mut(shard)?)));
        let Some((items, weight)) = slot else {
            // No such outlet: a hold that is dropped says so, and nothing is lost.
            return drop(self.entry.hold());
        };
        items.push(Item { offset, value });
        *weight += bytes;
    }

    /// Sends a record to a Kafka topic, in the transaction that commits the batch.
    ///
    /// # Errors
    /// It is over its topic's limit, and was not taken.
    pub fn produce(&mut self, output: Output) -> Result<(), TooLarge> {
        self.limits.output(&output)?;
        self.outputs.push(output);
        Ok(())
    }

    /// Sends a record to the dead letters: why (from the worker's closed list), and what helps to
    /// find the cause (names and positions, never values).
    pub fn reject(&mut self, record: &Record<'_>, reason: &'static str, detail: String) {
        self.filled.carried.dead_letters.push(record.dead_letter(reason, detail));
    }

    /// Remembers a value under a key, as of this batch.
    ///
    /// # Errors
    /// It is over the changelog's limit, and was not taken: what was remembered before stays.
    pub fn remember(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), TooLarge> {
        self.limits.state(&self.entry.partition().id().topic, &key, &value)?;
        self.filled.carried.state.push((key, Some(value)));
        Ok(())
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
    /// leaves. After a crash the same records meet the same decision. What is remembered or forgotten
    /// under the same key afterwards replaces it, as of that batch.
    ///
    /// # Errors
    /// It is over the changelog's limit, and was not taken; `released` comes back.
    pub fn journal(
        &mut self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        released: Vec<Released<T>>,
    ) -> Result<(), (TooLarge, Vec<Released<T>>)> {
        let topic = &self.entry.partition().id().topic;
        if let Err(error) = self.limits.state(topic, &key, value.as_deref().unwrap_or_default()) {
            return Err((error, released));
        }
        self.filled.carried.state.retain(|(changed, _)| *changed != key);
        let shards = self.outlets.first().map_or(1, Range::len);
        let sharded = |Released { hold, items }| {
            let items = items.into_iter().map(|(hash, item, bytes)| (shard_of(hash, shards), item, bytes));
            (hold, items.collect())
        };
        self.filled.journal.push(Journaled { key, value, released: released.into_iter().map(sharded).collect() });
        Ok(())
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
        Outbox::new(entry, Budget::new(0), shards, Limits::all(200))
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
    fn each_outlet_has_shards_of_its_own() {
        let (entry, processing) = Partition::open(TopicPartition::new("t", 0), 0).admit(Some((0, 1)), 0);
        processing.release();
        let mut out = Outbox::with_outlets(entry, Budget::new(0), &[2, 0, 3], Limits::all(200));
        for (outlet, hash, value) in [(2, u64::MAX, "a"), (1, u64::MAX, "b"), (0, u64::MAX, "c"), (2, 0, "d")] {
            out.emit_to(outlet, 7, hash, value, 1);
        }
        let shards: Vec<Vec<_>> =
            out.finish().shards.iter().map(|items| items.iter().map(|item| item.value).collect()).collect();
        assert_eq!(shards, [vec![], vec!["c"], vec!["b"], vec!["d"], vec![], vec!["a"]]);
    }

    /// Guards: forgetting never becomes loss.
    #[test]
    fn what_is_emitted_to_no_outlet_is_a_defect() {
        let partition = Partition::open(TopicPartition::new("t", 0), 0);
        let (entry, processing) = partition.admit(Some((4, 9)), 0);
        processing.release();
        let mut out = Outbox::new(entry, Budget::new(0), 1, Limits::all(200));
        assert_eq!(partition.forgotten(), None);
        out.emit_to(1, 7, 0, "a", 1);
        assert_eq!(partition.forgotten(), Some((4, 9)));
    }

    #[test]
    fn what_is_over_its_topics_limit_is_not_taken() {
        let mut out = outbox(1);
        let output = |bytes| Output {
            topic: "o".into(),
            partition: None,
            key: None,
            value: Some(vec![0; bytes]),
            headers: vec![("h".into(), vec![0; 9])],
        };
        let too_large = TooLarge { bytes: 201, limit_bytes: 200 };
        assert_eq!((out.produce(output(53)), out.produce(output(52))), (Err(too_large), Ok(())));
        // The key in the changelog: kind, the topic `t`, a zero byte, and its own.
        let value = |bytes| vec![0; bytes];
        assert_eq!((out.remember(value(9), value(61)), out.remember(value(9), value(60))), (Err(too_large), Ok(())));
        let kept = Released { hold: out.keep(1), items: Vec::new() };
        let (error, released) = out.journal(vec![1; 9], Some(value(61)), vec![kept]).unwrap_err();
        assert_eq!((error, released.len()), (too_large, 1), "and what it would have let out is still there");
        out.journal(vec![1; 9], Some(value(60)), released).unwrap();
        let filled = out.finish();
        let carried = filled.carried;
        assert_eq!((carried.outputs.len(), carried.state.len(), filled.journal.len()), (1, 1, 1));
        for Journaled { released, .. } in filled.journal {
            released.into_iter().for_each(|(hold, _)| hold.release());
        }
    }

    #[test]
    fn what_is_kept_holds_its_batch() {
        let partition = Partition::open(TopicPartition::new("t", 0), 0);
        let (entry, processing) = partition.admit(Some((0, 1)), 0);
        let out: Outbox<()> = Outbox::new(entry, Budget::new(0), 1, Limits::all(200));
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

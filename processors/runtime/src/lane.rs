//! A lane: processes the batches of its partitions, one after the other.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{Receiver, UnboundedSender};
use weir_contract::{
    Batch, Budget, Charge, Decision, Entry, Filled, Hold, Journaled, Limits, Memory, Outbox, Partition, Processor,
    Timestamp, TopicPartition,
};

use crate::instruments::{Because, Instruments};
use crate::session::Notice;
use crate::shard::Parcel;

/// What a record costs the producer beside its bytes, about.
const RECORD_OVERHEAD_BYTES: usize = 512;

/// What a lane is given to do.
pub(crate) enum Work<P: Processor> {
    /// A partition is open from now on.
    Open { partition: Arc<Partition>, processor: P, notices: UnboundedSender<Notice<P>> },
    /// Records.
    Batch { entry: Arc<Entry>, processing: Hold, batch: Batch, charge: Charge, unread: Option<&'static str> },
    /// Time has passed.
    Tick { entry: Arc<Entry>, processing: Hold, now: Timestamp },
    /// A partition is gone.
    Close(TopicPartition),
}

/// A lane's partitions and where it sends what they make.
pub(crate) struct Lane<P: Processor> {
    pub shards: Vec<UnboundedSender<Parcel<P::Out>>>,
    /// How many of them each outlet has.
    pub outlets: Vec<usize>,
    pub budget: Budget,
    pub limits: Limits,
    pub instruments: Instruments,
    /// What was made for Kafka since a commit was last asked for, in bytes.
    pub made_bytes: Arc<AtomicUsize>,
}

struct Resident<P: Processor> {
    partition: Arc<Partition>,
    processor: P,
    notices: UnboundedSender<Notice<P>>,
}

impl<P: Processor> Lane<P> {
    /// Works until nobody sends work any more.
    pub async fn run(self, mut work: Receiver<Work<P>>) {
        let mut residents: HashMap<TopicPartition, Resident<P>> = HashMap::new();
        while let Some(work) = work.recv().await {
            match work {
                Work::Open { partition, processor, notices } => {
                    residents.insert(partition.id().clone(), Resident { partition, processor, notices });
                }
                Work::Batch { entry, processing, batch, charge, unread } => {
                    self.batch(&mut residents, &entry, processing, &batch, unread);
                    drop(charge);
                }
                Work::Tick { entry, processing, now } => {
                    let memory = self.budget.memory();
                    self.tick(&mut residents, &entry, processing, now, memory);
                }
                Work::Close(id) => drop(residents.remove(&id)),
            }
        }
    }

    fn batch(
        &self,
        residents: &mut HashMap<TopicPartition, Resident<P>>,
        entry: &Arc<Entry>,
        processing: Hold,
        batch: &Batch,
        unread: Option<&'static str>,
    ) {
        let Some(resident) = resident(residents, entry) else { return };
        let mut out = self.outbox(entry);
        if let Some(reason) = unread {
            for record in batch.records() {
                out.reject(&record, reason, String::new());
            }
        } else if catch_unwind(AssertUnwindSafe(|| resident.processor.process(batch, &mut out))).is_err() {
            let record = Some(batch.reading());
            return self.died(residents, entry, record);
        }
        self.send(entry, out.finish());
        processing.release();
    }

    fn tick(
        &self,
        residents: &mut HashMap<TopicPartition, Resident<P>>,
        entry: &Arc<Entry>,
        processing: Hold,
        now: Timestamp,
        memory: Memory,
    ) {
        let Some(resident) = resident(residents, entry) else { return };
        let mut out = self.outbox(entry);
        if catch_unwind(AssertUnwindSafe(|| resident.processor.tick(now, memory, &mut out))).is_err() {
            return self.died(residents, entry, None);
        }
        self.send(entry, out.finish());
        processing.release();
    }

    fn outbox(&self, entry: &Arc<Entry>) -> Outbox<P::Out> {
        Outbox::with_outlets(Arc::clone(entry), self.budget.clone(), &self.outlets, self.limits.clone())
    }

    /// The processor's state is worth nothing any more: the partition is closed, and opened again.
    fn died(&self, residents: &mut HashMap<TopicPartition, Resident<P>>, entry: &Arc<Entry>, record: Option<i64>) {
        let partition = entry.partition();
        partition.abandon();
        self.instruments.panics.inc();
        if let Some(resident) = residents.remove(partition.id()) {
            resident.notices.send(Notice::Died { partition: Arc::clone(partition), record }).ok();
        }
    }

    /// Sends what was made on its way. The holds are taken before the processing's own is released.
    fn send(&self, entry: &Arc<Entry>, filled: Filled<P::Out>) {
        for letter in &filled.carried.dead_letters {
            self.instruments.rejected_records.get_or_create(&Because { reason: letter.reason }).inc();
        }
        let Filled { shards, weights, mut carried, journal } = filled;
        if !journal.is_empty() {
            entry.partition().decide(journal.into_iter().map(|journaled| self.decision(entry, journaled)).collect());
        }

        let carried_bytes: usize = carried.outputs.iter().map(weir_contract::Output::weight).sum::<usize>()
            + carried.dead_letters.iter().map(weir_contract::DeadLetter::weight).sum::<usize>()
            + carried.state.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        carried.charge = Some(self.budget.charge(carried_bytes));
        let carried_records = carried.outputs.len() + carried.dead_letters.len() + carried.state.len();
        let made_bytes = carried_bytes + carried_records * RECORD_OVERHEAD_BYTES;
        let refused = std::mem::take(&mut entry.carried().refused);
        carried.refused = refused;
        *entry.carried() = carried;

        for ((items, weight), shard) in shards.into_iter().zip(weights).zip(&self.shards) {
            if !items.is_empty() {
                let parcel = Parcel { hold: entry.hold(), items, charge: self.budget.charge(weight) };
                // A shard ends only after the lanes.
                shard.send(parcel).ok();
            }
        }
        self.made_bytes.fetch_add(made_bytes, Ordering::Relaxed);
    }

    /// A decision that lets its items out once it is committed, and not before.
    fn decision(&self, entry: &Entry, journaled: Journaled<P::Out>) -> Decision {
        let Journaled { key, value, released } = journaled;
        let (shards, budget) = (self.shards.clone(), self.budget.clone());
        let let_out = move || {
            for (kept, items) in released {
                for (shard, item, weight) in items {
                    if let (Some(hold), Some(shard)) = (kept.share(), shards.get(shard)) {
                        shard.send(Parcel { hold, items: vec![item], charge: budget.charge(weight) }).ok();
                    }
                }
                kept.release();
            }
        };
        Decision { entry: entry.number(), key, value, let_out: Box::new(let_out) }
    }
}

/// The processor of an entry's partition, if it is still the one it was admitted for.
fn resident<'r, P: Processor>(
    residents: &'r mut HashMap<TopicPartition, Resident<P>>,
    entry: &Arc<Entry>,
) -> Option<&'r mut Resident<P>> {
    let partition = entry.partition();
    if partition.is_abandoned() {
        return None;
    }
    residents.get_mut(partition.id()).filter(|resident| Arc::ptr_eq(&resident.partition, partition))
}

#[cfg(test)]
mod tests;

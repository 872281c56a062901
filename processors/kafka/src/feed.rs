//! What the runtime polls: batches of open partitions, and what the group does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use weir_contract::{Batch, BatchBuilder, Budget, Partition, TopicPartition};

use crate::client::{Arrived, Client, ClientError, Rebalance};
use crate::commit::{Open, Partitions};
use crate::mark::Mark;
use crate::redrive;

/// Why a record is rejected on which a processor died.
const PROCESSOR_PANIC: &str = "processor_panic";
/// Why a record is rejected that an operator passes over.
const SKIPPED: &str = "skipped";

/// How much a batch holds.
#[derive(Clone, Copy, Debug)]
pub struct FeedLimits {
    /// Records a batch, at most, those passed over too.
    pub batch_records: usize,
    /// Bytes a batch, after which no further record is added.
    pub batch_bytes: usize,
}

/// Where a bounded run ends: for each of its partitions the offset after the last record that it
/// takes. A partition that is not among them takes no part.
pub type Ends = BTreeMap<TopicPartition, i64>;

/// Where a partition is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its state and offset are being found; nothing of it is fetched.
    Opening,
    /// It is fetched.
    Running,
    /// It is not fetched while the budget is spent.
    Paused,
    /// It is not fetched any more: a bounded run has taken its last record.
    Ended,
    /// What is under way is brought to an end; nothing of it is fetched.
    Draining,
}

/// The partitions of this member, from assigned to gone.
pub struct Feed<C: Client> {
    client: Arc<C>,
    partitions: Partitions,
    group: String,
    limits: FeedLimits,
    ends: Option<Arc<Ends>>,
    slots: BTreeMap<Arc<str>, BTreeMap<i32, Slot>>,
    throttled: bool,
    pauses: u64,
    /// What the last poll failed with, once its records are taken.
    failed: Option<ClientError>,
}

struct Slot {
    id: TopicPartition,
    life: Life,
    partition: Option<Arc<Partition>>,
    /// The offset from which on records are new.
    next: i64,
    /// The offset from which on records are not this run's.
    end: i64,
    /// Records on which a processor died: rejected unread.
    poisonous: BTreeSet<i64>,
    /// Records that an operator passes over: rejected unread too.
    skip: BTreeSet<i64>,
    building: Option<BatchBuilder>,
    /// Bytes and records of the batch before.
    usual: (usize, usize),
}

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// What the group did.
    pub rebalance: Option<Rebalance>,
    /// Batches, each of one partition; empty are those of which every record was passed over.
    pub batches: Vec<Fed>,
}

/// A batch on its way to its lane.
#[derive(Debug)]
pub struct Fed {
    /// The partition as it was opened.
    pub partition: Arc<Partition>,
    /// The records.
    pub batch: Batch,
    /// Why its only record is rejected unread, if it is.
    pub unread: Option<&'static str>,
}

impl<C: Client> Feed<C> {
    /// A feed of nothing yet; `partitions` is what the committer commits. Redriven records that are
    /// for another group than `group` are passed over. With `ends` nothing at them or above is ever
    /// handed out.
    pub fn new(
        client: Arc<C>,
        partitions: Partitions,
        group: &str,
        limits: FeedLimits,
        ends: Option<Arc<Ends>>,
    ) -> Self {
        Self {
            client,
            partitions,
            group: group.to_owned(),
            limits,
            ends,
            slots: BTreeMap::new(),
            throttled: false,
            pauses: 0,
            failed: None,
        }
    }

    /// Waits for something, at most `wait`. Whatever is there goes into batches; nothing waits for
    /// more.
    ///
    /// # Errors
    /// What the client says; what was read before it comes first, and the error with the next poll.
    pub async fn poll(&mut self, wait: Duration) -> Result<Polled, ClientError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (slots, group, limits) = (&mut self.slots, &self.group, self.limits);
        let mut batches = Vec::new();
        let rebalance = self
            .client
            .poll(wait, &mut |record| {
                let slot = slots.get_mut(record.topic).and_then(|topic| topic.get_mut(&record.partition));
                slot.is_none_or(|slot| slot.take(record, group, limits, &mut batches))
            })
            .await;
        for slot in self.slots.values_mut().flat_map(BTreeMap::values_mut) {
            slot.flush(None, &mut batches);
        }
        self.stop_at_the_end();
        // Records that were taken count even where the poll ended in an error, which the client says
        // only once.
        let rebalance = match rebalance {
            Err(error) if !batches.is_empty() => {
                self.failed = Some(error);
                None
            }
            result => result?,
        };
        Ok(Polled { rebalance, batches })
    }

    /// Takes partitions that the group gave, and answers it at once: opening them holds nobody up,
    /// and a partition is fetched only once it is open, at its own offset.
    ///
    /// # Errors
    /// What the client says.
    pub fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        for id in partitions {
            let slot = Slot {
                id: id.clone(),
                life: Life::Opening,
                partition: None,
                next: 0,
                end: self.ends.as_ref().map_or(i64::MAX, |ends| ends.get(id).copied().unwrap_or(0)),
                poisonous: BTreeSet::new(),
                skip: BTreeSet::new(),
                building: None,
                usual: (0, 0),
            };
            self.slots.entry(id.topic.clone()).or_default().insert(id.partition, slot);
        }
        self.client.assign(&[])
    }

    /// Has the offset committed at which a partition begins that nobody has committed yet, while it is
    /// opening.
    pub fn begin(&self, id: &TopicPartition, offset: i64, mark: Mark) {
        let opening = |(own, life): (&TopicPartition, Life)| own == id && life == Life::Opening;
        if self.lives().any(opening) {
            let open = Open { partition: Partition::begin(id.clone(), offset), mark };
            self.partitions.lock().insert(id.clone(), open);
        }
    }

    /// Runs a partition from an offset, unless it was taken away while it was opening.
    ///
    /// # Errors
    /// What the client says.
    pub fn opened(
        &mut self,
        id: &TopicPartition,
        offset: i64,
        mark: Mark,
    ) -> Result<Option<Arc<Partition>>, ClientError> {
        let client = Arc::clone(&self.client);
        let Some(slot) = self.slot(id).filter(|slot| slot.life == Life::Opening) else { return Ok(None) };
        client.assign(&[(id.clone(), offset)])?;
        let partition = slot.run(offset, &mark);
        self.partitions.lock().insert(id.clone(), Open { partition: Arc::clone(&partition), mark });
        Ok(Some(partition))
    }

    /// Closes a partition whose processor died, on a record or none, unless it is gone anyway. It
    /// is opened again from the committed offset, with [`Feed::reopened`].
    pub fn died(&mut self, partition: &Arc<Partition>, record: Option<i64>) -> bool {
        let id = partition.id();
        let own = |slot: &Slot| slot.partition.as_ref().is_some_and(|running| Arc::ptr_eq(running, partition));
        let Some(slot) = self.slot(id).filter(|slot| own(slot) && slot.life != Life::Draining) else { return false };
        slot.poisonous.extend(record);
        slot.life = Life::Opening;
        slot.partition = None;
        slot.building = None;
        crate::commit::abandon(&self.partitions, std::slice::from_ref(id));
        true
    }

    /// Runs a partition that the client has been fetching all the time.
    ///
    /// # Errors
    /// What the client says.
    pub async fn reopened(
        &mut self,
        id: &TopicPartition,
        offset: i64,
        mark: Mark,
    ) -> Result<Option<Arc<Partition>>, ClientError> {
        let client = Arc::clone(&self.client);
        let Some(slot) = self.slot(id).filter(|slot| slot.life == Life::Opening) else { return Ok(None) };
        client.seek(id, offset).await?;
        client.resume(std::slice::from_ref(id))?;
        let partition = slot.run(offset, &mark);
        self.partitions.lock().insert(id.clone(), Open { partition: Arc::clone(&partition), mark });
        Ok(Some(partition))
    }

    /// Fetches nothing of the partitions any more, while what is under way comes to its end.
    pub fn drain(&mut self, partitions: &[TopicPartition]) {
        let mut fetched = Vec::new();
        for id in partitions {
            let Some(slot) = self.slot(id) else { continue };
            if slot.life == Life::Running {
                fetched.push(id.clone());
            }
            slot.life = Life::Draining;
        }
        // Its failure costs records that are fetched in vain.
        if let Err(error) = self.client.pause(&fetched) {
            tracing::debug!(error = %error, "draining partitions are fetched on");
        }
    }

    /// Abandons partitions that are somebody else's already.
    pub fn lost(&mut self, partitions: &[TopicPartition]) {
        crate::commit::abandon(&self.partitions, partitions);
        for id in partitions {
            if let Some(slot) = self.slot(id) {
                slot.life = Life::Draining;
            }
        }
    }

    /// Forgets partitions that are gone.
    pub fn gone(&mut self, partitions: &[TopicPartition]) {
        for id in partitions {
            if let Some(topic) = self.slots.get_mut(&id.topic) {
                topic.remove(&id.partition);
            }
        }
    }

    /// Whether all of the partitions have nothing under way.
    pub fn idle(&self, partitions: &[TopicPartition]) -> bool {
        let open = self.partitions.lock();
        partitions.iter().all(|id| open.get(id).is_none_or(|open| open.partition.idle()))
    }

    /// Fetches nothing more of the partitions whose last record is taken.
    fn stop_at_the_end(&mut self) {
        let slots = self.slots.values_mut().flat_map(BTreeMap::values_mut);
        let reached: Vec<_> = slots
            .filter(|slot| slot.life == Life::Running && slot.next >= slot.end)
            .map(|slot| {
                slot.life = Life::Ended;
                slot.id.clone()
            })
            .collect();
        if reached.is_empty() {
            return;
        }
        // Its failure costs records that are fetched in vain.
        if let Err(error) = self.client.pause(&reached) {
            tracing::debug!(error = %error, "partitions that have ended are fetched on");
        }
    }

    /// Pauses and resumes for the budget, with hysteresis: the client throws away what it has
    /// prefetched when it pauses. A partition with nothing under way is always fetched, or a budget
    /// that others hold would lock it (invariant 5).
    ///
    /// # Errors
    /// What the client says.
    pub fn throttle(&mut self, budget: &Budget) -> Result<(), ClientError> {
        let before = self.throttled;
        self.throttled = if before { !budget.low() } else { budget.spent() };
        if !before && !self.throttled {
            return Ok(());
        }
        let throttled = self.throttled;
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for slot in self.slots.values_mut().flat_map(BTreeMap::values_mut) {
            let busy = slot.partition.as_ref().is_some_and(|partition| !partition.is_empty());
            match slot.life {
                Life::Running if throttled && busy => {
                    slot.life = Life::Paused;
                    pause.push(slot.id.clone());
                }
                Life::Paused if !throttled || !busy => {
                    slot.life = Life::Running;
                    resume.push(slot.id.clone());
                }
                _ => {}
            }
        }
        self.pauses += u64::from(!pause.is_empty());
        self.client.pause(&pause)?;
        self.client.resume(&resume)
    }

    /// How often fetching was paused for the budget.
    pub fn pauses(&self) -> u64 {
        self.pauses
    }

    /// Every partition and where it is in its life.
    pub fn lives(&self) -> impl Iterator<Item = (&TopicPartition, Life)> {
        self.slots.values().flat_map(BTreeMap::values).map(|slot| (&slot.id, slot.life))
    }

    /// The partitions whose processors are told the time.
    pub fn running(&self) -> Vec<Arc<Partition>> {
        self.slots.values().flat_map(BTreeMap::values).filter_map(|slot| slot.partition.clone()).collect()
    }

    /// Every partition of this member.
    pub fn all(&self) -> Vec<TopicPartition> {
        self.lives().map(|(id, _)| id.clone()).collect()
    }

    fn slot(&mut self, id: &TopicPartition) -> Option<&mut Slot> {
        self.slots.get_mut(&id.topic)?.get_mut(&id.partition)
    }
}

impl Slot {
    fn run(&mut self, offset: i64, mark: &Mark) -> Arc<Partition> {
        let partition = Partition::open(self.id.clone(), offset);
        self.partition = Some(Arc::clone(&partition));
        self.next = offset;
        self.life = Life::Running;
        self.poisonous = self.poisonous.split_off(&offset);
        self.skip.clone_from(&mark.skip);
        partition
    }

    /// Takes a record that is new; whether there is room for another.
    fn take(&mut self, record: Arrived<'_>, group: &str, limits: FeedLimits, batches: &mut Vec<Fed>) -> bool {
        // One that was on its way when its partition was paused counts: the client goes on behind it.
        if !matches!(self.life, Life::Running | Life::Paused) || record.offset < self.next {
            return true;
        }
        self.next = record.offset + 1;
        if record.offset >= self.end {
            return true;
        }
        let unread = self.unread(record.offset);
        if unread.is_some() {
            self.flush(None, batches);
        }
        // A little more than before: full batches differ by a record.
        let (bytes, records) = self.usual;
        let building = self
            .building
            .get_or_insert_with(|| BatchBuilder::with_room(self.id.clone(), bytes + bytes / 8, records + records / 8));
        let pushed = building.push(record.offset, record.timestamp_ms, record.key, record.value, record.headers);
        if redrive::is_for_another(pushed.headers, group) {
            building.pass_over();
        }
        let full = building.len() >= limits.batch_records || building.weight() >= limits.batch_bytes;
        if unread.is_some() || full {
            self.flush(unread, batches);
        }
        !full
    }

    /// Why a record is rejected unread, if it is.
    fn unread(&self, offset: i64) -> Option<&'static str> {
        if self.poisonous.contains(&offset) {
            Some(PROCESSOR_PANIC)
        } else {
            self.skip.contains(&offset).then_some(SKIPPED)
        }
    }

    fn flush(&mut self, unread: Option<&'static str>, batches: &mut Vec<Fed>) {
        let batch = self.building.take().and_then(BatchBuilder::build);
        if let Some(batch) = &batch {
            self.usual = (batch.weight(), batch.len());
        }
        if let (Some(batch), Some(partition)) = (batch, &self.partition) {
            batches.push(Fed { partition: Arc::clone(partition), batch, unread });
        }
    }
}

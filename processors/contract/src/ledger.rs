//! What of a partition is under way, in order, and what each part carries.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::{Charge, DeadLetter, Decision, Output, TopicPartition};

/// A partition that this process has opened, until it lets go of it.
///
/// Opening it again makes a new one: what belongs to the old one reaches nothing any more, which
/// is why no epoch number has to be compared anywhere (invariant 4).
#[derive(Debug)]
pub struct Partition {
    id: TopicPartition,
    abandoned: AtomicBool,
    forgotten: Mutex<Option<(i64, i64)>>,
    ledger: Mutex<Ledger>,
    decisions: Mutex<Decisions>,
}

/// The entries of a partition in order; the front is what is committed next.
#[derive(Debug)]
struct Ledger {
    entries: VecDeque<Arc<Entry>>,
    position: i64,
    end: i64,
    /// Nobody has committed the position yet.
    fresh: bool,
    /// Entries admitted so far.
    admitted: u64,
}

/// A partition's decisions.
#[derive(Debug, Default)]
struct Decisions {
    waiting: Vec<Decision>,
    /// By key, the entry of the last decision that a transaction has taken, as long as an earlier entry
    /// is in the ledger: its change of the same key comes later into the changelog, and is older.
    newest: BTreeMap<Vec<u8>, u64>,
}

/// A batch's place in the ledger, and all that was made of it.
#[derive(Debug)]
pub struct Entry {
    partition: Arc<Partition>,
    /// How many entries were admitted before it.
    number: u64,
    first: i64,
    next: i64,
    since_ms: i64,
    /// Its first record's timestamp, where it has one.
    timestamp_ms: OnceLock<i64>,
    /// Holds not released: processing, deliveries and what is kept.
    pending: AtomicU32,
    /// Those of them that a processor keeps.
    kept: AtomicU32,
    carried: Mutex<Carried>,
}

/// What rides with an entry into the commit's transaction.
#[derive(Debug, Default)]
pub struct Carried {
    /// Records for Kafka topics; shared with the transaction that carries them.
    pub outputs: Arc<Vec<Output>>,
    /// Rejected records.
    pub dead_letters: Vec<DeadLetter>,
    /// Records with items that the outside refused, to be read again and dead-lettered.
    pub refused: Vec<Refused>,
    /// State changes in order: key and value, or none to forget the key.
    pub state: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What all this weighs.
    pub charge: Option<Charge>,
}

/// A record of which the outside refused something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The record.
    pub offset: i64,
    /// Why, from the worker's closed list: the first reason, where there are several.
    pub reason: &'static str,
    /// How many of its items were refused.
    pub items: u32,
}

/// Keeps an entry from being committed until it is released, explicitly.
///
/// Dropped unreleased while its partition is open, it is a defect, which ends the process:
/// forgetting never becomes loss.
#[derive(Debug)]
pub struct Hold {
    entry: Option<Arc<Entry>>,
    kept: Option<Charge>,
}

/// The finished entries at a ledger's front.
#[derive(Debug)]
pub struct Front {
    /// The entries, in order.
    pub entries: Vec<Arc<Entry>>,
    /// The offset after the last of them: what is committed with them.
    pub position: i64,
    /// Whether that position is not committed yet.
    pub moved: bool,
}

/// How a partition stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the next commit of nothing would say: the offset after the last committed entry.
    pub position: i64,
    /// The offset after the last record that was taken.
    pub next: i64,
    /// Entries under way or waiting for the commit.
    pub entries: usize,
    /// The timestamp of the first record that is not committed, in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// The oldest entry that is not finished; the oldest of all, where every one is.
    pub oldest: Option<Oldest>,
}

/// The entry that holds the front of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Its first record.
    pub offset: i64,
    /// When it was admitted, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Deliveries (and processing) that are not through.
    pub deliveries: u32,
    /// Records that the processor keeps.
    pub kept: u32,
}

impl Partition {
    /// A partition opened at its committed position: the offset of the first record that is not done.
    pub fn open(id: TopicPartition, position: i64) -> Arc<Self> {
        Self::at(id, position, false)
    }

    /// A partition of which nothing was ever committed: its position is, with the next commit.
    pub fn begin(id: TopicPartition, position: i64) -> Arc<Self> {
        Self::at(id, position, true)
    }

    fn at(id: TopicPartition, position: i64, fresh: bool) -> Arc<Self> {
        let ledger = Ledger { entries: VecDeque::new(), position, end: position, fresh, admitted: 0 };
        Arc::new(Self {
            id,
            abandoned: AtomicBool::new(false),
            forgotten: Mutex::new(None),
            ledger: Mutex::new(ledger),
            decisions: Mutex::default(),
        })
    }

    /// Which partition it is.
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// Admits records up to the offset before `next`, or none at all (`first..first`, a tick) at
    /// the ledger's end. The hold is that of the processing.
    pub fn admit(self: &Arc<Self>, records: Option<(i64, i64)>, since_ms: i64) -> (Arc<Entry>, Hold) {
        let mut ledger = self.ledger.lock();
        let (first, next) = records.unwrap_or((ledger.end, ledger.end));
        let entry = Arc::new(Entry {
            partition: Arc::clone(self),
            number: ledger.admitted,
            first,
            next,
            since_ms,
            timestamp_ms: OnceLock::new(),
            pending: AtomicU32::new(0),
            kept: AtomicU32::new(0),
            carried: Mutex::default(),
        });
        let hold = entry.hold();
        ledger.end = next;
        ledger.admitted += 1;
        if !self.is_abandoned() {
            ledger.entries.push_back(Arc::clone(&entry));
        }
        (entry, hold)
    }

    /// The finished entries at the front; they stay until [`Partition::settle`].
    pub fn front(&self) -> Front {
        let ledger = self.ledger.lock();
        let entries: Vec<_> = ledger.entries.iter().take_while(|entry| entry.finished()).cloned().collect();
        let position = entries.last().map_or(ledger.position, |entry| entry.next);
        Front { moved: ledger.fresh || position != ledger.position, entries, position }
    }

    /// Takes the entries of a committed front off the ledger.
    pub fn settle(&self, front: &Front) {
        let mut ledger = self.ledger.lock();
        let settled = front.entries.len().min(ledger.entries.len());
        ledger.entries.drain(..settled);
        ledger.position = front.position;
        ledger.fresh = false;
        let oldest = ledger.entries.front().map_or(ledger.admitted, |entry| entry.number);
        self.decisions.lock().newest.retain(|_, of| *of > oldest);
    }

    /// The offset after the last committed entry.
    pub fn position(&self) -> i64 {
        self.ledger.lock().position
    }

    /// Whether nothing is under way: all entries are finished, or wait only for what a processor
    /// keeps, which no waiting ends. Nor does any, once it was let go of (its processor may have died).
    pub fn idle(&self) -> bool {
        self.is_abandoned()
            || self.decisions.lock().waiting.is_empty()
                && self.ledger.lock().entries.iter().all(|entry| entry.deliveries() == 0)
    }

    /// Whether the ledger has no entry at all.
    pub fn is_empty(&self) -> bool {
        self.ledger.lock().entries.is_empty()
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let ledger = self.ledger.lock();
        // A tick that made nothing is nothing to wait for.
        let there: Vec<_> =
            ledger.entries.iter().filter(|entry| entry.first < entry.next || !entry.finished()).collect();
        let oldest = there.iter().find(|entry| !entry.finished()).or(there.first()).map(|entry| Oldest {
            offset: entry.first,
            since_ms: entry.since_ms,
            deliveries: entry.deliveries(),
            kept: entry.kept.load(Ordering::Relaxed),
        });
        Standing {
            position: ledger.position,
            next: ledger.end,
            entries: there.len(),
            timestamp_ms: there.iter().find_map(|entry| entry.timestamp_ms.get().copied()),
            oldest,
        }
    }

    /// Queues decisions for the next transaction.
    pub fn decide(&self, decisions: Vec<Decision>) {
        let waiting = &mut self.decisions.lock().waiting;
        if !self.is_abandoned() {
            waiting.extend(decisions);
        }
    }

    /// The decisions that wait for a transaction; what is not committed is put back.
    pub fn take_decisions(&self) -> Vec<Decision> {
        let mut decisions = self.decisions.lock();
        let taken = std::mem::take(&mut decisions.waiting);
        decisions.newest.extend(taken.iter().map(|decision| (decision.key.clone(), decision.entry)));
        taken
    }

    /// Whether a change of the key's state that came with the entry is older than a decision that a
    /// transaction has taken.
    pub fn is_overruled(&self, key: &[u8], entry: &Entry) -> bool {
        self.decisions.lock().newest.get(key).is_some_and(|of| *of > entry.number)
    }

    /// Puts decisions back in front, whose transaction was aborted.
    pub fn put_back(&self, mut decisions: Vec<Decision>) {
        let waiting = &mut self.decisions.lock().waiting;
        if !self.is_abandoned() {
            decisions.append(waiting);
            *waiting = decisions;
        }
    }

    /// Lets go of it, and of what its entries carry: nothing of it is committed from now on, and its holds just go.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        // An entry knows its partition: kept in the ledger, each would keep the other for good, and its charge.
        // They go once the locks are free, for what they hold may come back here.
        let entries = std::mem::take(&mut self.ledger.lock().entries);
        let decisions = std::mem::take(&mut self.decisions.lock().waiting);
        drop((entries, decisions));
    }

    /// Whether it was let go of.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// The first and next offset of an entry whose hold was dropped unreleased: a defect.
    pub fn forgotten(&self) -> Option<(i64, i64)> {
        *self.forgotten.lock()
    }
}

impl Entry {
    /// The partition that it is of.
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// How many entries of the partition were admitted before it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its first record's offset.
    pub fn first_offset(&self) -> i64 {
        self.first
    }

    /// The offset after its last record.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// Notes how old its records are, in milliseconds since the epoch, for people.
    pub fn date(&self, timestamp_ms: i64) {
        // It is dated once, when it is admitted.
        self.timestamp_ms.set(timestamp_ms).ok();
    }

    /// Another hold.
    pub fn hold(self: &Arc<Self>) -> Hold {
        self.pending.fetch_add(1, Ordering::Relaxed);
        Hold { entry: Some(Arc::clone(self)), kept: None }
    }

    /// A hold for records that the processor keeps, and what they weigh.
    pub fn keep(self: &Arc<Self>, charge: Charge) -> Hold {
        self.kept.fetch_add(1, Ordering::Relaxed);
        let mut hold = self.hold();
        hold.kept = Some(charge);
        hold
    }

    /// What it carries.
    pub fn carried(&self) -> parking_lot::MutexGuard<'_, Carried> {
        self.carried.lock()
    }

    /// Notes that the outside refused an item of the record.
    pub fn refuse(&self, offset: i64, reason: &'static str) {
        let refused = &mut self.carried.lock().refused;
        match refused.iter_mut().find(|known| known.offset == offset) {
            Some(known) => known.items += 1,
            None => refused.push(Refused { offset, reason, items: 1 }),
        }
    }

    fn finished(&self) -> bool {
        // Acquire: what was carried before the last release is seen by the commit.
        self.pending.load(Ordering::Acquire) == 0
    }

    fn deliveries(&self) -> u32 {
        let kept = self.kept.load(Ordering::Relaxed);
        self.pending.load(Ordering::Acquire).saturating_sub(kept)
    }
}

impl Hold {
    /// The entry it holds, while it does.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        self.entry.as_ref()
    }

    /// Another hold of the same entry, not a kept one.
    pub fn share(&self) -> Option<Hold> {
        self.entry.as_ref().map(Entry::hold)
    }

    /// Says that all it stands for is done.
    pub fn release(mut self) {
        if let Some(entry) = self.entry.take() {
            if self.kept.take().is_some() {
                entry.kept.fetch_sub(1, Ordering::Relaxed);
            }
            entry.pending.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        // A panic closes the partition; the ones it takes along are no defect of their own.
        if !entry.partition.is_abandoned() && !std::thread::panicking() {
            *entry.partition.forgotten.lock() = Some((entry.first, entry.next));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Arc<Partition> {
        Partition::open(TopicPartition::new("t", 0), 10)
    }

    #[test]
    fn only_a_finished_front_is_offered_and_in_order() {
        let partition = open();
        let (_, first) = partition.admit(Some((10, 20)), 0);
        let (_, second) = partition.admit(Some((20, 30)), 0);
        second.release();
        assert_eq!(partition.front().position, 10, "the first one still holds the front");
        first.release();
        let front = partition.front();
        assert_eq!((front.entries.len(), front.position), (2, 30));
        assert_eq!(partition.position(), 10, "nothing moves before the commit");
        partition.settle(&front);
        assert_eq!((partition.position(), partition.is_empty()), (30, true));
    }

    #[test]
    fn an_entry_admitted_after_the_front_was_taken_stays() {
        let partition = open();
        partition.admit(Some((10, 20)), 0).1.release();
        let front = partition.front();
        partition.admit(Some((20, 30)), 0).1.release();
        partition.settle(&front);
        assert_eq!((partition.position(), partition.front().position), (20, 30));
    }

    #[test]
    fn a_tick_takes_its_place_behind_what_was_admitted() {
        let partition = open();
        let (_, batch) = partition.admit(Some((10, 20)), 0);
        partition.admit(None, 0).1.release();
        assert_eq!(partition.front().entries.len(), 0);
        batch.release();
        assert_eq!(partition.front().position, 20);
    }

    #[test]
    fn a_hold_dropped_unreleased_is_a_defect_unless_the_partition_was_abandoned() {
        let partition = open();
        let (entry, processing) = partition.admit(Some((10, 20)), 0);
        let second = entry.hold();
        partition.abandon();
        drop(second);
        assert_eq!(partition.forgotten(), None);

        let partition = open();
        drop(partition.admit(Some((10, 20)), 0));
        assert_eq!(partition.forgotten(), Some((10, 20)));
        assert_eq!(partition.front().entries.len(), 0, "and it still holds");
        drop(processing);
    }

    #[test]
    fn an_abandoned_partition_keeps_nothing_and_frees_what_was_charged() {
        let (partition, budget) = (open(), crate::Budget::new(100));
        let decision = |entry: &Arc<Entry>| {
            let (number, held) = (entry.number(), entry.hold());
            vec![Decision { entry: number, key: vec![], value: None, let_out: Box::new(move || held.release()) }]
        };
        let admit = |records| {
            let (entry, processing) = partition.admit(Some(records), 0);
            entry.carried().charge = Some(budget.charge(10));
            partition.decide(decision(&entry));
            processing.release();
            entry
        };
        drop(admit((10, 20)));
        let taken = partition.take_decisions();
        let under_way = admit((20, 30));
        partition.abandon();
        partition.put_back(taken);
        partition.decide(decision(&under_way));
        drop((admit((30, 40)), under_way));
        assert_eq!(budget.used_bytes(), 0);
        assert!(Arc::into_inner(partition).is_some_and(|partition| partition.forgotten().is_none()));
    }

    #[test]
    fn what_is_kept_is_told_from_what_is_being_delivered() {
        let partition = open();
        let (entry, processing) = partition.admit(Some((10, 20)), 0);
        let budget = crate::Budget::new(100);
        let kept = entry.keep(budget.charge(40));
        assert!(!partition.idle());
        processing.release();
        assert!(partition.idle() && !partition.is_empty());
        assert_eq!(partition.standing().oldest.map(|oldest| (oldest.deliveries, oldest.kept)), Some((0, 1)));
        assert_eq!(budget.used_bytes(), 40);
        kept.release();
        assert_eq!((budget.used_bytes(), partition.front().entries.len()), (0, 1));
    }

    #[test]
    fn a_beginning_counts_as_moved_until_it_is_settled() {
        let partition = Partition::begin(TopicPartition::new("t", 0), 10);
        let front = partition.front();
        assert!(front.moved && front.entries.is_empty() && front.position == 10);
        partition.settle(&front);
        assert!(!partition.front().moved && !open().front().moved);
    }

    #[test]
    fn a_decision_overrules_what_was_remembered_before_it_and_nothing_else() {
        let partition = open();
        let (before, first) = partition.admit(Some((10, 20)), 0);
        let (of, second) = partition.admit(Some((20, 30)), 0);
        let (after, third) = partition.admit(Some((30, 40)), 0);
        let decision = Decision { entry: of.number(), key: b"k".to_vec(), value: None, let_out: Box::new(|| {}) };
        partition.decide(vec![decision]);
        assert!(!partition.is_overruled(b"k", &before), "it is in no transaction yet");
        assert_eq!(partition.take_decisions().len(), 1);
        assert!(partition.is_overruled(b"k", &before) && !partition.is_overruled(b"other", &before));
        assert!(!partition.is_overruled(b"k", &of) && !partition.is_overruled(b"k", &after));

        partition.settle(&partition.front());
        assert!(partition.is_overruled(b"k", &before), "the entry before it is still under way");
        first.release();
        partition.settle(&partition.front());
        assert!(partition.decisions.lock().newest.is_empty());
        second.release();
        third.release();
    }

    #[test]
    fn refusals_of_one_record_are_one() {
        let partition = open();
        let (entry, processing) = partition.admit(Some((10, 20)), 0);
        entry.refuse(12, "out_of_bounds");
        entry.refuse(12, "invalid");
        entry.refuse(13, "invalid");
        assert_eq!(
            entry.carried().refused,
            vec![
                Refused { offset: 12, reason: "out_of_bounds", items: 2 },
                Refused { offset: 13, reason: "invalid", items: 1 }
            ]
        );
        processing.release();
    }
}

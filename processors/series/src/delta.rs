//! What deltas have added up to, by series.
//!
//! In: deltas, in the record's order. Out: totals since the first one. Never adds a delta twice, and never one that is
//! older than what it has: a late or an overlapping one is refused. Pure: the same deltas after the same restored
//! state give the same totals, wherever one record ends and the next begins.
//!
//! Modelled on the OpenTelemetry Collector's `deltatocumulative` processor; `docs/metrics.md` says where it differs.

mod state;
mod sum;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;

pub use state::DeltaStateError;
pub(crate) use state::{Accumulator, Distribution, Explicit, Total};
pub(crate) use sum::exponential;

use crate::refusal::Reason;

/// A share of the longest idle time; a series leaves up to one share later than it may.
const STALE_SHARES: i64 = 16;

/// A series of deltas: what kind of point it has, and 128 bits of SipHash over the labels that it becomes.
///
/// Not the resource: two that become the same labels are one series.
pub type DeltaKey = [u8; 17];

/// How many series of deltas are kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaLimits {
    /// Over so many, new ones are refused.
    pub max_series: usize,
    /// One without deltas for longer than that, in milliseconds of records' timestamps, is forgotten.
    pub max_stale_ms: i64,
}

/// When a delta was counted, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval {
    /// From here on; 0 if unknown.
    pub(crate) start: u64,
    pub(crate) time: u64,
}

/// The totals of one partition.
#[derive(Debug)]
pub(crate) struct Accumulators {
    limits: DeltaLimits,
    by_key: HashMap<DeltaKey, Accumulator>,
    /// Keys changed or forgotten since they were last told, some more than once.
    changed: Vec<DeltaKey>,
    clock: Clock,
    /// The timestamp of the record at hand.
    record_ms: Option<i64>,
    /// What was there before each change of the record at hand.
    before: Vec<(DeltaKey, Option<Accumulator>)>,
}

/// The time as the records' timestamps tell it.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// That of the newest record that had a delta of a series that is kept.
    now_ms: i64,
    /// No series had its last delta before.
    oldest_ms: i64,
}

/// A point in the record at hand to go back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    changes: usize,
    clock: Clock,
}

impl Accumulators {
    pub(crate) fn new(limits: DeltaLimits) -> Self {
        Self {
            limits,
            by_key: HashMap::new(),
            changed: Vec::new(),
            clock: Clock { now_ms: i64::MIN, oldest_ms: i64::MAX },
            record_ms: None,
            before: Vec::new(),
        }
    }

    /// How many series are kept.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Takes what was told before ([`Self::drain`]).
    pub(crate) fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), DeltaStateError> {
        let key = DeltaKey::try_from(key).map_err(|_| DeltaStateError::Key { len: key.len() })?;
        let accumulator = Accumulator::read(value)?;
        self.clock.now_ms = self.clock.now_ms.max(accumulator.touched_ms);
        self.clock.oldest_ms = self.clock.oldest_ms.min(accumulator.touched_ms);
        self.by_key.insert(key, accumulator);
        Ok(())
    }

    /// Tells what has changed since the last time: a key with its value, or without one if it is forgotten.
    pub(crate) fn drain(&mut self, mut tell: impl FnMut(&DeltaKey, Option<Vec<u8>>)) {
        self.changed.sort_unstable();
        self.changed.dedup();
        for key in self.changed.drain(..) {
            tell(&key, self.by_key.get(&key).map(Accumulator::write));
        }
    }

    /// Begins with a record.
    pub(crate) fn begin(&mut self, record_ms: Option<i64>) {
        self.record_ms = record_ms;
        self.before.clear();
    }

    /// Where the record at hand is now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { changes: self.before.len(), clock: self.clock }
    }

    /// Takes back what was done since then.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        while self.before.len() > mark.changes {
            match self.before.pop() {
                Some((key, Some(accumulator))) => drop(self.by_key.insert(key, accumulator)),
                Some((key, None)) => drop(self.by_key.remove(&key)),
                None => {}
            }
        }
        self.clock = mark.clock;
    }

    /// Adds a delta, and returns the total that it makes.
    ///
    /// # Errors
    /// It is late, it overlaps with what was added before, or it is of a new series and there are too many; or it cannot
    /// be added. Then it is not.
    pub(crate) fn add(&mut self, key: DeltaKey, at: Interval, delta: Total) -> Result<&Accumulator, Reason> {
        let now_ms = self.now_ms();
        if let Some(known) = self.known(&key, now_ms) {
            let mut next = known.clone();
            let late = next.late(at);
            if late.is_none() {
                next.add(at, delta)?;
            }
            next.touched_ms = now_ms;
            self.put(key, next);
            self.advance(now_ms);
            // A late delta keeps its series alive; it must not be taken back with the refusal.
            return match late {
                Some(reason) => Err(reason),
                None => self.by_key.get(&key).ok_or(Reason::UnknownData),
            };
        }
        if self.by_key.len() >= self.limits.max_series && !self.by_key.contains_key(&key) {
            self.forget_stale(now_ms);
            if self.by_key.len() >= self.limits.max_series {
                return Err(Reason::DeltaTooManySeries);
            }
        }
        let mut first = Accumulator { start: at.start, last: at.time, touched_ms: now_ms, total: None };
        first.add(at, delta)?;
        self.clock.oldest_ms = self.clock.oldest_ms.min(now_ms);
        self.put(key, first);
        self.advance(now_ms);
        self.by_key.get(&key).ok_or(Reason::UnknownData)
    }

    /// Takes note of a point without a value, and returns what the series counts from, if it is kept.
    ///
    /// # Errors
    /// It is late.
    pub(crate) fn pause(&mut self, key: DeltaKey, at: Interval) -> Result<Option<u64>, Reason> {
        let now_ms = self.now_ms();
        let Some(known) = self.known(&key, now_ms) else { return Ok(None) };
        if at.time <= known.last {
            return Err(Reason::DeltaOutOfOrder);
        }
        let next = Accumulator { last: at.time, touched_ms: now_ms, ..known.clone() };
        let start = next.start;
        self.put(key, next);
        self.advance(now_ms);
        Ok(Some(start))
    }

    fn known(&self, key: &DeltaKey, now_ms: i64) -> Option<&Accumulator> {
        self.by_key.get(key).filter(|known| !self.is_stale(known.touched_ms, now_ms))
    }

    fn put(&mut self, key: DeltaKey, accumulator: Accumulator) {
        let before = self.by_key.insert(key, accumulator);
        self.before.push((key, before));
        self.changed.push(key);
    }

    /// A record without a timestamp is as new as the newest.
    fn now_ms(&self) -> i64 {
        let newest_ms = if self.by_key.is_empty() { i64::MIN } else { self.clock.now_ms };
        self.record_ms.map_or(newest_ms, |record_ms| newest_ms.max(record_ms)).max(0)
    }

    /// Time passes in steps, so that series are not looked through for every record.
    fn step(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid((self.limits.max_stale_ms / STALE_SHARES).max(1))
    }

    fn is_stale(&self, touched_ms: i64, now_ms: i64) -> bool {
        self.step(now_ms).saturating_sub(self.step(touched_ms)) > STALE_SHARES
    }

    fn advance(&mut self, now_ms: i64) {
        self.clock.now_ms = now_ms;
        self.forget_stale(now_ms);
    }

    /// Forgets series that had no delta for too long.
    fn forget_stale(&mut self, now_ms: i64) {
        if !self.is_stale(self.clock.oldest_ms, now_ms) {
            return;
        }
        let stale: Vec<_> = self
            .by_key
            .iter()
            .filter(|(_, kept)| self.is_stale(kept.touched_ms, now_ms))
            .map(|(key, _)| *key)
            .collect();
        for key in stale {
            let before = self.by_key.remove(&key);
            self.before.push((key, before));
            self.changed.push(key);
        }
        self.clock.oldest_ms = self.by_key.values().map(|kept| kept.touched_ms).min().unwrap_or(i64::MAX);
    }
}

impl Accumulator {
    /// Why a delta must not be added: it is in what was added before, or may be in part.
    fn late(&self, at: Interval) -> Option<Reason> {
        if at.time <= self.last {
            Some(Reason::DeltaOutOfOrder)
        } else if at.start != 0 && at.start < self.last {
            Some(Reason::DeltaOverlap)
        } else {
            None
        }
    }

    /// Adds a delta that is not late.
    fn add(&mut self, at: Interval, delta: Total) -> Result<(), Reason> {
        let sum = match self.total.take() {
            Some(total) => total.add(delta)?,
            None => sum::Sum::Anew(delta.first()?),
        };
        self.total = Some(match sum {
            sum::Sum::Goes(total) => total,
            sum::Sum::Anew(total) => {
                self.start = at.start;
                total
            }
        });
        self.last = at.time;
        Ok(())
    }
}

//! What is known of every source record: what it has to lead to, and what it has led to.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::registry::Registry;
use weir_contract::Budget;

use super::kafka::P;
use super::log::Record;

/// The group's name.
pub(crate) const GROUP: &str = "weir-sim";
/// The header of a redriven record that says which group it is for.
pub(crate) const FOR_GROUP: &str = "weir.redrive.group";

/// What a source record leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Items for the outside.
    Emit,
    /// A record for the output topic, with a count out of the state.
    Output,
    /// Both.
    EmitOutput,
    /// A dead letter.
    Reject,
    /// Items of which the outside refuses some.
    Refused,
    /// The processor's death.
    Panic,
    /// Nothing at all.
    Nothing,
    /// Kept until it is decided whether its items leave.
    Keep,
    /// A decision on which nothing waits.
    Note,
    /// An output that is just as large as the topic takes.
    Largest,
    /// An output that is one byte over that, and so a dead letter.
    TooLarge,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Emit,
        Self::Output,
        Self::EmitOutput,
        Self::Reject,
        Self::Refused,
        Self::Panic,
        Self::Nothing,
        Self::Keep,
        Self::Note,
        Self::Largest,
        Self::TooLarge,
    ];

    /// Whether the outside refuses that item of a record of which it refuses some.
    pub fn refuses(offset: i64, seq: u8) -> bool {
        seq == 0 || offset % 2 == 0
    }

    pub fn has_output(self) -> bool {
        matches!(self, Self::Output | Self::EmitOutput | Self::Largest)
    }

    fn has_letter(self) -> bool {
        matches!(self, Self::Reject | Self::Refused | Self::Panic | Self::TooLarge)
    }

    fn has_items(self) -> bool {
        matches!(self, Self::Emit | Self::EmitOutput | Self::Refused)
    }
}

/// A source record, and what it has led to.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub kind: Kind,
    pub items: u8,
    pub key: u8,
    pub record: Record,
    /// It need not lead to anything: retention removed it before it was committed, or the operator had
    /// the group begin behind it.
    pub excused: bool,
    /// Retention did, after an earlier record was committed.
    pub missed: bool,
    /// Items that were acknowledged or refused for good, as bits.
    pub settled: u8,
    pub decision: Option<bool>,
    pub outputs: u32,
    pub letters: u32,
    /// Outputs and dead letters that were committed before the operator had it read again.
    pub before: (u32, u32),
}

/// What is known.
#[derive(Default)]
pub(crate) struct Model {
    pub sources: BTreeMap<P, BTreeMap<i64, Made>>,
    /// What is committed, as decided; nothing, before the group has begun.
    pub committed: BTreeMap<P, i64>,
    /// Where the state begins, empty.
    pub begins: BTreeMap<P, i64>,
    /// The end of the log when it was there for the group to begin in.
    pub ends: BTreeMap<P, i64>,
    /// Partitions that were added after the group began in their topic, which it knows: with `latest` they begin
    /// at their first record.
    pub added: BTreeSet<P>,
    /// Partitions whose offset the operator has moved away from the state: they have to refuse.
    pub apart: BTreeSet<P>,
    /// Behind the last record that any processor has seen.
    pub processed: BTreeMap<P, i64>,
    pub budgets: BTreeMap<usize, Budget>,
    /// What each instance counted, from its start on.
    pub counters: Vec<Registry>,
}

impl Model {
    /// Notes a record that was written to a source and that readers will see.
    pub fn produced(&mut self, source: P, offset: i64, made: (Kind, u8, u8), record: Record) {
        let (kind, items, key) = made;
        let made = Made {
            kind,
            items,
            key,
            record,
            excused: false,
            missed: false,
            settled: 0,
            decision: None,
            outputs: 0,
            letters: 0,
            before: (0, 0),
        };
        self.sources.entry(source).or_default().insert(offset, made);
    }

    pub fn committed(&self, source: P) -> i64 {
        self.committed.get(&source).copied().unwrap_or(0)
    }

    /// Records that nobody has committed and that have to be.
    pub fn left(&self) -> Vec<(P, i64)> {
        let all = self.sources.iter();
        all.flat_map(|(source, records)| {
            let left = records.range(self.committed(*source)..).filter(|(_, made)| !made.excused);
            left.map(|(offset, _)| (*source, *offset))
        })
        .collect()
    }

    pub fn made(&mut self, source: P, offset: i64) -> Option<&mut Made> {
        self.sources.get_mut(&source)?.get_mut(&offset)
    }

    /// The state of a source before an offset: the count of each key. Every fourth time a key is
    /// forgotten.
    pub fn counts(&self, source: P, before: i64) -> BTreeMap<u8, u32> {
        let begins = self.begins.get(&source).copied().unwrap_or(0);
        let mut counts = BTreeMap::new();
        let records = self.sources.get(&source).into_iter().flat_map(|all| all.range(begins..before.max(begins)));
        // Of those that need not be there, some were read before retention came.
        for (_, made) in records.filter(|(_, made)| made.kind.has_output() && (!made.excused || made.outputs > 0)) {
            let count: u32 = counts.get(&made.key).copied().unwrap_or(0) + 1;
            if count.is_multiple_of(4) {
                counts.remove(&made.key);
            } else {
                counts.insert(made.key, count);
            }
        }
        counts
    }

    /// The group begins at an offset: nothing before it is wanted.
    pub fn begin(&mut self, source: P, offset: i64) {
        self.begins.insert(source, offset);
        self.excuse(source, 0, offset);
    }

    /// What is committed is set by hand; nothing, if the group is to begin anew. What was done behind it
    /// is done again, what was not before it never is.
    pub fn set_back(&mut self, source: P, to: Option<i64>) {
        let before = self.committed(source);
        match to {
            Some(to) => {
                self.excuse(source, before, to);
                self.committed.insert(source, to);
            }
            None => drop(self.committed.remove(&source)),
        }
        self.processed.remove(&source);
        let again = self.sources.entry(source).or_default().range_mut(to.unwrap_or(0)..);
        for (_, made) in again {
            made.before.0 += std::mem::take(&mut made.outputs);
            made.before.1 += std::mem::take(&mut made.letters);
            made.settled = 0;
            made.decision = None;
        }
    }

    /// Retention has removed records that were not committed; that has to be said where the group had
    /// begun before them.
    pub fn remove(&mut self, source: P, from: i64, to: i64, had: bool) {
        for (_, made) in self.sources.entry(source).or_default().range_mut(from..to.max(from)) {
            made.missed |= had && !made.excused;
            made.excused = true;
        }
    }

    /// Nothing is wanted of records from one offset to another that were not committed.
    fn excuse(&mut self, source: P, from: i64, to: i64) {
        for (_, made) in self.sources.entry(source).or_default().range_mut(from..to.max(from)) {
            made.excused = true;
            made.missed = false;
        }
    }
}

impl Made {
    /// Whether it was redriven for another group, and is passed over.
    pub fn is_for_another(&self) -> bool {
        self.record.headers.iter().any(|(name, group)| name == FOR_GROUP && group != GROUP.as_bytes())
    }

    fn is_settled(&self) -> bool {
        u32::from(self.items) == self.settled.count_ones()
    }

    /// What is missing of what the record has to lead to.
    pub fn missing(&self) -> Option<&'static str> {
        let unsettled = !self.is_settled();
        if self.kind.has_items() && unsettled {
            Some("invariant 1: its items were not all acknowledged")
        } else if matches!(self.kind, Kind::Keep | Kind::Note) && self.decision.is_none() {
            Some("invariant 1: nothing was decided about it")
        } else if self.kind == Kind::Keep && self.decision == Some(true) && unsettled {
            Some("invariant 1: it was kept and let out, and not acknowledged")
        } else if self.outputs != u32::from(self.kind.has_output()) {
            Some("invariant 2: it is not in the output topic exactly once")
        } else if self.letters != u32::from(self.kind.has_letter()) {
            Some("invariant 3: it is not in the dead letters exactly as it should be")
        } else {
            None
        }
    }
}

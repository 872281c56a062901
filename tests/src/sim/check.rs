//! Whether each record leads to what it has to. Numbers are those of the invariants.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::registry::Registry;
use weir_contract::{Record as Read, TopicPartition};
use weir_kafka::{Mark, Start};

use super::State;
use super::kafka::{C, DEAD, OUT, P, STATE, Txn};
use super::log::Record;
use super::model::{Kind, Made};
use super::worker::{ITEM_BYTES, Thing};

/// How long it takes until what is not wanted any more is dropped, at most, in milliseconds.
const GIVEN_BACK_MS: u64 = 6_000;
/// What a record of a source weighs at most, in bytes.
pub(crate) const LARGEST_RECORD_BYTES: usize = 600;
/// What the output topic takes, in bytes, with what Kafka adds.
pub(crate) const LARGEST_OUTPUT_BYTES: usize = 400;
/// What the changelog takes.
pub(crate) const LARGEST_STATE_BYTES: usize = 300;
/// What a worker has to allow for that Kafka adds to a record.
pub(crate) const FRAMING_BYTES: usize = 128;
/// What the headers of a dead letter weigh at most, and what Kafka adds to them, in bytes.
const LARGEST_LETTER_HEADERS_BYTES: usize = 600;

/// What a transaction holds.
#[derive(Default)]
struct Content {
    outputs: BTreeSet<(P, i64)>,
    letters: BTreeSet<(P, i64)>,
    positions: BTreeMap<P, i64>,
}

impl State {
    /// A processor was given a record: what it is to make of it. The records that it sees are all
    /// there are, in order.
    pub fn check_record(&mut self, source: P, life: u64, last: Option<i64>, read: &Read<'_>) -> Option<(Kind, u8, u8)> {
        if !self.model.committed.contains_key(&source) {
            self.violated(format!("{} of {source} is processed before the group has begun anywhere", read.offset));
        }
        if self.model.apart.contains(&source) {
            self.violated(format!("invariant 11: {source} is open with a state that is not its offset's"));
        }
        let processed = self.model.processed.entry(source).or_default();
        *processed = (*processed).max(read.offset + 1);
        self.note(format!("life {life}"), || format!("processes {} of {source}", read.offset));
        if let Some(last) = last {
            let between = self.model.sources.get(&source).into_iter().flat_map(|all| all.range(last + 1..));
            let unseen = between.take_while(|(offset, _)| **offset < read.offset);
            let seen = |made: &Made| !made.excused && made.kind != Kind::Panic && !made.is_for_another();
            let skipped = unseen.filter(|(_, made)| seen(made)).map(|(offset, _)| *offset);
            if let Some(skipped) = { skipped }.next() {
                self.violated(format!("invariant 2: {skipped} of {source} was passed over before {}", read.offset));
            }
            if read.offset <= last {
                self.violated(format!("invariant 6: {} of {source} is processed after {last}", read.offset));
            }
        }
        let Some(made) = self.model.made(source, read.offset) else {
            self.violated(format!("{} of {source} is processed and was never committed there", read.offset));
            return None;
        };
        let for_another = made.is_for_another();
        let headers = made.record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let same = made.record.value.as_deref() == read.value
            && made.record.key.as_deref() == read.key
            && headers.eq(read.headers.iter());
        let seen = (made.kind, made.items, made.key);
        if for_another {
            self.violated(format!("{} of {source} is processed and is for another group", read.offset));
        }
        if !same {
            self.violated(format!("{} of {source} is not what was written there", read.offset));
        }
        Some(seen)
    }

    /// Invariant 11: the state with which a processor begins is that of the offset it begins at.
    pub fn check_state(&mut self, source: P, first: i64, counts: &BTreeMap<u8, u32>) {
        let expected = self.model.counts(source, first);
        if self.scenario.state && expected != *counts {
            self.violated(format!("invariant 11: state of {source} at {first} is {counts:?}, should be {expected:?}"));
        }
    }

    /// An item arrives at the outside.
    pub fn check_delivery(&mut self, thing: &Thing) {
        let decided = self.model.made(thing.source, thing.offset).and_then(|made| made.decision);
        if thing.kept && decided != Some(true) {
            self.violated(format!("{thing:?} left while its decision was {decided:?}"));
        }
    }

    pub fn note_settled(&mut self, thing: &Thing) {
        if let Some(made) = self.model.made(thing.source, thing.offset) {
            made.settled |= 1 << thing.seq;
        }
    }

    /// Invariant 4: who sends an offset owns the partition, or did so last, in a generation in which
    /// nobody else can.
    pub fn check_owner(&mut self, source: P, member: u32, txn: u64) {
        let owner = self.kafka.group.owner(source);
        let last = owner.is_none() && self.kafka.group.was_let_go_by(source, member);
        if owner != Some(member) && !last {
            self.violated(format!(
                "invariant 4: transaction {txn} of member {member} has an offset of {source}, whose owner is {owner:?}"
            ));
        }
    }

    /// Invariant 5: the budget, and a batch for each partition.
    pub fn check_budget(&mut self, client: C) {
        let Some(budget) = self.model.budgets.get(&self.kafka.clients[client].instance) else { return };
        let settings = &self.scenario.settings;
        let batch = settings.batch_bytes
            + LARGEST_RECORD_BYTES
            + settings.batch_records * (3 * ITEM_BYTES + LARGEST_OUTPUT_BYTES);
        // What processors that are gone have sent on its way is dropped when a shard looks at it.
        let since = self.now().saturating_sub(GIVEN_BACK_MS);
        let instance = self.kafka.clients[client].instance;
        let lives = self.outside.born.iter().rev().take_while(|(born, _)| *born >= since);
        let gone = lives.filter(|(_, of)| *of == instance).count();
        // One batch that is processed, one that is on its way to be.
        let limit = budget.limit_bytes() + 2 * batch * (self.kafka.sources.len() + gone);
        let (used, spent) = (budget.used_bytes(), budget.spent());
        let consumer = &self.kafka.clients[client];
        if spent && consumer.assignment.iter().any(|one| !consumer.fetch.contains_key(one)) {
            self.covers("a partition that opens while the budget is spent");
        }
        if used > limit {
            self.violated(format!("invariant 5: {used} bytes are under way, over {limit}"));
        }
    }

    /// A transaction is committed: all that is below its offsets is done, and what it holds is of
    /// those records (invariants 1, 2 and 3).
    pub fn check_commit(&mut self, txn: &Txn) {
        let content = self.content(txn);
        if txn.offsets.is_empty() && !txn.written.is_empty() {
            self.violated(format!("transaction {} holds records and no offsets", txn.id));
        }
        let mut explained = Content::default();
        for (source, (offset, _)) in &txn.offsets {
            if !self.model.committed.contains_key(source) {
                self.check_begin(*source, *offset);
                self.model.begin(*source, *offset);
            }
            let before = self.model.committed(*source);
            if *offset < before {
                self.violated(format!("invariant 2: offset of {source} moves back, from {before} to {offset}"));
            }
            self.check_range(*source, before, *offset, &mut explained);
            self.model.committed.insert(*source, *offset);
            if self.scenario.state && content.positions.get(source) != Some(offset) {
                let position = content.positions.get(source);
                self.violated(format!(
                    "invariant 11: offset {offset} of {source} is committed with the state at {position:?}"
                ));
            }
        }
        for strange in
            content.outputs.difference(&explained.outputs).chain(content.letters.difference(&explained.letters))
        {
            self.violated(format!("invariant 1: transaction {} holds what {strange:?} made, not its offset", txn.id));
        }
    }

    /// Where nothing was committed, the group begins where `start` says.
    fn check_begin(&mut self, source: P, offset: i64) {
        let right = match self.scenario.start {
            Start::Earliest => offset <= self.kafka.logs[source].low,
            Start::Latest if self.model.added.contains(&source) => {
                self.covers("a partition that was added and begins at its first record");
                offset <= self.kafka.logs[source].low
            }
            Start::Latest => {
                let log = &self.kafka.logs[source];
                let end = self.model.ends.get(&source).copied().unwrap_or(0)..=log.high();
                end.contains(&offset) || offset <= log.low && self.is_known_as_added(source)
            }
            Start::Time(ms) => {
                let log = &self.kafka.logs[source];
                log.committed().all(|(at, record)| at >= offset || at < log.low || record.timestamp_ms < ms)
            }
        };
        if !right {
            let start = self.scenario.start;
            self.violated(format!("invariant 2: the group begins at {offset} of {source}, which is not {start:?}"));
        }
    }

    /// Whether the mark of the topic's first partition says that this one was added: also where the group was only
    /// about to begin when it was.
    fn is_known_as_added(&self, source: P) -> bool {
        let id = &self.kafka.logs[source].id;
        let first = self.kafka.index(&TopicPartition::new(id.topic.clone(), 0));
        let mark = self.kafka.offsets.get(&first).and_then(|(_, metadata)| Mark::read(metadata).ok());
        mark.and_then(|mark| mark.partitions).is_some_and(|then| id.partition >= then)
    }

    fn check_range(&mut self, source: P, from: i64, to: i64, explained: &mut Content) {
        let mut wrong = Vec::new();
        let Some(records) = self.model.sources.get_mut(&source) else { return };
        for (offset, made) in records.range_mut(from..to.max(from)) {
            explained.outputs.insert((source, *offset));
            explained.letters.insert((source, *offset));
            match made.missing() {
                Some(why) if !made.excused => {
                    wrong.push(format!("{offset} of {source} ({:?}) is committed; {why}", made.kind))
                }
                _ => {}
            }
        }
        for why in wrong {
            self.violated(why);
        }
    }

    /// Reads what a transaction has written.
    fn content(&mut self, txn: &Txn) -> Content {
        let mut content = Content::default();
        for (log, at) in &txn.written {
            let log = &self.kafka.logs[*log];
            let Some(record) = log.written(*at).cloned() else { continue };
            let id = log.id.clone();
            match &*id.topic {
                OUT => self.output(&record, &mut content),
                DEAD => self.dead_letter(&record, &mut content),
                STATE => self.changelog(id.partition, &record, txn, &mut content),
                other => self.violated(format!("a record was written to {other}")),
            }
        }
        content
    }

    fn output(&mut self, record: &Record, content: &mut Content) {
        let value = record.value.as_deref().unwrap_or_default();
        let (Some(source), Some(offset)) = (value.first(), number(value.get(1..9))) else { return };
        let count = value.get(9..13).and_then(|count| count.try_into().ok()).map_or(0, u32::from_be_bytes);
        let source = usize::from(*source);
        content.outputs.insert((source, offset));
        let Some(made) = self.model.made(source, offset) else { return };
        made.outputs += 1;
        let key = made.key;
        if !self.scenario.state {
            return;
        }
        // A forgotten key begins anew.
        let expected = self.model.counts(source, offset).get(&key).map_or(1, |before| before + 1);
        if expected != count {
            self.violated(format!("invariant 7: output of {offset} of {source} counts {count}, not {expected}"));
        }
    }

    fn dead_letter(&mut self, letter: &Record, content: &mut Content) {
        let about = |name: &str| {
            let found = letter.headers.iter().find(|(have, _)| have.strip_prefix("weir.dlq.") == Some(name));
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let partition = about("partition").parse().unwrap_or(-1);
        let source = self.kafka.index(&TopicPartition::new(about("topic"), partition));
        let offset = about("offset").parse().unwrap_or(-1);
        content.letters.insert((source, offset));
        let Some(made) = self.model.made(source, offset) else { return };
        made.letters += 1;
        let reason = match made.kind {
            Kind::Reject => "malformed",
            Kind::Refused => "invalid",
            Kind::Panic => "processor_panic",
            Kind::TooLarge => "too_large",
            _ => "none",
        };
        let refused = (0..made.items).filter(|seq| Kind::refuses(offset, *seq)).count();
        let told =
            made.kind != Kind::Refused || about("detail") == format!("the outside refused {refused} of its items");
        let own = made.record.headers.len();
        // One that the topic would not take leaves its size.
        let size = made.record.value.as_ref().map_or(0, Vec::len);
        let stripped = letter.key.is_none() && letter.value.is_none() && about("size") == size.to_string();
        let large = size + LARGEST_LETTER_HEADERS_BYTES > self.scenario.dead_letter_max_bytes;
        let same = stripped && large
            || letter.key == made.record.key
                && letter.value == made.record.value
                && letter.headers.get(..own) == Some(&made.record.headers)
                && about("timestamp") == made.record.timestamp_ms.to_string();
        let (excused, kind) = (made.excused, made.kind);
        if stripped && size > 0 {
            self.covers("a dead letter that is too large");
        }
        if about("reason") != reason || !(excused || same && told) {
            self.violated(format!(
                "invariant 3: dead letter of {offset} of {source} ({kind:?}) is not the record: {letter:?}"
            ));
        }
    }

    fn changelog(&mut self, partition: i32, record: &Record, txn: &Txn, content: &mut Content) {
        let key = record.key.as_deref().unwrap_or_default();
        // Partitions of the same number share a changelog partition; the key names the topic.
        let own = self.kafka.sources.iter().find_map(|source| {
            let id = &self.kafka.logs[*source].id;
            let own = key.get(1..)?.strip_prefix(id.topic.as_bytes())?.strip_prefix(&[0])?;
            (id.partition == partition).then_some((*source, own))
        });
        let Some((source, own)) = own else {
            return self.violated(format!("a record in the changelog has the key {key:?}"));
        };
        match (key.first(), own.split_first()) {
            (Some(b'p'), _) => {
                let offset = record.value.as_deref().and_then(|value| number(value.get(1..9)));
                content.positions.extend(offset.map(|offset| (source, offset)));
            }
            (Some(b's'), Some((b'd', offset))) => {
                if let Some(offset) = number(Some(offset)) {
                    let committed = txn.offsets.get(&source).map_or(0, |(offset, _)| *offset);
                    self.decision(source, offset, record.value.as_deref(), committed);
                }
            }
            _ => {}
        }
    }

    /// A decision is made once, and forgotten only with its record behind the committed offset.
    fn decision(&mut self, source: P, offset: i64, value: Option<&[u8]>, committed: i64) {
        let Some(made) = self.model.made(source, offset).filter(|made| matches!(made.kind, Kind::Keep | Kind::Note))
        else {
            return;
        };
        let before = made.decision;
        match value {
            Some(value) => {
                let yes = value == [1];
                made.decision = Some(yes);
                self.covers("a decision that is journalled");
                if before.is_some_and(|before| before != yes) {
                    self.violated(format!("{offset} of {source} was decided twice, differently"));
                }
            }
            None if offset >= committed => {
                self.violated(format!("decision on {offset} of {source} is forgotten early"))
            }
            // Made and forgotten in one transaction.
            None if made.kind == Kind::Note => drop(made.decision.get_or_insert(false)),
            None => {}
        }
    }

    /// At the end: all that was produced has led to what it should, for a read-committed reader.
    pub fn check_end(&mut self) {
        for (source, offset) in self.model.left() {
            self.violated(format!("invariant 2: {offset} of {source} is not committed at the end"));
        }
        // Those that a commit has passed: they were found to be missing.
        let model = &self.model;
        let passed = model.sources.iter().flat_map(|(source, all)| all.range(..model.committed(*source)));
        let missed = passed.filter(|(_, made)| made.missed && made.missing().is_some()).count();
        let told = model.counters.iter().map(gaps).sum::<usize>();
        if told < missed {
            self.violated(format!("invariant 2: {missed} records were removed unread, and {told} counted"));
        } else if told > 0 {
            self.covers("a gap that was counted");
        }
        let mut outputs: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for log in self.kafka.of_topic(OUT) {
            for (_, record) in self.kafka.logs[log].committed() {
                let origin = record.value.as_ref().and_then(|value| value.get(..9)).unwrap_or_default();
                *outputs.entry(origin.to_vec()).or_default() += 1;
            }
        }
        let mut expected: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for (source, records) in &self.model.sources {
            for (offset, made) in records.iter().filter(|(_, made)| made.outputs + made.before.0 > 0) {
                expected.insert(origin(*source, *offset), made.outputs + made.before.0);
            }
        }
        if outputs != expected {
            let (seen, expected) = (outputs.values().sum::<u32>(), expected.values().sum::<u32>());
            self.violated(format!("invariant 2: {expected} outputs were committed, a reader sees {seen}, or others"));
        }
        let all = self.model.sources.values().flat_map(BTreeMap::values);
        let expected: u32 = all.map(|made| made.letters + made.before.1).sum();
        let letters: usize =
            self.kafka.of_topic(DEAD).iter().map(|log| self.kafka.logs[*log].committed().count()).sum();
        if letters != usize::try_from(expected).unwrap_or(0) {
            self.violated(format!("invariant 3: {expected} dead letters were committed, a reader sees {letters}"));
        }
    }
}

/// How an output begins: with the record that it was made of.
pub(crate) fn origin(source: P, offset: i64) -> Vec<u8> {
    let mut origin = vec![u8::try_from(source).unwrap_or(u8::MAX)];
    origin.extend_from_slice(&offset.to_be_bytes());
    origin
}

fn number(bytes: Option<&[u8]>) -> Option<i64> {
    Some(i64::from_be_bytes(bytes?.try_into().ok()?))
}

/// The records that an instance counted as removed unread.
fn gaps(counters: &Registry) -> usize {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, counters).unwrap();
    let lines = text.lines().filter(|line| line.contains("gap_records_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

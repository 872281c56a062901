//! A worker that does everything a worker can, and the outside it delivers to. What a record leads
//! to stands in the record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::sleep;
use weir_contract::{
    Batch, Failure, Hold, Item, Memory, Next, Outbox, Output, Processor, Record, Released, Sink, StateError, Timestamp,
    TopicPartition,
};
use weir_runtime::Worker;

use super::check::{FRAMING_BYTES, LARGEST_OUTPUT_BYTES, LARGEST_STATE_BYTES, origin};
use super::kafka::{OUT, P};
use super::model::Kind;
use super::{Mutation, World};

/// What an item weighs, in bytes: much, so that budgets are soon spent.
pub(crate) const ITEM_BYTES: usize = 200;
/// Kept records over which the oldest is decided.
const KEPT_MAX: usize = 3;
/// So long a record is kept, in milliseconds.
const KEPT_MS: i64 = 700;

pub(crate) struct TestWorker {
    pub world: World,
    pub instance: usize,
}

/// Something for the outside.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub source: P,
    pub offset: i64,
    pub seq: u8,
    pub key: u8,
    /// The processor that made it.
    pub life: u64,
    pub refused: bool,
    pub kept: bool,
}

pub(crate) struct TestProcessor {
    world: World,
    source: P,
    life: u64,
    /// The last record that was seen.
    last: Option<i64>,
    counts: BTreeMap<u8, u32>,
    decisions: BTreeMap<i64, bool>,
    kept: Vec<Kept>,
    /// Decisions that the next batch forgets.
    over: Vec<i64>,
    /// State changes that a mutation writes too late.
    late: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

struct Kept {
    offset: i64,
    items: u8,
    key: u8,
    hold: Hold,
    since: Option<i64>,
}

pub(crate) struct TestSink {
    world: World,
    instance: usize,
    packed: Vec<Thing>,
}

#[derive(Debug, thiserror::Error)]
#[error("the outside says {0:?}")]
pub(crate) struct Said(Next);

impl Failure for Said {
    fn next(&self) -> Next {
        self.0
    }
}

impl Worker for TestWorker {
    type Processor = TestProcessor;
    type Sink = TestSink;

    fn processor(&self, partition: &TopicPartition) -> TestProcessor {
        let mut state = self.world.lock();
        state.outside.lives += 1;
        let born = (state.now(), self.instance);
        state.outside.born.push(born);
        let (source, life) = (state.kafka.index(partition), state.outside.lives);
        state.outside.newest.insert((self.instance, source), life);
        TestProcessor {
            world: self.world.clone(),
            source,
            life,
            last: None,
            counts: BTreeMap::new(),
            decisions: BTreeMap::new(),
            kept: Vec::new(),
            over: Vec::new(),
            late: Vec::new(),
        }
    }

    fn sink(&self, _: usize) -> TestSink {
        TestSink { world: self.world.clone(), instance: self.instance, packed: Vec::new() }
    }
}

fn decision_key(offset: i64) -> Vec<u8> {
    let mut key = vec![b'd'];
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

impl Processor for TestProcessor {
    type Out = Thing;

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        let unreadable = StateError::Malformed { len: value.len(), why: "not of the simulation" };
        match (key.split_first(), value) {
            (Some((b'c', [key])), _) => {
                let count = u32::from_be_bytes(value.try_into().map_err(|_| unreadable)?);
                self.counts.insert(*key, count);
            }
            (Some((b'd', offset)), [yes]) => {
                let offset = i64::from_be_bytes(offset.try_into().map_err(|_| unreadable)?);
                self.decisions.insert(offset, *yes == 1);
            }
            (Some((b'x', [])), _) => {} // only large
            _ => return Err(unreadable),
        }
        Ok(())
    }

    fn process(&mut self, batch: &Batch, out: &mut Outbox<Thing>) {
        if self.last.is_none() {
            self.world.lock().check_state(self.source, batch.first_offset(), &self.counts);
            self.over.extend(self.decisions.range(..batch.first_offset()).map(|(offset, _)| *offset));
        }
        for (key, value) in std::mem::take(&mut self.late) {
            write(out, key, value);
        }
        for offset in std::mem::take(&mut self.over) {
            out.forget(decision_key(offset));
        }
        for record in batch.records() {
            self.record(&record, out);
        }
        while self.kept.len() > KEPT_MAX {
            let kept = self.kept.remove(0);
            // Depends on how the records were batched, so that another life would decide otherwise.
            let yes = (batch.len() + usize::from(kept.key)).is_multiple_of(2);
            self.decide(kept, yes, out);
        }
    }

    fn tick(&mut self, now: Timestamp, memory: Memory, out: &mut Outbox<Thing>) {
        for kept in &mut self.kept {
            kept.since.get_or_insert(now.0);
        }
        let due = |kept: &Kept| memory == Memory::Short || kept.since.is_some_and(|since| now.0 - since >= KEPT_MS);
        while self.kept.first().is_some_and(due) {
            let kept = self.kept.remove(0);
            self.decide(kept, now.0 % 2 == 0, out);
        }
    }
}

/// State changes, as a mutation may delay them.
fn write(out: &mut Outbox<Thing>, key: Vec<u8>, value: Option<Vec<u8>>) {
    match value {
        Some(value) => out.remember(key, value).unwrap_or_else(|error| unreachable!("{error}")),
        None => out.forget(key),
    }
}

impl TestProcessor {
    fn is_mutated(&self, mutation: Mutation) -> bool {
        self.world.lock().is_mutated(mutation)
    }

    fn record(&mut self, record: &Record<'_>, out: &mut Outbox<Thing>) {
        let (kind, items, key) = {
            let mut state = self.world.lock();
            if state.is_mutated(Mutation::SkipsARecord) && state.rng.chance(50) {
                return;
            }
            let seen = state.check_record(self.source, self.life, self.last, record);
            self.last = Some(record.offset);
            let Some(seen) = seen else { return };
            seen
        };
        match kind {
            Kind::Nothing => {}
            Kind::Emit | Kind::Refused => self.emit(record.offset, items, key, kind, out),
            Kind::Output | Kind::Largest => self.output(record.offset, key, kind, out),
            Kind::TooLarge => self.too_large(record, key, out),
            Kind::EmitOutput => {
                self.output(record.offset, key, kind, out);
                self.emit(record.offset, items, key, kind, out);
            }
            Kind::Reject if self.is_mutated(Mutation::SkipsTheRejected) => {}
            Kind::Reject if self.is_mutated(Mutation::AltersDeadLetters) => {
                out.reject(&Record { value: Some(b"altered"), ..*record }, "malformed", String::new());
            }
            Kind::Reject => out.reject(record, "malformed", "at byte 0".into()),
            Kind::Panic => self.die(),
            Kind::Keep => self.keep(record.offset, items, key, out),
            Kind::Note => self.note(record.offset, out),
        }
    }

    fn things(&self, offset: i64, items: u8, key: u8, kind: Kind) -> impl Iterator<Item = Thing> {
        let (source, life, kept) = (self.source, self.life, kind == Kind::Keep);
        (0..items).map(move |seq| {
            let refused = kind == Kind::Refused && Kind::refuses(offset, seq);
            Thing { source, offset, seq, key, life, refused, kept }
        })
    }

    fn emit(&self, offset: i64, items: u8, key: u8, kind: Kind, out: &mut Outbox<Thing>) {
        let spread = self.is_mutated(Mutation::SpreadsOverShards);
        for thing in self.things(offset, items, key, kind) {
            let salt = if spread { u64::from(thing.seq) + offset.unsigned_abs() } else { 0 };
            out.emit(offset, hash(key, salt), thing, ITEM_BYTES);
        }
    }

    fn output(&mut self, offset: i64, key: u8, kind: Kind, out: &mut Outbox<Thing>) {
        let mut count = 0;
        if self.world.lock().scenario.state {
            count = self.counts.get(&key).copied().unwrap_or(0) + 1;
            // Now and then a key is forgotten, and begins anew.
            let value = (count % 4 != 0).then(|| count.to_be_bytes().to_vec());
            match &value {
                Some(_) => self.counts.insert(key, count),
                None => self.counts.remove(&key),
            };
            if self.is_mutated(Mutation::StateIsOneBatchLate) {
                self.late.push((vec![b'c', key], value));
            } else if self.is_mutated(Mutation::StateIsOneBatchAhead) {
                out.journal(vec![b'c', key], value, Vec::new()).unwrap();
            } else {
                write(out, vec![b'c', key], value);
            }
        }
        let mut value = origin(self.source, offset);
        value.extend_from_slice(&count.to_be_bytes());
        if kind == Kind::Largest {
            value.resize(LARGEST_OUTPUT_BYTES - FRAMING_BYTES - 1, b'x');
            if self.world.lock().scenario.state {
                out.remember(vec![b'x'], self.largest_state()).unwrap();
            }
        }
        out.produce(to_out(key, value)).unwrap();
    }

    fn die(&self) {
        self.world.lock().covers("a processor that dies");
        std::panic::resume_unwind(Box::new("a record on which the processor dies"));
    }

    /// An output that the topic does not take is the record's fault.
    fn too_large(&self, record: &Record<'_>, key: u8, out: &mut Outbox<Thing>) {
        let value = vec![b'x'; LARGEST_OUTPUT_BYTES - FRAMING_BYTES];
        if record.offset % 2 == 0 && out.produce(to_out(key, value)).is_err() {
            self.world.lock().covers("an output that is too large");
            out.reject(record, "too_large", String::new());
        }
        let mut value = self.largest_state();
        value.push(b'x');
        if record.offset % 2 != 0 && out.remember(vec![b'x'], value).is_err() {
            self.world.lock().covers("a state that is too large");
            out.reject(record, "too_large", String::new());
        }
    }

    /// The largest value that a key of one byte takes.
    fn largest_state(&self) -> Vec<u8> {
        let state = self.world.lock();
        let topic = &state.kafka.logs[self.source].id.topic;
        vec![b'x'; LARGEST_STATE_BYTES - FRAMING_BYTES - topic.len() - 3]
    }

    fn keep(&mut self, offset: i64, items: u8, key: u8, out: &mut Outbox<Thing>) {
        if let Some(yes) = self.decisions.remove(&offset) {
            if yes {
                for thing in self.things(offset, items, key, Kind::Keep) {
                    out.emit(offset, hash(key, 0), thing, ITEM_BYTES);
                }
            }
            self.over.push(offset);
            return;
        }
        let hold = out.keep(ITEM_BYTES);
        if self.is_mutated(Mutation::ReleasesWhatIsKept) && self.world.lock().rng.chance(100) {
            return hold.release();
        }
        self.kept.push(Kept { offset, items, key, hold, since: None });
    }

    /// Decides on the spot, in another way than another life would.
    fn note(&mut self, offset: i64, out: &mut Outbox<Thing>) {
        if self.decisions.remove(&offset).is_none() {
            let yes = self.life.is_multiple_of(2);
            out.journal(decision_key(offset), Some(vec![u8::from(yes)]), Vec::new()).unwrap();
        }
        self.over.push(offset);
    }

    fn decide(&mut self, kept: Kept, yes: bool, out: &mut Outbox<Thing>) {
        let Kept { offset, items, key, hold, .. } = kept;
        let mut released = Vec::new();
        if yes && self.is_mutated(Mutation::LeavesBeforeTheDecision) {
            for thing in self.things(offset, items, key, Kind::Keep) {
                out.emit(offset, hash(key, 0), thing, ITEM_BYTES);
            }
        } else if yes {
            let item = |thing: Thing| (hash(key, 0), Item { offset, value: thing }, ITEM_BYTES);
            released = self.things(offset, items, key, Kind::Keep).map(item).collect();
        }
        let released = vec![Released { hold, items: released }];
        if let Err((error, _)) = out.journal(decision_key(offset), Some(vec![u8::from(yes)]), released) {
            unreachable!("{error}");
        }
        self.over.push(offset);
    }
}

fn to_out(key: u8, value: Vec<u8>) -> Output {
    Output { topic: OUT.into(), partition: None, key: Some(vec![key]), value: Some(value), headers: Vec::new() }
}

fn hash(key: u8, salt: u64) -> u64 {
    (u64::from(key) + 1 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What the outside has seen.
#[derive(Default)]
pub(crate) struct Outside {
    pub lives: u64,
    /// When processors were made, by which instance.
    pub born: Vec<(u64, usize)>,
    /// By processor and key: what was delivered, and what was acknowledged.
    seen: BTreeMap<(u64, u8), Seen>,
    /// How many requests are refused for want of a person.
    pub blocked: u64,
    /// For a mutation, by instance and source: answers that came after the partition was opened again.
    late: BTreeMap<(usize, P), u32>,
    /// The newest life of each source in each instance.
    newest: BTreeMap<(usize, P), u64>,
}

#[derive(Default)]
struct Seen {
    delivered: BTreeSet<(i64, u8)>,
    acknowledged: BTreeSet<(i64, u8)>,
}

impl super::State {
    /// A request arrives: what the outside says to it, and whether it was taken.
    fn arrive(&mut self, things: &[Thing]) -> Result<(), Next> {
        let (retry, blocked) = (self.scenario.faults.sink_retry, self.scenario.faults.sink_blocked);
        if self.fault(retry) {
            let after = self.rng.chance(200).then(|| Duration::from_millis(self.rng.below(2_000)));
            return Err(Next::Retry { after });
        }
        if self.outside.blocked > 0 || self.fault(blocked) {
            self.outside.blocked = match self.outside.blocked {
                0 => self.rng.below(3),
                left => left - 1,
            };
            return Err(Next::Blocked);
        }
        let too_large = self.scenario.faults.sink_split;
        if things.len() > 1 && self.fault(too_large) {
            return Err(Next::Split { reason: "too_large" });
        }
        if things.iter().any(|thing| thing.refused) && !self.is_mutated(Mutation::SwallowsRefusals) {
            let all = things.iter().all(|thing| thing.refused);
            if all {
                self.acknowledge(things);
            }
            let reason = "invalid";
            return Err(if all && self.rng.chance(500) { Next::Reject { reason } } else { Next::Split { reason } });
        }
        for thing in things {
            self.take(thing);
        }
        Ok(())
    }

    fn take(&mut self, thing: &Thing) {
        self.check_delivery(thing);
        let seen = self.outside.seen.entry((thing.life, thing.key)).or_default();
        let place = (thing.offset, thing.seq);
        let again = !seen.delivered.insert(place);
        // What was kept leaves when it was decided, out of order.
        let newest = seen.delivered.last() == Some(&place) || thing.kept;
        let acknowledged = seen.acknowledged.contains(&place);
        if acknowledged {
            self.violated(format!("invariant 6: {thing:?} is delivered after it was acknowledged"));
        } else if !again && !newest {
            self.violated(format!("invariant 6: {thing:?} is delivered after a later one"));
        }
    }

    /// What was taken is acknowledged, or refused for good.
    fn acknowledge(&mut self, things: &[Thing]) {
        for thing in things {
            self.note_settled(thing);
            if !thing.refused {
                let seen = self.outside.seen.entry((thing.life, thing.key)).or_default();
                seen.acknowledged.insert((thing.offset, thing.seq));
            }
        }
    }
}

/// For a mutation: answers that nobody waits for any more, and who takes them for his own.
impl super::State {
    fn come_late(&mut self, instance: usize, things: &[Thing]) {
        for thing in things {
            let own = (instance, thing.source);
            if self.outside.newest.get(&own).is_some_and(|newest| *newest > thing.life) {
                self.covers("an acknowledgement that comes late");
                *self.outside.late.entry(own).or_default() += 1;
            }
        }
    }

    fn was_acknowledged(&mut self, instance: usize, things: &[Thing]) -> bool {
        let own = things.first().map(|thing| (instance, thing.source));
        let late = own.and_then(|own| self.outside.late.get_mut(&own)).filter(|late| **late > 0);
        late.map(|late| *late -= 1).is_some()
    }
}

impl Sink for TestSink {
    type Out = Thing;
    type Error = Said;

    fn pack(&mut self, items: &[Item<Thing>]) -> usize {
        let mut state = self.world.lock();
        let count = if state.rng.chance(700) { items.len() } else { 1 + state.rng.index(items.len()) };
        self.packed = items.iter().take(count).map(|item| item.value.clone()).collect();
        count
    }

    async fn deliver(&mut self) -> Result<(), Said> {
        let two = self.world.lock().is_mutated(Mutation::TwoInFlight);
        if !two || self.packed.len() < 2 {
            return self.bring(&self.packed).await;
        }
        let (one, other) = self.packed.split_at(self.packed.len() / 2);
        let (one, other) = tokio::join!(self.bring(one), self.bring(other));
        one.and(other)
    }
}

impl TestSink {
    /// One request: its way there, what the outside makes of it, and its way back.
    async fn bring(&self, packed: &[Thing]) -> Result<(), Said> {
        self.pass().await;
        let answer = {
            let mut state = self.world.lock();
            state.advance();
            if state.is_mutated(Mutation::CountsLateAcknowledgements) && state.was_acknowledged(self.instance, packed) {
                return Ok(());
            }
            if state.is_mutated(Mutation::AcknowledgesBeforeDelivering) && state.rng.chance(50) {
                return Ok(());
            }
            let answer = state.arrive(packed);
            let rate = state.scenario.faults.sink_lost_answer;
            let answer = if answer.is_ok() && state.fault(rate) { Err(Next::Retry { after: None }) } else { answer };
            let told: Vec<_> = packed.iter().map(|thing| (thing.source, thing.offset, thing.seq)).collect();
            state.note("outside", || format!("i{} brings {told:?}: {answer:?}", self.instance));
            answer
        };
        self.pass().await;
        match answer {
            Ok(()) => {
                let mut state = self.world.lock();
                state.acknowledge(packed);
                state.come_late(self.instance, packed);
                Ok(())
            }
            Err(next) => Err(Said(next)),
        }
    }

    async fn pass(&self) {
        let ms = {
            let mut state = self.world.lock();
            let (long, long_ms) = (state.scenario.latency.long, state.scenario.latency.long_ms);
            if state.fault(long) { state.rng.below(long_ms) } else { state.rng.below(12) }
        };
        if ms > 0 {
            sleep(Duration::from_millis(ms)).await;
        }
    }
}
